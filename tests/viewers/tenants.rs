//! Multi-tenant distributions: viewers use a tenant, and so does the invalidation.

use super::audience::{Audience, configure, deploy_to};
use crate::world::http::request;
use crate::world::site::{ALWAYS, World, denied};
use shipfront_edge::{ConnectionMode, Distribution, Tenant};
use std::collections::BTreeMap;

const SITE: [&str; 4] = ["about/index.html", "blog/index.html", "index.html", "robots.txt"];
const TOUCHED: [&str; 2] = ["about/index.html", "news/index.html"];

/// Two tenants, each with the folder of its color; nothing is deployed yet.
async fn world() -> World {
    let world = World::new(&SITE.map(|key| (key, key))).await;
    configure(&world, |distribution| {
        *distribution = distribution.clone().with_index_rewrite();
        distribution.connection_mode = ConnectionMode::TenantOnly;
        distribution.origins[0].origin_path = "/{{colour}}".to_owned();
    });
    for colour in ["red", "blue"] {
        let parameters = BTreeMap::from([("colour".to_owned(), colour.to_owned())]);
        let (id, distribution_id) = (format!("dt_{colour}"), world.distribution.clone());
        world.edge.put_tenant(Tenant { id, distribution_id, parameters, domains: Vec::new() }).unwrap();
    }
    world
}

/// The distribution as the tenant's viewers see it.
fn red(world: &World) -> Distribution {
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.connection_mode = ConnectionMode::Direct;
    distribution.origins[0].origin_path = "/red".to_owned();
    distribution
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_fresh_after_its_deploy_and_its_neighbour_undisturbed() {
    let world = world().await;
    for colour in ["red", "blue"] {
        deploy_to(&world, colour, &["--distribution-tenant", &format!("dt_{colour}")]).expect(0);
    }
    let blue = async || request(&world.edge.viewer_url(), "GET", "/about/", &[("host", "dt-blue.localhost")]).await;
    assert_eq!(blue().await.text(), "about/index.html");
    let mut everybody = Audience::at(&world, "dt-red.localhost", red(&world)).of(&SITE).touching(&TOUCHED);
    everybody.fill().await;
    for key in TOUCHED {
        world.write(key, "another");
    }
    world.edge.clear_requests();
    let run = deploy_to(&world, "red", &["--distribution-tenant", "dt_red"]).expect(0);
    assert_eq!(run.json["invalidations"][0]["distribution"], "dt_red");
    assert_eq!(everybody.check(&run).await.len(), 0);
    assert_eq!((blue().await.text().as_str(), blue().await.header("age").is_some()), ("about/index.html", true));
    assert_eq!((world.count("CreateInvalidationForDistributionTenant"), world.count("CreateInvalidation")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_does_not_guess_the_tenants() {
    let world = world().await;
    let run = deploy_to(&world, "red", &[]).expect(2).says("multi-tenant").says("--distribution-tenant");
    assert_eq!((run.outcome(), world.writes()), ("failed", vec![]));
    assert_eq!(world.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tenant_is_a_usage_error_and_an_unreadable_one_names_the_permission() {
    let world = world().await;
    deploy_to(&world, "red", &["--distribution-tenant", "dt_green"]).expect(2).says("dt_green does not exist");
    deploy_to(&world, "red", &["--distribution-tenant", "dt_red"]).expect(0);
    let mut everybody = Audience::at(&world, "dt-red.localhost", red(&world)).of(&SITE).touching(&TOUCHED);
    everybody.fill().await;
    world.write(TOUCHED[0], "another");
    world.fault("GetDistributionTenant", 0, ALWAYS, denied());
    let run = deploy_to(&world, "red", &["--distribution-tenant", "dt_red"]).expect(0);
    assert!(run.warnings().contains("cloudfront:GetDistributionTenant"), "{}", run.warnings());
    everybody.check(&run).await;
}
