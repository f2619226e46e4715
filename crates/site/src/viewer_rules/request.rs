//! A viewer's request as a CloudFront Function sees it, and its query string.

use crate::redirects_file::split_url;

/// Maximum length of a URL in CloudFront, in bytes
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>).
pub const LONGEST_URL: usize = 8_192;

/// A viewer's HTTPS request, as a function sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The host, in lowercase.
    pub host: String,
    /// The path, as sent.
    pub uri: String,
    /// The query string.
    pub query: Query,
    /// `CloudFront-Viewer-Country`, where CloudFront adds it.
    pub country: Option<String>,
    /// `Accept-Language`.
    pub languages: Option<String>,
}

/// A query string: each name with its values, in the order in which a function lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, Vec<String>)>);

impl Request {
    /// The request for a URL such as `https://www.example.com/path?a=b`.
    pub fn of(url: &str) -> Request {
        Request::default().follow(url).unwrap_or_default()
    }

    /// The request that a browser sends next for a location without a fragment; `None` if it is not a request to a
    /// web server.
    pub(super) fn follow(&self, location: &str) -> Option<Request> {
        let start = match split_url(location) {
            (Some(_), ..) => location.find("://").map(|at| at + 3),
            (None, Some(_), _) => Some(2),
            (None, None, _) => None,
        };
        let (scheme, host, path) = match start {
            Some(at) => {
                let rest = &location[at..];
                let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (true, Some(host), path)
            }
            None => (false, None, location),
        };
        if !scheme && !path.starts_with('/') {
            return None;
        }
        let (uri, query) = path.split_once('?').unwrap_or((path, ""));
        let uri = if uri.is_empty() { "/" } else { uri };
        let host = host.map_or_else(|| self.host.clone(), str::to_ascii_lowercase);
        Some(Request { host, uri: uri.to_owned(), query: Query::parse(query), ..self.clone() })
    }

    /// Whether no viewer can send it: a target that repeats a captured part grows with each redirect, without
    /// limit. Counted in UTF-16 units, as a function counts, which has no bytes.
    pub(super) fn is_longer_than_any(&self) -> bool {
        let length = |text: &str| text.chars().map(char::len_utf16).sum::<usize>();
        length(&self.uri) + length(&self.query.text()) > LONGEST_URL
    }

    /// The visitor's first language, in lowercase.
    pub(super) fn preferred_language(&self) -> String {
        let languages = self.languages.as_deref().unwrap_or_default();
        languages.split([',', ';']).next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl Query {
    /// Parses a query string, without its `?`.
    pub fn parse(text: &str) -> Query {
        let mut query = Query::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match query.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value.to_owned()),
                None => query.0.push((name.to_owned(), vec![value.to_owned()])),
            }
        }
        // JavaScript lists properties that are whole numbers first.
        query.0.sort_by_key(|(name, _)| index(name).unwrap_or(u64::MAX));
        query
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, values)| values.first()).map(String::as_str)
    }

    /// The query string with its `?`, or an empty string.
    pub fn text(&self) -> String {
        let pair = |name: &str, value: &str| if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
        let pairs: Vec<String> =
            self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| pair(name, value))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// Each name with its values.
    pub fn pairs(&self) -> &[(String, Vec<String>)] {
        &self.0
    }
}

/// A property's name as a whole number below 2^32 - 1, if it is written as one.
fn index(name: &str) -> Option<u64> {
    let number: u64 = name.parse().ok().filter(|number| *number < u64::from(u32::MAX))?;
    (number.to_string() == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers_file::HeadersFile;
    use crate::platform::RuleOptions;
    use crate::redirects_file::parse;
    use crate::viewer_rules::{Answer, Rules};

    #[test]
    fn a_target_that_grows_with_each_redirect_ends_in_little_memory_and_passes_through() {
        let options = RuleOptions::default();
        let file = parse(&format!("/* /{} 301!\n", ":splat-".repeat(30)), &options);
        let rules = Rules::new(file, HeadersFile::default(), std::iter::empty(), false, &options).0;
        let request = Request::of("https://www.example.com/a/b");
        assert_eq!(rules.answer(&request), Answer::Origin("/a/b".to_owned()));
        assert!(rules.circle(&request).is_some());
    }
}
