//! Rules that go live with the deploy: `publish-rules`.

mod attached;
mod crash;
mod crash_back;
mod failing;
mod live;
pub(crate) mod rollback;
mod shown;
pub(crate) mod store;
mod store_crash;

use crate::world::http::{Answer, get};
use crate::world::site::{BUCKET, EXACT, Run, World};
use shipfront_edge::{Edge, Function, Stage};

/// The two functions of a site's distribution.
pub(crate) const FUNCTIONS: [(&str, &str); 2] =
    [("viewer-request", "site-request"), ("viewer-response", "site-response")];
/// The options of only this setup.
pub(crate) const PUBLISH: [&str; 5] = [EXACT[0], EXACT[1], EXACT[2], EXACT[3], "--publish-rules"];

/// A function with a comment and code that changes nothing.
pub(crate) fn function(name: &str, comment: &str, returned: &str) -> Function {
    Function {
        name: name.to_owned(),
        comment: comment.to_owned(),
        runtime: "cloudfront-js-2.0".to_owned(),
        code: format!("function handler(event) {{ return event.{returned}; }}"),
        key_value_store: None,
    }
}

/// Attaches the two functions, shipfront's own for the bucket, to its distribution.
pub(crate) fn attach(edge: &Edge, bucket: &str, distribution: &str) {
    let comment = format!("shipfront s3://{bucket}");
    let mut changed = edge.distribution(distribution).unwrap();
    for ((event, name), returned) in FUNCTIONS.into_iter().zip(["request", "response"]) {
        edge.put_function(&function(name, &comment, returned)).unwrap();
        changed = changed.with_function(event, name);
    }
    edge.put_distribution(changed).unwrap();
}

/// A world with the functions attached and these files.
pub(crate) async fn world(files: &[(&str, &str)]) -> World {
    let world = World::new(files).await;
    attach(&world.edge, BUCKET, &world.distribution);
    world.close_the_record().await;
    world
}

pub(crate) fn publish(world: &World) -> Run {
    world.deploy(&PUBLISH)
}

pub(crate) async fn view(world: &World, path: &str) -> Answer {
    get(&world.edge.viewer_url(), path).await
}

/// The status and the location of a response.
pub(crate) async fn leads(world: &World, path: &str) -> (u16, String) {
    let answer = view(world, path).await;
    (answer.status, answer.header("location").unwrap_or_default().to_owned())
}

/// The code that viewers get.
pub(crate) fn live(edge: &Edge, name: &str) -> String {
    edge.function(name, Stage::Live).unwrap().code
}

/// The requests that changed something, with the tests of a function as one.
pub(crate) fn writes(world: &World) -> Vec<String> {
    let mut writes = world.writes();
    writes.dedup();
    writes
}
