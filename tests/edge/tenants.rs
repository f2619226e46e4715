//! Tenants of a multi-tenant distribution, for CloudFront's SDK and for viewers.

use std::collections::BTreeMap;

use aws_sdk_cloudfront::types::{ConnectionMode as Mode, InvalidationBatch, Paths};
use aws_sdk_s3::primitives::ByteStream;
use shipfront_edge::{ConnectionMode, Edge, Tenant};

use crate::world::aws::{cloudfront, code, edge, s3};
use crate::world::http::request;

/// A distribution that serves the folder of each of its two tenants.
async fn world() -> (Edge, String) {
    let edge = edge().await;
    let id = edge.ensure_site("site").unwrap();
    let mut distribution = edge.distribution(&id).unwrap();
    distribution.connection_mode = ConnectionMode::TenantOnly;
    distribution.origins[0].origin_path = "/{{folder}}".to_owned();
    edge.put_distribution(distribution).unwrap();
    for name in ["red", "blue"] {
        let parameters = BTreeMap::from([("folder".to_owned(), name.to_owned())]);
        let domains = vec![format!("{name}.example.com")];
        edge.put_tenant(Tenant { id: format!("dt_{name}"), distribution_id: id.clone(), parameters, domains }).unwrap();
        let body = ByteStream::from(name.as_bytes().to_vec());
        s3(&edge).put_object().bucket("site").key(format!("{name}/a")).body(body).send().await.unwrap();
    }
    (edge, id)
}

async fn seen(edge: &Edge, host: &str) -> (u16, String, bool) {
    let answer = request(&edge.viewer_url(), "GET", "/a", &[("host", host)]).await;
    (answer.status, answer.text(), answer.header("age").is_some())
}

#[tokio::test]
async fn each_tenant_has_its_own_origin_path_and_its_own_cache() {
    let (edge, id) = world().await;
    for hit in [false, true] {
        assert_eq!(seen(&edge, "dt-red.localhost").await, (200, "red".to_owned(), hit));
        assert_eq!(seen(&edge, "DT-blue.localhost:80").await, (200, "blue".to_owned(), hit));
    }
    assert_eq!(seen(&edge, &format!("{id}.localhost")).await.0, 404);

    let paths = Paths::builder().quantity(1).items("/a").build().unwrap();
    let batch = InvalidationBatch::builder().paths(paths).caller_reference("one").build().unwrap();
    let client = cloudfront(&edge);
    let created = client.create_invalidation_for_distribution_tenant().id("dt_red").invalidation_batch(batch);
    let created = created.send().await.unwrap().invalidation.unwrap();
    let got = client.get_invalidation_for_distribution_tenant().distribution_tenant_id("dt_red").id(created.id());
    assert_eq!(got.send().await.unwrap().invalidation.unwrap().status(), "Completed");
    assert_eq!(edge.invalidations("dt_red")[0].items, ["/a"]);
    assert!(!seen(&edge, "dt-red.localhost").await.2);
    assert!(seen(&edge, "dt-blue.localhost").await.2);
}

#[tokio::test]
async fn a_tenant_is_described_with_its_distribution_and_parameters() {
    let (edge, id) = world().await;
    let client = cloudfront(&edge);
    let got = client.get_distribution_tenant().identifier("dt_red").send().await.unwrap();
    let got = got.distribution_tenant.unwrap();
    assert_eq!((got.distribution_id(), got.domains()[0].domain()), (Some(id.as_str()), "red.example.com"));
    assert_eq!((got.parameters()[0].name(), got.parameters()[0].value()), ("folder", "red"));
    let config = client.get_distribution_config().id(&id).send().await.unwrap().distribution_config.unwrap();
    assert_eq!(config.connection_mode(), Some(&Mode::TenantOnly));
    let missing = client.get_distribution_tenant().identifier("dt_green").send().await.unwrap_err();
    assert_eq!(code(&missing), Some("EntityNotFound"));
}
