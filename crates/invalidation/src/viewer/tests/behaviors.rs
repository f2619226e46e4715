//! Tests the behavior and the origin that a path belongs to.

use crate::viewer::tests::*;

#[test]
fn a_path_belongs_to_the_first_behavior_that_matches_it() {
    let origins = [origin("s3", BUCKET, ""), origin("media", OTHER_BUCKET, "")];
    let shape = shape(
        &origins,
        &[behavior("/img/keep/*", "s3"), behavior("/img/*", "media"), behavior("*.JPG", "media"), behavior("*", "s3")],
    );
    assert_eq!(paths(&shape, "img/keep/a.png"), ["/img/keep/a.png"]);
    assert!(paths(&shape, "img/a.png").is_empty());
    assert!(paths(&shape, "b.JPG").is_empty());
    assert_eq!(paths(&shape, "b.jpg"), ["/b.jpg"]);
}

#[test]
fn a_behavior_that_caches_nothing_needs_no_invalidation() {
    let not_cached =
        CacheBehavior { ttl: Some(NOT_CACHED), viewer_request_function: true, ..behavior("/live/*", "s3") };
    let shape = shape(&[origin("s3", BUCKET, "")], &[not_cached, behavior("*", "s3")]);
    assert!(paths(&shape, "live/a.json").is_empty());
    assert_eq!(paths(&shape, "a.json"), ["/a.json"]);
    assert!(!viewer(&shape).reaches_nothing());
}

#[test]
fn a_behavior_keeps_a_path_unless_its_target_is_certainly_another_bucket() {
    let mut group = shape(
        &[
            origin("s3", BUCKET, ""),
            origin("media", OTHER_BUCKET, ""),
            origin("more-media", "more.s3.amazonaws.com", ""),
            origin("proxy", "resize.example.com", ""),
        ],
        &[
            behavior("/both/*", "media-then-s3"),
            behavior("/neither/*", "media-only"),
            CacheBehavior { viewer_request_function: true, ..behavior("/rewritten/*", "media") },
            behavior("/proxied/*", "proxy"),
            behavior("/dangling/*", "gone"),
            behavior("*", "s3"),
        ],
    );
    let with_members =
        |id: &str, members: [&str; 2]| OriginGroup { id: id.to_owned(), members: members.map(str::to_owned).to_vec() };
    group.origin_groups =
        vec![with_members("media-then-s3", ["media", "s3"]), with_members("media-only", ["media", "more-media"])];
    for (key, kept) in
        [("both/a", true), ("neither/a", false), ("rewritten/a", true), ("proxied/a", true), ("dangling/a", true)]
    {
        assert_eq!(!paths(&group, key).is_empty(), kept, "{key}");
    }
}

#[test]
fn of_several_origin_paths_each_counts_where_a_behavior_leads_to_it() {
    let origins = [origin("site", BUCKET, "/site"), origin("root", BUCKET, "")];
    let shape = shape(&origins, &[behavior("/files/*", "root"), behavior("*", "site")]);
    assert_eq!(paths(&shape, "site/a.html"), ["/a.html"]);
    assert_eq!(paths(&shape, "files/a.zip"), ["/files/a.zip"]);
    // `/files/b.zip` belongs to the other origin, where it is a different key.
    assert!(paths(&shape, "site/files/b.zip").is_empty());
    assert!(paths(&shape, "other/a").is_empty());
    let both = [behavior("/site/*", "root"), behavior("*", "site")];
    let both = self::shape(&origins, &both);
    assert_eq!(paths(&both, "site/a.html"), ["/a.html", "/site/a.html"]);
}

#[test]
fn each_form_of_a_key_is_checked_by_its_own_behavior() {
    let origins = [origin("s3", WEBSITE, ""), origin("media", OTHER_BUCKET, "")];
    let shape = shape(&origins, &[behavior("/a/*", "media"), behavior("*", "s3")]);
    assert_eq!(paths(&shape, "a/index.html"), ["/a"]);
}

#[test]
fn the_root_is_kept_if_either_reading_of_its_behavior_serves_it() {
    let origins = [origin("s3", BUCKET, ""), origin("media", OTHER_BUCKET, "")];
    for (pattern, target, default, expected) in [
        ("/index.html", "media", "s3", vec!["/"]),
        ("/index.html", "s3", "media", vec!["/index.html", "/"]),
        ("/?*", "media", "s3", vec!["/"]),
    ] {
        let mut shape = shape(&origins, &[behavior(pattern, target), behavior("*", default)]);
        shape.default_root_object = Some("index.html".to_owned());
        assert_eq!(paths(&shape, "index.html"), expected, "{pattern} {target}");
    }
}

#[test]
fn a_pattern_may_see_a_path_encoded_decoded_or_normalised() {
    let origins = [origin("s3", BUCKET, ""), origin("media", OTHER_BUCKET, "")];
    for (pattern, key) in [("/a?b", "a b"), ("/a???b", "a b"), ("/x/b", "x//b"), ("/x/b", "x/./b")] {
        let shape = shape(&origins, &[behavior(pattern, "s3"), behavior("*", "media")]);
        assert!(!paths(&shape, key).is_empty(), "{pattern} {key}");
    }
}

