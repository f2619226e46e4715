//! CloudFront's documents as serde types: the parts of requests that are read, and the parts of responses that are
//! written. Names and order:
//! <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html>.

mod distribution;
mod function;
mod policy;
mod tenant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::invalidation;

pub(super) use distribution::{Distribution, DistributionConfig, DistributionSummary};
pub(super) use function::{
    FunctionList, FunctionRequest, FunctionSummary, Functions, KeyValueStore, KeyValueStoreAssociation, Logs,
    TestFunctionRequest, TestResult,
};
pub(super) use policy::CachePolicy;
pub(super) use tenant::DistributionTenant;

/// A list: its length, and the items unless it is empty. An item is a struct or a variant with the name of its
/// element.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List<T> {
    quantity: usize,
    // Without the bound, serde would require `T: Default`.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    items: Option<Items<T>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Items<T> {
    #[serde(rename = "$value", default = "Vec::new")]
    all: Vec<T>,
}

impl<T> List<T> {
    /// The items, if there are as many as the list says.
    pub(super) fn counted(self) -> Option<Vec<T>> {
        let all = self.items.map(|items| items.all).unwrap_or_default();
        (all.len() == self.quantity).then_some(all)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let all: Vec<T> = items.into_iter().collect();
        Self { quantity: all.len(), items: (!all.is_empty()).then_some(Items { all }) }
    }
}

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page<T> {
    pub(super) marker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_marker: Option<String>,
    pub(super) max_items: usize,
    pub(super) is_truncated: bool,
    #[serde(flatten)]
    pub(super) list: List<T>,
}

/// An item of a `DistributionList`. It is a variant because a struct with flattened fields has no name of its own.
#[derive(Serialize)]
pub(super) enum Distributions {
    DistributionSummary(DistributionSummary),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Invalidation {
    id: String,
    status: &'static str,
    create_time: String,
    invalidation_batch: InvalidationBatch,
}

/// What a client sends and gets back in the invalidation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InvalidationBatch {
    pub(super) paths: List<Path>,
    pub(super) caller_reference: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Path {
    Path(String),
}

impl From<&invalidation::Invalidation> for Invalidation {
    fn from(accepted: &invalidation::Invalidation) -> Self {
        Self {
            id: accepted.id.clone(),
            status: accepted.status.as_str(),
            create_time: time(accepted.created),
            invalidation_batch: InvalidationBatch {
                paths: accepted.items.iter().cloned().map(Path::Path).collect(),
                caller_reference: accepted.caller_reference.clone(),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InvalidationSummary {
    id: String,
    create_time: String,
    status: &'static str,
}

impl From<&invalidation::Invalidation> for InvalidationSummary {
    fn from(accepted: &invalidation::Invalidation) -> Self {
        Self { id: accepted.id.clone(), create_time: time(accepted.created), status: accepted.status.as_str() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ErrorResponse {
    error: Error,
    request_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Error {
    r#type: &'static str,
    code: String,
    message: String,
}

impl ErrorResponse {
    pub(super) fn new(code: &str, message: &str) -> Self {
        let error = Error { r#type: "Sender", code: code.to_owned(), message: message.to_owned() };
        Self { error, request_id: "00000000-0000-0000-0000-000000000000" }
    }
}

fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
