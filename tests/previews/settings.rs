//! `[previews]` of shipfront.toml, for each of the commands that need it.

use super::{AT, world};
use crate::world::site::World;

/// A command's output, run in the directory next to the source.
fn run(world: &World, arguments: &[&str]) -> crate::world::site::Run {
    crate::world::site::run(world.command(arguments).current_dir(world.outside()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_says_where_previews_go_at_which_url_and_how_long_they_stay() {
    let world = world().await;
    let text = format!(
        "source = \"public\"\ntarget = \"s3://www.example.com\"\n[previews]\ntarget = \"{AT}\"\n\
         url = \"https://{{name}}.preview.example.com\"\nexpires = \"1h\"\n[env.short.previews]\nexpires = \"1m\"\n"
    );
    std::fs::write(world.outside().join("shipfront.toml"), text).unwrap();
    world.write("index.html", "welcome two");
    let deployed = run(&world, &["deploy", "--preview", "main", "--json"]).expect(0);
    assert_eq!(deployed.json["url"], "https://main.preview.example.com/");
    assert_eq!(deployed.json["target"], "s3://previews.example.com/main");
    run(&world, &["deploy", "--preview", "other", "--env", "short", "--json"]).expect(0);
    world.edge.advance_clock(std::time::Duration::from_secs(120));
    let pruned = run(&world, &["previews", "--prune", "--json"]).expect(0);
    assert_eq!(pruned.json["removed"][0]["name"], "other");
    let listed = run(&world, &["previews", "--json"]).expect(0);
    assert_eq!(listed.json["previews"][0]["url"], "https://main.preview.example.com/");
    assert_eq!(run(&world, &["promote", "main", "--json"]).expect(0).objects("copied"), 1);
    assert_eq!(run(&world, &["deploy", "--json"]).expect(0).outcome(), "nothing-to-do", "it is no preview by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_section_is_reported_with_its_place() {
    let world = world().await;
    for (text, said) in [
        ("previews = 1", "shipfront.toml:1:12: previews: expected a section"),
        ("[previews]\ntraget = \"s3://x\"", "shipfront.toml:2:1: previews: unknown key \"traget\""),
        ("[previews]\ntarget = \"x\"", "is not an s3:// URL"),
        ("[previews]\nexpires = \"soon\"", "not a duration"),
        ("[previews]\nurl = \"https://example.com\"", "not a URL with {name}"),
        ("preview = \"main\"", "is set for a single run"),
        ("previews-target = \"s3://abc\"", "unknown key \"previews-target\""),
    ] {
        std::fs::write(world.outside().join("shipfront.toml"), text).unwrap();
        run(&world, &["previews", AT]).expect(2).says(said);
    }
}