#[test]
fn a_distribution_that_serves_nothing_of_the_site_is_reported() {
    for shape in [
        plain(OTHER_BUCKET),
        shape(&[origin("s3", BUCKET, "/elsewhere")], &[behavior("*", "s3")]),
        shape(&[origin("s3", BUCKET, ""), origin("media", OTHER_BUCKET, "")], &[behavior("*", "media")]),
    ] {
        let viewer = Viewer::new(&shape, &site("www/"), ViewerOptions::default());
        assert!(viewer.reaches_nothing());
        assert!(viewer.paths("www/a.html").is_empty());
        assert!(viewer.warnings()[0].to_string().contains("nothing is invalidated"));
    }
}

#[test]
fn a_host_of_another_kind_is_taken_to_show_the_bucket_if_nothing_else_does() {
    let viewer = Viewer::new(&plain("origin.example.com"), &site("www/"), ViewerOptions::default());
    assert_eq!(names(viewer.paths("www/a.css")), ["/www/a.css", "/a.css"]);
    assert!(viewer.warnings()[0].to_string().contains("origin.example.com"));
}

#[test]
fn a_tenants_parameter_in_the_origin_path_may_be_any_folder_of_the_site() {
    let mut shape = shape(&[origin("s3", BUCKET, "/{{tenant}}")], &[behavior("*", "s3")]);
    shape.tenants_only = true;
    let viewer = Viewer::new(&shape, &site("acme/"), ViewerOptions::default());
    assert_eq!(names(viewer.paths("acme/a.css")), ["/acme/a.css", "/a.css"]);
    assert!(viewer.warnings()[0].to_string().contains("--distribution-tenant"));
}

#[test]
fn an_error_page_is_known_by_its_viewer_path_and_checked_by_its_behavior() {
    let mut shape = shape(
        &[origin("s3", BUCKET, "/site")],
        &[CacheBehavior { ttl: Some(NOT_CACHED), ..behavior("/errors/*", "s3") }, behavior("*", "s3")],
    );
    shape.custom_error_responses = ["/404.html", "/errors/5 xx.html", ""]
        .map(|page| CustomErrorResponse {
            error_code: 404,
            response_page_path: page.to_owned(),
            error_caching_min_ttl: 10,
        })
        .to_vec();
    let viewer = viewer(&shape);
    let action = |key| viewer.error_page_action(key, &[CachedHeaders::Unknown]);
    assert!(matches!(action("site/404.html"), Some(ErrorPageAction::Everything { .. })));
    assert!(matches!(action("site/errors/5 xx.html"), Some(ErrorPageAction::OwnPath { .. })));
    assert_eq!(action("site/a.html"), None);
    assert_eq!(action("404.html"), None);
}

