//! The objects of a site: keys, the wave of each, and the site's location in S3.

pub mod cache_control;
pub mod charset;
mod circles;
mod compact_table;
pub mod compression;
mod encoding;
mod error;
pub mod etag;
pub mod glob;
pub mod header_function;
pub mod headers;
pub mod headers_file;
pub mod host_label;
mod javascript;
pub mod key;
mod kinds;
pub mod media_type;
pub mod platform;
pub mod project;
pub mod redirect_function;
pub mod redirects_file;
pub mod references;
pub mod response_headers_policy;
pub mod rule_changes;
pub mod rules;
mod shared_key;
pub mod url_pattern;
pub mod viewer_rules;
mod warning;

pub use encoding::Encoding;
pub use error::{Error, ErrorKind, LineError, Result};
pub use kinds::{ObjectKind, ObjectKinds};
use percent_encoding::percent_decode_str;
pub use shared_key::Key;
use std::fmt;
pub use warning::Warning;

/// The folder of deploy records in a bucket: never compared, pruned or invalidated.
pub const RECORD_FOLDER: &str = ".shipfront/";

/// Location of a site: a bucket and a key prefix that is empty or ends in `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    bucket: String,
    prefix: String,
}

impl Target {
    /// Parses `s3://bucket` or `s3://bucket/prefix`.
    ///
    /// The prefix always ends in `/`, so that `blog` never means `blog-archive`. The folder of the deploy records
    /// is not a site, however it is spelled.
    pub fn parse(text: &str) -> Result<Target> {
        let target = Target::parse_folder(text)?;
        if is_in_record_folder(&target.prefix) {
            return Err(Error::invalid(format!("{text:?} is in the folder of deploy records, {RECORD_FOLDER}"))
                .hint("name the bucket, or another folder of it"));
        }
        Ok(target)
    }

    /// Parses any folder of a bucket, such as that of a deploy record.
    pub fn parse_folder(text: &str) -> Result<Target> {
        let example = "write it as s3://bucket or s3://bucket/prefix";
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| Error::invalid(format!("{text:?} is not an s3:// URL")).hint(example))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(problem) = bucket_name_problem(bucket) {
            let error = Error::invalid(format!("{text:?} does not name a usable bucket: {problem}"));
            return Err(error.hint(example));
        }
        let prefix = prefix.trim_end_matches('/');
        if prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//") || prefix.starts_with('/')
        {
            return Err(Error::invalid(format!("the prefix {prefix:?} has an empty, '.' or '..' part")).hint(example));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Target { bucket: bucket.to_owned(), prefix })
    }

    /// The whole bucket of this name.
    pub fn whole(bucket: &str) -> Result<Target> {
        match Target::parse(&format!("s3://{bucket}"))? {
            target if target.bucket == bucket => Ok(target),
            _ => Err(Error::invalid(format!("{bucket:?} is not a bucket name"))),
        }
    }

    /// The location of this target's deploy record: next to its prefix, not inside.
    pub fn record_folder(&self) -> Target {
        Target { bucket: self.bucket.clone(), prefix: format!("{RECORD_FOLDER}{}", self.prefix) }
    }

    /// The comment of the CloudFront Functions to which deploys to this target may publish code.
    pub fn function_comment(&self) -> String {
        format!("shipfront {self}")
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key prefix, empty or ending in `/`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key in the bucket of one of the site's keys.
    pub fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}", self.bucket)?;
        match self.prefix.trim_end_matches('/') {
            "" => Ok(()),
            prefix => write!(formatter, "/{prefix}"),
        }
    }
}

/// Whether a part of a prefix names the folder of deploy records, including as a URL or a case-insensitive disk
/// would read it.
fn is_in_record_folder(prefix: &str) -> bool {
    let name = RECORD_FOLDER.trim_end_matches('/');
    percent_decode_str(prefix).decode_utf8_lossy().split('/').any(|part| part.eq_ignore_ascii_case(name))
}

/// Why a name cannot be that of a general purpose bucket
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
fn bucket_name_problem(name: &str) -> Option<&'static str> {
    if name.ends_with("--x-s3") {
        return Some("it is a directory bucket, which lists unordered and serves no website");
    }
    if name.starts_with("arn:") || name.contains(':') {
        return Some("access point and other ARNs are not supported, only bucket names");
    }
    // Bucket names from before 2018 may have uppercase letters, underscores and up to 255 characters.
    if !(3..=255).contains(&name.len()) {
        return Some("a bucket name has 3 to 63 characters");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!name.chars().all(allowed)).then_some("a bucket name has letters, digits, dots and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_always_ends_in_a_slash_so_that_blog_is_not_blog_archive() {
        let target = Target::parse("s3://www.example.com/blog").unwrap();
        assert_eq!(target.prefix(), "blog/");
        assert_eq!(target.full_key("index.html"), "blog/index.html");
        assert_eq!(target.to_string(), "s3://www.example.com/blog");
        assert_eq!(Target::parse("s3://bucket/").unwrap().prefix(), "");
    }

    #[test]
    fn what_is_not_an_s3_url_of_a_general_purpose_bucket_is_a_usage_error() {
        let bad = [
            "bucket",
            "s3:/bucket",
            "s3://",
            "s3://ab",
            "s3://site--use1-az4--x-s3",
            "s3://a b c",
            "s3://bucket/../x",
            "s3://arn:aws:s3",
            "s3://site/.shipfront",
            "s3://site/.shipfront/",
            "s3://site/.shipfront/blog",
            "s3://site/blog/.shipfront",
            "s3://site/./.shipfront",
            "s3://site//.shipfront",
            "s3://site/%2Eshipfront",
            "s3://site/.Shipfront/x",
            "s3://site/%2eshipfront%2Fx",
        ];
        for text in bad {
            assert_eq!(Target::parse(text).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
    }
}
