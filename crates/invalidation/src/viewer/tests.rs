//! Tests the paths that serve a key, and how each may be reached.

mod behaviors;

use crate::viewer::*;
use proptest::prelude::*;

const CACHED: Ttl = Ttl { min: 1, default: 86_400, max: 31_536_000 };
const NOT_CACHED: Ttl = Ttl { min: 0, default: 0, max: 0 };
const BUCKET: &str = "site.s3.eu-west-1.amazonaws.com";
const WEBSITE: &str = "site.s3-website-eu-west-1.amazonaws.com";
const OTHER_BUCKET: &str = "media.s3.eu-west-1.amazonaws.com";

fn origin(id: &str, domain_name: &str, origin_path: &str) -> Origin {
    Origin {
        id: id.to_owned(),
        domain_name: domain_name.to_owned(),
        origin_path: origin_path.to_owned(),
        ..Origin::default()
    }
}

fn behavior(path_pattern: &str, target: &str) -> CacheBehavior {
    CacheBehavior {
        path_pattern: path_pattern.to_owned(),
        target_origin_id: target.to_owned(),
        ttl: Some(CACHED),
        ..CacheBehavior::default()
    }
}

/// A distribution whose behaviors have the IDs of its origins; the last one is the default.
fn shape(origins: &[Origin], cache_behaviors: &[CacheBehavior]) -> DistributionShape {
    DistributionShape {
        id: "E1".to_owned(),
        readable: true,
        origins: origins.to_vec(),
        cache_behaviors: cache_behaviors.to_vec(),
        ..DistributionShape::default()
    }
}

fn plain(domain_name: &str) -> DistributionShape {
    shape(&[origin("s3", domain_name, "")], &[behavior("*", "s3")])
}

fn site(prefix: &str) -> Site {
    Site { bucket: "site".to_owned(), prefix: prefix.to_owned() }
}

fn viewer(shape: &DistributionShape) -> Viewer {
    Viewer::new(shape, &site(""), ViewerOptions::default())
}

fn index_alias(index_alias: IndexAlias) -> ViewerOptions {
    ViewerOptions { index_alias, ..ViewerOptions::default() }
}

fn names(paths: Vec<ViewerPath>) -> Vec<String> {
    paths.into_iter().map(|found| found.path).collect()
}

fn paths(shape: &DistributionShape, key: &str) -> Vec<String> {
    names(viewer(shape).paths(key))
}

#[test]
fn a_key_answers_at_its_own_path_and_the_root_object_at_the_root_too() {
    let mut shape = plain(BUCKET);
    shape.default_root_object = Some("index.html".to_owned());
    assert_eq!(paths(&shape, "a/b.css"), ["/a/b.css"]);
    assert_eq!(paths(&shape, "index.html"), ["/index.html", "/"]);
    assert_eq!(paths(&shape, "dir/index.html"), ["/dir/index.html"]);
    shape.default_root_object = Some("/home/start.html".to_owned());
    assert_eq!(paths(&shape, "home/start.html"), ["/home/start.html", "/"]);
    assert_eq!(paths(&shape, "index.html"), ["/index.html"]);
}

#[test]
fn the_origin_path_is_stripped_at_a_slash_and_keys_outside_it_are_unreachable() {
    for origin_path in ["/site", "/site/", "site"] {
        let shape = shape(&[origin("s3", BUCKET, origin_path)], &[behavior("*", "s3")]);
        assert_eq!(paths(&shape, "site/a.html"), ["/a.html"]);
        assert!(paths(&shape, "site2/a.html").is_empty());
        assert!(paths(&shape, "site").is_empty());
        assert!(paths(&shape, "a.html").is_empty());
    }
}

#[test]
fn the_root_object_is_the_one_below_the_origin_path() {
    let mut shape = shape(&[origin("s3", BUCKET, "/site")], &[behavior("*", "s3")]);
    shape.default_root_object = Some("index.html".to_owned());
    assert_eq!(paths(&shape, "site/index.html"), ["/index.html", "/"]);
    assert_eq!(paths(&shape, "site/site/index.html"), ["/site/index.html"]);
}

#[test]
fn a_website_endpoint_answers_for_directories_with_and_without_their_slash() {
    let shape = plain(WEBSITE);
    for (key, expected) in [
        ("index.html", vec!["/index.html", "/"]),
        ("a/index.html", vec!["/a/index.html", "/a/", "/a"]),
        ("a/b/index.html", vec!["/a/b/index.html", "/a/b/", "/a/b"]),
        ("myindex.html", vec!["/myindex.html"]),
        ("a/api-index.html", vec!["/a/api-index.html"]),
        ("a/index.htm", vec!["/a/index.htm"]),
    ] {
        assert_eq!(paths(&shape, key), expected);
    }
}

#[test]
fn a_function_before_the_cache_or_the_origin_may_answer_for_directories() {
    for viewer_request_function in [true, false] {
        let rewriting = CacheBehavior {
            viewer_request_function,
            origin_request_function: !viewer_request_function,
            ..behavior("*", "s3")
        };
        let viewer = viewer(&shape(&[origin("s3", BUCKET, "")], &[rewriting]));
        let found = names(viewer.paths("a/index.html"));
        assert_eq!(found, ["/a/index.html", "/a/", "/a"]);
        let warned = viewer.warnings().iter().any(|text| text.to_string().contains("origin-request"));
        assert_eq!(warned, !viewer_request_function);
    }
}

