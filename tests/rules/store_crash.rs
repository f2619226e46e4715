//! A deploy of rules in a key-value store that dies at any of its requests: viewers get one table or the other, and
//! the next deploy reaches the same result and leaves no key behind.

use super::attach;
use super::crash::code;
use super::store::{STORE, associate, lines, new, old, ours};
use crate::world::crashes::LeftBehind;
use crate::world::http::get;
use crate::world::sites::{Place, Site, directory, site};
use shipfront::outcome::Outcome;
use shipfront_edge::{BucketContents, Function, Stage};
use std::collections::BTreeMap;
use tempfile::TempDir;

const BUCKET: &str = "crashed-store";
const TARGET: &str = "s3://crashed-store";
const OPTIONS: [&str; 6] = ["--publish-rules", "--concurrency", "1", "--strategy", "exact", "--max-paths=100"];
/// Too many for the code with few keys: their targets are long, and contain what no packed table may contain.
const LINES: u64 = 60;

/// All lines except the first lead to the same in both, so that only the first is tested.
fn files(to: &str) -> Site {
    let (first, rest) = (lines(1, to), lines(LINES, "same"));
    let rest = rest.split_once('\n').unwrap().1;
    let padded: String = rest.lines().map(|line| format!("{line}{}\n", pad(line))).collect();
    site(&[("_redirects", &format!("{first}{padded}")), ("index.html", to)])
}

/// What makes a target long.
fn pad(line: &str) -> String {
    let text: String = line.bytes().rev().filter(u8::is_ascii_alphanumeric).map(char::from).collect();
    format!("/{text}'{}", text.replace(['a', 'b', 'c'], "q").to_uppercase())
}

/// Where each of some lines leads, and whose first page is served.
async fn views(place: &Place) -> (u16, String, usize) {
    let url = place.edge.viewer_url();
    let first = get(&url, &old(0)).await;
    let mut same = 0;
    for at in [1, 30, LINES - 1] {
        let answer = get(&url, &old(at)).await;
        same += usize::from(answer.header("location").is_some_and(|to| to.starts_with(&new(at, "same").1)));
    }
    (first.status, first.header("location").unwrap_or_default().to_owned(), same)
}

struct Prepared {
    contents: BucketContents,
    functions: Vec<Function>,
    values: BTreeMap<String, String>,
    second: TempDir,
}

impl Prepared {
    async fn new() -> Prepared {
        let place = empty().await;
        place.deploy(directory(&files("one")).path(), TARGET, &OPTIONS).await.unwrap();
        assert_eq!(ours(&place.edge).len() as u64, LINES);
        let live = |name: &str| place.edge.function(name, Stage::Live).unwrap();
        Prepared {
            contents: place.edge.bucket_contents(BUCKET).unwrap(),
            functions: vec![live("site-request"), live("site-response")],
            values: place.edge.key_value_store(STORE).unwrap().values.as_ref().clone(),
            second: directory(&files("two")),
        }
    }

    async fn place(&self) -> Place {
        let place = empty().await;
        place.edge.put_key_value_store(STORE, "", self.values.clone()).unwrap();
        for function in &self.functions {
            place.edge.put_function(function).unwrap();
        }
        place.edge.set_bucket_contents(BUCKET, &self.contents).unwrap();
        place
    }
}

async fn empty() -> Place {
    let place = Place::new().await;
    let distribution = place.edge.ensure_site(BUCKET).unwrap();
    attach(&place.edge, BUCKET, &distribution);
    associate(&place.edge);
    place
}

/// One crash and its consequences; `false` if the run ended before its `nth` request.
async fn try_one(prepared: &Prepared, left: &mut LeftBehind, nth: u64, after_effect: bool) -> bool {
    let (place, two) = (prepared.place().await, &prepared.second);
    let which = format!("at request {nth}, {}", if after_effect { "after its effect" } else { "before its effect" });
    if let Some(report) = place.crash(two.path(), TARGET, &OPTIONS, nth, after_effect).await {
        assert_eq!(report.unwrap().outcome, Outcome::Deployed, "{which}");
        return false;
    }
    let (status, to, same) = views(&place).await;
    let whole = [new(0, "one").1, new(0, "two").1].contains(&to);
    assert!(status == 301 && whole && same == 3, "{which}: {to}, {same} of 3 others");
    if !left.is_new(&place.edge.effects(), (code(&place), ours(&place.edge))) {
        return true;
    }
    place.outlive_lease();
    let report = place.deploy(two.path(), TARGET, &OPTIONS).await.unwrap();
    assert!(matches!(report.outcome, Outcome::Deployed | Outcome::NothingToDo), "{which}: {report:#?}");
    assert_eq!(views(&place).await, (301, new(0, "two").1, 3), "{which}");
    assert_eq!(ours(&place.edge).len() as u64, LINES, "{which}: keys are left");
    place.edge.clear_requests();
    let third = place.deploy(two.path(), TARGET, &OPTIONS).await.unwrap();
    assert_eq!(third.outcome, Outcome::NothingToDo, "{which}: {third:#?}");
    let reads = |operation: &str| ["Get", "List", "Head", "Describe"].iter().any(|read| operation.starts_with(read));
    let requests = place.edge.requests().into_iter().map(|request| request.operation);
    assert_eq!(requests.filter(|name| !reads(name)).collect::<Vec<_>>(), [""; 0], "{which}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_of_rules_in_a_store_that_dies_anywhere_is_finished_by_the_next() {
    let prepared = Prepared::new().await;
    let (mut crashes, mut left) = (0, LeftBehind::default());
    for nth in 1.. {
        for after_effect in [false, true] {
            if !try_one(&prepared, &mut left, nth, after_effect).await {
                assert!(crashes > 50, "such a deploy has more than {crashes} crash points");
                assert!(left.len() > 10, "it leaves more than {} things behind", left.len());
                return;
            }
            crashes += 1;
        }
    }
}
