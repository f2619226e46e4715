//! Bucket policies, as far as they keep viewers from objects.
//!
//! Without a policy, a bucket is open to its distributions, and an `Allow` changes nothing; a plain `Deny` of
//! `s3:GetObject` makes the origin answer 403. The API listener evaluates no policies.

use serde_json::Value;
use wildmatch::WildMatch;

/// Whether `text` is a policy, as far as S3 checks that.
pub(super) fn is_policy(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|policy| policy.get("Statement").is_some())
}

/// Whether `policy` keeps viewers from an object. Conditions are not evaluated: a statement with one denies
/// nothing.
pub(super) fn denies(policy: &str, bucket: &str, key: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    let resource = format!("arn:aws:s3:::{bucket}/{key}");
    let matches = |patterns: &Value, text: &str| {
        let mut patterns = each(patterns);
        patterns.any(|pattern| WildMatch::new(pattern).matches(text))
    };
    let viewers = |principal: &Value| {
        principal == "*"
            || each(&principal["AWS"]).any(|name| name == "*")
            || each(&principal["Service"]).any(|name| name == "cloudfront.amazonaws.com")
    };
    let mut statements = match &policy["Statement"] {
        Value::Array(statements) => statements.iter(),
        one => std::slice::from_ref(one).iter(),
    };
    statements.any(|statement| {
        statement["Effect"] == "Deny"
            && statement.get("Condition").is_none()
            && viewers(&statement["Principal"])
            && matches(&statement["Action"], "s3:GetObject")
            && matches(&statement["Resource"], &resource)
    })
}

/// The strings of a value that may be one or a list.
fn each(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Array(values) => Box::new(values.iter().filter_map(Value::as_str)),
        one => Box::new(one.as_str().into_iter()),
    }
}
