//! The endpoint for the contents of key-value stores.
//!
//! AWS has a host for each account, and the SDK adds the account's number to any configured endpoint. Other
//! servers, such as the local edge, have no such hosts, and get requests at their own.

use crate::aws::is_amazon;
use aws_sdk_cloudfrontkeyvaluestore::config::endpoint::{DefaultResolver, EndpointFuture, Params, ResolveEndpoint};
use aws_smithy_types::Document;
use aws_smithy_types::endpoint::{Endpoint, EndpointAuthScheme};

/// The service's own rules, except for other servers.
#[derive(Debug, Default)]
pub(super) struct StoreEndpoint {
    rules: DefaultResolver,
}

impl ResolveEndpoint for StoreEndpoint {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        match params.endpoint() {
            Some(url) if !is_amazon(url) => {
                // As in the rules: the only signature that the service accepts.
                let signature = EndpointAuthScheme::with_capacity("sigv4a", 2)
                    .put("signingName", "cloudfront-keyvaluestore".to_owned())
                    .put("signingRegionSet", vec![Document::from("*".to_owned())]);
                EndpointFuture::ready(Ok(Endpoint::builder().url(url.to_owned()).auth_scheme(signature).build()))
            }
            _ => self.rules.resolve_endpoint(params),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:cloudfront::123456789012:key-value-store/8a3e1f00-1c7d-4d8a-9c1e-0f0e5a7d2b11";

    async fn url(endpoint: Option<&str>) -> String {
        let mut params = Params::builder().kvs_arn(ARN).region("us-east-1");
        if let Some(endpoint) = endpoint {
            params = params.endpoint(endpoint);
        }
        let endpoint = StoreEndpoint::default().resolve_endpoint(&params.build().unwrap()).await.unwrap();
        assert!(format!("{endpoint:?}").contains("sigv4a"), "{endpoint:?}");
        endpoint.url().to_owned()
    }

    #[tokio::test]
    async fn amazon_has_a_host_for_each_account_and_another_server_has_none() {
        assert_eq!(url(None).await, "https://123456789012.cloudfront-kvs.global.api.aws");
        assert_eq!(url(Some("http://127.0.0.1:9000")).await, "http://127.0.0.1:9000");
        assert!(url(Some("https://vpce.cloudfront-kvs.global.api.aws")).await.starts_with("https://123456789012."));
    }
}
