//! A promotion, and a removal, that die at any of their requests.

use super::{AT, PREVIEWS, SITE};
use crate::world::command::{run, shipfront};
use crate::world::crashes::LeftBehind;
use crate::world::oracle::{Oracle, is_record};
use crate::world::sites::{self, Place, Site, directory, site};
use clap::Parser;
use shipfront::aws::Aws;
use shipfront::cli::{Cli, Command};
use shipfront::config;
use shipfront::deploy::Deploy;
use shipfront::deploy::preview::Removal;
use shipfront::error::Error;
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront::terminal::{Terminal, Volume};
use shipfront_edge::BucketContents;
use shipfront_site::Target;
use tokio_util::sync::CancellationToken;

const BUCKET: &str = "promoted";
const PRODUCTION: &str = "s3://promoted";
const NAME: &str = "feature/new";

fn second() -> Site {
    site(&[
        ("about.html", r#"about <img src="/style.css">"#),
        ("app.js", "code two"),
        ("index.html", r#"welcome two <img src="/app.js">"#),
        ("new.html", "new"),
        ("style.css", "style"),
    ])
}

async fn promote(aws: Aws, distribution: String) -> Result<Report, Error> {
    let options = ["--distribution", &distribution, "--concurrency", "1"];
    sites::promote(PRODUCTION, (NAME, AT), &options, aws).await
}

async fn remove(aws: Aws) -> Result<Removal, Error> {
    let Command::Previews(args) = Cli::parse_from(["shipfront", "previews", AT]).command else { panic!("no previews") };
    let target = config::previews::target_of(&Target::parse(AT).unwrap(), NAME).unwrap();
    let settings = config::previews::removal_settings(&args, target, None).unwrap();
    let terminal = Terminal::new(Volume::Quiet, true);
    let deploy = Deploy::new(&settings, &aws, &terminal, CancellationToken::new());
    Box::pin(deploy.remove_preview(|_| true)).await
}

/// Production with the first site, a preview with the second, and an external object in each.
async fn prepared() -> (Place, String, [BucketContents; 2]) {
    let place = Place::new().await;
    let distribution = place.edge.ensure_site(BUCKET).unwrap();
    place.edge.ensure_site(PREVIEWS).unwrap();
    let first = directory(&site(&SITE));
    let options = ["--distribution", distribution.as_str()];
    place.deploy(first.path(), PRODUCTION, &options).await.unwrap();
    let source = directory(&second());
    let line = ["deploy", source.path().to_str().unwrap(), PRODUCTION, "--preview", NAME, "--previews-target", AT];
    run(&mut shipfront(&place.edge, &line)).ended_with(0);
    place.put(BUCKET, "foreign.txt", "theirs", "text/plain").await;
    let folder = config::previews::target_of(&Target::parse(AT).unwrap(), NAME).unwrap();
    place.put(PREVIEWS, &folder.full_key("foreign.txt"), "theirs, too", "text/plain").await;
    let contents = [BUCKET, PREVIEWS].map(|bucket| place.edge.bucket_contents(bucket).unwrap());
    (place, distribution, contents)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_dies_anywhere_is_finished_by_the_next_or_by_a_deploy() {
    let (place, distribution, [contents, _]) = prepared().await;
    let source = directory(&second());
    let mut before = site(&SITE);
    before.insert("foreign.txt".to_owned(), "theirs".to_owned());
    let (mut crashes, mut left) = (0, LeftBehind::default());
    'all: for nth in 1.. {
        for after_effect in [false, true] {
            let which = format!("at request {nth}, {after_effect}");
            place.edge.set_bucket_contents(BUCKET, &contents).unwrap();
            let mut oracle = Oracle::new(&place.edge, BUCKET, &distribution, &before, second().keys());
            place.edge.clear_effects();
            let aws = place.fresh().await;
            place.edge.faults().crash_at(nth, after_effect);
            let ended = place.until_crash(Box::pin(promote(aws, distribution.clone()))).await;
            if let Some(report) = ended {
                assert_eq!(report.unwrap().outcome, Outcome::Deployed, "{which}");
                break 'all;
            }
            crashes += 1;
            let crashed = place.edge.effects();
            oracle.replay(&crashed, &[&second()]);
            place.edge.clear_effects();
            place.outlive_lease();
            if !left.is_new(&crashed, nth.is_multiple_of(3)) {
                continue;
            }
            // The preview may be gone by then: a deploy of the same build finishes it as well.
            let report = match nth % 3 {
                0 => place.deploy(source.path(), PRODUCTION, &["--distribution", &distribution]).await.unwrap(),
                _ => promote(place.fresh().await, distribution.clone()).await.unwrap(),
            };
            oracle.replay(&place.edge.effects(), &[&second()]);
            assert_eq!(oracle.complaints, [""; 0], "{which}");
            assert_eq!(oracle.stale(), [""; 0], "{which}: {report:#?}");
            let objects = place.edge.objects(BUCKET).into_iter().map(|object| object.key);
            let keys: Vec<String> = objects.filter(|key| !is_record(key)).collect();
            let mut expected: Vec<String> = second().into_keys().chain(["foreign.txt".to_owned()]).collect();
            expected.sort();
            assert_eq!(keys, expected, "{which}");
            let third = place.deploy(source.path(), PRODUCTION, &["--distribution", &distribution]).await.unwrap();
            assert_eq!(third.outcome, Outcome::NothingToDo, "{which}: {third:#?}");
        }
    }
    assert!(crashes > 40, "a promotion has only {crashes} crash points");
    assert!(left.len() > 10, "it leaves only {} things behind", left.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_dies_anywhere_is_finished_by_the_next() {
    let (place, _, [_, contents]) = prepared().await;
    let folder = config::previews::target_of(&Target::parse(AT).unwrap(), NAME).unwrap();
    let foreign = folder.full_key("foreign.txt");
    let mut crashes = 0;
    'all: for nth in 1.. {
        for after_effect in [false, true] {
            let which = format!("at request {nth}, {after_effect}");
            place.edge.set_bucket_contents(PREVIEWS, &contents).unwrap();
            let aws = place.fresh().await;
            place.edge.faults().crash_at(nth, after_effect);
            if let Some(ended) = place.until_crash(Box::pin(remove(aws))).await {
                assert!(matches!(ended, Ok(Removal::Removed(_))), "{which}: {ended:?}");
                break 'all;
            }
            crashes += 1;
            place.outlive_lease();
            let ended = remove(place.fresh().await).await.unwrap();
            assert_ne!(ended, Removal::Stays, "{which}");
            // Files that nothing names are removed once no run can be about to name them.
            place.outlive_lease();
            if ended == Removal::Absent {
                run(&mut shipfront(&place.edge, &["previews", AT, "--prune"])).ended_with(0);
            }
            let keys: Vec<String> = place.edge.objects(PREVIEWS).into_iter().map(|object| object.key).collect();
            assert_eq!(keys, [foreign.as_str()], "{which}");
        }
    }
    assert!(crashes > 20, "a removal has only {crashes} crash points");
}
