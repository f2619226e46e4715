//! Every CloudFront call: the only place that talks to distributions.

pub mod functions;
pub mod key_values;
pub mod lookup;
pub mod send;
mod shape;
pub mod viewer;

use crate::aws::Aws;
use crate::aws::failure::explain;
use crate::aws::partition::arn_start;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use aws_smithy_types::retry::{ErrorKind as RetryKind, ProvideErrorKind};
use shipfront_invalidation::is_plain_id;
use shipfront_invalidation::viewer::DistributionShape;
use shipfront_invalidation::{DistributionId, InvalidationStatus};
use std::collections::HashSet;
use std::time::Duration;

/// A distribution in `ListDistributions`.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The ID, such as `E2QWRUHAPOMQZL`.
    pub id: String,
    /// The name that CloudFront assigned.
    pub domain_name: String,
    /// The host names viewers use: its own and its aliases.
    pub hosts: Vec<String>,
    /// The host names of its origins.
    pub origin_domains: Vec<String>,
    /// Whether it is enabled: a disabled distribution serves nothing, and so caches nothing.
    pub enabled: bool,
}

/// An invalidation that CloudFront accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// CloudFront's ID for it.
    pub id: String,
    /// Its progress.
    pub status: InvalidationStatus,
}

/// An invalidation that CloudFront did not accept.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// What may help.
    pub kind: RefusalKind,
}

/// What may help after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Fewer items, or time: it is more than CloudFront accepts at the moment.
    Overload,
    /// Time: CloudFront failed, or the outcome of the request is unknown.
    Unclear,
    /// Nothing.
    Final,
}

/// Maximum length of a list marker, in bytes.
const LONGEST_MARKER: usize = 1024;

/// The client for the account's distributions.
#[derive(Debug, Clone)]
pub struct Distributions {
    client: Client,
    /// The client for the contents of key-value stores.
    stores: aws_sdk_cloudfrontkeyvaluestore::Client,
    clock: Clock,
    way_to_edges: Duration,
}

impl Distributions {
    /// Creates a client with the configured credentials.
    pub fn new(aws: &Aws) -> Distributions {
        Distributions {
            client: Client::from_conf(aws.cloudfront()),
            stores: aws_sdk_cloudfrontkeyvaluestore::Client::from_conf(aws.key_values()),
            clock: aws.clock().clone(),
            way_to_edges: aws.way_to_edges(),
        }
    }

    /// Every distribution of the account.
    pub async fn list(&self) -> Result<Vec<Summary>> {
        let mut found = Vec::new();
        let mut marker: Option<String> = None;
        let mut followed = HashSet::new();
        loop {
            if marker.as_ref().is_some_and(|marker| !followed.insert(marker.clone())) {
                return Err(Error::failed("CloudFront's list of distributions repeats itself"));
            }
            let answer = self.client.list_distributions().set_marker(marker).send().await;
            let answer =
                answer.map_err(|error| self.explain("ListDistributions", "the account's distributions", error))?;
            let Some(list) = answer.distribution_list else { return Ok(found) };
            found.extend(list.items.unwrap_or_default().into_iter().map(|summary| {
                let aliases = summary.aliases.and_then(|aliases| aliases.items).unwrap_or_default();
                let origins = summary.origins.map(|origins| origins.items).unwrap_or_default();
                Summary {
                    id: summary.id,
                    hosts: std::iter::once(summary.domain_name.clone()).chain(aliases).collect(),
                    domain_name: summary.domain_name,
                    origin_domains: origins.into_iter().map(|origin| origin.domain_name).collect(),
                    enabled: summary.enabled,
                }
            }));
            marker = list.next_marker.filter(|_| list.is_truncated);
            // Its markers are IDs; an oversized one must not go into a request.
            if marker.as_ref().is_some_and(|marker| marker.len() > LONGEST_MARKER) {
                return Err(Error::failed("CloudFront's list of distributions continues after an invalid ID"));
            }
            if marker.is_none() {
                return Ok(found);
            }
        }
    }

    /// What the configuration of a distribution, and the cache policies it names, say about its URLs.
    ///
    /// If permission is missing, the shape says so: viewer paths are then a conservative guess.
    pub async fn shape(&self, id: &DistributionId) -> Result<DistributionShape> {
        match id {
            DistributionId::Distribution(id) => self.distribution_shape(id).await,
            DistributionId::Tenant(id) => self.tenant_shape(id).await,
        }
    }

