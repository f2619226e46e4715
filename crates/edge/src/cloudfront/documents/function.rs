//! Functions and key-value stores in CloudFront's XML.

use serde::{Deserialize, Serialize};

use super::{List, time};
use crate::functions::{Function, Stage, Version, arn};
use crate::key_values;

/// The request body of `CreateFunction` and `UpdateFunction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct FunctionRequest {
    /// `CreateFunction` only.
    #[serde(default)]
    pub(in crate::cloudfront) name: String,
    pub(in crate::cloudfront) function_config: FunctionConfig,
    /// Base64.
    pub(in crate::cloudfront) function_code: String,
}

/// The request body of `TestFunction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct TestFunctionRequest {
    #[serde(default)]
    pub(in crate::cloudfront) stage: Option<String>,
    /// Base64.
    pub(in crate::cloudfront) event_object: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct FunctionConfig {
    #[serde(default)]
    pub(in crate::cloudfront) comment: String,
    pub(in crate::cloudfront) runtime: String,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudfront) key_value_store_associations: Option<List<KeyValueStoreAssociation>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cloudfront) enum KeyValueStoreAssociation {
    KeyValueStoreAssociation {
        #[serde(rename = "KeyValueStoreARN")]
        arn: String,
    },
}

impl KeyValueStoreAssociation {
    pub(in crate::cloudfront) fn into_arn(self) -> String {
        let Self::KeyValueStoreAssociation { arn } = self;
        arn
    }
}

/// An item of a `FunctionList`.
#[derive(Serialize)]
pub(in crate::cloudfront) enum Functions {
    FunctionSummary(FunctionSummary),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct FunctionSummary {
    name: String,
    status: &'static str,
    function_config: FunctionConfig,
    function_metadata: FunctionMetadata,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionMetadata {
    #[serde(rename = "FunctionARN")]
    arn: String,
    stage: &'static str,
    created_time: String,
    last_modified_time: String,
}

/// A page of a `FunctionList`, which has no marker of its own.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct FunctionList {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudfront) next_marker: Option<String>,
    pub(in crate::cloudfront) max_items: usize,
    #[serde(flatten)]
    pub(in crate::cloudfront) list: List<Functions>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct TestResult {
    pub(in crate::cloudfront) function_summary: FunctionSummary,
    pub(in crate::cloudfront) compute_utilization: String,
    pub(in crate::cloudfront) function_execution_logs: Logs,
    pub(in crate::cloudfront) function_error_message: String,
    pub(in crate::cloudfront) function_output: String,
}

#[derive(Serialize)]
pub(in crate::cloudfront) struct Logs {
    #[serde(rename = "member")]
    pub(in crate::cloudfront) lines: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct KeyValueStore {
    name: String,
    id: String,
    comment: String,
    #[serde(rename = "ARN")]
    arn: String,
    status: &'static str,
    last_modified_time: String,
}

impl From<&Function> for FunctionConfig {
    fn from(function: &Function) -> Self {
        let association = |arn: &String| KeyValueStoreAssociation::KeyValueStoreAssociation { arn: arn.clone() };
        Self {
            comment: function.comment.clone(),
            runtime: function.runtime.clone(),
            key_value_store_associations: Some(function.key_value_store.iter().map(association).collect()),
        }
    }
}

impl FunctionSummary {
    pub(in crate::cloudfront) fn new(version: &Version, stage: Stage, status: &'static str) -> Self {
        Self {
            name: version.function.name.clone(),
            status,
            function_config: (&version.function).into(),
            function_metadata: FunctionMetadata {
                arn: arn(&version.function.name),
                stage: stage.as_str(),
                created_time: time(version.created),
                last_modified_time: time(version.modified),
            },
        }
    }
}

impl From<&key_values::KeyValueStore> for KeyValueStore {
    fn from(store: &key_values::KeyValueStore) -> Self {
        Self {
            name: store.name.clone(),
            id: store.id().to_owned(),
            comment: store.comment.clone(),
            arn: store.arn.clone(),
            status: "READY",
            last_modified_time: time(store.modified),
        }
    }
}
