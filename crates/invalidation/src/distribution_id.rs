//! The recipient of an invalidation.

use serde::{Serialize, Serializer};
use std::fmt;

/// The recipient: a distribution, or one tenant of a multi-tenant one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DistributionId {
    /// A distribution, such as `E2QWRUHAPOMQZL`.
    Distribution(String),
    /// A distribution tenant, such as `dt_2x3y`
    /// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/distribution-config-options.html>).
    Tenant(String),
}

/// Whether a text is an ID in CloudFront's form, as of distributions and tenants, cache policies and invalidations.
pub fn is_plain_id(text: &str) -> bool {
    const LONGEST: usize = 128;
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

impl DistributionId {
    /// The ID only.
    pub fn as_str(&self) -> &str {
        match self {
            DistributionId::Distribution(id) | DistributionId::Tenant(id) => id,
        }
    }
}

impl fmt::Display for DistributionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DistributionId::Distribution(id) => write!(formatter, "distribution {id}"),
            DistributionId::Tenant(id) => write!(formatter, "distribution tenant {id}"),
        }
    }
}

impl Serialize for DistributionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
