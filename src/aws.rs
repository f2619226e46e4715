//! How shipfront reaches AWS: configuration, the HTTP client, and the count of requests.

pub(crate) mod ambiguous;
mod answer;
mod endpoint;
pub mod environment;
pub mod failure;
pub mod identity;
pub mod limiter;
pub mod partition;
pub mod permission;
pub mod policy_document;
mod silence;
mod store_endpoint;
pub mod trust;
mod unsigned;

use crate::clock::Clock;
#[cfg(feature = "lambda")]
use crate::error::Error;
use crate::error::Result;
use crate::open_files;
use ambiguous::ObserveAttempts;
#[cfg(feature = "lambda")]
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    AsyncSleep, ConfigBag, Credentials, Intercept, RequestChecksumCalculation, RuntimeComponents, SharedHttpClient,
    Sleep, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder as HttpClientBuilder, Connector};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_types::service_config::ServiceConfigKey;
use endpoint::RememberedEndpoint;
use environment::Environment;
use limiter::{Concurrency, Limited, Limiter};
use serde::Serialize;
use silence::Impatient;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store_endpoint::StoreEndpoint;
use unsigned::UnsignedUploads;
use url::{Host, Url};

/// The region of the first request if none is configured; it is used to find the bucket's own.
const FIRST_REGION: &str = "us-east-1";
/// How long one attempt may take until its response begins. Most have a shorter limit, see [`silence`].
const ANSWER_LIMIT: Duration = silence::LARGE;
/// Number of attempts per call, including the first.
const MAX_ATTEMPTS: u32 = 6;
/// The same for S3, where the pauses between them, random up to a limit that doubles each time, start short: the
/// limiter slows everything down when S3 asks for it, so that a call need not do so alone.
const S3_ATTEMPTS: u32 = 10;
const S3_FIRST_PAUSE: Duration = Duration::from_millis(100);
const S3_LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long an answer may stall: what the SDK has as its default, but not as that of its builder.
const DOWNLOAD_GRACE: Duration = Duration::from_secs(5);
/// Time limit for all attempts of one call to S3 and the pauses between them.
const S3_CALL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// The same for CloudFront, whose requests are all small.
const CLOUDFRONT_CALL_LIMIT: Duration = Duration::from_secs(120);
/// AWS says "within a few seconds" about the keys of a store.
const WAY_TO_EDGES: Duration = Duration::from_secs(10);
/// Default maximum of S3 requests in flight.
pub const MOST_IN_FLIGHT: u16 = 256;

/// Where and with which identity to call AWS, in addition to the environment and `~/.aws`.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--region`.
    pub region: Option<String>,
    /// `--endpoint-url`, for every service.
    pub endpoint_url: Option<String>,
    /// Whether to use the local edge: it accepts any credentials, and the user's own should not reach it.
    pub local: bool,
    /// `--concurrency`.
    pub concurrency: Option<u16>,
    /// The clock for all waiting: this machine's, except in tests.
    pub clock: Clock,
}

/// The AWS configuration, from which `Bucket` and `Distributions` are created.
#[derive(Debug, Clone)]
pub struct Aws {
    sdk: SdkConfig,
    requests: Arc<RequestCounts>,
    limiter: Arc<Limiter>,
    clock: Clock,
}

