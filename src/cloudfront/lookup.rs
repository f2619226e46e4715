//! Finds the distributions that a run applies to.

use crate::cloudfront::{Distributions, Summary};
use crate::error::{Error, ErrorKind, Result};
use shipfront_invalidation::viewer::{Claim, DistributionShape, OriginKind, is_mistaken, origin_is_bucket};
use shipfront_invalidation::{DistributionId, is_plain_id};

/// `--distribution`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The distributions whose origin is the bucket.
    Auto,
    /// None: only upload.
    None,
    /// These.
    Ids(Vec<DistributionId>),
}

impl Which {
    /// Parses the values of `--distribution` and `--distribution-tenant`.
    pub fn parse(distributions: &[String], tenants: &[String]) -> Result<Which> {
        match (distributions, tenants) {
            ([], []) => return Ok(Which::Auto),
            ([one], []) if one == "auto" => return Ok(Which::Auto),
            ([one], []) if one == "none" => return Ok(Which::None),
            _ => {}
        }
        if distributions.iter().any(|id| id == "auto" || id == "none") {
            return Err(Error::usage("'auto' and 'none' cannot be combined with distributions")
                .hint("name distributions, or pass one of 'auto' and 'none' alone"));
        }
        if let Some(id) = distributions.iter().chain(tenants).find(|id| !is_plain_id(id)) {
            return Err(Error::usage(format!("{id:?} is not a distribution ID, 'auto' or 'none'"))
                .hint("IDs look like E2QWRUHAPOMQZL; see the first column of the CloudFront console"));
        }
        let mut ids: Vec<DistributionId> = distributions.iter().cloned().map(DistributionId::Distribution).collect();
        ids.extend(tenants.iter().cloned().map(DistributionId::Tenant));
        ids.sort();
        ids.dedup();
        Ok(Which::Ids(ids))
    }
}

const HINT: &str = "pass --distribution ID, or '--distribution none' for a plain sync that invalidates nothing";

/// The distributions that serve a bucket, with their shapes. With `any_origin`, any origin of the named ones may
/// serve it.
pub async fn shapes(
    distributions: &Distributions,
    which: &Which,
    any_origin: bool,
    bucket: &str,
) -> Result<Vec<(DistributionId, DistributionShape)>> {
    let ids: Vec<(DistributionId, Option<String>)> = match which {
        Which::None => return Ok(Vec::new()),
        Which::Ids(ids) => ids.iter().map(|id| (id.clone(), None)).collect(),
        Which::Auto => {
            let found = showing(bucket, list(distributions, HINT).await?)?;
            found
                .into_iter()
                .map(|summary| (DistributionId::Distribution(summary.id), Some(summary.domain_name)))
                .collect()
        }
    };
    let claim = match which {
        Which::Ids(_) if any_origin => Claim::AnyOrigin,
        Which::Ids(_) => Claim::Named,
        Which::Auto | Which::None => Claim::Origins,
    };
    let mut shapes = Vec::with_capacity(ids.len());
    for (id, domain_name) in ids {
        let shape = DistributionShape { domain_name, ..distributions.shape(&id).await? };
        if *which == Which::Auto && shape.tenants_only {
            // Whether an invalidation of the whole distribution clears its tenants is not documented.
            return Err(Error::usage(format!("the {id} is multi-tenant: viewers reach it through its tenants only"))
                .hint("pass --distribution-tenant ID for each tenant that shows the site"));
        }
        shapes.push((id, DistributionShape { claim, ..shape }));
    }
    Ok(shapes)
}

/// Refuses a named distribution that certainly serves other buckets: nothing would be invalidated there, and pages
/// that the user believes to be fresh might be stale.
pub fn refuse_other_buckets(shapes: &[(DistributionId, DistributionShape)], bucket: &str) -> Result<()> {
    let Some((id, shape)) = shapes.iter().find(|(_, shape)| is_mistaken(shape, bucket)) else { return Ok(()) };
    let mut domains: Vec<&str> = shape.origins.iter().map(|origin| origin.domain_name.as_str()).collect();
    domains.sort_unstable();
    domains.dedup();
    let message = format!("no origin of the {id} is the bucket {bucket}: {}; nothing was changed", shown(&domains));
    Err(Error::usage(message).hint(mistake_hint(bucket)))
}

/// What to do about a distribution that certainly serves other buckets.
pub fn mistake_hint(bucket: &str) -> String {
    format!("name the distribution that shows {bucket}; if {bucket} is replicated into that bucket, pass --any-origin")
}

/// The IDs of the distributions whose origin is a bucket.
pub async fn ids_showing(distributions: &Distributions, bucket: &str) -> Result<Vec<DistributionId>> {
    let found = showing(bucket, list(distributions, HINT).await?)?;
    Ok(found.into_iter().map(|summary| DistributionId::Distribution(summary.id)).collect())
}

