//! What others did in between, and what no longer exists.

use super::{bodies, change_back, first, history, is_settled, rollback, second, twice};
use crate::world::aws::s3;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, denied, error, finish};
use shipfront_edge::{Fault, Gate};

/// The versions of a key, newest first.
async fn versions(world: &World, key: &str) -> Vec<String> {
    let listed = s3(&world.edge).list_object_versions().bucket(BUCKET).prefix(key).send().await.unwrap();
    world.edge.clear_requests();
    listed.versions().iter().map(|version| version.version_id().unwrap().to_owned()).collect()
}

async fn remove_version(world: &World, key: &str, id: &str) {
    s3(&world.edge).delete_object().bucket(BUCKET).key(key).version_id(id).send().await.unwrap();
    world.edge.clear_requests();
}

/// An earlier version of shipfront may have recorded the ID of another version: its ETag shows that.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_the_one_of_the_row_is_not_brought_back() {
    let world = twice().await;
    let name = crate::world::manifest::key(&world.edge, BUCKET).await;
    world.write("index.html", "welcome three");
    world.deploy(&[]).expect(0);
    let oldest = versions(&world, "index.html").await.pop().unwrap();
    crate::world::manifest::rewrite_file(&world.edge, BUCKET, &name, |line| {
        if line["key"] == "index.html" {
            line["version"] = oldest.clone().into();
        }
    })
    .await;
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await["index.html"], "welcome two");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_or_deleted_since_is_named_and_nothing_is_changed() {
    let world = twice().await;
    world.put("index.html", "theirs").await;
    world.put("old.html", "theirs, too").await;
    s3(&world.edge).delete_object().bucket(BUCKET).key("app.js").send().await.unwrap();
    // Objects that are the same in both are not checked.
    world.put("about.html", "theirs").await;
    let refused = rollback(&world, &[]).expect(6);
    let error = refused.json["error"].as_str().unwrap();
    assert!(error.contains("3 objects") && error.contains("app.js, index.html, old.html"), "{error}");
    assert_eq!((refused.outcome(), world.writes().len()), ("refused", 0));
    let run = rollback(&world, &["--overwrite-foreign"]).expect(0);
    assert_eq!(run.objects("copied"), 3);
    let mut expected = first();
    expected.insert("about.html".to_owned(), "theirs".to_owned());
    assert_eq!(bodies(&world).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_in_the_place_of_an_added_page_is_never_deleted() {
    let world = twice().await;
    world.put("new.html", "theirs").await;
    rollback(&world, &[]).expect(6).says("new.html");
    rollback(&world, &["--overwrite-foreign"]).expect(0);
    assert_eq!(bodies(&world).await["new.html"], "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_while_it_runs_is_left_alone_and_named() {
    let world = twice().await;
    let gate = Gate::default();
    world.fault_of("CopyObject", "index.html", 0, 1, Fault::Hold(gate.clone()));
    let running = world.command(&["rollback", TARGET, "--json"]).spawn().unwrap();
    gate.reached().await;
    world.put("index.html", "theirs").await;
    gate.open();
    let run = finish(running).expect(3);
    assert_eq!((run.outcome(), run.objects("copied"), run.objects("failed")), ("partial", 2, 1));
    assert_eq!(run.json["errors"][0]["key"], "index.html");
    let mut expected = first();
    expected.insert("index.html".to_owned(), "theirs".to_owned());
    assert_eq!(bodies(&world).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_gone_is_named_before_anything_is_written() {
    let world = twice().await;
    let old = versions(&world, "index.html").await.pop().unwrap();
    remove_version(&world, "index.html", &old).await;
    let refused = rollback(&world, &[]).expect(6).says("index.html").says("a lifecycle rule");
    assert_eq!(refused.outcome(), "refused");
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(bodies(&world).await, second());
    let plan = rollback(&world, &["--plan"]).expect(6);
    assert!(plan.json["error"].as_str().unwrap().contains("cannot be restored"), "{}", plan.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_goes_between_the_look_and_the_copy_ends_the_run_before_the_pages() {
    let world = twice().await;
    let gone = error(404, "NoSuchVersion");
    world.fault_of("CopyObject", "app.js", 1, ALWAYS, gone);
    let run = rollback(&world, &["--concurrency", "1"]).expect(1);
    assert_eq!((run.outcome(), run.objects("copied")), ("failed", 0));
    assert_eq!(bodies(&world).await, second());
    world.edge.faults().clear();
    rollback(&world, &[]).expect(0);
    assert_eq!(bodies(&world).await, first());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_version_is_named() {
    let world = twice().await;
    let (key, id) = ("index.html", versions(&world, "index.html").await.pop().unwrap());
    // As a lifecycle rule would: the version stays, in another class.
    world.edge.set_version_class(BUCKET, key, &id, "GLACIER").unwrap();
    rollback(&world, &[]).expect(6).says("index.html").says("archive");
    // Other classes can be read as usual, and the object gets the one that it was uploaded with.
    world.edge.set_version_class(BUCKET, key, &id, "STANDARD_IA").unwrap();
    rollback(&world, &[]).expect(0);
    let objects = world.edge.objects(BUCKET);
    let restored = objects.iter().find(|object| object.key == key).unwrap();
    assert!(!restored.headers.contains_key("x-amz-storage-class"), "{:?}", restored.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_is_lost_is_taken_for_what_it_is() {
    let world = twice().await;
    world.fault_of("CopyObject", "index.html", 0, 1, Fault::ResetAfter);
    world.fault_of("CopyObject", "old.html", 0, 1, Fault::ResetAfter);
    let run = rollback(&world, &[]).expect(0);
    assert_eq!((run.outcome(), run.objects("copied")), ("deployed", 3));
    assert_eq!(bodies(&world).await, first());
    change_back(&world);
    is_settled(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_know_of_object_ownership_may_have_acls() {
    let world = twice().await;
    let unknown = [(501, "NotImplemented"), (405, "MethodNotAllowed"), (404, "OwnershipControlsNotFoundError")];
    for (status, code) in unknown {
        world.fault("GetBucketOwnershipControls", 0, 1, error(status, code));
        rollback(&world, &[]).expect(6).says("may have ACLs").says("hint: ").says("BucketOwnerEnforced");
        assert_eq!(bodies(&world).await, second(), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_named_with_its_action() {
    let world = twice().await;
    world.edge.set_acls(BUCKET, true).unwrap();
    rollback(&world, &[]).expect(6).says("ACLs");
    world.edge.set_acls(BUCKET, false).unwrap();
    world.fault_of("CopyObject", "app.js", 0, ALWAYS, denied());
    let run = rollback(&world, &[]).expect(1);
    let hint = run.json["errors"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("s3:GetObjectVersion and s3:GetObjectVersionTagging"), "{hint}");
    assert_eq!(bodies(&world).await, second());
    assert_eq!(history(&world).len(), 2, "nothing became of it");
}
