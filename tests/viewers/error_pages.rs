//! A changed error page is its own path, because the record knows that its copies are short-lived.

use super::audience::{Seen, audience, configure, deploy_to, items};
use crate::world::aws::s3;
use crate::world::http::request;
use crate::world::manifest;
use crate::world::site::{ALWAYS, BUCKET, Run, World, denied, finish, run};
use aws_sdk_s3::types::MetadataDirective;
use shipfront_edge::{CacheSettings, Distribution, ErrorResponse, Fault, Gate};
use std::time::Duration;

const SITE: [(&str, &str); 3] = [("404.html", "lost"), ("about.html", "about us"), ("index.html", "welcome")];
const CHOSEN: &str = "max-age=0, s-maxage=60, must-revalidate";

fn response(code: u16, page: &str, seconds: u64) -> ErrorResponse {
    let page_path = Some(page.to_owned());
    ErrorResponse { error_code: code, page_path, response_code: Some(code), error_caching_min_ttl: seconds }
}

/// The site with a distribution that keeps errors for a minute, not deployed yet.
async fn new(files: &[(&str, &str)], responses: Vec<ErrorResponse>) -> World {
    let world = World::new(files).await;
    world.close_the_record().await;
    configure(&world, |distribution| distribution.error_responses = responses);
    world.edge.stop_clock();
    world
}

/// The same, deployed.
async fn deployed() -> World {
    let world = new(&SITE, vec![response(404, "/404.html", 60)]).await;
    world.deploy(&[]).expect(0);
    world
}

/// Edits a file and deploys; returns what CloudFront is asked to invalidate.
fn edit(world: &World, key: &str, options: &[&str]) -> (Vec<String>, Run) {
    world.write(key, format!("edit {}", fastrand::u64(..)));
    let run = world.deploy(options).expect(0);
    (items(&run), run)
}

async fn missing(world: &World) -> Seen {
    audience(world).see("/not/there").await
}

async fn cache_control(world: &World, key: &str) -> Option<String> {
    let head = s3(&world.edge).head_object().bucket(BUCKET).key(key).send().await.unwrap();
    head.cache_control
}

