//! Files that cannot be read, must not be followed, have no usable name, or change during the run.

use super::{PRUNE, SITE};
use crate::world::site::{EXACT, Run, TARGET, World, finish, run};
use crate::world::tools;
use shipfront_edge::Fault;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Long enough for a test to change a file while a request waits.
const PAUSE: Fault = Fault::Delay(Duration::from_secs(1));

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Runs a deploy as a user to whom permissions apply; returns `None`, with a message, if that is impossible.
fn deploy_unprivileged(world: &World, options: &[&str]) -> Option<Run> {
    let arguments = world.arguments("deploy", TARGET, options);
    let forbidden = world.outside().join("forbidden");
    fs::write(&forbidden, "").unwrap();
    set_mode(&forbidden, 0);
    if File::open(&forbidden).is_err() {
        return Some(world.run(&arguments));
    }
    // The superuser reads everything: switch to nobody, whom the temporary directory must admit.
    set_mode(world.outside(), 0o755);
    let step_down = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(crate::world::command::binary());
        command.args(arguments);
        world.settle(&mut command);
        command
    };
    if !step_down(&["--version"]).output().is_ok_and(|output| output.status.success()) {
        tools::skipped("the superuser reads everything, and setpriv cannot run the binary as nobody");
        return None;
    }
    Some(run(&mut step_down(&arguments)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_refuses_the_deploy() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    set_mode(&world.path("about.html"), 0);
    let Some(run) = deploy_unprivileged(&world, &PRUNE) else { return };
    assert_eq!(run.expect(6).says("about.html").says("--keep-going").outcome(), "refused");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keep_going_the_rest_is_deployed_and_the_unreadable_file_stays_as_it_is() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.remove("old.html");
    set_mode(&world.path("about.html"), 0);
    let options = [EXACT[0], EXACT[1], PRUNE[0], PRUNE[1], "--keep-going"];
    let Some(run) = deploy_unprivileged(&world, &options) else { return };
    let run = run.expect(3).says("about.html");
    assert_eq!((run.outcome(), run.objects("unknown")), ("partial", 1));
    assert_eq!(world.writes(), ["PUT index.html", "DELETE old.html", "INVALIDATE / /index.html /old.html"]);
    assert!(world.keys().contains(&"about.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_below_an_unreadable_directory_is_deleted() {
    let world = World::deployed(&[("docs/a.html", "a"), ("docs/deep/b.html", "b"), ("index.html", "i")]).await;
    world.orphan(&[("docs.html", "not below it")]);
    set_mode(&world.path("docs"), 0);
    if let Some(run) = deploy_unprivileged(&world, &PRUNE) {
        run.expect(6).says("docs");
        assert_eq!(world.writes(), [""; 0]);
        let run = deploy_unprivileged(&world, &[PRUNE[0], PRUNE[1], "--keep-going"]).unwrap().expect(3);
        assert_eq!(run.objects("unknown"), 2);
        assert_eq!(world.keys(), ["docs/a.html", "docs/deep/b.html", "index.html"]);
    }
    // Otherwise, the temporary directory could not be removed.
    set_mode(&world.path("docs"), 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_loop_is_skipped_with_a_warning_and_deletes_nothing() {
    let world = World::deployed(&SITE).await;
    world.put("docs/loop/a.html", "uploaded before the loop was made").await;
    world.write("docs/page.html", "page");
    symlink(world.source(), world.path("docs/loop")).unwrap();
    let run = world.deploy(&PRUNE).expect(0).says("warning:");
    assert!(run.warnings().contains("docs/loop"), "{}", run.warnings());
    assert!(world.keys().contains(&"docs/page.html".to_owned()));
    assert!(world.keys().contains(&"docs/loop/a.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_that_leaves_the_source_is_skipped_and_its_objects_stay() {
    let world = World::deployed(&SITE).await;
    fs::write(world.outside().join("secret.txt"), "secret").unwrap();
    symlink(world.outside().join("secret.txt"), world.path("secret.txt")).unwrap();
    symlink(world.outside(), world.path("away")).unwrap();
    world.put("away/a.html", "uploaded when away was a directory").await;
    let run = world.deploy(&PRUNE).expect(0);
    for name in ["secret.txt", "away"] {
        assert!(run.warnings().contains(name), "{}", run.warnings());
    }
    assert_eq!(world.writes(), [""; 0]);
    assert!(world.keys().contains(&"away/a.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_inside_the_source_is_followed() {
    let world = World::new(&SITE).await;
    symlink("about.html", world.path("contact.html")).unwrap();
    world.deploy(&[]).expect(0);
    assert!(world.keys().contains(&"contact.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_longer_than_s3_takes_refuses_the_deploy_unless_reported_to_keep_going() {
    let world = World::deployed(&SITE).await;
    let long = format!("{}x.html", format!("{}/", "d".repeat(200)).repeat(5));
    world.write(&long, "too deep below this prefix");
    let target = "s3://www.example.com/a-prefix-that-takes-it-over-the-limit";
    let run = world.run(&world.arguments("deploy", target, &[])).expect(6);
    let length = long.len() + "a-prefix-that-takes-it-over-the-limit/".len();
    run.says(&format!("its key has {length} bytes")).says("1024").says("hint:");
    assert_eq!(world.writes(), [""; 0]);
    let run = world.run(&world.arguments("deploy", target, &["--keep-going"])).expect(3);
    assert_eq!((run.outcome(), run.objects("uploaded")), ("partial", SITE.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_that_look_the_same_refuse_the_deploy() {
    let world = World::new(&SITE).await;
    world.write("caf\u{e9}.html", "one character");
    world.write("cafe\u{301}.html", "two characters");
    if fs::read_dir(world.source()).unwrap().count() == SITE.len() + 1 {
        return; // This file system takes the two for one.
    }
    for options in [&[][..], &["--keep-going"]] {
        world.deploy(options).expect(6).says("Unicode").says("hint:");
        assert_eq!(world.writes(), [""; 0]);
    }
}

/// Deploys two assets and a page, one at a time, and changes the second asset while the first is sent.
async fn change_while_deploying(world: &World, options: &[&str], change: impl FnOnce()) -> Run {
    world.write("a.css", "first");
    world.write("b.css", "second");
    world.write("index.html", "the page that needs them");
    world.fault_of("PutObject", "a.css", 0, 1, PAUSE);
    let mut all = EXACT.to_vec();
    all.extend(PRUNE);
    all.extend(["--concurrency", "1"]);
    all.extend(options);
    let running = world.start(&all);
    world.arrival("PUT a.css").await;
    change();
    finish(running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanishes_during_the_deploy_stops_it_before_the_pages() {
    let world = World::deployed(&[("b.css", "before"), ("index.html", "before"), ("old.html", "o")]).await;
    world.remove("old.html");
    let run = change_while_deploying(&world, &[], || world.remove("b.css")).await.expect(3);
    assert_eq!(run.says("b.css").says("hint: let the build finish").outcome(), "partial");
    assert_eq!(world.writes(), ["PUT a.css", "INVALIDATE /a.css"]);
    assert_eq!(world.keys(), ["a.css", "b.css", "index.html", "old.html"], "unknown is not absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_during_the_deploy_is_never_sent_half() {
    let world = World::deployed(&[("b.css", "before"), ("index.html", "before")]).await;
    let change = || world.write("b.css", "longer than it was when the deploy began");
    let run = change_while_deploying(&world, &[], change).await.expect(3);
    run.says("b.css").says("changed while it was read");
    assert_eq!(world.writes(), ["PUT a.css", "INVALIDATE /a.css"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keep_going_a_vanished_file_is_left_out_and_the_pages_go_up() {
    let world = World::deployed(&[("b.css", "before"), ("index.html", "before"), ("old.html", "o")]).await;
    world.remove("old.html");
    let run = change_while_deploying(&world, &["--keep-going"], || world.remove("b.css")).await.expect(3);
    assert_eq!(run.says("b.css").outcome(), "partial");
    assert_eq!(
        world.writes(),
        ["PUT a.css", "PUT index.html", "INVALIDATE / /a.css /index.html"],
        "and still nothing is deleted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_files_are_not_shipped_but_well_known_is() {
    let world = World::new(&SITE).await;
    for name in [".well-known/security.txt", ".git/config", ".env", "docs/.draft.html"] {
        world.write(name, name);
    }
    world.put(".env", "uploaded by somebody else").await;
    world.deploy(&PRUNE).expect(0);
    let keys = world.keys();
    assert_eq!(&keys[..2], [".env", ".well-known/security.txt"], "what is skipped is not deleted either");
    assert_eq!(keys.len(), SITE.len() + 2, "{keys:?}");
}
