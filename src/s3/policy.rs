//! Reads the bucket policy for one question: does it keep viewers out of a folder?

use crate::error::Result;
use crate::s3::Bucket;
use aws_sdk_s3::error::ProvideErrorMetadata;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use wildmatch::WildMatch;

/// The principal as which CloudFront fetches with an origin access control
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html>).
const CLOUDFRONT: &str = "cloudfront.amazonaws.com";
const READ: &str = "s3:getobject";

impl Bucket {
    /// The bucket policy; empty if there is none. Needs `s3:GetBucketPolicy`.
    pub async fn policy(&self) -> Result<String> {
        let request = self.client.get_bucket_policy().bucket(self.target.bucket());
        match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => Ok(answer.policy.unwrap_or_default()),
            Err(error) if error.code() == Some("NoSuchBucketPolicy") => Ok(String::new()),
            Err(error) => Err(self.explain("GetBucketPolicy", error)),
        }
    }

    /// Whether the bucket policy certainly keeps viewers from reading objects below a folder.
    pub async fn keeps_viewers_out(&self, folder: &str) -> Result<bool> {
        Ok(keeps_viewers_out(&self.policy().await?, self.target.bucket(), folder))
    }
}

/// Whether `policy` lets a distribution read below `folder` as CloudFront's service, which an origin access control
/// needs. A condition that names the distribution is assumed to hold.
pub fn lets_distribution_read(policy: &str, bucket: &str, folder: &str, distribution: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Policy>(policy) else { return false };
    let folder = format!("{bucket}/{folder}");
    let named = |statement: &Statement| {
        let mut conditions = statement.condition.iter().flatten().flat_map(|(_, keys)| keys);
        conditions.all(|(_, value)| {
            let text = value.to_string();
            text.contains(distribution) || text.contains("distribution/*") || !text.contains("distribution/")
        })
    };
    policy.statement.as_slice().iter().any(|statement| {
        statement.effect == "Allow"
            && statement.principal.as_ref().is_some_and(|who| who.is_cloudfront() || who.is_everyone())
            && statement.may_allow_reading_below(&folder)
            && named(statement)
    })
}

/// Whether `policy` certainly keeps viewers from reading every key below `folder` (a prefix that ends in `/`). If
/// in doubt, it does not.
///
/// This requires a `Deny` of reading for everyone, or for CloudFront's service principal if the policy allows
/// reading to nobody else who may be a viewer: everyone, or an origin access identity. A `Deny` with a `Condition`
/// counts only if it does no more than exempt accounts or roles by name, which no viewer has; one with
/// `NotPrincipal`, `NotAction` or `NotResource` never does.
pub fn keeps_viewers_out(policy: &str, bucket: &str, folder: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Policy>(policy) else { return false };
    let folder = format!("{bucket}/{folder}");
    let statements = policy.statement.as_slice();
    let denied = |who: fn(&Principal) -> bool| {
        statements.iter().any(|statement| {
            statement.effect == "Deny"
                && statement.principal.as_ref().is_some_and(who)
                && statement.denies_reading_below(&folder)
        })
    };
    let by_another_door = || {
        statements.iter().any(|statement| {
            statement.effect != "Deny"
                && statement.principal.as_ref().is_none_or(Principal::has_other_viewers)
                && statement.may_allow_reading_below(&folder)
        })
    };
    denied(Principal::is_everyone) || denied(Principal::is_cloudfront) && !by_another_door()
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    statement: OneOrMany<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: String,
    /// `None` if there is a `NotPrincipal` instead; likewise below.
    principal: Option<Principal>,
    action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    condition: Option<BTreeMap<String, BTreeMap<String, Value>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Principal {
    Plain(String),
    Kinds(BTreeMap<String, OneOrMany<String>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::Many(all) => all,
            OneOrMany::One(one) => std::slice::from_ref(one),
        }
    }
}

impl Principal {
    fn names(&self, kind: &str, is_meant: impl Fn(&str) -> bool) -> bool {
        match self {
            Principal::Plain(name) => is_meant(name),
            Principal::Kinds(kinds) => {
                kinds.get(kind).is_some_and(|names| names.as_slice().iter().any(|name| is_meant(name)))
            }
        }
    }

