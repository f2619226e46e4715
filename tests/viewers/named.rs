//! Distributions that somebody names although no origin is the bucket by its name.

use super::audience::{audience, configure, deploy_to, items};
use crate::world::aws;
use crate::world::http::get;
use crate::world::site::{BUCKET, EXACT, Run, TARGET, World, denied};
use shipfront_edge::{ConnectionMode, Origin, OriginGroup, OriginKind, Tenant};
use std::collections::BTreeMap;
use std::fs;

const SITE: [(&str, &str); 3] = [("a/index.html", "old"), ("index.html", "old"), ("style.css", "old")];
const REPLICA: &str = "replica.example.com";
/// The common part of the JSON and the text of a refusal.
const REFUSED: &str = "no origin of the distribution";

/// The domain name of another bucket.
fn replica() -> String {
    format!("{REPLICA}.s3.eu-west-1.amazonaws.com")
}

/// A site that is not deployed yet, whose distribution has this one origin.
async fn world(domain: &str) -> World {
    let world = World::new(&SITE).await;
    configure(&world, |distribution| distribution.origins[0].domain_name = domain.to_owned());
    world
}

/// The distribution is named, and each URL is an item of its own.
fn named<'a>(world: &'a World, options: &[&'a str]) -> Vec<&'a str> {
    [&["--distribution", &world.distribution], &EXACT[..], options].concat()
}

fn deploy(world: &World, options: &[&str]) -> Run {
    world.deploy(&named(world, options))
}

fn has(run: &Run, item: &str) -> bool {
    items(run).iter().any(|found| found == item)
}

/// How many of all warnings say that an origin is assumed to serve the site.
fn warnings(run: &Run) -> (usize, usize) {
    let warnings = run.warnings();
    (warnings.matches("is known to show s3://").count(), warnings.lines().count())
}

/// Checks that nothing was written anywhere, including the deploy record, and no invalidation was requested.
#[track_caller]
fn is_untouched(world: &World) {
    let reads = ["Get", "List", "Head"];
    let requests = world.edge.requests();
    let writes = requests.iter().filter(|request| !reads.iter().any(|read| request.operation.starts_with(read)));
    assert_eq!(writes.map(|request| &request.operation).collect::<Vec<_>>(), [""; 0]);
}

/// What S3 replication does, some time after a write.
async fn replicate(world: &World) {
    let s3 = aws::s3(&world.edge);
    for key in world.keys() {
        let source = format!("{BUCKET}/{key}");
        s3.copy_object().bucket(REPLICA).key(key).copy_source(source).send().await.unwrap();
    }
    world.edge.clear_requests();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_point_and_a_host_of_ones_own_get_every_form_and_one_warning() {
    for domain in ["www-abcdefgh-s3alias.s3.us-east-1.amazonaws.com", "origin.example.com"] {
        let world = world(domain).await;
        configure(&world, |distribution| distribution.default_root_object = String::new());
        world.close_the_record().await;
        deploy(&world, &[]).expect(0);
        for key in ["a/index.html", "index.html"] {
            world.write(key, "new");
        }
        let run = deploy(&world, &[]).expect(0);
        assert_eq!(items(&run), ["/", "/a", "/a/", "/a/index.html", "/index.html"], "{domain}");
        assert_eq!(warnings(&run), (1, 1), "{}", run.warnings());
        assert!(run.warnings().contains(&format!("assumes that {domain} shows it")), "{}", run.warnings());
        let accepted = world.edge.invalidations(&world.distribution);
        assert!(accepted.iter().any(|invalidation| invalidation.items.contains(&"/a/".to_owned())));
        let planned = world.plan(&named(&world, &[])).expect(0);
        assert_eq!((planned.outcome(), warnings(&planned)), ("planned", (1, 1)), "{}", planned.warnings());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_may_show_any_folder_above_the_site_as_its_root() {
    let world = world("origin.example.com").await;
    deploy_to(&world, "sites/www", &named(&world, &[])).expect(0);
    world.write("style.css", "new");
    let run = deploy_to(&world, "sites/www", &named(&world, &[])).expect(0);
    assert_eq!(items(&run), ["/sites/www/style.css", "/style.css", "/www/style.css"]);
    assert!(run.warnings().contains("that / shows / or /sites/ or /sites/www/"), "{}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_of_another_bucket_is_refused_before_anything_is_written() {
    let world = world(&replica()).await;
    for command in ["plan", "deploy"] {
        let run = world.run(&world.arguments(command, TARGET, &named(&world, &[])));
        let run = run.expect(2).says(REFUSED).says("--any-origin");
        assert_eq!(run.outcome(), "failed");
        let error = run.json["error"].as_str().unwrap();
        for text in
            [REFUSED, world.distribution.as_str(), &replica(), "the bucket www.example.com", "nothing was changed"]
        {
            assert!(error.contains(text), "{text}: {error}");
        }
        assert!(run.json["hint"].as_str().unwrap().contains("pass --any-origin"), "{}", run.stdout);
        let text = world.run(&[&[command, world.source().to_str().unwrap(), TARGET], &*named(&world, &[])].concat());
        let text = text.expect(2).says(REFUSED).says("hint: name the distribution that shows www.example.com");
        assert_eq!(text.stdout, "");
    }
    is_untouched(&world);
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
    assert_eq!(world.edge.invalidations(&world.distribution).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_distribution_beside_the_right_one_is_refused_too() {
    let world = World::new(&SITE).await;
    let other = world.edge.ensure_site(REPLICA).unwrap();
    world.edge.clear_requests();
    let both = ["--distribution", &world.distribution, "--distribution", &other];
    let run = world.deploy(&both).expect(2).says(REFUSED);
    assert!(run.json["error"].as_str().unwrap().contains(&other), "{}", run.stdout);
    is_untouched(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_any_origin_viewers_of_a_replica_see_what_is_replicated_into_it() {
    let world = world(&replica()).await;
    aws::s3(&world.edge).create_bucket().bucket(REPLICA).send().await.unwrap();
    deploy(&world, &["--any-origin"]).expect(0);
    replicate(&world).await;
    let see = async |url: &str| get(&world.edge.viewer_url(), url).await.text();
    for url in ["/", "/a/index.html", "/style.css"] {
        assert_eq!(see(url).await, "old");
    }
    world.write("a/index.html", "new");
    // The file's key has the same meaning as the flag.
    fs::write(world.outside().join("shipfront.toml"), "any-origin = true\n").unwrap();
    let run = deploy(&world, &[]).expect(0);
    assert_eq!(items(&run), ["/a", "/a/", "/a/index.html"]);
    assert_eq!(warnings(&run).0, 0, "--any-origin ends the warning: {}", run.warnings());
    replicate(&world).await;
    assert_eq!((see("/a/index.html").await.as_str(), see("/style.css").await.as_str()), ("new", "old"));
    deploy(&world, &["--any-origin=false"]).expect(2).says(REFUSED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_deploy_left_for_a_replica_stays_until_a_deploy_names_it() {
    let world = world(&replica()).await;
    deploy(&world, &["--any-origin"]).expect(0);
    world.write("a/index.html", "new");
    world.fault("CreateInvalidation", 0, 1, denied());
    deploy(&world, &["--any-origin"]).expect(4);
    let run = world.deploy(&[&["--distribution", "none"], &EXACT[..]].concat()).expect(4).says("--any-origin");
    assert_eq!(items(&run), [""; 0]);
    let run = deploy(&world, &["--any-origin"]).expect(0);
    assert!(has(&run, "/a/index.html"), "{:?}", items(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_of_origins_goes_by_the_one_that_is_the_bucket() {
    let world = World::new(&SITE).await;
    let spare = |id: &str, domain_name: String| Origin {
        id: id.to_owned(),
        domain_name,
        origin_path: String::new(),
        kind: OriginKind::S3,
    };
    configure(&world, |distribution| {
        distribution.origins.push(spare("replica", replica()));
        distribution.origins.push(spare("api", "api.example.com".to_owned()));
        let members = vec![distribution.origins[0].id.clone(), "replica".to_owned()];
        distribution.origin_groups.push(OriginGroup { id: "group".to_owned(), members, status_codes: vec![500] });
        distribution.default_behavior.target_origin_id = "group".to_owned();
    });
    deploy(&world, &[]).expect(0);
    let mut everybody = audience(&world).of(&["a/index.html", "index.html", "style.css"]).touching(&["a/index.html"]);
    everybody.fill().await;
    world.write("a/index.html", "new");
    let run = deploy(&world, &[]).expect(0);
    assert_eq!(items(&run), ["/a/index.html"], "a REST endpoint answers at no other form");
    assert_eq!((warnings(&run).0, everybody.check(&run).await.len()), (0, 0));

    // A group that consists of other buckets certainly does not serve the site.
    configure(&world, |distribution| {
        distribution.origins.remove(2);
        distribution.origins[0].domain_name = "third.s3.us-east-1.amazonaws.com".to_owned();
    });
    deploy(&world, &[]).expect(2).says(REFUSED).says("third.s3.us-east-1.amazonaws.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_parameter_says_whose_bucket_its_origin_is() {
    let world = world("{{bucket}}.s3.us-east-1.amazonaws.com").await;
    configure(&world, |distribution| distribution.connection_mode = ConnectionMode::TenantOnly);
    for (id, bucket) in [("dt_ours", BUCKET), ("dt_other", REPLICA)] {
        let parameters = BTreeMap::from([("bucket".to_owned(), bucket.to_owned())]);
        let distribution_id = world.distribution.clone();
        world.edge.put_tenant(Tenant { id: id.to_owned(), distribution_id, parameters, domains: Vec::new() }).unwrap();
    }
    let tenant = |id: &str| world.deploy(&["--distribution-tenant", id]);
    tenant("dt_other").expect(2).says("no origin of the distribution tenant dt_other");
    assert_eq!(world.keys(), [""; 0]);
    let run = tenant("dt_ours").expect(0);
    assert_eq!(warnings(&run).0, 0, "{}", run.warnings());
    // Without a tenant, the value of the parameter is not known.
    let run = deploy(&world, &[]).expect(0);
    assert_eq!(warnings(&run).0, 1, "{}", run.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_invalidates_nothing_and_is_never_refused() {
    let world = world(&replica()).await;
    let run = deploy(&world, &["--shard", "1/1"]).expect(0);
    assert_eq!((run.objects("uploaded"), world.keys()), (1, vec!["style.css".to_owned()]));
    assert_eq!(world.edge.invalidations(&world.distribution).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_paths_go_to_any_distribution_that_is_named() {
    let world = world(&replica()).await;
    let run = world.run(&["invalidate", "/a/", "--distribution", &world.distribution, "--json"]).expect(0);
    assert_eq!(items(&run), ["/a/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_not_backfilled_for_another_bucket_unless_any_origin_may_show_it() {
    let world = World::deployed(&SITE).await;
    configure(&world, |distribution| {
        distribution.origins[0].domain_name = replica();
        distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    });
    world.edge.clear_requests();
    let backfill = ["tags", "--backfill", TARGET, "--json", "--distribution", &world.distribution];
    world.run(&backfill).expect(2).says(REFUSED).says("--any-origin");
    is_untouched(&world);
    let run = world.run(&[&backfill[..], &["--any-origin"]].concat()).expect(0);
    assert_eq!(run.json["tagged"], 3);
    assert!(items(&run).iter().any(|item| item.starts_with('/')), "{:?}", items(&run));
}
