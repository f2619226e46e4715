//! CodePipeline's two results of a job, checked against their documented limits and kept for assertions.
//!
//! Every job is in progress until its first result. A result with a continuation token counts as well: CodePipeline
//! continues with a job of another ID
//! (<https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutJobSuccessResult.html>).

use std::collections::BTreeMap;
use std::sync::Mutex;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use s3s::Body;
use serde::Deserialize;
use serde_json::json;

use crate::lock::locked;

/// The beginning of `X-Amz-Target`.
const TARGET: &str = "CodePipeline_20150709.";
const FAILURES: [&str; 6] = [
    "JobFailed",
    "ConfigurationError",
    "PermissionError",
    "RevisionOutOfSync",
    "RevisionUnavailable",
    "SystemUnavailable",
];

/// The result of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobResult {
    /// `PutJobSuccessResult`.
    Success {
        /// Set if the job continues.
        continuation_token: Option<String>,
        /// `executionDetails.summary`.
        summary: String,
        /// `outputVariables`.
        variables: BTreeMap<String, String>,
    },
    /// `PutJobFailureResult`.
    Failure {
        /// `failureDetails.type`.
        kind: String,
        /// `failureDetails.message`.
        message: String,
    },
}

/// The results, by job, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    answered: Mutex<Vec<(String, JobResult)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    job_id: String,
    continuation_token: Option<String>,
    execution_details: Option<ExecutionDetails>,
    output_variables: Option<BTreeMap<String, String>>,
    failure_details: Option<FailureDetails>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExecutionDetails {
    summary: Option<String>,
    percent_complete: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FailureDetails {
    r#type: String,
    message: String,
}

/// AWS's name of a request, if it is one of CodePipeline's.
pub(super) fn operation(headers: &HeaderMap) -> Option<&'static str> {
    let target = headers.get("x-amz-target")?.to_str().ok()?.strip_prefix(TARGET)?;
    Some(match target {
        "PutJobSuccessResult" => "PutJobSuccessResult",
        "PutJobFailureResult" => "PutJobFailureResult",
        _ => "Unknown",
    })
}

/// The job that a request is for.
pub(super) fn job(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("jobId")?.as_str().map(str::to_owned)
}

impl Jobs {
    pub(super) fn all(&self) -> Vec<(String, JobResult)> {
        locked(&self.answered).clone()
    }

    /// Accepts a result, if CodePipeline would.
    pub(super) fn answer(&self, operation: &str, body: &[u8]) -> Response<Body> {
        let taken = read(operation, body).and_then(|(job, result)| {
            let mut answered = locked(&self.answered);
            if answered.iter().any(|(known, _)| *known == job) {
                return Err(("InvalidJobStateException", "The job is not in progress.".to_owned()));
            }
            answered.push((job, result));
            Ok(())
        });
        match taken {
            Ok(()) => Response::new(Body::empty()),
            Err((code, message)) => refuse(400, code, &message),
        }
    }
}

/// An error in AWS's JSON.
pub(super) fn refuse(status: u16, code: &str, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({"__type": code, "message": message}).to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}

fn read(operation: &str, body: &[u8]) -> Result<(String, JobResult), (&'static str, String)> {
    let invalid = |message: String| ("ValidationException", message);
    let answer: Answer = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    let parts: Vec<usize> = answer.job_id.split('-').map(str::len).collect();
    if parts != [8, 4, 4, 4, 12] || !answer.job_id.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-')) {
        return Err(invalid(format!("jobId {:?}", answer.job_id)));
    }
    let between = |name: &str, text: &str, most: usize| match text.chars().count() {
        length if (1..=most).contains(&length) => Ok(()),
        length => Err(invalid(format!("{name} has {length} characters"))),
    };
    if operation == "PutJobFailureResult" {
        let details = answer.failure_details.ok_or_else(|| invalid("failureDetails is missing".to_owned()))?;
        between("failureDetails.message", &details.message, 5000)?;
        if !FAILURES.contains(&details.r#type.as_str()) {
            return Err(invalid(format!("failureDetails.type {:?}", details.r#type)));
        }
        return Ok((answer.job_id, JobResult::Failure { kind: details.r#type, message: details.message }));
    }
    if operation != "PutJobSuccessResult" || answer.failure_details.is_some() {
        return Err(invalid("no such operation".to_owned()));
    }
    let details = answer.execution_details.unwrap_or_default();
    if let Some(summary) = &details.summary {
        between("executionDetails.summary", summary, 2048)?;
    }
    if details.percent_complete.is_some_and(|percent| !(0..=100).contains(&percent)) {
        return Err(invalid("executionDetails.percentComplete".to_owned()));
    }
    let variables = answer.output_variables.unwrap_or_default();
    if let Some(token) = &answer.continuation_token {
        between("continuationToken", token, 2048)?;
        if !variables.is_empty() {
            return Err(invalid("outputVariables beside a continuationToken".to_owned()));
        }
    }
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "@-_".contains(c));
    if let Some(name) = variables.keys().find(|name| !plain(name)) {
        return Err(invalid(format!("outputVariables {name:?}")));
    }
    if variables.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 122_880 {
        return Err(("OutputVariablesSizeExceededException", "The variables are too long.".to_owned()));
    }
    let summary = details.summary.unwrap_or_default();
    Ok((answer.job_id, JobResult::Success { continuation_token: answer.continuation_token, summary, variables }))
}
