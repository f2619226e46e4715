//! A reference model: random sites, external writes, prune ages and crashes over a few deploys. Model and tool
//! agree on what is in the bucket, and nothing is stale.

use crate::world::oracle::{Oracle, is_record};
use crate::world::sites::{Place, Site, directory, is_page};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use shipfront_edge::Effect;
use shipfront_site::etag::{hex, md5};
use shipfront_site::media_type;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const KEYS: [&str; 8] =
    ["a.html", "app.js", "b.html", "data.json", "img/x.png", "index.html", "style.css", "sub/c.html"];
/// Two of the same size, so that only the digest distinguishes them.
const BODIES: [&str; 3] = ["one", "two", "three"];
const AGES: [(&str, Option<u32>); 3] = [("0s", Some(0)), ("3d", Some(3)), ("never", None)];

/// A deploy and what happened before it.
#[derive(Clone, Debug)]
struct Step {
    /// Days since the last one.
    days: u32,
    /// What others did to a key: wrote a body, or deleted it.
    others: BTreeMap<usize, Option<usize>>,
    /// The body of each key, if it is in the source.
    source: Vec<Option<usize>>,
    /// Which of [`AGES`].
    age: usize,
    /// At which request a first attempt died, and whether after its effect.
    crash: Option<(u64, bool)>,
    /// Whether the site of the previous deploy is restored instead of deploying; only if the test includes
    /// rollbacks.
    rollback: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let body = || proptest::option::weighted(0.7, 0..BODIES.len());
    let others = proptest::collection::btree_map(0..KEYS.len(), body(), 0..3);
    let source = proptest::collection::vec(body(), KEYS.len());
    let crash = proptest::option::weighted(0.4, (5..28_u64, any::<bool>()));
    let rollback = proptest::bool::weighted(0.4);
    (0..4_u32, others, source, 0..AGES.len(), crash, rollback)
        .prop_map(|(days, others, source, age, crash, rollback)| Step { days, others, source, age, crash, rollback })
}

impl Step {
    fn site(&self) -> Site {
        let body = |(at, body): (usize, &Option<usize>)| {
            // A site without any file is refused.
            let body = body.or((KEYS[at] == "index.html").then_some(0))?;
            Some((KEYS[at].to_owned(), BODIES[body].to_owned()))
        };
        self.source.iter().enumerate().filter_map(body).collect()
    }
}

/// What the tool promises, in a few lines.
#[derive(Default)]
struct Model {
    today: u32,
    objects: Site,
    /// The objects that shipfront owns: the body that it left there, and the day since which each has been an
    /// orphan.
    owned: Owned,
    /// The same after each deploy, by its ID.
    deploys: BTreeMap<String, Owned>,
}

type Owned = BTreeMap<String, (String, Option<u32>)>;

impl Model {
    fn deploy(&mut self, source: &Site, age: Option<u32>) {
        let absent: Vec<String> = self.objects.keys().filter(|key| !source.contains_key(*key)).cloned().collect();
        let mut owned = BTreeMap::new();
        for key in absent {
            let Some((body, orphaned)) = self.owned.get(&key) else { continue };
            if *body != self.objects[&key] {
                continue;
            }
            let since = orphaned.unwrap_or(self.today);
            let due = age.is_some_and(|age| is_page(&key) || self.today - since >= age);
            if due {
                self.objects.remove(&key);
            } else {
                owned.insert(key, (body.clone(), Some(since)));
            }
        }
        owned.extend(source.iter().map(|(key, body)| (key.clone(), (body.clone(), None))));
        self.objects.extend(source.clone());
        self.owned = owned;
    }
}

impl Model {
    /// What is the same in both sites is left as it is, whatever others did to it; what differs is overwritten, and
    /// nothing of others is deleted.
    fn rollback(&mut self, past: &Owned, age: Option<u32>) -> Site {
        let site: Site = past
            .iter()
            .filter(|(_, (_, orphaned))| orphaned.is_none())
            .map(|(key, (body, _))| (key.clone(), body.clone()))
            .collect();
        let mut owned: Owned = site.iter().map(|(key, body)| (key.clone(), (body.clone(), None))).collect();
        for (key, body) in &site {
            if self.owned.get(key).is_none_or(|(live, _)| live != body) {
                self.objects.insert(key.clone(), body.clone());
            }
        }
        for (key, (body, orphaned)) in self.owned.iter().filter(|(key, _)| !site.contains_key(*key)) {
            let since = orphaned.unwrap_or(self.today);
            match age {
                Some(age) if is_page(key) || self.today - since >= age => {
                    if self.objects.get(key) == Some(body) {
                        self.objects.remove(key);
                    }
                }
                _ => drop(owned.insert(key.clone(), (body.clone(), Some(since)))),
            }
        }
        self.owned = owned;
        site
    }
}

/// The deploy that is live, and the one before it.
async fn live_and_before(place: &Place, bucket: &str) -> (Option<String>, Option<String>) {
    let state = place.state(bucket).await.unwrap_or_default();
    let id = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    (id(&state["manifest"]), id(&state["history"][1]["deploy"]))
}

