//! A rollback and a promotion that carry rules and die at any of their requests, before and after its effect: the
//! next run, of the same kind or a deploy of the same build, reaches the same result.

use super::crash::{BUCKET, OPTIONS, TARGET, at_the_end, code, evicted, first, second, views};
use super::{FUNCTIONS, attach};
use crate::world::command::{run, shipfront};
use crate::world::crashes::LeftBehind;
use crate::world::oracle::is_record;
use crate::world::sites::{Place, directory, promote, restore};
use shipfront::error::Error;
use shipfront::outcome::Outcome;
use shipfront::report::Report;
use shipfront_edge::{BucketContents, Effect, Function, Stage};
use tempfile::TempDir;

const PREVIEWS: &str = "crashed-previews";
const AT: &str = "s3://crashed-previews";
const NAME: &str = "new";
/// Options of a deploy that a rollback and a promotion have as well.
const BACK: [&str; 5] = ["--concurrency", "1", "--strategy", "exact", "--max-paths=100"];

/// What changes the site without a source.
enum Work {
    Rollback { to: String },
    Promotion,
}

/// The state before each crash.
struct Prepared {
    work: Work,
    contents: [BucketContents; 2],
    functions: Vec<Function>,
    /// The deploy whose manifest is current.
    manifest: serde_json::Value,
    /// The build whose site is to be live.
    source: TempDir,
    /// What viewers get in the end.
    end: Vec<String>,
    /// The URLs whose rules are removed or change.
    evicted: [&'static str; 2],
}

async fn site() -> Place {
    let place = Place::new().await;
    let distribution = place.edge.ensure_site(BUCKET).unwrap();
    place.edge.ensure_site(PREVIEWS).unwrap();
    place.edge.set_versioning(BUCKET, true).unwrap();
    attach(&place.edge, BUCKET, &distribution);
    place
}

impl Prepared {
    /// A site with the second rules, to be rolled back to the first ones.
    async fn rollback() -> Prepared {
        let place = site().await;
        place.deploy(directory(&first()).path(), TARGET, &OPTIONS).await.unwrap();
        let (to, mut end) = (live(&place).await.as_str().unwrap().to_owned(), views(&place).await);
        // The asset of the second site stays for open tabs.
        for view in &mut end {
            *view = view.replace("/app.js 404  ", "/app.js 200 code one");
        }
        place.deploy(directory(&second()).path(), TARGET, &OPTIONS).await.unwrap();
        Prepared::of(&place, Work::Rollback { to }, directory(&first()), (end, ["/old.html", "/shown.html"])).await
    }

    /// A site with the first rules, and a preview with the second.
    async fn promotion() -> Prepared {
        let place = site().await;
        place.deploy(directory(&first()).path(), TARGET, &OPTIONS).await.unwrap();
        let source = directory(&second());
        let line = ["deploy", source.path().to_str().unwrap(), TARGET, "--preview", NAME, "--previews-target", AT];
        run(&mut shipfront(&place.edge, &[&line[..], &["--publish-rules"]].concat())).ended_with(0);
        Prepared::of(&place, Work::Promotion, source, (at_the_end(), ["/goes.html", "/shown.html"])).await
    }

    async fn of(
        place: &Place,
        work: Work,
        source: TempDir,
        (end, evicted): (Vec<String>, [&'static str; 2]),
    ) -> Prepared {
        let functions = FUNCTIONS.map(|(_, name)| place.edge.function(name, Stage::Live).unwrap()).to_vec();
        let contents = [BUCKET, PREVIEWS].map(|bucket| place.edge.bucket_contents(bucket).unwrap());
        Prepared { work, contents, functions, manifest: live(place).await, source, end, evicted }
    }

    async fn place(&self) -> Place {
        let place = site().await;
        for function in &self.functions {
            place.edge.put_function(function).unwrap();
        }
        for (bucket, contents) in [BUCKET, PREVIEWS].iter().zip(&self.contents) {
            place.edge.set_bucket_contents(bucket, contents).unwrap();
        }
        views(&place).await;
        place.edge.clear_effects();
        place
    }

    /// Runs it until it ends, or until a crash.
    async fn run(&self, place: &Place) -> Option<Result<Report, Error>> {
        let aws = place.fresh().await;
        match &self.work {
            Work::Rollback { to } => {
                let options = [&BACK[..], &["--to", to]].concat();
                place.until_crash(Box::pin(restore(TARGET, &options, aws))).await
            }
            Work::Promotion => place.until_crash(Box::pin(promote(TARGET, (NAME, AT), &BACK, aws))).await,
        }
    }

    /// One crash and its consequences; `false` if the run ended before its `nth` request.
    async fn try_one(&self, left: &mut LeftBehind, nth: u64, after_effect: bool) -> bool {
        let place = self.place().await;
        let which =
            format!("at request {nth}, {}", if after_effect { "after its effect" } else { "before its effect" });
        place.edge.faults().crash_at(nth, after_effect);
        if let Some(report) = self.run(&place).await {
            assert_eq!(report.unwrap().outcome, Outcome::Deployed, "{which}");
            assert_eq!(views(&place).await, self.end, "{which}");
            return false;
        }
        // Viewers fill the cache with whatever there is.
        views(&place).await;
        let crashed = place.edge.effects();
        let touched = crashed
            .iter()
            .any(|effect| matches!(effect, Effect::Put { key, .. } | Effect::Delete { key, .. } if !is_record(key)));
        let published = place.edge.function("site-request", Stage::Live).unwrap().code != self.functions[0].code;
        let (intent, committed) =
            (!place.state(BUCKET).await.unwrap()["intent"].is_null(), live(&place).await != self.manifest);
        assert!(intent || committed || !(touched || published), "{which}: something is live of which no intent tells");
        if !left.is_new(&crashed, (nth.is_multiple_of(3), code(&place))) {
            return true;
        }
        place.outlive_lease();
        let report = match nth % 3 {
            0 => place.deploy(self.source.path(), TARGET, &OPTIONS).await,
            _ => self.run(&place).await.unwrap(),
        };
        let report = report.unwrap_or_else(|error| panic!("{which}: {error}"));
        assert!(matches!(report.outcome, Outcome::Deployed | Outcome::NothingToDo), "{which}: {report:#?}");
        let effects = place.edge.effects();
        for url in self.evicted {
            assert!(evicted(&effects).contains(&url), "{which}: {url} was not evicted: {:?}", evicted(&effects));
        }
        assert_eq!(views(&place).await, self.end, "{which}");
        place.edge.clear_requests();
        let third = place.deploy(self.source.path(), TARGET, &OPTIONS).await.unwrap();
        assert_eq!(third.outcome, Outcome::NothingToDo, "{which}: {third:#?}");
        true
    }

    /// Tries each request until there are no more of them.
    async fn everywhere(&self) {
        let (mut crashes, mut left) = (0, LeftBehind::default());
        for nth in 1.. {
            for after_effect in [false, true] {
                if !Box::pin(self.try_one(&mut left, nth, after_effect)).await {
                    assert!(crashes > 60, "it has more than {crashes} crash points");
                    assert!(left.len() > 10, "it leaves more than {} things behind", left.len());
                    return;
                }
                crashes += 1;
            }
        }
    }
}

async fn live(place: &Place) -> serde_json::Value {
    place.state(BUCKET).await.unwrap()["manifest"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_rules_that_dies_anywhere_is_finished_by_the_next_run() {
    Box::pin(Prepared::rollback()).await.everywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_of_rules_that_dies_anywhere_is_finished_by_the_next_run() {
    Box::pin(Prepared::promotion()).await.everywhere().await;
}
