//! The site's URL for viewers: the name of its distribution and the path of its folder.

use crate::Shown;
use crate::viewer::Viewer;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All characters except the slash and those that RFC 3986 calls unreserved: no character in such a URL is special
/// to a shell.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The site's URL through the first of these distributions that has a name of its own: the alias that equals the
/// bucket's name, any other alias, or the name that CloudFront assigned. `None` if no name is known, or the folder
/// that the distribution serves is not known.
pub(crate) fn url(shown: &[Shown], bucket: &str) -> Option<String> {
    let named = |shown: &Shown| {
        let plain =
            |name: &&String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        let aliases = || shown.aliases.iter().filter(plain);
        let (rank, host) = match (aliases().find(|alias| *alias == bucket), aliases().next()) {
            (Some(alias), _) => (0, alias),
            (None, Some(alias)) => (1, alias),
            (None, None) => (2, shown.domain_name.as_ref().filter(plain)?),
        };
        Some((rank, format!("https://{host}{}", path(&shown.viewer)?)))
    };
    shown
        .iter()
        .filter(|shown| shown.serves_viewers)
        .filter_map(named)
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, url)| url)
}

/// The path of the site's folder, encoded, with leading and trailing slashes.
pub(crate) fn path(viewer: &Viewer) -> Option<String> {
    let folder = viewer.folder()?;
    Some(format!("/{}", utf8_percent_encode(&folder, RESERVED)))
}

#[cfg(test)]
mod tests {
    use crate::viewer::{CacheBehavior, DistributionShape, Origin};
    use crate::{DistributionId, Policy, Viewers};
    use shipfront_site::Target;

    fn shape(id: &str, aliases: &[&str], origin_path: &str) -> (DistributionId, DistributionShape) {
        let domain_name = "www.example.com.s3.eu-west-1.amazonaws.com".to_owned();
        let origin = Origin { id: "o".into(), domain_name, origin_path: origin_path.into(), ..Origin::default() };
        let behavior =
            CacheBehavior { path_pattern: "*".into(), target_origin_id: "o".into(), ..CacheBehavior::default() };
        let shape = DistributionShape {
            id: id.into(),
            readable: true,
            origins: vec![origin],
            cache_behaviors: vec![behavior],
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            ..DistributionShape::default()
        };
        (DistributionId::Distribution(id.into()), shape)
    }

    fn url(shapes: &[(DistributionId, DistributionShape)], target: &str) -> Option<String> {
        Viewers::new(shapes, &Target::parse(target).unwrap(), Policy::default()).url(None)
    }

    #[test]
    fn an_alias_comes_before_the_name_that_cloudfront_gave_and_that_of_the_bucket_before_others() {
        const SITE: &str = "s3://www.example.com";
        let mut plain = shape("E1", &[], "");
        assert_eq!(url(std::slice::from_ref(&plain), SITE), None, "no name is known");
        plain.1.domain_name = Some("d111111abcdef8.cloudfront.net".into());
        assert_eq!(url(std::slice::from_ref(&plain), SITE).unwrap(), "https://d111111abcdef8.cloudfront.net/");
        let named = shape("E2", &["*.example.com", "example.com", "www.example.com"], "");
        assert_eq!(url(&[plain.clone(), named.clone()], SITE).unwrap(), "https://www.example.com/");
        let other = shape("E2", &["*.example.com", "example.net"], "");
        assert_eq!(url(&[plain.clone(), other], SITE).unwrap(), "https://example.net/");
        let wildcard = shape("E2", &["*.example.com"], "");
        assert_eq!(url(&[wildcard], SITE), None, "a wildcard is no host");
        let hostile = shape("E2", &["$(reboot).example.com", "a\nb", ""], "");
        assert_eq!(url(&[hostile], SITE), None);
        let disabled = (named.0, DistributionShape { disabled: true, ..named.1 });
        assert_eq!(url(&[disabled], SITE), None);
        assert_eq!(url(&[], SITE), None);
    }

    #[test]
    fn the_path_is_what_the_target_has_beyond_the_origin_path() {
        let of = |origin_path, target| url(&[shape("E1", &["example.com"], origin_path)], target);
        assert_eq!(of("", "s3://www.example.com/blog").unwrap(), "https://example.com/blog/");
        assert_eq!(of("/blog", "s3://www.example.com/blog").unwrap(), "https://example.com/");
        assert_eq!(of("/blog/new", "s3://www.example.com/blog").unwrap(), "https://example.com/");
        assert_eq!(of("/other", "s3://www.example.com/blog"), None, "it is not shown");
        let hostile = of("", "s3://www.example.com/a'$(b);c é").unwrap();
        assert_eq!(hostile, "https://example.com/a%27%24%28b%29%3Bc%20%C3%A9/");
    }

    #[test]
    fn a_site_that_the_user_names_is_believed() {
        let viewers = |shapes: &[_]| {
            Viewers::new(shapes, &Target::parse("s3://www.example.com/blog").unwrap(), Policy::default())
        };
        let shown = viewers(&[shape("E1", &["example.com"], "")]);
        assert_eq!(shown.url(Some("https://www.example.org")).unwrap(), "https://www.example.org/blog/");
        assert_eq!(viewers(&[]).url(Some("https://www.example.org")), None);
    }
}
