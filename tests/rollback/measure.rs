//! How long a rollback takes, compared with a deploy of the old build. CONTRIBUTING names the command.

use crate::world::sites::Place;
use std::fs;
use std::path::Path;
use std::time::Duration;

const OBJECTS: usize = 10_000;
const CHANGED: usize = 1_000;
const LATENCY: Duration = Duration::from_millis(20);

fn write(directory: &Path, build: usize) {
    for number in 0..OBJECTS {
        let path = directory.join(format!("{:02}/{number}.html", number % 100));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let build = if number % (OBJECTS / CHANGED) == 0 { build } else { 0 };
        fs::write(path, format!("page {number} of build {build}\n").repeat(200)).unwrap();
    }
    fs::write(directory.join("index.html"), "welcome").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn a_rollback_beside_a_deploy_of_the_old_build() {
    let place = Place::slow(LATENCY).await;
    place.edge.ensure_site("measured").unwrap();
    place.edge.set_versioning("measured", true).unwrap();
    let (target, options) = ("s3://measured", ["--no-wait"]);
    let builds = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (number, build) in builds.iter().enumerate() {
        write(build.path(), number);
        place.deploy(build.path(), target, &options).await.unwrap();
    }
    let show = |what: &str, report: &shipfront::report::Report| {
        let (seconds, objects) = (report.seconds.total, report.objects);
        println!("{what}: {seconds:.1} s; {} uploaded, {} copied", objects.uploaded, objects.copied);
        let mut counts = std::collections::BTreeMap::new();
        for request in place.edge.requests() {
            *counts.entry(request.operation).or_insert(0) += 1;
        }
        println!("  {counts:?}");
        place.edge.clear_requests();
    };
    place.edge.clear_requests();
    let report = place.rollback(target, &options).await.unwrap();
    show("rollback", &report);
    place.deploy(builds[1].path(), target, &options).await.unwrap();
    place.edge.clear_requests();
    let report = place.deploy(builds[0].path(), target, &options).await.unwrap();
    show("deploy of the old build", &report);
}
