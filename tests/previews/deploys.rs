//! A deploy of a preview: what is copied, what is uploaded, and what production sees of it.

use super::{AT, PREVIEWS, bodies, change, changed, listed, original, preview, production, text, world};
use crate::world::aws::s3;
use crate::world::site::{ALWAYS, BUCKET, TARGET, World, denied};
use shipfront_site::host_label::host_label;
use std::collections::BTreeMap;

fn counts(run: &crate::world::site::Run) -> [u64; 3] {
    ["copied", "uploaded", "kept"].map(|count| run.objects(count))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_previews_copy_what_production_has_and_upload_the_rest() {
    let world = world().await;
    change(&world);
    let first = preview(&world, "feature/search", &[]).expect(0);
    assert_eq!((first.outcome(), counts(&first)), ("deployed", [2, 3, 0]), "{}", first.stdout);
    assert_eq!(first.objects("bytes_uploaded"), 8 + 11 + 3);
    // One more copy that tests the store's conditions.
    assert_eq!((world.count("PutObject"), world.count("CopyObject")), (3, 3));
    assert_eq!(world.count("CreateInvalidation"), 0, "nothing keeps copies of a preview");
    world.edge.clear_requests();
    world.write("about.html", "about us");
    let second = preview(&world, "42", &[]).expect(0);
    assert_eq!(counts(&second), [1, 4, 0], "{}", second.stdout);
    let label = host_label("feature/search");
    assert_eq!(bodies(&world, PREVIEWS, &format!("{label}/")).await, changed());
    let mut edited = changed();
    edited.insert("about.html".to_owned(), "about us".to_owned());
    assert_eq!(bodies(&world, PREVIEWS, "42/").await, edited);
    assert_eq!(production(&world).await, original());
    // What the preview's last deploy left is neither copied nor sent.
    let again = preview(&world, "42", &[]).expect(0);
    assert_eq!((again.outcome(), counts(&again)), ("nothing-to-do", [0, 0, 5]), "{}", again.stdout);
    assert_eq!((world.count("PutObject"), world.count("CopyObject")), (0, 0));
    world.write("index.html", "welcome");
    let back = preview(&world, "42", &[]).expect(0);
    assert_eq!(counts(&back), [1, 0, 4], "production has the one of before");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_have_the_headers_that_an_upload_would_have() {
    let world = world().await;
    let settings = world.outside().join("shipfront.toml");
    let rules = "[[headers]]\nfiles = \"*.css\"\ncache-control = \"max-age=77\"\nstorage-class = \"STANDARD_IA\"\n\
                 metadata = { theirs = \"kept\" }\n[[headers]]\nfiles = \"*.js\"\ncompress = [\"br\"]\n";
    std::fs::write(&settings, rules).unwrap();
    world.write("app.js", "let code = 1;".repeat(200));
    let config = ["--config", settings.to_str().unwrap()];
    world.deploy(&config).expect(0);
    let run = preview(&world, "main", &config).expect(0);
    assert_eq!(counts(&run), [5, 0, 0], "{}", run.stdout);
    let headers = |bucket: &str, prefix: &str| -> BTreeMap<String, _> {
        let objects = world.edge.objects(bucket).into_iter();
        let of = objects.filter_map(|object| Some((object.key.strip_prefix(prefix)?.to_owned(), object.headers)));
        of.filter(|(key, _)| !key.starts_with(".shipfront/")).collect()
    };
    assert_eq!(headers(PREVIEWS, "main/"), headers(BUCKET, ""));
    // A rule of this branch sets other headers: production's object is not the same.
    std::fs::write(&settings, rules.replace("77", "78")).unwrap();
    let run = preview(&world, "other", &config).expect(0);
    assert_eq!(counts(&run), [4, 1, 0]);
    assert_eq!(preview(&world, "other", &config).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_moved_are_copied_from_where_production_has_them_if_their_headers_are_the_same() {
    let world = world().await;
    let settings = world.outside().join("shipfront.toml");
    std::fs::write(&settings, "[[headers]]\nfiles = \"*.svg\"\ncompress = [\"br\"]\n").unwrap();
    let config = ["--config", settings.to_str().unwrap()];
    world.write("mark.svg", "<svg>".repeat(200));
    world.write("twice.css", "style");
    world.deploy(&config).expect(0);
    for (from, to) in [("style.css", "css/style.css"), ("mark.svg", "img/mark.svg"), ("app.js", "app.txt")] {
        std::fs::create_dir_all(world.path(to).parent().unwrap()).unwrap();
        std::fs::rename(world.path(from), world.path(to)).unwrap();
    }
    world.write("unlike.css", "stYle");
    world.edge.clear_requests();
    let run = preview(&world, "new", &config).expect(0);
    // Four of the same keys, and two that moved; another media type and other bytes are uploaded.
    assert_eq!(counts(&run), [6, 2, 0], "{}", run.stdout);
    let uploaded: Vec<String> = run.changes().into_iter().filter(|change| change.starts_with("upload")).collect();
    assert_eq!(uploaded, ["upload new app.txt", "upload new unlike.css"]);
    let objects = |bucket: &str| -> BTreeMap<String, _> {
        world.edge.objects(bucket).into_iter().map(|object| (object.key, object.headers)).collect()
    };
    let (before, after) = (objects(BUCKET), objects(PREVIEWS));
    assert_eq!(after["new/css/style.css"], before["style.css"]);
    assert_eq!(after["new/img/mark.svg"], before["mark.svg"]);
    assert_eq!(preview(&world, "new", &config).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_uploaded() {
    let world = world().await;
    world.write("zebra.css", "stripes");
    world.deploy(&[]).expect(0);
    // Others wrote it since production's last deploy. That says nothing about what is copied after it.
    world.put("style.css", "theirs").await;
    let run = preview(&world, "one", &["--concurrency", "1"]).expect(0);
    assert_eq!(counts(&run), [5, 1, 0], "{}", run.stdout);
    assert!(run.warnings().contains("1 object was uploaded because a copy could not be made"), "{}", run.stdout);
    world.remove("zebra.css");
    let mut expected = original();
    expected.insert("zebra.css".to_owned(), "stripes".to_owned());
    assert_eq!(bodies(&world, PREVIEWS, "one/").await, expected);
    world.fault("CopyObject", 0, ALWAYS, denied());
    let run = preview(&world, "two", &[]).expect(0);
    assert_eq!((run.outcome(), counts(&run)), ("deployed", [0, 5, 0]), "{}", run.stdout);
    assert!(run.warnings().contains("5 objects were uploaded"), "{}", run.stdout);
    assert_eq!(bodies(&world, PREVIEWS, "two/").await, original());
    assert_eq!(preview(&world, "two", &[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_read_production_uploads_everything() {
    let world = world().await;
    world.fault_of("GetObject", ".shipfront/state.json", 0, ALWAYS, denied());
    let run = preview(&world, "one", &[]).expect(0);
    assert_eq!(counts(&run), [0, 5, 0], "{}", run.stdout);
    assert!(run.warnings().contains("cannot read production"), "{}", run.stdout);
    assert_eq!(bodies(&world, PREVIEWS, "one/").await, original());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_needs_no_distribution_and_no_production() {
    let world = World::new(&super::SITE).await;
    world.edge.ensure_site(PREVIEWS).unwrap();
    for distribution in world.edge.distributions() {
        world.edge.remove_distribution(&distribution.id).unwrap();
    }
    let run = preview(&world, "one", &[]).expect(0);
    assert_eq!(counts(&run), [0, 5, 0], "{}", run.stdout);
    assert!(run.warnings().contains("cannot read production's distributions"), "{}", run.stdout);
    let arguments = ["deploy", world.source().to_str().unwrap(), "--preview", "two", "--previews-target", AT, "--json"];
    let run = world.run(&arguments).expect(0);
    assert_eq!((counts(&run), run.warnings()), ([0, 5, 0], String::new()));
    assert!(listed(&world)["two"]["production"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_comes_last_and_alone_and_is_a_field_of_the_json() {
    let world = world().await;
    let url = format!("https://{}.preview.example.com/", host_label("Feature/Search"));
    let options = ["--previews-url", "https://{name}.preview.example.com"];
    assert_eq!(preview(&world, "Feature/Search", &options).expect(0).json["url"], url);
    let source = world.source().to_str().unwrap().to_owned();
    let line =
        [&["deploy", &source, super::TARGET, "--preview", "Feature/Search", "--previews-target", AT], &options[..]];
    let said = text(&world, &line.concat()).expect(0).stdout;
    assert_eq!(said.lines().last(), Some(url.as_str()), "{said}");
    let quiet = [line.concat(), vec!["--quiet"]].concat();
    assert_eq!(text(&world, &quiet).expect(0).stdout.trim_end(), url);
    // Without a pattern there is no URL, and the output says where the preview is.
    let run = preview(&world, "42", &[]).expect(0).says("s3://previews.example.com/42");
    assert!(run.json["url"].is_null());
    let plan = world.plan(&["--preview", "43", "--previews-target", AT]).expect(0);
    assert_eq!((plan.outcome(), plan.objects("copied")), ("planned", 5));
    assert!(!listed(&world).contains_key("43"), "a plan writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_of_a_preview_is_as_short_lived_as_productions() {
    let world = world().await;
    world.write("404.html", "nothing here");
    preview(&world, "one", &[]).expect(0);
    let got = s3(&world.edge).get_object().bucket(PREVIEWS).key("one/404.html").send().await.unwrap();
    let of_preview = got.cache_control().map(str::to_owned);
    assert!(of_preview.as_deref().is_some_and(|value| value.contains("s-maxage=60")), "{of_preview:?}");
    super::promote(&world, "one", &[]).expect(0);
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_in_production_and_such_without_a_record_are_refused() {
    let world = world().await;
    for (options, said) in [
        (&["--previews-target", "s3://www.example.com/previews"][..], "overlap"),
        (&["--previews-target", AT, "--no-record"], "--no-record"),
        (&["--previews-target", AT, "--expires", "soon"], "not a duration"),
        (&["--previews-target", AT, "--previews-url", "https://example.com"], "not a URL with {name}"),
        (&[], "no target for previews"),
    ] {
        world.deploy(&[&["--preview", "one"], options].concat()).expect(2).says(said);
    }
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_it_is_what_it_copied_and_when_it_expires() {
    let world = world().await;
    change(&world);
    let source = world.source().to_str().unwrap();
    let deploy = |more: &[&str]| {
        let line = [&["deploy", source, TARGET, "--preview", "feature/search", "--previews-target", AT], more].concat();
        world.run(&line).expect(0).stdout
    };
    let first = deploy(&[]);
    let line = first.lines().find(|line| line.contains("Deployed")).unwrap();
    assert!(line.starts_with("✓ Deployed preview feature/search"), "{line}");
    assert!(line.contains("5 new files (2 copied from production) in ") && line.contains("; expires 20"), "{line}");
    // What production has as well is no news of the preview.
    assert!(first.contains("new.html") && !first.contains("about.html"), "{first}");
    world.write("new.html", "newer");
    world.write("about.html", "about us");
    let report = preview(&world, "feature/search", &[]).expect(0);
    assert_eq!(report.json["preview"]["name"], "feature/search");
    assert!(report.json["preview"]["expires"].as_str().unwrap().starts_with("20"), "{}", report.stdout);
    assert!(deploy(&[]).contains("✓ No changes: ") && deploy(&["--verbose"]).contains("; expires 20"));
}
