//! `shipfront.toml`: found, merged, refused with its position, and obeyed.

use crate::world::aws;
use crate::world::command::{self, repository, shipfront};
use crate::world::site::{BUCKET, EXACT, Run, TARGET, World, run};
use std::fs;
use std::process::Command;

const PAGE: (&str, &str) = ("index.html", "<p>home");

/// Writes the file next to the source.
fn settings(world: &World, text: &str) {
    fs::write(world.outside().join("shipfront.toml"), text).unwrap();
}

/// The binary, started where the file is.
fn there(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.current_dir(world.outside());
    command
}

fn run_there(world: &World, arguments: &[&str]) -> Run {
    run(&mut there(world, arguments))
}

const SITE: &str = "source = \"public\"\ntarget = \"s3://www.example.com\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn with_a_file_that_names_source_and_target_nothing_else_is_needed() {
    let world = World::new(&[PAGE]).await;
    settings(&world, SITE);
    let planned = run_there(&world, &["plan", "--json"]).expect(0);
    assert_eq!(planned.changes(), ["upload new index.html"]);
    let deployed = run_there(&world, &["deploy"]).expect(0).says("Settings from shipfront.toml");
    assert!(deployed.stdout.contains("✓ Deployed 1 new file"), "{}", deployed.stdout);
    assert_eq!(world.keys(), ["index.html"]);
    assert!(run_there(&world, &["status"]).expect(0).stdout.contains("last deploy"));
    // From elsewhere, the source is still next to the file.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = world.outside().join("shipfront.toml");
    let mut named = world.command(&["plan", "--json", "--config", file.to_str().unwrap()]);
    let named = run(named.current_dir(elsewhere.path())).expect(0);
    assert_eq!(named.outcome(), "planned");
    // And found from a source that is named.
    let found = run(world.command(&["plan", world.source().to_str().unwrap(), "--json"]).current_dir(elsewhere.path()));
    assert_eq!(found.expect(0).json["target"], TARGET);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_source_or_a_target_anywhere_it_is_a_usage_error_that_says_what_to_do() {
    let world = World::new(&[PAGE]).await;
    run_there(&world, &["deploy"]).expect(2).says("no source");
    run_there(&world, &["deploy", "public"]).expect(2).says("shipfront.toml");
    run_there(&world, &["status"]).expect(2).says("no target");
    run_there(&world, &["deploy", "--env", "staging"]).expect(2).says("[env.staging]");
    run_there(&world, &["deploy", "--config", "nowhere.toml"]).expect(2).says("nowhere.toml");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_go_over_the_environment_and_that_over_the_section_and_that_over_the_file() {
    let world = World::new(&[PAGE]).await;
    for bucket in ["from-the-file", "from-the-section", "from-the-environment", "from-the-flags"] {
        world.edge.ensure_site(bucket).unwrap();
    }
    settings(
        &world,
        "source = \"public\"\ntarget = \"s3://from-the-file\"\n[env.staging]\ntarget = \"s3://from-the-section\"\n",
    );
    let target = |command: &mut Command| run(command).expect(0).json["target"].as_str().unwrap().to_owned();
    let plan = ["plan", "--json"];
    assert_eq!(target(&mut there(&world, &plan)), "s3://from-the-file");
    assert_eq!(target(&mut there(&world, &["plan", "--json", "--env", "staging"])), "s3://from-the-section");
    let with = |command: &mut Command| target(command.env("SHIPFRONT_ENV", "staging"));
    assert_eq!(with(&mut there(&world, &plan)), "s3://from-the-section");
    assert_eq!(
        with(there(&world, &plan).env("SHIPFRONT_TARGET", "s3://from-the-environment")),
        "s3://from-the-environment"
    );
    let typed = ["plan", "public", "s3://from-the-flags", "--json"];
    assert_eq!(with(there(&world, &typed).env("SHIPFRONT_TARGET", "s3://from-the-environment")), "s3://from-the-flags");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_has_a_variable_and_a_flag_can_be_taken_back() {
    let world = World::new(&[PAGE, ("about.html", "<p>about")]).await;
    let items = |command: &mut Command| {
        let plan = run(command.args(["--json"]).args(EXACT)).expect(0);
        plan.json["invalidations"][0]["items"].to_string().contains("\"/about\"")
    };
    settings(&world, &format!("{SITE}clean-urls = true\n"));
    assert!(items(&mut there(&world, &["plan"])), "the file");
    assert!(!items(there(&world, &["plan"]).env("SHIPFRONT_CLEAN_URLS", "false")), "the environment");
    assert!(items(there(&world, &["plan", "--clean-urls"]).env("SHIPFRONT_CLEAN_URLS", "false")), "the flag");
    assert!(!items(&mut there(&world, &["plan", "--clean-urls=false"])), "taken back");
    settings(&world, SITE);
    assert!(!items(&mut there(&world, &["plan"])), "by default");
    assert!(items(there(&world, &["plan"]).env("SHIPFRONT_CLEAN_URLS", "1")), "the environment alone");
    // A number and a word as well; an invalid one is refused like a flag's.
    run(there(&world, &["plan"]).env("SHIPFRONT_MAX_PATHS", "0")).expect(2).says("max-paths");
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_options_override_what_they_exclude_in_the_file() {
    let world = World::new(&[PAGE]).await;
    settings(&world, &format!("{SITE}record = \"s3://www.example.com/records\"\n"));
    run_there(&world, &["deploy", "--no-record"]).expect(0);
    assert_eq!(world.edge.objects(BUCKET).len(), 1, "no record anywhere");
    settings(&world, &format!("{SITE}no-record = true\n"));
    run_there(&world, &["deploy", "--record", "s3://www.example.com/.shipfront/x"]).expect(0);
    assert!(world.edge.objects(BUCKET).iter().any(|object| object.key.starts_with(".shipfront/x/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_a_usage_error_with_file_line_column_and_the_nearest_name() {
    let world = World::new(&[PAGE]).await;
    settings(&world, &format!("{SITE}\n[env.staging]\n  max-path = 3\n"));
    let refused = run_there(&world, &["deploy"]).expect(2).says("shipfront.toml:5:3: unknown key \"max-path\"");
    refused.says("hint: did you mean \"max-paths\"?");
    let reported = run_there(&world, &["deploy", "--json"]).expect(2);
    assert!(reported.json["hint"].as_str().unwrap().contains("max-paths"), "{}", reported.stdout);
    settings(&world, "target = 5\n");
    run_there(&world, &["status"]).expect(2).says("shipfront.toml:1:10: target: expected a string, not a number");
    fs::write(world.outside().join("shipfront.toml"), b"source = \"a\"\n\xff").unwrap();
    run_there(&world, &["deploy"]).expect(2).says("shipfront.toml:2:1: the file is not in UTF-8");
    assert!(world.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_files_are_neither_uploaded_nor_deleted() {
    let world = World::deployed(&[PAGE, ("draft/a.html", "a"), ("draft/b.html", "b"), ("app.js.map", "1")]).await;
    settings(&world, &format!("{SITE}exclude = [\"/draft/\", \"*.map\"]\nprune-after = \"0s\"\n"));
    world.write("draft/a.html", "changed");
    world.write("draft/new.html", "new");
    world.write("x/other.map", "new");
    world.remove("draft/b.html");
    world.remove("app.js.map");
    let run = run_there(&world, &["deploy", "--json"]).expect(0);
    assert_eq!(run.outcome(), "nothing-to-do", "{}", run.stdout);
    assert_eq!(world.keys(), ["app.js.map", "draft/a.html", "draft/b.html", "index.html"]);
    assert_eq!(world.writes(), [] as [&str; 0]);
    // shipfront still owns them: once they are no longer excluded, everything is corrected.
    settings(&world, &format!("{SITE}prune-after = \"0s\"\n"));
    run_there(&world, &["deploy"]).expect(0);
    assert_eq!(world.keys(), ["draft/a.html", "draft/new.html", "index.html", "x/other.map"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_excluded_may_be_unreadable() {
    let world = World::new(&[PAGE]).await;
    std::os::unix::fs::symlink("nowhere", world.path("broken.tmp")).unwrap();
    world.deploy(&[]).expect(6);
    world.deploy(&["--exclude", "*.tmp"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_of_pages_and_assets_decide_the_order_and_when_orphans_go() {
    let files = [PAGE, ("data/list.json", "[]"), ("embed/frame.html", "<p>"), ("app.js", "1")];
    let world = World::new(&files).await;
    settings(&world, &format!("{SITE}pages = \"/data/*.json\"\nassets = [\"/embed/\"]\n"));
    let run = run_there(&world, &["plan", "--json"]).expect(0);
    let waves = |wave: &str| {
        let changes = run.json["changes"].as_array().unwrap().iter().filter(|change| change["wave"] == wave);
        changes.map(|change| change["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(waves("assets"), ["app.js", "embed/frame.html"]);
    assert_eq!(waves("pages"), ["data/list.json", "index.html"]);
    run_there(&world, &["deploy"]).expect(0);
    let puts: Vec<String> = world.writes().into_iter().filter(|line| line.starts_with("PUT")).collect();
    let at = |key: &str| puts.iter().position(|line| line.ends_with(key)).unwrap();
    assert!(at("embed/frame.html") < at("data/list.json"), "{puts:?}");
    world.remove("data/list.json");
    world.remove("embed/frame.html");
    run_there(&world, &["deploy"]).expect(0);
    assert_eq!(world.keys(), ["app.js", "embed/frame.html", "index.html"]);
    // The record is interpreted with the same rules.
    let status = run_there(&world, &["status", "--json"]).expect(0).json;
    let orphan = &status["orphans"][0];
    assert_eq!(orphan["key"], "embed/frame.html");
    assert_ne!(orphan["since"], orphan["goes_after"]);
    let never = run_there(&world, &["status", "--json", "--prune-after", "never"]).expect(0).json;
    assert!(never["orphans"][0]["goes_after"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_itself_is_no_part_of_the_site() {
    let world = World::new(&[PAGE, ("sub/shipfront.toml", "mine")]).await;
    world.write("shipfront.toml", "target = \"s3://www.example.com\"\n");
    let run = run(world.command(&["deploy", ".", "--json"]).current_dir(world.source())).expect(0);
    assert_eq!(run.objects("uploaded"), 2);
    assert_eq!(world.keys(), ["index.html", "sub/shipfront.toml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn header_rules_of_the_file_are_checked_with_it() {
    let world = World::new(&[PAGE]).await;
    settings(&world, &format!("{SITE}[[headers]]\nfiles = \"*.html\"\ncache-contrl = \"no-cache\"\n"));
    run_there(&world, &["plan"]).expect(2).says("shipfront.toml:5:1: headers: unknown key \"cache-contrl\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_have_the_headers_of_the_file_and_a_section_has_its_own() {
    let world = World::new(&[PAGE, ("app.js", "1")]).await;
    let rule = |files: &str, value: &str| format!("files = \"{files}\"\ncache-control = \"{value}\"\n");
    let (pages, scripts, staging) = (rule("*", "max-age=0"), rule("*.js", "immutable"), rule("*", "no-store"));
    settings(&world, &format!("{SITE}[[headers]]\n{pages}[[headers]]\n{scripts}[[env.staging.headers]]\n{staging}"));
    run_there(&world, &["deploy"]).expect(0);
    let cache_control = async |key: &str| {
        let head = aws::s3(&world.edge).head_object().bucket(BUCKET).key(key).send().await.unwrap();
        head.cache_control().unwrap_or_default().to_owned()
    };
    assert_eq!(cache_control("index.html").await, "max-age=0");
    assert_eq!(cache_control("app.js").await, "immutable");
    run_there(&world, &["deploy", "--env", "staging"]).expect(0);
    assert_eq!(cache_control("app.js").await, "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_edge_takes_no_distribution_and_no_record_of_the_file() {
    let world = World::new(&[PAGE]).await;
    settings(&world, &format!("{SITE}distribution = \"E2QWRUHAPOMQZL\"\nrecord = \"s3://records-of-others/www\"\n"));
    let mut local = there(&world, &["deploy", "--local", "--json"]);
    let local = run(local.env("SHIPFRONT_EDGE_DIRECTORY", world.outside().join("edge")));
    let local = local.expect(0);
    assert_eq!(local.json["target"], TARGET);
    assert_eq!(local.json["invalidations"].as_array().unwrap().len(), 1, "{}", local.stdout);
    assert!(world.writes().is_empty(), "nothing went to AWS");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_local_edge_nor_who_does_not_wait_verifies_because_the_file_says_so() {
    let world = World::new(&[PAGE]).await;
    // Nothing answers there, and that is what verifying would find.
    let verify = "verify = \"http://127.0.0.1:9\"\n";
    settings(&world, &format!("{SITE}{verify}"));
    let mut local = there(&world, &["deploy", "--local", "--json"]);
    let local = run(local.env("SHIPFRONT_EDGE_DIRECTORY", world.outside().join("edge")));
    assert!(local.expect(0).json["verified"].is_null());
    for (line, of_file) in [(&["deploy", "--no-wait", "--json"][..], ""), (&["deploy", "--json"], "no-wait = true\n")] {
        settings(&world, &format!("{SITE}distribution = \"{}\"\n{verify}{of_file}", world.distribution));
        let run = run_there(&world, line).expect(0);
        assert!(run.json["verified"].is_null(), "{}", run.stdout);
        fs::write(world.source().join("new.html"), of_file).unwrap();
    }
    // If typed, it overrides the file's `no-wait`; if `no-wait` is revoked, the file's `verify` applies.
    run_there(&world, &["deploy", "--json", "--verify", "http://127.0.0.1:9"]).expect(7);
    // Nothing answered, which leaves the next run nothing to do.
    fs::write(world.source().join("new.html"), "an edit").unwrap();
    run_there(&world, &["deploy", "--json", "--no-wait=false"]).expect(7);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidate_goes_by_the_files_distribution_but_for_urls() {
    let world = World::new(&[PAGE]).await;
    settings(&world, &format!("{SITE}distribution = \"{}\"\n", world.distribution));
    world.edge.ensure_site("another-bucket").unwrap();
    run_there(&world, &["invalidate", "/x"]).expect(0);
    assert_eq!(world.writes(), ["INVALIDATE /x"]);
    fs::remove_file(world.outside().join("shipfront.toml")).unwrap();
    run_there(&world, &["invalidate", "/x"]).expect(2);
}

#[test]
fn init_writes_a_file_that_a_plan_reads() {
    let project = tempfile::tempdir().unwrap();
    fs::create_dir(project.path().join("public")).unwrap();
    fs::write(project.path().join("public/index.html"), "<p>").unwrap();
    fs::write(project.path().join("hugo.toml"), "").unwrap();
    let at = |arguments: &[&str]| {
        let mut command = command::clean(command::binary());
        command::run(command.args(arguments).current_dir(project.path()))
    };
    assert!(at(&["init"]).ended_with(0).stdout.contains("for Hugo"));
    at(&["init"]).ended_with(6).says("--force");
    at(&["init", "--force", "--json"]).ended_with(0);
    at(&["plan"]).ended_with(2).says("no target");
}

#[test]
fn import_prints_the_file_and_names_what_is_left() {
    let project = tempfile::tempdir().unwrap();
    fs::write(project.path().join(".s3deploy.yml"), "bucket: www.example.com\nworkers: 3\nroutes: []\n").unwrap();
    let mut command = command::clean(command::binary());
    let run = command::run(command.args(["import", ".s3deploy.yml"]).current_dir(project.path())).ended_with(0);
    assert!(run.stdout.contains("target = \"s3://www.example.com\""), "{run:?}");
    run.says("workers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_in_the_repository_is_that_of_the_file() {
    let world = World::new(&[PAGE]).await;
    let printed = command::run(&mut shipfront(&world.edge, &["schema"])).ended_with(0).stdout;
    let kept = fs::read_to_string(repository("shipfront.schema.json")).unwrap();
    assert!(printed == kept, "run: shipfront schema > shipfront.schema.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_policy_status_unlock_and_tags_need_no_arguments_beside_the_file() {
    let world = World::new(&[PAGE]).await;
    let records = world.edge.ensure_site("records-of-others").unwrap();
    let id = &world.distribution;
    settings(
        &world,
        &format!(
            "source = \"public\"\ntarget = \"s3://www.example.com/blog\"\ndistribution = \"{id}\"\n\
             record = \"s3://records-of-others/www\"\n\
             [env.staging]\ntarget = \"s3://records-of-others\"\ndistribution = \"{records}\"\nrecord = \"s3://www.example.com/records\"\n"
        ),
    );
    run_there(&world, &["deploy"]).expect(0);
    world.edge.clear_requests();
    let doctor = run_there(&world, &["doctor", "--json"]).expect(0);
    assert_eq!(doctor.json["target"], "s3://www.example.com/blog");
    assert!(doctor.stdout.contains("at s3://records-of-others/www, and nothing is pending"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains(&format!("origin of distribution {id}")), "{}", doctor.stdout);
    assert_eq!(world.count("ListDistributions"), 0, "the file names it");
    let staging = run_there(&world, &["doctor", "--json", "--env", "staging"]).expect(0);
    assert_eq!(staging.json["target"], "s3://records-of-others");
    assert!(staging.stdout.contains(&format!("origin of distribution {records}")), "{}", staging.stdout);

    let policy = run_there(&world, &["policy"]).expect(0).stdout;
    for arn in
        ["s3:::www.example.com/blog/*\"", "s3:::records-of-others/www/*\"", &format!("::ACCOUNT:distribution/{id}\"")]
    {
        assert!(policy.contains(arn), "{arn}: {policy}");
    }
    assert!(!policy.contains("cloudfront:ListDistributions"), "{policy}");
    let staging = run_there(&world, &["policy", "--bucket-policy", "--env", "staging"]).expect(0).stdout;
    assert!(staging.contains("s3:::records-of-others/*\"") && staging.contains(&records), "{staging}");
    let typed = run_there(&world, &["policy", "--bucket", "another.example.com"]).expect(0).stdout;
    assert!(typed.contains("s3:::another.example.com/*\"") && !typed.contains("/blog"), "{typed}");

    assert!(run_there(&world, &["status"]).expect(0).stdout.contains("1 object\n"));
    run_there(&world, &["unlock"]).expect(0).says("The lock is free");
    assert!(run_there(&world, &["tags", "--enable"]).expect(0).stdout.contains(id), "of this distribution");
    run_there(&world, &["tags", "--backfill"]).expect(6).says("no distribution of the site reads cache tags");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_policy_and_backfill_say_what_is_missing_where_nothing_names_a_site() {
    let world = World::new(&[PAGE]).await;
    run_there(&world, &["doctor"]).expect(2).says("no target");
    run_there(&world, &["tags", "--backfill"]).expect(2).says("no target");
    assert!(run_there(&world, &["policy"]).expect(0).stdout.contains("arn:aws:s3:::BUCKET/*"), "in capitals");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_and_policy_know_a_site_without_a_record_and_without_a_distribution() {
    let world = World::new(&[PAGE]).await;
    settings(&world, "target = \"s3://www.example.com/blog\"\nno-record = true\ndistribution = \"none\"\n");
    let doctor = run_there(&world, &["doctor", "--verbose"]).expect(0).stdout;
    assert!(!doctor.contains("deploy record:") && doctor.contains("deploys invalidate nothing"), "{doctor}");
    let policy = run_there(&world, &["policy"]).expect(0).stdout;
    assert!(!policy.contains(".shipfront") && !policy.contains("cloudfront"), "{policy}");
    // What is typed overrides it.
    let doctor =
        run_there(&world, &["doctor", "--verbose", "--record", "s3://www.example.com/records"]).expect(0).stdout;
    assert!(doctor.contains("none at s3://www.example.com/records yet"), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_site_of_the_files_source_is_found() {
    let world = World::new(&[PAGE]).await;
    // Its distribution and its record are those on AWS.
    settings(&world, "source = \"public\"\ndistribution = \"E2QWRUHAPOMQZL\"\nrecord = \"s3://records/site\"\n");
    let directory = world.outside().join("edge");
    let local = |arguments: &[&str]| run(there(&world, arguments).env("SHIPFRONT_EDGE_DIRECTORY", &directory));
    local(&["deploy", "--local"]).expect(0);
    let doctor = local(&["doctor", "--local", "--verbose"]).expect(0).stdout;
    assert!(doctor.contains("and nothing is pending"), "{doctor}");
    assert!(local(&["status", "--local"]).expect(0).stdout.contains("s3://public-"));
    local(&["unlock", "--local"]).expect(0).says("The lock is free");
    assert!(local(&["tags", "--enable", "--local"]).expect(0).stdout.contains("reads no cache tags yet"));
    let sent = local(&["invalidate", "/", "--local", "--json"]).expect(0).json;
    let other = local(&["deploy", "public", "s3://another.example.com", "--local", "--json"]).expect(0);
    assert!(other.stdout.contains("s3://another.example.com"), "{}", other.stdout);
    let again = local(&["invalidate", "/", "--local", "--json"]).expect(0).json;
    assert_eq!(again["invalidations"][0]["distribution"], sent["invalidations"][0]["distribution"]);
}