    async fn distribution_shape(&self, id: &str) -> Result<DistributionShape> {
        let answer = self.client.get_distribution_config().id(id).send().await;
        let subject = format!("the CloudFront distribution {id}");
        let answer = match answer.map_err(|error| self.explain("GetDistributionConfig", &subject, error)) {
            Ok(answer) => answer,
            Err(error) if is_denied(&error) => return Ok(DistributionShape::unreadable(id)),
            Err(error) => return Err(error),
        };
        let etag = answer.e_tag;
        let Some(config) = answer.distribution_config else { return Ok(DistributionShape::unreadable(id)) };
        let mut policies = shape::Policies::default();
        for policy in shape::cache_policy_ids(&config) {
            let answer = self.client.get_cache_policy().id(&policy).send().await;
            match answer.map_err(|error| self.explain("GetCachePolicy", &format!("cache policy {policy}"), error)) {
                Ok(answer) => {
                    let config = answer.cache_policy.and_then(|policy| policy.cache_policy_config);
                    policies.insert(policy, config);
                }
                // Without it, the behavior counts as unreadable.
                Err(error) if is_denied(&error) || is_no_policy(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(shape::of(id, etag, config, &policies))
    }

    /// The version of a distribution's configuration, if that has reached all edge locations.
    pub async fn deployed_config(&self, id: &str) -> Result<Option<String>> {
        let answer = self.client.get_distribution().id(id).send().await;
        let answer = answer
            .map_err(|error| self.explain("GetDistribution", &format!("the CloudFront distribution {id}"), error))?;
        let deployed = answer.distribution.is_some_and(|distribution| distribution.status == "Deployed");
        Ok(answer.e_tag.filter(|_| deployed))
    }

    /// The host name at which viewers reach a distribution, regardless of its aliases.
    pub async fn domain_name(&self, id: &str) -> Result<String> {
        let answer = self.client.get_distribution().id(id).send().await;
        let answer =
            answer.map_err(|error| explain("GetDistribution", &format!("the CloudFront distribution {id}"), error))?;
        let name = answer.distribution.map(|distribution| distribution.domain_name);
        name.ok_or_else(|| Error::failed(format!("CloudFront does not report the domain name of distribution {id}")))
    }

    /// The shape of the tenant's distribution, with the tenant's parameters filled in.
    async fn tenant_shape(&self, id: &str) -> Result<DistributionShape> {
        let answer = self.client.get_distribution_tenant().identifier(id).send().await;
        let subject = format!("the CloudFront distribution tenant {id}");
        let tenant = match answer.map_err(|error| self.explain("GetDistributionTenant", &subject, error)) {
            Ok(answer) => answer.distribution_tenant,
            Err(error) if is_denied(&error) => None,
            Err(error) => return Err(error),
        };
        let Some((parent, parameters, domains)) =
            tenant.and_then(|tenant| Some((tenant.distribution_id?, tenant.parameters, tenant.domains)))
        else {
            return Ok(DistributionShape { tenant: true, ..DistributionShape::unreadable(id) });
        };
        let aliases = domains.unwrap_or_default().iter().map(|domain| domain.domain.to_ascii_lowercase()).collect();
        let mut shape = self.distribution_shape(&parent).await?;
        for parameter in parameters.unwrap_or_default() {
            shape::fill_in(&mut shape, &parameter.name, &parameter.value);
        }
        Ok(DistributionShape {
            id: id.to_owned(),
            aliases,
            domain_name: None,
            tenants_only: false,
            tenant: true,
            ..shape
        })
    }

    /// Requests an invalidation once: the caller decides how to continue if CloudFront is busy.
    pub async fn create_invalidation(
        &self,
        id: &DistributionId,
        reference: &str,
        items: &[String],
    ) -> Result<Accepted, Refusal> {
        let paths = Paths::builder().quantity(items.len() as i32).set_items(Some(items.to_vec())).build();
        let batch =
            paths.and_then(|paths| InvalidationBatch::builder().paths(paths).caller_reference(reference).build());
        let batch = batch.map_err(|error| Refusal {
            error: Error::stale(format!("cannot form the invalidation: {error}")),
            kind: RefusalKind::Final,
        })?;
        // Retries have one owner: `send` waits longer between them than the SDK would.
        let once = aws_sdk_cloudfront::config::Builder::new().retry_config(RetryConfig::disabled());
        let created = match id {
            DistributionId::Distribution(name) => {
                let request = self.client.create_invalidation().distribution_id(name).invalidation_batch(batch);
                let answer = request.customize().config_override(once).send().await;
                answer.map_err(|error| self.refusal("CreateInvalidation", id, error))?.invalidation
            }
            DistributionId::Tenant(name) => {
                let request =
                    self.client.create_invalidation_for_distribution_tenant().id(name).invalidation_batch(batch);
                let answer = request.customize().config_override(once).send().await;
                answer.map_err(|error| self.refusal("CreateInvalidationForDistributionTenant", id, error))?.invalidation
            }
        };
        // As useless as no response, and not worth waiting for.
        let created = created.filter(|created| is_plain_id(&created.id)).ok_or_else(|| Refusal {
            error: Error::stale(format!("CloudFront's answer for {id} names no invalidation"))
                .of_kind(ErrorKind::Unanswered),
            kind: RefusalKind::Unclear,
        })?;
        Ok(Accepted { id: created.id, status: InvalidationStatus::parse(&created.status) })
    }

    /// The progress of an invalidation.
    pub async fn invalidation_status(&self, distribution: &DistributionId, id: &str) -> Result<InvalidationStatus> {
        let invalidation = match distribution {
            DistributionId::Distribution(name) => {
                let answer = self.client.get_invalidation().distribution_id(name).id(id).send().await;
                answer.map_err(|error| self.explain("GetInvalidation", &distribution.to_string(), error))?.invalidation
            }
            DistributionId::Tenant(name) => {
                let request =
                    self.client.get_invalidation_for_distribution_tenant().distribution_tenant_id(name).id(id);
                let operation = "GetInvalidationForDistributionTenant";
                let answer = request.send().await;
                answer.map_err(|error| self.explain(operation, &distribution.to_string(), error))?.invalidation
            }
        };
        Ok(InvalidationStatus::parse(&invalidation.map_or_else(String::new, |invalidation| invalidation.status)))
    }

    /// Describes an error, with ARNs in the partition of the request.
    fn explain<E>(&self, operation: &str, subject: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        explain(operation, subject, error).name_in_hint("arn:aws:", &self.arn_start())
    }

    fn refusal<E>(&self, operation: &str, id: &DistributionId, error: SdkError<E, HttpResponse>) -> Refusal
    where
        E: ProvideErrorMetadata + ProvideErrorKind + std::error::Error + Send + Sync + 'static,
    {
        let Refusal { error, kind } = refusal(operation, id, error);
        Refusal { error: error.name_in_hint("arn:aws:", &self.arn_start()), kind }
    }

    /// CloudFront is global except in China.
    fn arn_start(&self) -> String {
        let region = self.client.config().region().map(AsRef::as_ref);
        arn_start(region.filter(|region: &&str| region.starts_with("cn-")))
    }
}

/// A missing response may be temporary as well, and repeating the request is free, because the caller reference is
/// the same.
fn refusal<E>(operation: &str, id: &DistributionId, error: SdkError<E, HttpResponse>) -> Refusal
where
    E: ProvideErrorMetadata + ProvideErrorKind + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    // A broken response means neither yes nor no; a complete one that cannot be parsed is from another server.
    let broke_off = error.raw_response().is_some_and(|answer| answer.body().bytes().is_none());
    let kind = match (error.code().map(ErrorKind::of_aws_code), status) {
        (None, Some(200..300)) if broke_off => RefusalKind::Unclear,
        (Some(ErrorKind::Busy), _) | (_, Some(413 | 429)) => RefusalKind::Overload,
        (Some(ErrorKind::ServerFault), _) | (_, Some(500..)) | (None, None) => RefusalKind::Unclear,
        _ => match error.as_service_error().and_then(ProvideErrorKind::retryable_error_kind) {
            Some(RetryKind::ThrottlingError) => RefusalKind::Overload,
            Some(RetryKind::ServerError) => RefusalKind::Unclear,
            _ => RefusalKind::Final,
        },
    };
    Refusal { error: explain(operation, &format!("the CloudFront {id}"), error), kind }
}

/// Whether an ID names no cache policy: it is unknown, deleted, or not in CloudFront's form.
fn is_no_policy(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchResource | ErrorKind::Rejected)
}

fn is_denied(error: &Error) -> bool {
    error.kind() == ErrorKind::AccessDenied
}