#[test]
fn copies_are_tagged_only_where_they_come_from_the_bucket_itself() {
    let mut shape = shape(
        &[origin("s3", BUCKET, ""), origin("replica", OTHER_BUCKET, ""), origin("proxy", "resize.example.com", "")],
        &[behavior("/both/*", "s3-then-replica"), behavior("/proxy/*", "proxy"), behavior("*", "s3")],
    );
    shape.origin_groups =
        vec![OriginGroup { id: "s3-then-replica".to_owned(), members: vec!["s3".to_owned(), "replica".to_owned()] }];
    let tagged = |shape: &DistributionShape, key: &str| {
        let viewer = viewer(shape);
        let paths = viewer.paths(key);
        paths.iter().filter(|path| viewer.is_tagged(path)).map(|path| path.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(tagged(&shape, "a/index.html"), ["/a/index.html"]);
    assert!(tagged(&shape, "both/a.html").is_empty() && tagged(&shape, "proxy/a.html").is_empty());
    // A redirect from `/a` to `/a/` is a copy as well, and has no tags.
    shape.origins[0] = origin("s3", WEBSITE, "");
    assert_eq!(tagged(&shape, "a/index.html"), ["/a/index.html", "/a/"]);
}

#[test]
fn headers_are_kept_where_no_policy_function_or_other_origin_is_known_to_set_them() {
    let altering = CacheBehavior { alters_headers: true, ..behavior("/set/*", "s3") };
    let viewer = viewer(&shape(
        &[origin("s3", BUCKET, ""), origin("proxy", "resize.example.com", "")],
        &[altering, behavior("/proxy/*", "proxy"), behavior("*", "s3")],
    ));
    assert!(viewer.keeps_headers("/index.html"));
    assert!(!viewer.keeps_headers("/set/index.html") && !viewer.keeps_headers("/proxy/index.html"));
}

fn claimed(claim: Claim, origins: &[Origin], cache_behaviors: &[CacheBehavior]) -> DistributionShape {
    DistributionShape { claim, ..shape(origins, cache_behaviors) }
}

#[test]
fn a_named_distribution_is_mistaken_only_where_every_origin_is_certainly_another_bucket() {
    let (ours, other, proxy) =
        (origin("s3", BUCKET, ""), origin("other", OTHER_BUCKET, ""), origin("proxy", "www.example.com", ""));
    let tenant = origin("other", "{{bucket}}.s3.eu-west-1.amazonaws.com", "");
    let to_other = behavior("*", "other");
    let function = CacheBehavior { viewer_request_function: true, ..to_other.clone() };
    for (origins, behaviors, mistaken) in [
        (vec![other.clone()], vec![to_other.clone()], true),
        (
            vec![other.clone(), origin("third", "third.s3-website-eu-west-1.amazonaws.com", "")],
            vec![to_other.clone()],
            true,
        ),
        (vec![ours, other.clone()], vec![to_other.clone()], false),
        (vec![proxy, other.clone()], vec![to_other.clone()], false),
        (vec![tenant], vec![to_other.clone()], false),
        (vec![other.clone()], vec![function, to_other.clone()], false),
        (vec![other.clone()], vec![behavior("/gone/*", "removed"), to_other.clone()], false),
    ] {
        let named = claimed(Claim::Named, &origins, &behaviors);
        assert_eq!(is_mistaken(&named, "site"), mistaken, "{origins:?} {behaviors:?}");
        for claim in [Claim::Origins, Claim::AnyOrigin, Claim::Recorded] {
            assert!(!is_mistaken(&DistributionShape { claim, ..named.clone() }, "site"), "{claim:?}");
        }
    }
    let unreadable = DistributionShape { claim: Claim::Named, ..DistributionShape::unreadable("E1") };
    assert!(!is_mistaken(&unreadable, "site"));
}

#[test]
fn another_bucket_shows_the_site_where_somebody_says_so() {
    let shown =
        |claim| paths(&claimed(claim, &[origin("s3", OTHER_BUCKET, "")], &[behavior("*", "s3")]), "a/index.html");
    assert_eq!(shown(Claim::Origins), [""; 0]);
    assert_eq!(shown(Claim::Named), [""; 0], "it is refused before that");
    for claim in [Claim::AnyOrigin, Claim::Recorded] {
        assert_eq!(shown(claim), ["/a/index.html", "/a/", "/a"], "{claim:?}");
    }
}

#[test]
fn a_named_distribution_is_believed_only_where_no_origin_is_known_to_show_the_site() {
    let viewer = |origins: &[Origin], behaviors: &[CacheBehavior]| {
        Viewer::new(&claimed(Claim::Named, origins, behaviors), &site("www/en/"), ViewerOptions::default())
    };
    let proxy = origin("proxy", "www.example.com", "");
    let shown = |viewer: &Viewer| names(viewer.paths("www/en/a.css"));

    let assumed = viewer(std::slice::from_ref(&proxy), &[behavior("*", "proxy")]);
    assert_eq!(shown(&assumed), ["/www/en/a.css", "/en/a.css", "/a.css"]);
    let never = index_alias(IndexAlias::Never);
    let proxied = claimed(Claim::Named, std::slice::from_ref(&proxy), &[behavior("*", "proxy")]);
    let root = Viewer::new(&proxied, &site(""), never).paths("index.html");
    assert_eq!(names(root), ["/index.html", "/"], "the host may have a root object of its own");
    // The bucket is an origin as well, but with a folder next to the site.
    let assumed = viewer(&[origin("s3", BUCKET, "/media"), proxy.clone()], &[behavior("*", "proxy")]);
    assert_eq!(shown(&assumed), ["/www/en/a.css", "/en/a.css", "/a.css"]);
    assert!(
        assumed.is_assumed() && assumed.warnings()[0].to_string().contains("assumes that www.example.com shows it")
    );

    let known = viewer(&[origin("s3", BUCKET, "/www/en"), proxy], &[behavior("/api/*", "proxy"), behavior("*", "s3")]);
    assert_eq!(shown(&known), ["/a.css"]);
    assert_eq!(names(known.paths("www/en/api/a.css")), ["/api/a.css"], "as where nobody names it");
    assert!(!known.is_assumed() && known.warnings().is_empty());

    // Another bucket's folder is excluded, whatever a function does elsewhere.
    let function = CacheBehavior { viewer_request_function: true, ..behavior("*", "s3") };
    let beside = [origin("s3", BUCKET, "/www/en"), origin("o", OTHER_BUCKET, "")];
    assert_eq!(names(viewer(&beside, &[behavior("/media/*", "o"), function]).paths("www/en/media/a.png")), [""; 0]);

    // Neither folder is the site, and nothing can select another.
    let elsewhere = viewer(&[origin("s3", BUCKET, "/media"), origin("o", OTHER_BUCKET, "")], &[behavior("*", "o")]);
    assert!(elsewhere.reaches_nothing());
}

#[test]
fn where_only_a_function_may_lead_to_the_bucket_the_one_warning_says_so() {
    let function = CacheBehavior { origin_request_function: true, ..behavior("*", "s3") };
    let viewer = viewer(&claimed(Claim::Named, &[origin("s3", OTHER_BUCKET, "")], &[function]));
    assert_eq!(names(viewer.paths("index.html")), ["/index.html", "/"]);
    assert_eq!(viewer.warnings().len(), 1);
    assert!(viewer.warnings()[0].to_string().contains("assumes that what a function chooses shows it"));
}