fn showing(bucket: &str, all: Vec<Summary>) -> Result<Vec<Summary>> {
    let known = all.len();
    let shows = |summary: &&Summary| {
        let mut domains = summary.origin_domains.iter();
        summary.enabled && domains.any(|domain| origin_is_bucket(domain, bucket) != OriginKind::Other)
    };
    let found: Vec<Summary> = all.into_iter().filter(|summary| shows(&summary)).collect();
    if found.is_empty() {
        let message =
            format!("none of the account's {known} CloudFront distributions has the bucket {bucket} as its origin");
        return Err(Error::usage(message).hint(HINT));
    }
    Ok(found)
}

/// The IDs of the distributions to invalidate typed paths on: those whose host was typed, or the account's only
/// one.
pub async fn ids_for_hosts(
    distributions: &Distributions,
    which: &Which,
    hosts: &[String],
) -> Result<Vec<DistributionId>> {
    match which {
        Which::None => {
            Err(Error::usage("'--distribution none' leaves nothing to invalidate").hint("pass --distribution ID"))
        }
        Which::Ids(ids) => Ok(ids.clone()),
        Which::Auto => {
            let all = list(distributions, "pass --distribution ID").await?;
            let enabled: Vec<&Summary> = all.iter().filter(|summary| summary.enabled).collect();
            if hosts.is_empty() {
                let known: Vec<&str> = enabled.iter().map(|summary| summary.id.as_str()).collect();
                return match known.as_slice() {
                    [only] => Ok(vec![DistributionId::Distribution((*only).to_owned())]),
                    [] => Err(Error::usage("the account has no enabled CloudFront distribution")
                        .hint("check which account the credentials are for")),
                    several => Err(Error::usage(format!(
                        "the account has {} distributions: {}",
                        several.len(),
                        shown(several)
                    ))
                    .hint("pass --distribution ID, or whole URLs, whose host names identify the distribution")),
                };
            }
            let served = |host: &String, summary: &Summary| summary.hosts.iter().any(|name| matches_host(name, host));
            let unserved: Vec<&str> = hosts
                .iter()
                .filter(|host| !enabled.iter().any(|summary| served(host, summary)))
                .map(String::as_str)
                .collect();
            // Otherwise, one typo among several hosts would silently leave its pages stale.
            if !unserved.is_empty() {
                return Err(Error::usage(format!("no distribution of the account serves {}", unserved.join(", ")))
                    .hint("pass --distribution ID"));
            }
            let serving = enabled.iter().filter(|summary| hosts.iter().any(|host| served(host, summary)));
            let ids = serving.map(|summary| DistributionId::Distribution(summary.id.clone())).collect();
            Ok(ids)
        }
    }
}

async fn list(distributions: &Distributions, otherwise: &str) -> Result<Vec<Summary>> {
    distributions.list().await.map_err(|error| match error.kind() {
        ErrorKind::AccessDenied => Error::usage(format!("cannot look for distributions: {error}"))
            .of_kind(ErrorKind::AccessDenied)
            .hint(format!("allow cloudfront:ListDistributions, or {otherwise}")),
        _ => error,
    })
}

/// Whether an alias, which may begin with a wildcard label, matches a typed host.
pub fn matches_host(alias: &str, typed: &str) -> bool {
    let (alias, typed) = (alias.to_ascii_lowercase(), typed.to_ascii_lowercase());
    match alias.strip_prefix('*') {
        Some(suffix) => typed.strip_suffix(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.')),
        None => alias == typed,
    }
}

fn shown(ids: &[&str]) -> String {
    const MOST: usize = 5;
    let more = ids.len().saturating_sub(MOST);
    let listed = ids[..ids.len().min(MOST)].join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_and_none_exclude_other_values() {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        let parse = |ids: &[&str], tenants: &[&str]| Which::parse(&owned(ids), &owned(tenants));
        let distribution = |id: &str| DistributionId::Distribution(id.to_owned());
        assert_eq!(parse(&[], &[]).unwrap(), Which::Auto);
        assert_eq!(parse(&["none"], &[]).unwrap(), Which::None);
        assert_eq!(parse(&["E2", "E1", "E2"], &[]).unwrap(), Which::Ids(vec![distribution("E1"), distribution("E2")]));
        assert_eq!(parse(&[], &["dt_1"]).unwrap(), Which::Ids(vec![DistributionId::Tenant("dt_1".into())]));
        assert!(parse(&["E1", "auto"], &[]).is_err());
        assert!(parse(&["auto"], &["dt_1"]).is_err());
        assert!(parse(&["https://d1.cloudfront.net"], &[]).is_err());
    }

    #[test]
    fn a_wildcard_alias_stands_for_one_label() {
        assert!(matches_host("*.example.com", "www.Example.com"));
        assert!(!matches_host("*.example.com", "a.b.example.com"));
        assert!(!matches_host("*.example.com", ".example.com"));
        assert!(!matches_host("example.com", "www.example.com"));
    }
}
