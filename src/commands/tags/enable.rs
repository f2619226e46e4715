//! `shipfront tags --enable`: what to change in a distribution so that it reads cache tags.
//!
//! shipfront does not change the distribution itself: that belongs to whatever manages it.

use crate::aws::Aws;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{Which, shapes};
use crate::error::{Error, Result};
use crate::escape::Shown;
use serde::Serialize;
use shipfront_site::Target;
use std::fmt::{self, Display, Formatter};

/// Prefix of the headers in which S3 returns user metadata.
const USER_METADATA: &str = "x-amz-meta-";

/// The change to print.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    shipfront: &'static str,
    /// The header that carries the tags.
    header: String,
    /// The distributions to change; empty if no target was named.
    distributions: Vec<Reads>,
    cloudformation: String,
    terraform: String,
    cli: String,
}

/// What a distribution reads now.
#[derive(Debug, Serialize)]
struct Reads {
    distribution: String,
    /// The header that it reads tags from.
    header: Option<String>,
}

/// Determines what the distributions of a site read now, if one is named, and what to change.
pub(super) async fn enable(aws: &Aws, which: &Which, target: Option<&Target>, header: &str) -> Result<Change> {
    let header = header.to_ascii_lowercase();
    let name = header.strip_prefix(USER_METADATA).unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::usage(format!("{header:?} is no header that S3 can send with an object"))
            .hint("name one that begins with x-amz-meta-, such as x-amz-meta-cache-tag"));
    }
    let mut distributions = Vec::new();
    if let Some(target) = target {
        for (id, shape) in shapes(&Distributions::new(aws), which, false, target.bucket()).await? {
            if !shape.readable {
                return Err(Error::failed(format!("the configuration of the {id} may not be read"))
                    .hint("allow cloudfront:GetDistributionConfig, or leave out the target"));
            }
            distributions.push(Reads { distribution: shape.configured_by, header: shape.cache_tag_header });
        }
    }
    let id = distributions.first().map_or("ID", |reads| &reads.distribution);
    let (cloudformation, terraform, cli) = (cloudformation(&header), terraform(&header), cli(&header, id));
    Ok(Change { shipfront: env!("CARGO_PKG_VERSION"), header, distributions, cloudformation, terraform, cli })
}

fn cloudformation(header: &str) -> String {
    format!(
        "\
Resources:
  HideCacheTags:
    Type: AWS::CloudFront::ResponseHeadersPolicy
    Properties:
      ResponseHeadersPolicyConfig:
        Name: hide-cache-tags
        RemoveHeadersConfig:
          Items:
            - Header: {header}
  Distribution:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        CacheTagConfig:
          HeaderName: {header}
        DefaultCacheBehavior:
          ResponseHeadersPolicyId: !Ref HideCacheTags
"
    )
}

fn terraform(header: &str) -> String {
    format!(
        "\
resource \"aws_cloudfront_response_headers_policy\" \"hide_cache_tags\" {{
  name = \"hide-cache-tags\"
  remove_headers_config {{
    items {{
      header = \"{header}\"
    }}
  }}
}}

# in the aws_cloudfront_distribution (provider 6.46 or later)
cache_tag_config {{
  header_name = \"{header}\"
}}
default_cache_behavior {{
  response_headers_policy_id = aws_cloudfront_response_headers_policy.hide_cache_tags.id
}}
"
    )
}

fn cli(header: &str, id: &str) -> String {
    format!(
        "\
policy=$(aws cloudfront create-response-headers-policy --query ResponseHeadersPolicy.Id --output text \\
  --response-headers-policy-config \\
  '{{\"Name\": \"hide-cache-tags\", \"RemoveHeadersConfig\": {{\"Quantity\": 1, \"Items\": [{{\"Header\": \"{header}\"}}]}}}}')
aws cloudfront get-distribution-config --id {id} > distribution.json
jq --arg policy \"$policy\" '.DistributionConfig
  | .CacheTagConfig = {{HeaderName: \"{header}\"}}
  | .DefaultCacheBehavior.ResponseHeadersPolicyId //= $policy
  | (.CacheBehaviors.Items[]?.ResponseHeadersPolicyId) //= $policy' distribution.json > changed.json
aws cloudfront update-distribution --id {id} --if-match \"$(jq -r .ETag distribution.json)\" \\
  --distribution-config file://changed.json
"
    )
}

impl Display for Change {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for Reads { distribution, header } in &self.distributions {
            let distribution = Shown(distribution);
            match header.as_ref().map(Shown) {
                Some(header) if *header.0 == self.header => {
                    writeln!(out, "distribution {distribution} reads cache tags from {header} already")?;
                }
                Some(header) => writeln!(out, "distribution {distribution} reads cache tags from {header}")?,
                None => writeln!(out, "distribution {distribution} reads no cache tags yet")?,
            }
        }
        writeln!(out, "The policy keeps the header from viewers. Where a behavior has a response headers policy")?;
        writeln!(out, "already, add the header to what that removes.")?;
        for (title, text) in
            [("CloudFormation", &self.cloudformation), ("Terraform", &self.terraform), ("AWS CLI", &self.cli)]
        {
            writeln!(out, "\n# {title}\n{text}")?;
        }
        writeln!(
            out,
            "Then deploy as before: what changes is tagged. 'shipfront tags --backfill' tags the rest. For other"
        )?;
        writeln!(out, "distributions repeat it. CloudFront's Free plan and the China regions have no cache tags.")
    }
}
