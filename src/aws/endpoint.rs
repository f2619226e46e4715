//! Resolves S3's endpoint once per bucket, instead of twice per request.
//!
//! The SDK evaluates S3's endpoint rules, including parsing a URL, both to sign and to send: 9 % of the samples of
//! a first deploy were in there. The requests of a deploy differ only in the key, which no rule reads.

use aws_sdk_s3::config::endpoint::{DefaultResolver, EndpointFuture, Params, ResolveEndpoint};
use aws_smithy_types::endpoint::Endpoint;
use std::sync::{Arc, PoisonError, RwLock};

/// S3's own rules, and their last result.
#[derive(Debug, Default)]
pub(crate) struct RememberedEndpoint {
    rules: DefaultResolver,
    last: Arc<RwLock<Option<(Params, Endpoint)>>>,
}

impl ResolveEndpoint for RememberedEndpoint {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, endpoint)) = &*last
            && lead_to_the_same(known, params)
        {
            return EndpointFuture::ready(Ok(endpoint.clone()));
        }
        drop(last);
        let last = self.last.clone();
        let rules = self.rules.resolve_endpoint(params);
        EndpointFuture::new(async move {
            let endpoint = rules.await?;
            *last.write().unwrap_or_else(PoisonError::into_inner) = Some((params.clone(), endpoint.clone()));
            Ok(endpoint)
        })
    }
}

/// Whether everything that the rules read is equal: object names are not part of it.
fn lead_to_the_same(one: &Params, other: &Params) -> bool {
    one.bucket() == other.bucket()
        && one.region() == other.region()
        && one.use_fips() == other.use_fips()
        && one.use_dual_stack() == other.use_dual_stack()
        && one.endpoint() == other.endpoint()
        && one.force_path_style() == other.force_path_style()
        && one.accelerate() == other.accelerate()
        && one.use_global_endpoint() == other.use_global_endpoint()
        && one.use_object_lambda_endpoint() == other.use_object_lambda_endpoint()
        && one.disable_access_points() == other.disable_access_points()
        && one.disable_multi_region_access_points() == other.disable_multi_region_access_points()
        && one.use_arn_region() == other.use_arn_region()
        && one.use_s3_express_control_endpoint() == other.use_s3_express_control_endpoint()
        && one.disable_s3_express_session_auth() == other.disable_s3_express_session_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn url(resolver: &RememberedEndpoint, bucket: &str, key: &str, region: &str) -> String {
        let params = Params::builder().bucket(bucket).key(key).region(region).build().unwrap();
        resolver.resolve_endpoint(&params).await.unwrap().url().to_owned()
    }

    #[tokio::test]
    async fn what_is_remembered_is_what_the_rules_say() {
        let resolver = RememberedEndpoint::default();
        let asked = [
            ("one", "a", "eu-west-1"),
            ("one", "b", "eu-west-1"),
            ("two", "b", "eu-west-1"),
            ("two", "b", "us-west-2"),
        ];
        for (bucket, key, region) in asked {
            let fresh = url(&RememberedEndpoint::default(), bucket, key, region).await;
            assert_eq!(url(&resolver, bucket, key, region).await, fresh);
            assert!(fresh.contains(bucket) && fresh.contains(region), "{fresh}");
        }
    }
}