async fn check(
    place: &Place,
    bucket: &str,
    (tags, rollbacks): (bool, bool),
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let target = format!("s3://{bucket}");
    let distribution = if tags { place.tagged_site(bucket) } else { place.edge.ensure_site(bucket).unwrap() };
    if rollbacks {
        place.edge.set_versioning(bucket, true).unwrap();
    }
    let mut model = Model::default();
    let keys = KEYS.map(str::to_owned);
    let mut oracle = Oracle::new(&place.edge, bucket, &distribution, &Site::new(), keys.iter());
    // External writes since a deploy last read everything: a rollback reads only what it changes.
    let mut unseen = BTreeSet::new();
    for step in steps {
        unseen.extend(step.others.keys().map(|&at| KEYS[at]));
        place.edge.advance_clock(step.days * Duration::from_secs(86_400));
        model.today += step.days;
        place.edge.clear_effects();
        let mut written = Site::new();
        for (&at, body) in &step.others {
            let key = KEYS[at];
            match body.map(|body| BODIES[body]) {
                // Nothing can reveal that this happened.
                Some(body) if model.objects.get(key).is_some_and(|held| held == body) => {}
                Some(body) => {
                    place.put(bucket, key, body, &media_type::of(key)).await;
                    model.objects.insert(key.to_owned(), body.to_owned());
                    written.insert(key.to_owned(), body.to_owned());
                }
                None => {
                    let client = crate::world::aws::s3(&place.edge);
                    client.delete_object().bucket(bucket).key(key).send().await.unwrap();
                    model.objects.remove(key);
                }
            }
        }
        oracle.replay(&place.edge.effects(), &[&written]);
        // Others are responsible for what they do.
        oracle.complaints.clear();
        place.edge.clear_effects();

        let (age, days) = AGES[step.age];
        let options = ["--distribution", &distribution, "--concurrency", "1", "--prune-after", age];
        let shown = model.owned.keys().cloned().collect::<Vec<_>>();
        let (_, before) = live_and_before(place, bucket).await;
        let (report, source) = match before.filter(|_| rollbacks && step.rollback) {
            Some(before) => {
                let back = [&options[..], &["--overwrite-foreign", "--to", &before]].concat();
                if let Some((nth, after_effect)) = step.crash {
                    Box::pin(place.crash_rollback(&target, &back, nth, after_effect)).await;
                    place.outlive_lease();
                }
                let past = model.deploys[&before].clone();
                (Box::pin(place.rollback(&target, &back)).await, model.rollback(&past, days))
            }
            None => {
                let source = step.site();
                let directory = directory(&source);
                if let Some((nth, after_effect)) = step.crash {
                    Box::pin(place.crash(directory.path(), &target, &options, nth, after_effect)).await;
                    place.outlive_lease();
                }
                let report = Box::pin(place.deploy(directory.path(), &target, &options)).await;
                model.deploy(&source, days);
                (report, source)
            }
        };
        let report = report.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let (live, _) = live_and_before(place, bucket).await;
        model.deploys.extend(live.map(|live| (live, model.owned.clone())));
        let effects: Vec<Effect> = place.edge.effects();
        oracle.replay(&effects, &[&source]);

        prop_assert_eq!(report.outcome.exit(), shipfront::exit::Exit::Done, "{:#?}", report);
        let objects = place.edge.objects(bucket).into_iter().filter(|object| !is_record(&object.key));
        let held: Vec<(String, String)> = objects.map(|object| (object.key, object.etag)).collect();
        let expected = model.objects.iter().map(|(key, body)| (key.clone(), hex(&md5(body.as_bytes()))));
        prop_assert_eq!(held, expected.collect::<Vec<_>>(), "{:#?}", report);
        prop_assert_eq!(&oracle.complaints, &Vec::<String>::new());
        // For keys that shipfront neither owned nor owns, whoever wrote them invalidates the edge.
        let known = |key: &str| source.contains_key(key) || shown.iter().any(|shown| shown == key);
        if report.source.starts_with("deploy:") {
            let is_left = |key: &&str| source.get(*key).is_none_or(|body| model.objects.get(*key) != Some(body));
            unseen.retain(is_left);
        } else {
            unseen.clear();
        }
        let known = |url: &String| {
            let key = url.trim_start_matches('/');
            known(key) && !unseen.contains(if key.is_empty() { "index.html" } else { key })
        };
        let stale = oracle.stale().into_iter().filter(known);
        prop_assert_eq!(stale.collect::<Vec<_>>(), Vec::<String>::new(), "{:#?}", report);
    }
    Ok(())
}

fn run(mut runner: TestRunner, tags: bool, rollbacks: bool) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = runtime.block_on(Place::new());
    let case = std::cell::Cell::new(0);
    let result = runner.run(&proptest::collection::vec(step(), 1..5), |steps| {
        case.set(case.get() + 1);
        runtime.block_on(Box::pin(check(&place, &format!("model-{}", case.get()), (tags, rollbacks), &steps)))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

#[test]
fn model_and_tool_agree_on_what_is_in_the_bucket() {
    run(TestRunner::new_with_rng(config(60), TestRng::deterministic_rng(RngAlgorithm::ChaCha)), false, false);
}

#[test]
fn with_cache_tags_model_and_tool_agree_and_nothing_is_stale() {
    run(TestRunner::new_with_rng(config(40), TestRng::deterministic_rng(RngAlgorithm::ChaCha)), true, false);
}

#[test]
fn with_rollbacks_model_and_tool_agree_and_nothing_is_stale() {
    run(TestRunner::new_with_rng(config(60), TestRng::deterministic_rng(RngAlgorithm::ChaCha)), false, true);
}

/// `SHIPFRONT_SOAK` says how many thousand cases, different ones each time. CONTRIBUTING names the command.
#[test]
#[ignore = "takes minutes"]
fn soak_model_and_tool_agree_on_what_is_in_the_bucket() {
    let thousands = std::env::var("SHIPFRONT_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for (tags, rollbacks) in [(false, false), (true, false), (false, true), (true, true)] {
        run(TestRunner::new(config(500 * thousands)), tags, rollbacks);
    }
}
