//! Exact lines that do not fit into a function, and go to its key-value store.

use super::{attach, function, leads, live, publish, view, world, writes};
use crate::rules::rollback::rollback;
use crate::world::site::{ALWAYS, BUCKET, World, denied, error, finish};
use shipfront_edge::{Alteration, Edge, Fault, Gate, Stage};
use std::collections::BTreeMap;

/// The store of a site's function for requests.
pub(crate) const STORE: &str = "site-rules";
/// Somebody else's keys in it.
const OTHERS: [&str; 2] = ["mine", "sf-00000000-0123456789ab/old"];

/// Digits that hardly repeat, so that they pack badly.
fn digits(at: u64) -> String {
    let mut number = at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut text = String::new();
    while text.len() < 24 {
        number ^= number >> 29;
        number = number.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number ^= number >> 32;
        text.push_str(&format!("{number:016x}"));
    }
    text
}

/// This many lines, all of which lead below `to`.
pub(crate) fn lines(count: u64, to: &str) -> String {
    (0..count).map(|at| format!("/old/{} /{to}/{}\n", digits(at), digits(at + 5_000))).collect()
}

pub(crate) fn old(at: u64) -> String {
    format!("/old/{}", digits(at))
}

pub(crate) fn new(at: u64, to: &str) -> (u16, String) {
    (301, format!("/{to}/{}", digits(at + 5_000)))
}

/// Gives the function for requests a store.
pub(crate) fn associate(edge: &Edge) {
    let values = OTHERS.map(|key| (key.to_owned(), "/of-somebody-else".to_owned()));
    let store = edge.put_key_value_store(STORE, "", values.into()).unwrap();
    let mut function = edge.function("site-request", Stage::Development).unwrap();
    function.key_value_store = Some(store.arn);
    edge.put_function(&function).unwrap();
}

/// The site's keys in the store.
pub(crate) fn ours(edge: &Edge) -> BTreeMap<String, String> {
    let mut values = edge.key_value_store(STORE).unwrap().values.as_ref().clone();
    for other in OTHERS {
        assert_eq!(values.remove(other).as_deref(), Some("/of-somebody-else"), "{other} is somebody else's");
    }
    values
}

fn set(world: &World, values: BTreeMap<String, String>) {
    let others = OTHERS.map(|key| (key.to_owned(), "/of-somebody-else".to_owned()));
    world.edge.put_key_value_store(STORE, "", values.into_iter().chain(others).collect()).unwrap();
}

/// The parts of keys that name their tables.
fn versions(edge: &Edge) -> Vec<String> {
    let mut versions: Vec<String> = ours(edge).keys().map(|key| key.split('/').next().unwrap().to_owned()).collect();
    versions.dedup();
    versions
}

/// A world whose function has a store.
async fn with_store(files: &[(&str, &str)]) -> World {
    let world = world(files).await;
    associate(&world.edge);
    world
}

/// A site whose lines take two requests to be written.
pub(crate) async fn deployed() -> World {
    let world = with_store(&[("index.html", "one")]).await;
    world.write("_redirects", lines(400, "one"));
    publish(&world).expect(0);
    world
}