#[test]
fn the_user_decides_on_directories_and_clean_urls_where_asked() {
    let always = Viewer::new(&plain(BUCKET), &site(""), index_alias(IndexAlias::Always));
    assert_eq!(names(always.paths("a/index.html")), ["/a/index.html", "/a/", "/a"]);
    let never = Viewer::new(&plain(WEBSITE), &site(""), index_alias(IndexAlias::Never));
    assert_eq!(names(never.paths("a/index.html")), ["/a/index.html"]);
    let clean = ViewerOptions { clean_urls: true, ..ViewerOptions::default() };
    let clean = Viewer::new(&plain(BUCKET), &site(""), clean);
    assert_eq!(names(clean.paths("a/page.html")), ["/a/page.html", "/a/page"]);
    assert_eq!(names(clean.paths("a/.html")), ["/a/.html"]);
    assert_eq!(names(clean.paths("a/page.css")), ["/a/page.css"]);
}

#[test]
fn query_strings_in_the_cache_key_add_a_form_that_only_a_wildcard_reaches() {
    for query_strings in [QueryStrings::All, QueryStrings::Some(vec!["v".to_owned()]), QueryStrings::Unknown] {
        let cached_apart = CacheBehavior { query_strings, ..behavior("*", "s3") };
        let shape = shape(&[origin("s3", BUCKET, "")], &[cached_apart]);
        let found = viewer(&shape).paths("x");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].path.as_str(), found[0].exact), ("/x", true));
        assert_eq!(found[0].wildcard_limit, 1);
        assert_eq!((found[1].path.as_str(), found[1].exact), ("/x?", false));
        assert_eq!((found[1].wildcard_limit, found[1].form), (2, Form::QueryVariants));
    }
}

#[test]
fn what_cannot_be_sent_exactly_is_left_to_a_wildcard_that_ends_early_enough() {
    let viewer = viewer(&plain(BUCKET));
    for (key, exact, limit) in [
        ("ab", true, "/a"),
        ("aü", true, "/a%C3"),
        ("js/vendors~main~x.js", false, "/js/vendors"),
        ("~", false, "/"),
        ("what?.html", false, "/what"),
        ("a*", false, "/a"),
        ("a**", false, "/a"),
        ("a*b", false, "/a"),
        ("a/", true, "/a"),
    ] {
        let found = &viewer.paths(key)[0];
        assert_eq!(found.exact, exact, "{key}");
        assert_eq!(&found.path[..found.wildcard_limit], limit, "{key}");
    }
    let longest = viewer.paths(&"ü".repeat(700));
    assert_eq!((longest[0].exact, longest[0].wildcard_limit), (false, 3_997));
}

#[test]
fn the_root_is_reached_by_the_wildcard_that_is_everything() {
    let found = viewer(&plain(WEBSITE)).paths("index.html");
    assert_eq!((found[1].path.as_str(), found[1].exact), ("/", true));
    assert_eq!(found[1].wildcard_limit, 1);
}

#[test]
fn an_unreadable_configuration_gives_every_likely_form_and_says_what_to_allow() {
    let shape = DistributionShape::unreadable("E1");
    let viewer = Viewer::new(&shape, &site("team/www/"), ViewerOptions::default());
    let exact = |key| {
        let found = viewer.paths(key).into_iter();
        names(found.filter(|each| each.exact).collect())
    };
    assert_eq!(exact("team/www/a.css"), ["/team/www/a.css", "/www/a.css", "/a.css"]);
    let index = exact("team/www/index.html");
    for path in ["/team/www/index.html", "/www/", "/www", "/index.html", "/"] {
        assert!(index.iter().any(|found| found == path), "{path}");
    }
    let all = names(viewer.paths("team/www/a.css"));
    assert!(all.iter().any(|path| path == "/a.css?"));
    assert_eq!(viewer.warnings().len(), 1);
    assert!(viewer.warnings()[0].to_string().contains("cloudfront:GetDistributionConfig"));
    assert!(!viewer.reaches_nothing());
}

#[test]
fn an_unreadable_cache_policy_is_named_and_taken_for_the_worst() {
    let unread = CacheBehavior { ttl: None, query_strings: QueryStrings::Unknown, ..behavior("*", "s3") };
    let viewer = viewer(&shape(&[origin("s3", BUCKET, "")], &[unread]));
    assert!(viewer.warnings()[0].to_string().contains("cloudfront:GetCachePolicy"));
    assert_eq!(names(viewer.paths("a")), ["/a", "/a?"]);
}

proptest! {
    #[test]
    fn a_limit_is_on_a_character_boundary_and_shorter_than_its_path(
        key in "[a-c/~?*+ ü\u{1F600}%]{0,12}",
        index in any::<bool>(),
    ) {
        let key = if index { format!("{key}/index.html") } else { key };
        let shape = DistributionShape::unreadable("E1");
        for found in Viewer::new(&shape, &site("a/"), ViewerOptions::default()).paths(&key) {
            let limit = found.wildcard_limit;
            prop_assert!(limit >= 1 && found.path.starts_with('/'), "{:?}", found);
            prop_assert!(limit < found.path.len() || found.path == "/", "{:?}", found);
            let prefix = &found.path[..limit];
            prop_assert_eq!(cut_at(&found.path, limit), limit);
            prop_assert!(!prefix.contains("%7E") && !prefix.ends_with("%"), "{:?}", found);
            if found.exact {
                prop_assert!(!found.path.contains("%7E") && !found.path.contains('?'));
                prop_assert!(!found.path.ends_with('*'));
            }
        }
    }

    #[test]
    fn a_key_always_answers_at_its_own_path(key in "[a-z0-9 +~ü/.]{1,20}") {
        let found = viewer(&plain(BUCKET)).paths(&key);
        prop_assert_eq!(&decode(&found[0].path)[1..], key);
    }
}
