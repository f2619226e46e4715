//! AWS's own clients, pointed at a local edge.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use shipfront_edge::{Data, Edge, EdgeOptions};

/// An edge in memory on free ports.
pub(crate) async fn edge() -> Edge {
    start(Data::Memory).await
}

/// An edge on free ports.
pub(crate) async fn start(data: Data) -> Edge {
    let options = EdgeOptions { data, api_port: 0, viewer_port: 0, latency: std::time::Duration::ZERO };
    Edge::start(options).await.unwrap()
}

/// An edge in memory that delays each response.
pub(crate) async fn slow(latency: std::time::Duration) -> Edge {
    Edge::start(EdgeOptions { data: Data::Memory, api_port: 0, viewer_port: 0, latency }).await.unwrap()
}

fn credentials() -> Credentials {
    Credentials::new("any", "thing", None, None, "test")
}

/// An S3 client that does not retry.
pub(crate) fn s3(edge: &Edge) -> aws_sdk_s3::Client {
    s3_in(edge, "us-east-1")
}

/// An S3 client that signs for `region`.
pub(crate) fn s3_in(edge: &Edge, region: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(credentials())
        .region(Region::new(region.to_owned()))
        .endpoint_url(edge.api_url())
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// A CloudFront client that does not retry.
pub(crate) fn cloudfront(edge: &Edge) -> aws_sdk_cloudfront::Client {
    let config = aws_sdk_cloudfront::Config::builder()
        .behavior_version(aws_sdk_cloudfront::config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(credentials())
        .region(aws_sdk_cloudfront::config::Region::new("us-east-1"))
        .endpoint_url(edge.api_url())
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_cloudfront::Client::from_conf(config)
}

/// The code of a service error; a broken connection has none.
pub(crate) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error()?.code()
}