fn why(run: &Run) -> &str {
    run.json["invalidations"][0]["why"][0].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_gets_a_short_life_with_one_notice_and_is_then_its_own_path() {
    let world = new(&SITE, vec![response(404, "/404.html", 60)]).await;
    let planned = world.plan(&[]).expect(0).warnings();
    let first = world.deploy(&[]).expect(0).warnings();
    assert!(first.contains("serves it for 404 at any URL") && first.contains(CHOSEN), "{first}");
    assert!(first.contains("up to 60 s") && !first.contains("deep links"), "{first}");
    assert_eq!((planned.as_str(), first.lines().count()), (first.as_str(), 1));
    assert_eq!(cache_control(&world, "404.html").await.as_deref(), Some(CHOSEN));
    assert_eq!(cache_control(&world, "about.html").await, None);
    assert_eq!(missing(&world).await.body, "lost");

    let (invalidated, run) = edit(&world, "404.html", &[]);
    assert_eq!((invalidated, run.warnings().as_str()), (vec!["/404.html".to_owned()], ""));
    assert!(why(&run).contains("expires there within 60 s"), "{}", why(&run));
    world.write("404.html", "edit of the plan");
    let text = world.command(&["plan", world.source().to_str().unwrap(), "s3://www.example.com"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("/404.html is served under any URL"), "{text}");
    world.deploy(&[]).expect(0);
    let page = audience(&world).see("/404.html").await;
    world.edge.advance_clock(Duration::from_secs(59));
    assert_eq!(missing(&world).await.body, "lost", "what the report says of the price");
    world.edge.advance_clock(Duration::from_secs(1));
    assert_eq!(missing(&world).await.body, page.body);
    assert!(page.body.starts_with("edit"));
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");

    world.remove("404.html");
    assert_eq!(items(&world.deploy(&[]).expect(0)), ["/404.html"], "copies of what is removed expire, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deploy_that_brings_the_header_evicts_everything_once() {
    let world = new(&SITE, Vec::new()).await;
    assert_eq!(world.deploy(&[]).expect(0).warnings(), "");
    assert_eq!(cache_control(&world, "404.html").await, None);
    configure(&world, |distribution| distribution.error_responses = vec![response(404, "/404.html", 10)]);
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.changes(), items(&run)), (vec!["upload headers 404.html".to_owned()], vec!["/*".to_owned()]));
    assert!(run.warnings().contains(CHOSEN), "{}", run.warnings());
    let (invalidated, run) = edit(&world, "404.html", &[]);
    assert_eq!((invalidated, run.warnings().as_str()), (vec!["/404.html".to_owned()], ""));
    configure(&world, |distribution| distribution.error_responses.clear());
    let run = world.deploy(&[]).expect(0);
    assert_eq!(run.changes(), ["upload headers 404.html"], "what is no error page needs no such header");
    assert_eq!(cache_control(&world, "404.html").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_errors_for_long_is_named_and_everything_goes() {
    let world = new(&SITE, vec![response(404, "/404.html", 300)]).await;
    world.deploy(&[]).expect(0);
    for _ in 0..2 {
        let (invalidated, run) = edit(&world, "404.html", &[]);
        assert_eq!(invalidated, ["/*"]);
        let warnings = run.warnings();
        assert!(
            warnings.contains("the ErrorCachingMinTTL of 300 s") && warnings.contains("at most 60 s"),
            "{warnings}"
        );
        assert_eq!(warnings.lines().count(), 1, "{warnings}");
    }
    assert_eq!(edit(&world, "about.html", &[]).1.warnings(), "");
    configure(&world, |distribution| {
        distribution.error_responses = vec![response(404, "/404.html", 60)];
        distribution.default_behavior.cache =
            CacheSettings::Legacy { query_string: false, min_ttl: 61, default_ttl: 86_400, max_ttl: 86_400 };
    });
    let (invalidated, run) = edit(&world, "404.html", &[]);
    assert_eq!(invalidated, ["/*"]);
    assert!(run.warnings().contains("the MinTTL of 61 s"), "{}", run.warnings());
    let (invalidated, run) = edit(&world, "404.html", &["--error-page", "own-path"]);
    assert_eq!((invalidated, run.warnings().as_str()), (vec!["/404.html".to_owned()], ""), "as --error-page says");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_persons_own_prevails() {
    let world = new(&SITE, vec![response(404, "/404.html", 10)]).await;
    world.write("_headers", "/404.html\n  Cache-Control: max-age=86400\n");
    assert_eq!(world.deploy(&[]).expect(0).warnings(), "");
    assert_eq!(cache_control(&world, "404.html").await.as_deref(), Some("max-age=86400"));
    let (invalidated, run) = edit(&world, "404.html", &[]);
    assert_eq!(invalidated, ["/*"]);
    assert!(why(&run).contains("86400 s (its max-age)"), "{}", why(&run));
    world.write("_headers", "/404.html\n  Cache-Control: s-maxage=30\n");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"], "copies of before live on");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
    world.write("_headers", "/404.html\n  Cache-Control: s-maxage=30, stale-while-revalidate=600\n");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
    assert!(why(&edit(&world, "404.html", &[]).1).contains("its stale-... directive"), "served while it is asked for");
    world.write("_headers", "/404.html\n  Cache-Control: s-maxage=30\n");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    // The other way round: what is uploaded now is what the next deploy must reach.
    world.write("_headers", "/404.html\n  Cache-Control: max-age=86400\n");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_configuration_leaves_the_header_that_is_recorded() {
    let world = deployed().await;
    world.fault("GetDistributionConfig", 0, ALWAYS, denied());
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    let (_, run) = edit(&world, "404.html", &[]);
    assert_eq!(run.changes(), ["upload size 404.html"]);
    assert!(!run.warnings().contains(CHOSEN), "{}", run.warnings());
    assert_eq!(cache_control(&world, "404.html").await.as_deref(), Some(CHOSEN));
    world.edge.faults().clear();
    let run = world.deploy(&["--distribution", "none"]).expect(0);
    assert_eq!(run.outcome(), "nothing-to-do", "{:?}", run.changes());
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"], "still known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_page_application_pays_with_a_minute_on_deep_links_and_is_reported_so() {
    let answer = |code| ErrorResponse { response_code: Some(200), ..response(code, "/index.html", 60) };
    let files = [("app.1a.js", "app"), ("index.html", "version 1")];
    let world = new(&files, vec![answer(403), answer(404)]).await;
    let first = world.deploy(&[]).expect(0).warnings();
    assert!(first.contains("serves it for 403 and 404 at any URL"), "{first}");
    assert!(first.contains("deep links may serve the previous version for up to 60 s"), "{first}");
    assert_eq!(missing(&world).await.body, "version 1");
    world.write("index.html", "version 2");
    let run = world.deploy(&[]).expect(0);
    assert_eq!((items(&run), run.warnings().as_str()), (vec!["/".to_owned(), "/index.html".to_owned()], ""));
    assert_eq!(audience(&world).see("/").await.body, "version 2");
    world.edge.advance_clock(Duration::from_secs(60));
    assert_eq!(missing(&world).await.body, "version 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_that_init_writes_holds_what_it_says() {
    let world = new(&SITE, vec![response(404, "/404.html", 10)]).await;
    let outside = world.outside().to_owned();
    let mut init = world.command(&["init"]);
    assert!(init.current_dir(&outside).output().unwrap().status.success());
    let deploy = || run(world.command(&world.arguments("deploy", "s3://www.example.com", &[])).current_dir(&outside));
    let first = deploy().expect(0);
    assert!(!first.warnings().contains("at any URL"), "the rule says it: {}", first.warnings());
    assert_eq!(cache_control(&world, "404.html").await.as_deref(), Some(CHOSEN));
    assert_ne!(cache_control(&world, "about.html").await, None);
    world.write("404.html", "edited");
    assert_eq!(items(&deploy().expect(0)), ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_for_a_single_page_application_holds_what_it_says() {
    let answer = |code| ErrorResponse { response_code: Some(200), ..response(code, "/index.html", 60) };
    let files = [("app.1a.js", "app"), ("index.html", "version 1")];
    let world = new(&files, vec![answer(403), answer(404)]).await;
    let outside = world.outside().to_owned();
    assert!(world.command(&["init"]).current_dir(&outside).output().unwrap().status.success());
    let deploy = || run(world.command(&world.arguments("deploy", "s3://www.example.com", &[])).current_dir(&outside));
    deploy().expect(0);
    assert_eq!(cache_control(&world, "index.html").await.as_deref(), Some(CHOSEN));
    assert_eq!(missing(&world).await.body, "version 1");
    world.write("index.html", "version 2");
    assert_eq!(items(&deploy().expect(0)), ["/", "/index.html"]);
    world.edge.advance_clock(Duration::from_secs(60));
    assert_eq!(missing(&world).await.body, "version 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_before_error_pages_were_kept_is_carried_over() {
    let world = new(&SITE, vec![response(404, "/404.html", 10)]).await;
    let forget = async || {
        manifest::rewrite(&world.edge, BUCKET, |line| {
            if line["format"] == 2 {
                line["format"] = 1.into();
            }
            line.as_object_mut().unwrap().remove("error_page");
        })
        .await;
    };
    world.write("_headers", "/404.html\n  Cache-Control: s-maxage=60\n");
    world.deploy(&[]).expect(0);
    forget().await;
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"], "the digest of its headers tells");
    // Somebody else's Expires header applies if the rule sets no age, and no digest shows it.
    world.write("_headers", "/404.html\n  Cache-Control: public\n");
    world.deploy(&[]).expect(0);
    forget().await;
    assert!(why(&edit(&world, "404.html", &[]).1).contains("MaxTTL, because its headers are unknown"));
    // The digest is that of other headers than the page gets now.
    world.write("_headers", "/404.html\n  Cache-Control: max-age=86400\n");
    world.deploy(&[]).expect(0);
    forget().await;
    world.write("_headers", "/404.html\n  Cache-Control: s-maxage=60\n");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    // Without a change, it is filled in once.
    world.write("_headers", "/404.html\n  Cache-Control: s-maxage=60\n");
    world.deploy(&[]).expect(0);
    forget().await;
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_doubt_about_the_copies_everything_goes_once() {
    let world = deployed().await;
    // Others may have uploaded anything.
    world.put("404.html", "theirs").await;
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
    let delete = s3(&world.edge).delete_object().bucket(BUCKET).key("404.html");
    delete.send().await.unwrap();
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"], "what is gone may be in the cache");
    // So may an interrupted run.
    world.fault("CreateInvalidation", 0, ALWAYS, denied());
    world.write("404.html", "untold");
    world.deploy(&[]).expect(4);
    world.edge.faults().clear();
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_were_left_to_live_long_are_not_forgotten() {
    let world = new(&SITE, Vec::new()).await;
    world.deploy(&[]).expect(0);
    configure(&world, |distribution| distribution.error_responses = vec![response(404, "/404.html", 10)]);
    let own_path = ["--error-page", "own-path"];
    let run = world.deploy(&own_path).expect(0);
    assert_eq!(
        (run.changes(), items(&run)),
        (vec!["upload headers 404.html".to_owned()], vec!["/404.html".to_owned()])
    );
    assert_eq!(edit(&world, "404.html", &own_path).0, ["/404.html"]);
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expires_header_of_others_is_taken_off_an_error_page() {
    let world = new(&SITE, vec![response(404, "/404.html", 10)]).await;
    let put = s3(&world.edge).put_object().bucket(BUCKET).key("404.html").cache_control(CHOSEN);
    let later = aws_sdk_s3::primitives::DateTime::from_secs(4_000_000_000);
    put.content_type("text/html; charset=utf-8").expires(later).body(b"lost".to_vec().into()).send().await.unwrap();
    let run = world.deploy(&[]).expect(0);
    assert!(run.changes().contains(&"upload headers 404.html".to_owned()), "{:?}", run.changes());
    assert_eq!(items(&run), ["/*"]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
}

/// Changes an object's headers and keeps its bytes, as the console does.
async fn rewrite(world: &World, key: &str, cache_control: &str) {
    let copy = s3(&world.edge).copy_object().bucket(BUCKET).key(key).copy_source(format!("{BUCKET}/{key}"));
    let copy = copy.metadata_directive(MetadataDirective::Replace).content_type("text/html; charset=utf-8");
    copy.cache_control(cache_control).send().await.unwrap();
}

/// Removes from the record until when nobody else wrote the error page: as if others had written it in the same
/// second in which it was uploaded.
async fn forget_when(world: &World) {
    manifest::rewrite(&world.edge, BUCKET, |line| {
        if let Some(page) = line["error_page"].as_object_mut() {
            assert!(page.remove("as_of").is_some());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_others_gave_an_error_page_are_seen_before_it_changes() {
    for (is_timed, is_removed) in [(true, false), (false, false), (true, true), (false, true)] {
        let world = deployed().await;
        world.edge.advance_clock(Duration::from_secs(60));
        rewrite(&world, "404.html", "max-age=86400").await;
        if !is_timed {
            forget_when(&world).await;
        }
        assert_eq!(missing(&world).await.body, "lost", "cached for a day");
        if is_removed {
            world.remove("404.html");
        } else {
            world.write("404.html", "edited");
        }
        let run = world.deploy(&[]).expect(0);
        assert_eq!(items(&run), ["/*"], "{is_timed}");
        assert!(why(&run).contains("its headers are unknown"), "{}", why(&run));
        world.edge.advance_clock(Duration::from_secs(60));
        assert_ne!(missing(&world).await.body, "lost");
        if !is_removed {
            assert_eq!(missing(&world).await.body, "edited");
            assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expires_header_that_others_gave_an_error_page_counts_where_nothing_else_says_its_age() {
    let world = new(&SITE, vec![response(404, "/404.html", 10)]).await;
    configure(&world, |distribution| {
        distribution.default_behavior.cache =
            CacheSettings::Legacy { query_string: false, min_ttl: 0, default_ttl: 30, max_ttl: 86_400 };
    });
    world.write("_headers", "/404.html\n  Cache-Control: public\n");
    world.deploy(&[]).expect(0);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
    let copy = s3(&world.edge).copy_object().bucket(BUCKET).key("404.html").copy_source(format!("{BUCKET}/404.html"));
    let copy = copy.metadata_directive(MetadataDirective::Replace).content_type("text/html; charset=utf-8");
    let later = aws_sdk_s3::primitives::DateTime::from_secs(4_000_000_000);
    copy.cache_control("public").expires(later).send().await.unwrap();
    forget_when(&world).await;
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_that_others_wrote_while_it_was_removed_is_not_believed() {
    let world = deployed().await;
    world.remove("404.html");
    let gate = Gate::default();
    world.fault("DeleteObjects", 0, 1, Fault::Hold(gate.clone()));
    let child = world.start(&[]);
    gate.reached().await;
    world.put("404.html", "theirs").await;
    gate.open();
    assert_eq!(items(&finish(child).expect(0)), ["/*"]);
}

/// What was there in between may be in the cache, although nothing shows it any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_that_others_wrote_and_wrote_back_is_not_believed() {
    let world = deployed().await;
    world.edge.advance_clock(Duration::from_secs(60));
    rewrite(&world, "404.html", "max-age=86400").await;
    assert_eq!(missing(&world).await.body, "lost", "cached for a day");
    rewrite(&world, "404.html", CHOSEN).await;
    // A deploy without changes checks once, records the result and changes nothing else.
    world.edge.clear_requests();
    assert_eq!(world.deploy(&[]).expect(0).changes(), [""; 0]);
    assert_eq!((world.count("HeadObject"), world.writes()), (1, Vec::new()));
    world.edge.clear_requests();
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    assert_eq!(world.count("HeadObject"), 0);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_gets_its_headers_back_and_one_that_stays_costs_no_request() {
    let world = deployed().await;
    world.edge.clear_requests();
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
    edit(&world, "about.html", &[]);
    assert_eq!(world.count("HeadObject"), 0);
    edit(&world, "404.html", &[]);
    assert_eq!(world.count("HeadObject"), 1, "before it changes");
    world.edge.advance_clock(Duration::from_secs(60));
    rewrite(&world, "404.html", "max-age=86400").await;
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.changes(), items(&run)), (vec!["upload headers 404.html".to_owned()], vec!["/*".to_owned()]));
    assert_eq!(cache_control(&world, "404.html").await.as_deref(), Some(CHOSEN));
    assert_eq!(edit(&world, "404.html", &[]).0, ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_that_cannot_be_looked_at_is_not_believed() {
    let world = deployed().await;
    world.fault("HeadObject", 0, ALWAYS, denied());
    assert_eq!(edit(&world, "404.html", &[]).0, ["/*"]);
    world.edge.advance_clock(Duration::from_secs(60));
    rewrite(&world, "404.html", CHOSEN).await;
    assert_eq!(world.deploy(&[]).expect(0).changes(), [""; 0]);
}

/// An older version's copies may have any headers, and without a record it is not known whether they are gone.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_a_changed_error_page_takes_everything() {
    let world = new(&SITE, vec![response(404, "/404.html", 60)]).await;
    // Another tool's first version, and its second, which it did not invalidate.
    world.put("404.html", "first").await;
    rewrite(&world, "404.html", "max-age=86400").await;
    assert_eq!(missing(&world).await.body, "first");
    world.put("404.html", "second").await;
    rewrite(&world, "404.html", CHOSEN).await;
    let run = world.deploy(&["--no-record"]).expect(0);
    assert!(items(&run).contains(&"/*".to_owned()), "{:?}", items(&run));
    assert_eq!(missing(&world).await.body, "lost");
    assert_eq!(edit(&world, "404.html", &["--no-record"]).0, ["/*"]);
    assert_eq!(edit(&world, "404.html", &["--no-record", "--error-page", "own-path"]).0, ["/404.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_any_distribution_is_found_below_its_origin_path() {
    let files = [("errors/lost here.html", "lost"), ("index.html", "welcome")];
    let world = World::new(&files).await;
    configure(&world, |distribution| {
        distribution.error_responses.clear();
        distribution.origins[0].origin_path = "/site".to_owned();
    });
    let mut other = Distribution::for_bucket(BUCKET);
    other.id = "EOTHER00000000".to_owned();
    other.origins[0].origin_path = "/site".to_owned();
    other.error_responses = vec![response(404, "/errors/lost%20here.html", 10)];
    world.edge.put_distribution(other).unwrap();
    deploy_to(&world, "site", &[]).expect(0);
    assert_eq!(cache_control(&world, "site/errors/lost here.html").await.as_deref(), Some(CHOSEN));
    assert_eq!(cache_control(&world, "site/index.html").await, None);
    world.write("errors/lost here.html", "edited");
    let invalidated = items(&deploy_to(&world, "site", &[]).expect(0));
    assert!(invalidated.len() >= 2 && !invalidated.contains(&"/*".to_owned()), "{invalidated:?}");
    let answer = request(&world.edge.viewer_url(), "GET", "/nowhere", &[("host", "EOTHER00000000.localhost")]).await;
    assert_eq!(answer.text(), "edited");
}