impl Aws {
    /// Loads the standard AWS configuration: environment, profiles, SSO, web identity, container and instance
    /// credentials.
    ///
    /// # Errors
    /// A value in the environment that no request can carry, by the name of its variable.
    pub async fn load(options: &AwsOptions) -> Result<Aws> {
        // None of the user's own settings reach the local edge.
        let environment = if options.local { Environment::default() } else { Environment::of_process()? };
        let client = SharedHttpClient::new(Impatient::new(http_client(options.local), options.clock.clone()));
        let retries = RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS);
        let timeouts = TimeoutConfig::builder().read_timeout(ANSWER_LIMIT).build();
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        let mut loader = loader.retry_config(retries).timeout_config(timeouts).sleep_impl(options.clock.clone());
        let profile = options.profile.as_deref().or_else(|| environment.profile());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint_url) = &options.endpoint_url {
            loader = loader.endpoint_url(endpoint_url);
        }
        if options.local {
            let anyone = Credentials::new("local", "local", None, None, "shipfront-local-edge");
            loader = loader.credentials_provider(anyone).region(Region::from_static(FIRST_REGION));
        } else {
            loader = loader.region(region_provider(options, profile, &environment));
        }
        let limiter = limiter(options.concurrency, options.local, &options.clock);
        let clock = options.clock.clone();
        let sdk = environment.correct(loader.load().await, options.local)?;
        Ok(Aws { sdk, requests: Arc::default(), limiter: Arc::new(limiter), clock })
    }

    /// The clock of a run.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The number of requests sent so far, including retries.
    pub fn requests(&self) -> Requests {
        self.requests.snapshot()
    }

    /// The history of the limit of S3 requests in flight.
    pub fn concurrency(&self) -> Concurrency {
        self.limiter.trace()
    }

    /// An S3 client's configuration for a region, or for the configured one.
    pub(crate) fn s3(&self, region: Option<&str>) -> aws_sdk_s3::Config {
        let mut config = self.s3_unlimited(region).to_builder();
        let client = self.sdk.http_client().map(|client| Limited::new(client, self.limiter.clone()));
        config.set_http_client(client.map(SharedHttpClient::new));
        config.build()
    }

    /// The same for the few requests that must not wait behind all others.
    pub(crate) fn s3_unlimited(&self, region: Option<&str>) -> aws_sdk_s3::Config {
        let retries = RetryConfig::standard().with_max_attempts(S3_ATTEMPTS);
        let retries = retries.with_initial_backoff(S3_FIRST_PAUSE).with_max_backoff(S3_LONGEST_PAUSE);
        let timeouts = TimeoutConfig::builder().read_timeout(ANSWER_LIMIT).operation_timeout(S3_CALL_LIMIT).build();
        // The SDK's own bucket of retries is used up in the first seconds of heavy throttling and not refilled:
        // then each throttled call fails at once.
        let partition = RetryPartition::custom("s3").token_bucket(TokenBucket::unlimited()).build();
        let mut builder = aws_sdk_s3::config::Builder::from(&self.sdk)
            .retry_config(retries)
            .retry_partition(partition)
            .timeout_config(timeouts)
            .interceptor(CountRequests(self.requests.clone()))
            .interceptor(ObserveAttempts)
            .interceptor(UnsignedUploads)
            .endpoint_resolver(RememberedEndpoint::default())
            // The SDK calls an upload stalled whose body nobody asks for within seconds, such as one that waits for its
            // turn, or for a slow connection to take what was read ahead. How long an upload may take depends on its size.
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled().upload_enabled(false).grace_period(DOWNLOAD_GRACE).build(),
            )
            // A digest or a checksum is sent with every upload: a second one would only cost CPU, and its chunked framing
            // causes problems in third-party stores.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .force_path_style(self.s3_endpoint().is_some_and(|endpoint| !is_amazon(&endpoint)));
        if let Some(region) = region {
            builder = builder.region(Region::new(region.to_owned()));
        }
        builder.build()
    }

    /// A CloudFront client's configuration.
    pub(crate) fn cloudfront(&self) -> aws_sdk_cloudfront::Config {
        let timeouts = TimeoutConfig::builder().read_timeout(ANSWER_LIMIT).operation_timeout(CLOUDFRONT_CALL_LIMIT);
        let builder = aws_sdk_cloudfront::config::Builder::from(&self.sdk).timeout_config(timeouts.build());
        builder.interceptor(CountRequests(self.requests.clone())).build()
    }

    /// A configuration for the contents of key-value stores.
    pub(crate) fn key_values(&self) -> aws_sdk_cloudfrontkeyvaluestore::Config {
        let timeouts = TimeoutConfig::builder().read_timeout(ANSWER_LIMIT).operation_timeout(CLOUDFRONT_CALL_LIMIT);
        let builder =
            aws_sdk_cloudfrontkeyvaluestore::config::Builder::from(&self.sdk).timeout_config(timeouts.build());
        let builder = builder.endpoint_resolver(StoreEndpoint::default());
        builder.interceptor(CountRequests(self.requests.clone())).build()
    }

    /// How long a change in CloudFront takes to reach the edge locations. CloudFront reports this for neither
    /// stores nor functions.
    pub(crate) fn way_to_edges(&self) -> Duration {
        match self.endpoint("cloudfront") {
            Some(endpoint) if !is_amazon(&endpoint) => Duration::ZERO,
            _ => WAY_TO_EDGES,
        }
    }

    /// A CodePipeline client's configuration.
    #[cfg(feature = "lambda")]
    pub(crate) fn codepipeline(&self) -> aws_sdk_codepipeline::Config {
        aws_sdk_codepipeline::config::Builder::from(&self.sdk).build()
    }

    /// The same AWS with its own counts and limit, for one of many runs in a process.
    #[cfg(feature = "lambda")]
    pub(crate) fn afresh(&self, concurrency: Option<u16>) -> Aws {
        let limiter = limiter(concurrency, false, &self.clock);
        Aws { sdk: self.sdk.clone(), requests: Arc::default(), limiter: Arc::new(limiter), clock: self.clock.clone() }
    }

    /// The same AWS with somebody else's credentials.
    #[cfg(feature = "lambda")]
    ///
    /// # Errors
    /// Credentials that no request can carry.
    pub(crate) fn with_credentials(&self, credentials: Credentials) -> Result<Aws> {
        let credentials = environment::sendable(credentials).map_err(|error| Error::failed(error.to_string()))?;
        let provider = aws_sdk_s3::config::SharedCredentialsProvider::new(credentials);
        let sdk = self.sdk.to_builder().credentials_provider(provider).identity_cache(IdentityCache::no_cache());
        Ok(Aws { sdk: sdk.build(), ..self.afresh(None) })
    }

    /// Whether S3 is Amazon's, not another store or the local edge.
    pub fn is_amazon(&self) -> bool {
        self.s3_endpoint().is_none_or(|endpoint| is_amazon(&endpoint))
    }

    /// The name of the store: `AWS`, or the host of another one.
    pub fn store(&self) -> String {
        match self.s3_endpoint() {
            Some(endpoint) if !is_amazon(&endpoint) => {
                let host = endpoint.split("://").nth(1).unwrap_or(&endpoint);
                host.split('/').next().unwrap_or_default().to_owned()
            }
            _ => "AWS".to_owned(),
        }
    }

    /// Whether somebody between this machine and S3 could alter requests.
    pub fn is_exposed(&self) -> bool {
        self.s3_endpoint().is_some_and(|endpoint| is_exposed(&endpoint))
    }

    /// The endpoint that overrides S3's own, wherever it was configured.
    fn s3_endpoint(&self) -> Option<String> {
        self.endpoint("s3")
    }

    /// The endpoint that overrides a service's own, wherever it was configured.
    fn endpoint(&self, service: &str) -> Option<String> {
        let key =
            ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        let own = match (key, self.sdk.service_config()) {
            (Ok(key), Some(config)) => config.load_config(key),
            _ => None,
        };
        own.or_else(|| self.sdk.endpoint_url().map(str::to_owned))
    }
}

