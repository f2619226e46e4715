//! The settings that `init` writes, from the first deploy on.

use crate::world::aws::s3;
use crate::world::site::{BUCKET, Run, World, run};
use std::fs;

fn run_there(world: &World, arguments: &[&str]) -> Run {
    run(world.command(arguments).current_dir(world.outside()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_is_obeyed_and_is_overwritten_only_by_force() {
    let digested = "assets/index-B9w_x-1Z.js";
    let world = World::new(&[("index.html", "home"), ("about/index.html", "about"), (digested, "app")]).await;
    fs::write(world.outside().join("hugo.toml"), "title = 'A site'\n").unwrap();
    let file = world.outside().join("shipfront.toml");
    fs::write(&file, "# mine\n").unwrap();
    run_there(&world, &["init"]).expect(6).says("pass --force");
    assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n");
    run_there(&world, &["init", "--force"]).expect(0);
    let text = fs::read_to_string(&file).unwrap();
    // What is proposed can be parsed as well as what is written.
    fs::write(&file, text.replacen("# target =", "target =", 1).replacen("# prune-after =", "prune-after =", 1))
        .unwrap();
    let planned = run_there(&world, &["plan", "--json"]).expect(0);
    assert_eq!((planned.outcome(), planned.objects("uploaded")), ("planned", 3));
    assert_eq!(run_there(&world, &["deploy", "--json"]).expect(0).outcome(), "deployed");
    let head = s3(&world.edge).head_object().bucket(BUCKET).key("about/index.html").send().await.unwrap();
    assert_eq!(head.cache_control.as_deref(), Some("max-age=0, s-maxage=31536000, must-revalidate"));
}