    fn is_everyone(&self) -> bool {
        self.names("AWS", |name| name == "*")
    }

    fn is_cloudfront(&self) -> bool {
        self.names("Service", |name| name == CLOUDFRONT)
    }

    /// Whether viewers may act as one of these principals, other than as CloudFront's service.
    fn has_other_viewers(&self) -> bool {
        let identity = |name: &str| name.contains(":iam::cloudfront:user/");
        self.names("AWS", |name| name == "*" || identity(name)) || self.names("CanonicalUser", |_| true)
    }
}

impl Statement {
    fn denies_reading_below(&self, folder: &str) -> bool {
        let any = |patterns: &Option<OneOrMany<String>>, is_meant: &dyn Fn(&str) -> bool| {
            patterns.as_ref().is_some_and(|patterns| patterns.as_slice().iter().any(|pattern| is_meant(pattern)))
        };
        // A pattern that ends in `*` and matches the folder matches everything below it.
        let covers = |pattern: &str| {
            pattern.ends_with('*') && WildMatch::new(&meant(key_pattern(pattern))).matches(&set_apart(folder))
        };
        any(&self.action, &reads) && any(&self.resource, &covers) && self.exempts_no_viewer()
    }

    /// The opposite doubt: a statement that is not certainly about something else may allow it.
    fn may_allow_reading_below(&self, folder: &str) -> bool {
        let any = |patterns: &Option<OneOrMany<String>>, may_be: &dyn Fn(&str) -> bool| {
            patterns.as_ref().is_none_or(|patterns| patterns.as_slice().iter().any(|pattern| may_be(pattern)))
        };
        let overlaps = |pattern: &str| {
            let pattern = meant(key_pattern(pattern));
            let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
            // A variable may be anything.
            let fixed = fixed.split("${").next().unwrap_or_default();
            let folder = set_apart(folder);
            fixed.starts_with(&folder) || folder.starts_with(fixed)
        };
        any(&self.action, &reads) && any(&self.resource, &overlaps)
    }

    /// A key that is missing from a request satisfies a negated operator: so does every anonymous viewer
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
    fn exempts_no_viewer(&self) -> bool {
        const NEGATED: [&str; 4] = ["StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike"];
        const WHO: [&str; 3] = ["aws:principalaccount", "aws:principalarn", "aws:principalorgid"];
        self.condition.iter().flatten().all(|(operator, keys)| {
            NEGATED.contains(&operator.as_str())
                && keys.keys().all(|key| WHO.contains(&key.to_ascii_lowercase().as_str()))
        })
    }
}

fn reads(action: &str) -> bool {
    WildMatch::new(&action.to_ascii_lowercase()).matches(READ)
}

/// Represent literal `*` and `?`; no key contains these characters.
const STAR: &str = "\u{f0001}";
const QUESTION_MARK: &str = "\u{f0002}";

/// A pattern whose literal characters are distinct from wildcards.
fn meant(pattern: &str) -> String {
    pattern.replace("${*}", STAR).replace("${?}", QUESTION_MARK).replace("${$}", "$")
}

/// A key in which characters that would be wildcards are replaced the same way.
fn set_apart(key: &str) -> String {
    key.replace('*', STAR).replace('?', QUESTION_MARK)
}