/// A limit of requests in flight: the requested one, as far as that many connections may be open.
fn limiter(concurrency: Option<u16>, local: bool, clock: &Clock) -> Limiter {
    Limiter::new(open_files::at_once(usize::from(concurrency.unwrap_or(MOST_IN_FLIGHT)), local), clock)
}

impl AsyncSleep for Clock {
    fn sleep(&self, length: Duration) -> Sleep {
        Sleep::new(Clock::sleep(self, length))
    }
}

/// Whether an endpoint is Amazon's; others rarely have a host name for each bucket.
fn is_amazon(endpoint: &str) -> bool {
    let host = endpoint.split("://").nth(1).unwrap_or(endpoint).split(['/', ':']).next().unwrap_or_default();
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|suffix| host.ends_with(suffix))
}

/// Whether requests to an endpoint go to another machine without TLS.
fn is_exposed(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    url.scheme() == "http" && !is_loopback
}

fn region_provider(options: &AwsOptions, name: Option<&str>, environment: &Environment) -> RegionProviderChain {
    // Not the default chain: it ends with the instance metadata service, which takes seconds to fail where there is
    // none, only to learn something that the bucket reveals anyway.
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = name {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(options.region.clone().map(Region::new))
        .or_else(environment.region())
        .or_else(profile.build())
        .or_else(Region::from_static(FIRST_REGION))
}

/// The connector for requests as viewers send them: the same TLS and proxies as for AWS.
pub(crate) fn viewer_connector() -> Connector {
    let tls = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring));
    tls.proxy_config(ProxyConfig::from_env()).build()
}