/// The same, deployed again with other lines.
pub(crate) async fn twice() -> World {
    let world = with_store(&[("index.html", "one")]).await;
    world.edge.set_versioning(BUCKET, true).unwrap();
    world.write("_redirects", lines(400, "one"));
    publish(&world).expect(0);
    world.write("index.html", "two");
    world.write("_redirects", lines(401, "two"));
    publish(&world).expect(0);
    world.edge.clear_requests();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lines_that_do_not_fit_into_the_code_are_live_and_a_second_run_has_nothing_to_do() {
    let world = with_store(&[("index.html", "one"), ("old/kept.html", "kept")]).await;
    world.write("_redirects", lines(1_000, "new"));
    let plan = world.plan(&super::PUBLISH).expect(0);
    assert_eq!((&plan.json["rules"][0]["key_value_stores"][0]["written"], writes(&world)), (&1_000.into(), vec![]));
    let run = publish(&world).expect(0);
    let store = &run.json["rules"][0]["key_value_stores"][0];
    assert_eq!((&store["keys"], &store["written"], &store["removed"]), (&1_000.into(), &1_000.into(), &0.into()));
    let order: Vec<String> = world.writes().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(order.iter().filter(|name| *name == "UpdateKeys").count(), 20, "50 keys a request");
    let last = |name: &str| order.iter().rposition(|found| found == name).unwrap();
    let first = |name: &str| order.iter().position(|found| found == name).unwrap();
    assert!(last("UpdateKeys") < first("UpdateFunction") && last("TestFunction") < first("PUT"), "{order:?}");
    for at in (0..1_000).step_by(37).chain([999]) {
        assert_eq!(leads(&world, &old(at)).await, new(at, "new"));
    }
    assert_eq!(view(&world, "/old/kept.html").await.text(), "kept");
    assert_eq!(view(&world, "/mine/").await.status, 404, "a key of somebody else is no line");
    assert_eq!(ours(&world.edge).len(), 1_000);
    world.edge.clear_requests();
    let again = publish(&world).expect(0);
    assert_eq!((again.outcome(), writes(&world)), ("nothing-to-do", vec![]));
    let text = world.run(&[
        "plan",
        world.source().to_str().unwrap(),
        crate::world::site::TARGET,
        "--publish-rules",
        "--verbose",
    ]);
    assert!(text.stdout.contains("1000 lines and files in the key-value store"), "{}", text.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_whole_and_the_keys_of_before_go_after_the_commit() {
    let world = deployed().await;
    let before = versions(&world.edge);
    assert_eq!(before.len(), 1);
    world.write("_redirects", lines(400, "two"));
    let gate = Gate::default();
    world.fault("PublishFunction", 0, 1, Fault::Hold(gate.clone()));
    let run = world.start(&super::PUBLISH);
    gate.reached().await;
    assert_eq!((ours(&world.edge).len(), versions(&world.edge).len()), (800, 2), "both tables are there");
    for at in [0, 200, 399] {
        assert_eq!(leads(&world, &old(at)).await, new(at, "one"));
    }
    world.edge.clear_requests();
    gate.open();
    finish(run).expect(0);
    for at in [0, 200, 399] {
        assert_eq!(leads(&world, &old(at)).await, new(at, "two"));
    }
    let (after, keys) = (versions(&world.edge), ours(&world.edge));
    assert!(after.len() == 1 && after != before && keys.len() == 400, "{after:?}");
    let order: Vec<(String, Option<String>)> =
        world.edge.requests().into_iter().map(|request| (request.operation, request.key)).collect();
    let commit = order.iter().rposition(|(_, key)| key.as_deref() == Some(".shipfront/state.json")).unwrap();
    let removal = order.iter().position(|(name, _)| name == "UpdateKeys").unwrap();
    assert!(commit < removal, "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_removed_is_a_warning_and_the_next_run_removes_it() {
    let world = deployed().await;
    world.write("_redirects", lines(400, "two"));
    world.fault("UpdateKeys", 8, ALWAYS, error(400, "ValidationException"));
    let run = publish(&world).expect(0);
    assert!(run.warnings().contains("400 keys of earlier rules are left in the key-value store"), "{}", run.warnings());
    world.edge.faults().clear();
    assert_eq!(ours(&world.edge).len(), 800);
    world.edge.clear_requests();
    let next = publish(&world).expect(0);
    assert_eq!((next.warnings().as_str(), ours(&world.edge).len()), ("", 400));
    assert!(writes(&world).iter().all(|line| line.starts_with("UpdateKeys")), "{:?}", writes(&world));
    assert_eq!(leads(&world, &old(7)).await, new(7, "two"));
    world.edge.clear_requests();
    publish(&world).expect(0);
    assert_eq!(writes(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_and_a_store_that_others_change_meanwhile_are_looked_at_again() {
    let world = with_store(&[("index.html", "one")]).await;
    world.write("_redirects", lines(400, "one"));
    world.fault("UpdateKeys", 1, 1, Fault::ResetAfter);
    world.fault("UpdateKeys", 5, 1, error(409, "ConflictException"));
    publish(&world).expect(0);
    assert_eq!(ours(&world.edge).len(), 400);
    assert_eq!(leads(&world, &old(399)).await, new(399, "one"));
    world.write("_redirects", lines(400, "two"));
    world.fault("UpdateKeys", 0, ALWAYS, error(409, "ConflictException"));
    let run = publish(&world).expect(1);
    assert!(run.stderr.contains("something else changes the store all the time"), "{}", run.stderr);
    world.edge.faults().clear();
    assert_eq!(leads(&world, &old(399)).await, new(399, "one"));
}

/// The lock is released before the old keys are removed: a run that restores them meanwhile keeps them.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_late_removes_nothing_that_another_one_has_brought_back() {
    let world = deployed().await;
    world.write("_redirects", lines(400, "two"));
    let (removing, publishing) = (Gate::default(), Gate::default());
    world.fault("UpdateKeys", 8, 1, Fault::Hold(removing.clone()));
    let late = world.start(&super::PUBLISH);
    removing.reached().await;
    assert_eq!(leads(&world, &old(1)).await, new(1, "two"));
    world.write("_redirects", lines(400, "one"));
    world.fault("PublishFunction", 0, 1, Fault::Hold(publishing.clone()));
    let other = world.start(&super::PUBLISH);
    publishing.reached().await;
    removing.open();
    finish(late).expect(0);
    publishing.open();
    finish(other).expect(0);
    for at in [0, 1, 60, 399] {
        assert_eq!(leads(&world, &old(at)).await, new(at, "one"));
    }
    publish(&world).expect(0);
    assert_eq!((ours(&world.edge).len(), leads(&world, &old(5)).await), (400, new(5, "one")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_something_else_changed_in_the_store_is_put_right_by_a_run_with_nothing_else_to_do() {
    let world = deployed().await;
    let right = ours(&world.edge);
    let prefix = versions(&world.edge).remove(0);
    let mut wrong = right.clone();
    wrong.remove(&format!("{prefix}{}", old(3)));
    wrong.insert(format!("{prefix}{}", old(4)), "https://elsewhere.example/".to_owned());
    wrong.insert(format!("{prefix}/added"), "/x".to_owned());
    wrong.insert(format!("{}0123456789ab/x", &prefix[..prefix.len() - 12]), "\u{e9}\u{0}<script>".to_owned());
    set(&world, wrong);
    assert_eq!(leads(&world, &old(4)).await.1, "https://elsewhere.example/");
    world.edge.clear_requests();
    let run = publish(&world).expect(0);
    assert_eq!(run.json["rules"][0]["change"], "repaired");
    assert!(ours(&world.edge) == right);
    for at in [3, 4, 5] {
        assert_eq!(leads(&world, &old(at)).await, new(at, "one"));
    }
    world.edge.clear_requests();
    publish(&world).expect(0);
    assert_eq!(writes(&world), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_room_is_refused_before_anything_is_written_and_what_nobody_needs_makes_room() {
    let world = deployed().await;
    let prefix = versions(&world.edge).remove(0);
    let full = |start: &str, count: usize| {
        let mut values = ours(&world.edge);
        let keys = (0..count).map(|at| (format!("{start}/{at:06}"), "x".repeat(1_000)));
        values.extend(keys);
        values
    };
    set(&world, full("somebody", 5_110));
    world.write("_redirects", lines(400, "two"));
    world.edge.clear_requests();
    let run = publish(&world).expect(6);
    assert!(run.stderr.contains("has no room for the rules"), "{}", run.stderr);
    assert_eq!(writes(&world), [""; 0]);
    let values = ours(&world.edge).into_iter().filter(|(key, _)| !key.starts_with("somebody")).collect();
    set(&world, values);
    set(&world, full(&format!("{}0123456789ab", &prefix[..prefix.len() - 12]), 5_040));
    publish(&world).expect(0);
    assert_eq!((ours(&world.edge).len(), leads(&world, &old(9)).await), (400, new(9, "two")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_nothing_is_published_and_rules_that_fit_need_no_store() {
    let world = with_store(&[("index.html", "one")]).await;
    world.write("_redirects", lines(400, "one"));
    for operation in ["DescribeKeyValueStore", "ListKeys", "UpdateKeys"] {
        world.edge.clear_requests();
        world.fault(operation, 0, ALWAYS, error(403, "AccessDeniedException"));
        let run = publish(&world).expect(1);
        assert!(run.stderr.contains(&format!("cloudfront-keyvaluestore:{operation}")), "{}", run.stderr);
        assert!(writes(&world).iter().all(|line| line.contains("UpdateKeys")), "{:?}", writes(&world));
        world.edge.faults().clear();
    }
    world.fault("DescribeKeyValueStore", 0, ALWAYS, denied());
    world.write("_redirects", "/old /new\n");
    publish(&world).expect(0);
    assert_eq!(leads(&world, "/old").await.0, 301);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_fit_again_leave_nothing_in_the_store() {
    let world = deployed().await;
    world.write("_redirects", lines(20, "few"));
    publish(&world).expect(0);
    assert_eq!((ours(&world.edge).len(), leads(&world, &old(9)).await), (0, new(9, "few")));
    assert_eq!(view(&world, &format!("{}/", old(300))).await.status, 404);
}

/// What no store accepts stays in the code.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_too_long_for_a_store_is_in_the_code() {
    let world = with_store(&[("index.html", "one")]).await;
    let (from, to) = (format!("/long/{}", "k".repeat(500)), format!("/to/{}", "v".repeat(1_100)));
    world.write("_redirects", format!("{}{from} /short\n/short-one {to}\n", lines(400, "one")));
    let run = publish(&world).expect(0);
    assert_eq!(run.json["rules"][0]["key_value_stores"][0]["keys"], 400);
    assert_eq!(leads(&world, &from).await, (301, "/short".to_owned()));
    assert_eq!(leads(&world, "/short-one").await, (301, to));
    assert_eq!(leads(&world, &old(399)).await, new(399, "one"));
    assert!(live(&world.edge, "site-request").len() <= 10 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_writes_the_keys_of_the_earlier_lines_again() {
    let world = twice().await;
    let plan = rollback(&world, &["--plan"]).expect(0);
    let store = &plan.json["rules"][0]["key_value_stores"][0];
    assert_eq!((&store["written"], &store["removed"], writes(&world)), (&400.into(), &401.into(), vec![]));
    rollback(&world, &[]).expect(0);
    assert_eq!((ours(&world.edge).len(), leads(&world, &old(5)).await), (400, new(5, "one")));
    assert_eq!(view(&world, &format!("{}/", old(400))).await.status, 404);
    assert_eq!(view(&world, "/").await.text(), "one");
}

/// Two sites may keep their keys in one store.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_may_be_that_of_two_sites() {
    const OTHER: &str = "other.example.com";
    let world = deployed().await;
    let before = ours(&world.edge);
    let id = world.edge.ensure_site(OTHER).unwrap();
    let mut changed = world.edge.distribution(&id).unwrap();
    let mut theirs = function("other-request", &format!("shipfront s3://{OTHER}"), "request");
    theirs.key_value_store = world.edge.function("site-request", Stage::Live).unwrap().key_value_store;
    world.edge.put_function(&theirs).unwrap();
    changed = changed.with_function("viewer-request", "other-request");
    world.edge.put_distribution(changed).unwrap();
    world.write("_redirects", lines(400, "theirs"));
    let target = format!("s3://{OTHER}");
    let source = world.source().to_str().unwrap().to_owned();
    let run = world.run(&["deploy", &source, &target, "--publish-rules", "--json"]).expect(0);
    assert_eq!(run.json["rules"][0]["key_value_stores"][0]["keys"], 400, "{}", run.stdout);
    assert_eq!(ours(&world.edge).len(), 800);
    world.write("_redirects", lines(400, "two"));
    publish(&world).expect(0);
    let after = ours(&world.edge);
    assert!(after.len() == 800 && before.keys().all(|key| !after.contains_key(key)));
    assert_eq!(after.values().filter(|to| to.starts_with("/theirs/")).count(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_one_of_two_functions_has_a_store_the_lines_have_to_fit_into_the_code() {
    let world = with_store(&[("index.html", "one")]).await;
    let comment = format!("shipfront s3://{BUCKET}");
    world.edge.put_function(&function("blog-request", &comment, "request")).unwrap();
    let mut changed = world.edge.distribution(&world.distribution).unwrap();
    let mut blog = changed.default_behavior.clone();
    blog.path_pattern = "/blog/*".to_owned();
    blog.functions[0].arn = blog.functions[0].arn.replace("site-request", "blog-request");
    changed.behaviors.push(blog);
    world.edge.put_distribution(changed).unwrap();
    world.write("_redirects", lines(400, "one"));
    let run = publish(&world).expect(6);
    assert!(run.stderr.contains("associate a key-value store with the function"), "{}", run.stderr);
    let mut blog = world.edge.function("blog-request", Stage::Live).unwrap();
    blog.key_value_store = world.edge.function("site-request", Stage::Live).unwrap().key_value_store;
    world.edge.put_function(&blog).unwrap();
    publish(&world).expect(0);
    assert_eq!(leads(&world, &old(2)).await, new(2, "one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_a_functions_store_holds() {
    let world = deployed().await;
    let seen = || world.run(&["doctor", crate::world::site::TARGET, "--publish-rules", "--verbose"]).stdout;
    assert!(seen().contains("402 keys in its key-value store"), "{}", seen());
    world.fault("DescribeKeyValueStore", 0, ALWAYS, error(403, "AccessDeniedException"));
    assert!(seen().contains("its key-value store cannot be read"), "{}", seen());
}

/// In AWS's model, the header of one response is spelled `ETtag`, and the SDK reads no other: if AWS sends the
/// usual spelling, the ETag is requested.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_answer_has_no_etag_is_asked_for_it() {
    let world = world(&[("index.html", "one")]).await;
    attach(&world.edge, BUCKET, &world.distribution);
    world.write("_redirects", "/old /index.html\n");
    let answer_headers = vec![("ettag".to_owned(), None)];
    let spelled = Alteration { answer_headers, ..Alteration::default() };
    world.fault("UpdateFunction", 0, ALWAYS, Fault::Alter(Box::new(spelled)));
    publish(&world).expect(0);
    assert_eq!(leads(&world, "/old").await, (301, "/index.html".to_owned()));
}
