//! Policies in the form of IAM and S3.

use serde::{Serialize, Serializer};
use shipfront_site::RECORD_FOLDER;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// The service principal of CloudFront with an origin access control.
pub const CLOUDFRONT: &str = "cloudfront.amazonaws.com";
/// What viewers do through CloudFront.
pub const READ: &str = "s3:GetObject";

/// A policy document
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    version: &'static str,
    pub(crate) statement: Vec<Statement>,
}

impl Document {
    /// A document of these statements.
    pub fn of(statement: Vec<Statement>) -> Document {
        Document { version: "2012-10-17", statement }
    }
}

impl Display for Document {
    /// Writes JSON, to be pasted.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

/// One statement.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    #[serde(skip_serializing_if = "Option::is_none")]
    /// `Sid`.
    pub sid: Option<&'static str>,
    /// `Effect`.
    pub effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// `Principal`.
    pub principal: Option<BTreeMap<&'static str, String>>,
    #[serde(serialize_with = "one_or_many")]
    /// `Action`.
    pub action: Vec<String>,
    #[serde(serialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    /// `Resource`; a role's trust policy has none.
    pub resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// `Condition`.
    pub condition: Option<BTreeMap<&'static str, BTreeMap<String, Vec<String>>>>,
}

impl Statement {
    /// A statement that keeps viewers, for whom CloudFront makes requests, from reading the deploy records of a
    /// bucket.
    pub fn closing_records(partition: &str, bucket: &str) -> Statement {
        Statement {
            sid: Some("DeployRecordIsNotForViewers"),
            effect: "Deny",
            principal: Some([("Service", CLOUDFRONT.to_owned())].into()),
            action: vec![READ.to_owned()],
            resource: vec![format!("arn:{partition}:s3:::{bucket}/{RECORD_FOLDER}*")],
            condition: None,
        }
    }
}

/// A text as a literal in a policy, where `*`, `?` and `$` have a special meaning
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>).
pub fn literal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut literal, c| {
        match c {
            '*' | '?' | '$' => literal.extend(['$', '{', c, '}']),
            c => literal.push(c),
        }
        literal
    })
}

fn one_or_many<S: Serializer>(values: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match values {
        [one] => serializer.serialize_str(one),
        many => many.serialize(serializer),
    }
}