/// What follows `arn:PARTITION:s3:::`; AWS's partitions do not differ otherwise here.
fn key_pattern(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

/// The policy of a bucket on the local edge: CloudFront may read everything except deploy records.
#[cfg(feature = "edge")]
pub(super) fn for_records(bucket: &str) -> String {
    use crate::aws::policy_document::{Document, Statement};
    Document::of(vec![Statement::closing_records("aws", bucket)]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW_CLOUDFRONT: &str = r#"{"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": "arn:aws:cloudfront::1:distribution/E1"}}}"#;
    const ALLOW_EVERYONE: &str =
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}"#;

    fn deny(rest: &str) -> String {
        format!(r#"{{"Effect": "Deny", {rest}}}"#)
    }

    fn out(statements: &[&str]) -> bool {
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
        keeps_viewers_out(&policy, "b", ".shipfront/site/")
    }

    #[test]
    fn a_deny_of_reading_the_folder_counts_however_it_is_written() {
        for rest in [
            r#""Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/.shipfront/*""#,
            r#""Principal": {"Service": ["x", "cloudfront.amazonaws.com"]}, "Action": ["s3:Get*"], "Resource": ["arn:aws:s3:::b/x", "arn:aws:s3:::b/.ship*"]"#,
            r#""Principal": "*", "Action": "s3:*", "Resource": "arn:aws-cn:s3:::b/.shipfront/site/*""#,
            r#""Principal": {"AWS": "*"}, "Action": "*", "Resource": "*""#,
            r#""Principal": "*", "Action": "S3:getobject", "Resource": "arn:aws:s3:::b/.shipfront/*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "1"}}"#,
        ] {
            assert!(out(&[ALLOW_CLOUDFRONT, &deny(rest)]), "{rest}");
        }
        let one = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}}"#;
        assert!(keeps_viewers_out(one, "b", ".shipfront/"));
    }

    #[test]
    fn a_deny_of_something_else_or_on_some_condition_does_not() {
        for rest in [
            r#""Principal": "*", "Action": "s3:PutObject", "Resource": "*""#,
            r#""Principal": "*", "Action": "s3:GetObjectAcl", "Resource": "*""#,
            r#""Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/.shipfront/site/state.json""#,
            r#""Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/.shipfront/site""#,
            r#""Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/.shipfront/other/*""#,
            r#""Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/.shipfront/*""#,
            r#""Principal": {"AWS": "arn:aws:iam::1:role/x"}, "Action": "s3:*", "Resource": "*""#,
            r#""NotPrincipal": {"AWS": "arn:aws:iam::1:role/x"}, "Action": "s3:*", "Resource": "*""#,
            r#""Principal": "*", "NotAction": "s3:PutObject", "Resource": "*""#,
            r#""Principal": "*", "Action": "s3:*", "NotResource": "arn:aws:s3:::b/public/*""#,
            r#""Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}"#,
            r#""Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceIp": "1.2.3.4"}}"#,
        ] {
            assert!(!out(&[ALLOW_CLOUDFRONT, &deny(rest)]), "{rest}");
        }
        assert!(!out(&[ALLOW_CLOUDFRONT]));
        assert!(!keeps_viewers_out("{", "b", ".shipfront/"));
    }

    #[test]
    fn denying_cloudfront_is_not_enough_if_viewers_have_another_way_in() {
        let deny = deny(
            r#""Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/.shipfront/*""#,
        );
        let identity = r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"},
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}"#;
        let role =
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:role/x"}, "Action": "s3:*", "Resource": "*"}"#;
        let elsewhere =
            r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/public/*"}"#;
        assert!(out(&[ALLOW_CLOUDFRONT, role, elsewhere, &deny]));
        assert!(!out(&[ALLOW_EVERYONE, &deny]));
        assert!(!out(&[ALLOW_CLOUDFRONT, identity, &deny]));
    }

    #[cfg(feature = "edge")]
    #[test]
    fn the_local_buckets_own_policy_keeps_viewers_out_of_every_record() {
        assert!(keeps_viewers_out(&for_records("b"), "b", ".shipfront/site/"));
        assert!(!keeps_viewers_out(&for_records("b"), "b", "site/"));
    }

    #[test]
    fn actions_match_as_a_whole_and_whatever_their_case() {
        for (action, expected) in [
            ("*", true),
            ("s3:*", true),
            ("S3:Get*", true),
            ("s3:?etObject", true),
            ("s3:*Object", true),
            ("s3:GetObject*", true),
            ("s3:GetObjec", false),
            ("s3:GetObject?", false),
            ("s3:*Acl", false),
            ("", false),
        ] {
            assert_eq!(reads(action), expected, "{action}");
        }
    }

    #[test]
    fn a_policy_of_many_wildcards_is_read_at_once() {
        let folder = format!("{}/", "a".repeat(10_000));
        let policy = |end: &str| {
            let resource = format!("arn:aws:s3:::b/{}{end}*", "a*".repeat(40));
            format!(
                r#"{{"Statement": {{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "{resource}"}}}}"#
            )
        };
        assert!(!keeps_viewers_out(&policy("b"), "b", &folder));
        assert!(keeps_viewers_out(&policy(""), "b", &folder));
    }
}