fn http_client(local: bool) -> SharedHttpClient {
    HttpClientBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        if local {
            // Without TLS, whose root certificates take longer to load than a small deploy.
            return connector.build_http();
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}

/// Requests sent to AWS, by price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// `ListObjectsV2`.
    pub list: u64,
    /// `HeadObject`.
    pub head: u64,
    /// `GetObject`, and `GetBucketPolicy` in a run that wrote.
    pub get: u64,
    /// `PutObject` and every call of a multipart upload.
    pub put: u64,
    /// `DeleteObjects`.
    pub delete: u64,
    /// `CreateInvalidation`.
    pub create_invalidation: u64,
    /// CloudFront's reads: distributions, cache policies, the status of an invalidation.
    pub cloudfront_read: u64,
    /// `UpdateFunction`, `TestFunction`, `PublishFunction`, and `UpdateKeys` of a key-value store.
    #[serde(skip_serializing_if = "is_zero")]
    pub cloudfront_write: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Debug, Default)]
struct RequestCounts {
    list: AtomicU64,
    head: AtomicU64,
    get: AtomicU64,
    put: AtomicU64,
    delete: AtomicU64,
    create_invalidation: AtomicU64,
    cloudfront_read: AtomicU64,
    cloudfront_write: AtomicU64,
}

impl RequestCounts {
    fn add(&self, operation: &str) {
        let count = match operation {
            // Only the local edge gets this request, and only to create a place to deploy to.
            "CreateBucket" | "PutBucketPolicy" => return,
            // The result of a job is not part of its work.
            "PutJobSuccessResult" | "PutJobFailureResult" => return,
            "ListObjectsV2" => &self.list,
            "HeadObject" | "HeadBucket" => &self.head,
            "GetObject" | "GetBucketPolicy" | "GetBucketEncryption" | "GetBucketVersioning" => &self.get,
            "DeleteObjects" | "DeleteObject" | "AbortMultipartUpload" => &self.delete,
            "CreateInvalidation" | "CreateInvalidationForDistributionTenant" => &self.create_invalidation,
            "UpdateFunction" | "TestFunction" | "PublishFunction" | "UpdateKeys" => &self.cloudfront_write,
            "DescribeFunction" | "DescribeKeyValueStore" => &self.cloudfront_read,
            read if read.starts_with("Get") || read.starts_with("List") => &self.cloudfront_read,
            _ => &self.put,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Requests {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Requests {
            list: read(&self.list),
            head: read(&self.head),
            get: read(&self.get),
            put: read(&self.put),
            delete: read(&self.delete),
            create_invalidation: read(&self.create_invalidation),
            cloudfront_read: read(&self.cloudfront_read),
            cloudfront_write: read(&self.cloudfront_write),
        }
    }
}

/// Counts attempts instead of calls: AWS charges for attempts, and they take the time.
#[derive(Debug)]
struct CountRequests(Arc<RequestCounts>);

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for CountRequests {
    fn name(&self) -> &'static str {
        "CountRequests"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        if let Some(operation) = config.load::<Metadata>() {
            self.0.add(operation.name());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{is_amazon, is_exposed};

    #[test]
    fn only_amazons_own_endpoints_have_a_host_name_for_each_bucket() {
        assert!(is_amazon("https://s3.eu-west-1.amazonaws.com"));
        assert!(is_amazon("https://bucket.vpce-1-a.s3.eu-west-1.vpce.amazonaws.com:443/"));
        assert!(!is_amazon("http://127.0.0.1:9000"));
        assert!(!is_amazon("https://minio.example/amazonaws.com"));
    }

    #[test]
    fn only_plain_http_to_another_machine_is_exposed() {
        for endpoint in ["http://minio.example:9000", "http://10.0.0.7:9000", "http://localhost.example"] {
            assert!(is_exposed(endpoint), "{endpoint}");
        }
        for endpoint in ["https://minio.example", "http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000"]
        {
            assert!(!is_exposed(endpoint), "{endpoint}");
        }
    }
}
