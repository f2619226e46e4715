//! Determines whose bucket an origin is, by its domain name.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html>

/// How an origin serves a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginKind {
    /// The bucket's REST endpoint: keys as is, no index documents.
    S3Rest,
    /// The bucket's website endpoint: a directory answers with its index document.
    S3Website,
    /// Not an endpoint of this bucket.
    Other,
}

/// Whether `domain`, the domain name of an origin, is an endpoint of `bucket`, and of which kind.
pub fn origin_is_bucket(domain: &str, bucket: &str) -> OriginKind {
    let (domain, bucket) = (domain.to_ascii_lowercase(), bucket.to_ascii_lowercase());
    if bucket.is_empty() {
        return OriginKind::Other;
    }
    domain
        .strip_prefix(&bucket)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(endpoint_kind)
        .unwrap_or(OriginKind::Other)
}

/// Whether `domain` is certainly an endpoint of a bucket of exactly that name. The alias of an access point looks
/// like one and may refer to any bucket.
pub(super) fn names_a_bucket(domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    domain.match_indices('.').any(|(dot, _)| {
        let name = &domain[..dot];
        let alias = name.ends_with("-s3alias") || name.ends_with("--ol-s3");
        !name.is_empty() && !alias && endpoint_kind(&domain[dot + 1..]).is_some()
    })
}

/// The kind of an S3 endpoint without its bucket, such as `s3.eu-west-1.amazonaws.com`.
fn endpoint_kind(host: &str) -> Option<OriginKind> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let service = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    for website in ["s3-website-", "s3-website."] {
        if let Some(region) = service.strip_prefix(website) {
            return is_region(region).then_some(OriginKind::S3Website);
        }
    }
    if matches!(service, "s3" | "s3-accelerate" | "s3-accelerate.dualstack") {
        return Some(OriginKind::S3Rest);
    }
    ["s3.dualstack.", "s3-fips.dualstack.", "s3-fips.", "s3.", "s3-"]
        .iter()
        .find_map(|prefix| service.strip_prefix(prefix))
        .filter(|region| is_region(region))
        .map(|_| OriginKind::S3Rest)
}

/// Whether `text` has the form of a region (`eu-west-1`, `us-gov-west-1`) or of the old `external-1`. A bucket
/// whose own name contains `.s3.` must not be mistaken for a shorter one.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-').rev();
    let number = parts.next().unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && parts.all(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::OriginKind::{Other, S3Rest, S3Website};
    use super::*;

    #[test]
    fn every_endpoint_of_the_bucket_is_recognised() {
        for (domain, kind) in [
            ("www.example.com.s3.amazonaws.com", S3Rest),
            ("www.example.com.s3.eu-west-1.amazonaws.com", S3Rest),
            ("WWW.example.com.S3.eu-west-1.amazonaws.com.", S3Rest),
            ("www.example.com.s3-eu-west-1.amazonaws.com", S3Rest),
            ("www.example.com.s3-external-1.amazonaws.com", S3Rest),
            ("www.example.com.s3.dualstack.us-gov-west-1.amazonaws.com", S3Rest),
            ("www.example.com.s3-fips.us-east-2.amazonaws.com", S3Rest),
            ("www.example.com.s3-accelerate.amazonaws.com", S3Rest),
            ("www.example.com.s3.cn-north-1.amazonaws.com.cn", S3Rest),
            ("www.example.com.s3-website-us-east-1.amazonaws.com", S3Website),
            ("www.example.com.s3-website.eu-central-1.amazonaws.com", S3Website),
            ("www.example.com.s3-website.cn-north-1.amazonaws.com.cn", S3Website),
        ] {
            assert_eq!(origin_is_bucket(domain, "www.example.com"), kind, "{domain}");
            assert!(names_a_bucket(domain), "{domain}");
        }
    }

    #[test]
    fn another_buckets_endpoint_is_never_taken_for_ours() {
        for (domain, bucket) in [
            ("www.example.com.s3.amazonaws.com", "www"),
            ("www.example.com.s3.amazonaws.com", "example.com"),
            ("www.example.com.s3.amazonaws.com", "www.example"),
            ("site-old.s3.amazonaws.com", "site"),
            ("old-site.s3.amazonaws.com", "site"),
            ("site.s3.s3.amazonaws.com", "site"),
            ("site.s3.s3.us-east-1.amazonaws.com", "site"),
            ("site.s3.us-east-1.s3.us-east-1.amazonaws.com", "site"),
            ("site.s3-website.s3.us-east-1.amazonaws.com", "site"),
            ("site.s3-website-us-east-1.s3.amazonaws.com", "site"),
            ("site.s3.us-east-1.amazonaws.com.example.com", "site"),
            ("site.example.com", "site"),
            ("site", "site"),
            ("s3.amazonaws.com", ""),
            (".s3.amazonaws.com", ""),
        ] {
            assert_eq!(origin_is_bucket(domain, bucket), Other, "{domain} {bucket}");
        }
    }

    #[test]
    fn a_host_that_may_serve_any_bucket_is_not_taken_for_anothers() {
        for domain in [
            "api.example.com",
            "s3.amazonaws.com",
            "lb-1.eu-west-1.elb.amazonaws.com",
            "abc.execute-api.us-east-1.amazonaws.com",
            "site-123456789012.s3-accesspoint.us-east-1.amazonaws.com",
            "site-abcdefgh-s3alias.s3.us-east-1.amazonaws.com",
        ] {
            assert!(!names_a_bucket(domain), "{domain}");
        }
    }
}
