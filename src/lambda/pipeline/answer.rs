//! The result of a job, within CodePipeline's limits: every CodePipeline call is here.

use crate::aws::Aws;
use crate::aws::failure::explain;
use crate::error::{Error, ErrorKind, Result};
use crate::escape::escaped;
use crate::outcome;
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::error::ProvideErrorMetadata;
use aws_sdk_codepipeline::types::{ExecutionDetails, FailureDetails, FailureType};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// Maximum length of a failure's message, in characters
/// (<https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_FailureDetails.html>).
const MESSAGE_LIMIT: usize = 5000;
/// Maximum length of a summary, in characters
/// (<https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ExecutionDetails.html>).
const SUMMARY_LIMIT: usize = 2048;

/// The verdict about a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Done.
    Done {
        /// For people, in the pipeline's history.
        summary: String,
        /// For later actions.
        variables: BTreeMap<String, String>,
    },
    /// CloudFront has accepted it and is working on it: CodePipeline continues with the token.
    Waiting {
        /// For people.
        summary: String,
        /// For the next invocation.
        token: String,
    },
    /// Failed.
    Failed(Failure),
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    /// What happened, and what to do about it.
    pub(super) message: String,
}

/// CodePipeline's kinds of failure, as far as they occur here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The action's configuration makes no sense.
    ConfigurationError,
    /// AWS did not allow a call.
    PermissionError,
    /// The artifact does not exist.
    RevisionUnavailable,
    /// A newer build came first.
    RevisionOutOfSync,
    /// AWS was too busy, or failed.
    SystemUnavailable,
    /// Anything else.
    JobFailed,
}

impl Failure {
    /// Converts an error into a failure.
    pub(super) fn of(error: &Error) -> Failure {
        let kind = FailureKind::of_kind(error.kind());
        Failure { kind, message: with_hint(error.to_string(), Some(error.hint_text())) }
    }

    /// The failure in a report, with what happened to the rest.
    pub(super) fn about(about: &str, failure: &outcome::Failure) -> Failure {
        let key = failure.key.as_deref().filter(|key| !failure.error.contains(key));
        let key = key.map(|key| format!("{key}: ")).unwrap_or_default();
        let message = with_hint(format!("{about}: {key}{}", failure.error), failure.hint.as_deref());
        Failure { kind: FailureKind::of_kind(failure.kind), message }
    }
}

fn with_hint(message: String, hint: Option<&str>) -> String {
    hint.map(|hint| format!("{message}; hint: {hint}")).unwrap_or(message)
}

impl FailureKind {
    fn of_kind(kind: ErrorKind) -> FailureKind {
        match kind {
            ErrorKind::Superseded => FailureKind::RevisionOutOfSync,
            ErrorKind::Usage | ErrorKind::NoSuchResource => FailureKind::ConfigurationError,
            ErrorKind::AccessDenied | ErrorKind::Credentials => FailureKind::PermissionError,
            // Only the artifact is an object that must exist.
            ErrorKind::NotFound => FailureKind::RevisionUnavailable,
            ErrorKind::Busy | ErrorKind::ServerFault => FailureKind::SystemUnavailable,
            _ => FailureKind::JobFailed,
        }
    }
}

impl From<FailureKind> for FailureType {
    fn from(kind: FailureKind) -> FailureType {
        match kind {
            FailureKind::ConfigurationError => FailureType::ConfigurationError,
            FailureKind::PermissionError => FailureType::PermissionError,
            FailureKind::RevisionUnavailable => FailureType::RevisionUnavailable,
            FailureKind::RevisionOutOfSync => FailureType::RevisionOutOfSync,
            FailureKind::SystemUnavailable => FailureType::SystemUnavailable,
            FailureKind::JobFailed => FailureType::JobFailed,
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Done { summary, .. } => write!(out, "done: {summary}"),
            Verdict::Waiting { summary, .. } => write!(out, "waiting: {summary}"),
            Verdict::Failed(Failure { kind, message }) => write!(out, "{kind:?}: {message}"),
        }
    }
}

/// Reports results to CodePipeline.
#[derive(Debug)]
pub(super) struct Answerer {
    client: Client,
}

impl Answerer {
    /// In the function's own region: that is where its jobs are, regardless of the pipeline's region.
    pub(super) fn new(aws: &Aws) -> Answerer {
        Answerer { client: Client::from_conf(aws.codepipeline()) }
    }

    /// Reports the result of a job; returns how, as a word. A success that CodePipeline does not accept is reported
    /// as a failure that says so.
    pub(super) async fn put(&self, job: &str, verdict: Verdict) -> Result<&'static str> {
        let failure = match verdict {
            Verdict::Failed(failure) => failure,
            Verdict::Done { summary, variables } => match self.succeed(job, &summary, Some(variables), None).await {
                Ok(()) => return Ok("success"),
                Err(error) => unheard(&error, &summary),
            },
            Verdict::Waiting { summary, token } => match self.succeed(job, &summary, None, Some(token)).await {
                Ok(()) => return Ok("continues"),
                Err(error) => unheard(&error, &summary),
            },
        };
        self.fail(job, failure).await.map(|()| "failure")
    }

    async fn succeed(
        &self,
        job: &str,
        summary: &str,
        variables: Option<BTreeMap<String, String>>,
        token: Option<String>,
    ) -> Result<()> {
        let details = ExecutionDetails::builder().summary(cut(summary, SUMMARY_LIMIT));
        let details = details.set_percent_complete(token.is_none().then_some(100)).build();
        let variables = variables.map(|variables| variables.into_iter().collect());
        let request = self.client.put_job_success_result().job_id(job).execution_details(details);
        match request.set_output_variables(variables).set_continuation_token(token).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_answered(error.code()) => Ok(()),
            Err(error) => Err(explain("PutJobSuccessResult", &format!("job {job}"), error)),
        }
    }

    async fn fail(&self, job: &str, failure: Failure) -> Result<()> {
        let details = FailureDetails::builder()
            .r#type(failure.kind.into())
            .message(cut(&escaped(&failure.message), MESSAGE_LIMIT));
        let details = details.build().map_err(|error| Error::failed(format!("cannot form the answer: {error}")))?;
        match self.client.put_job_failure_result().job_id(job).failure_details(details).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_answered(error.code()) => Ok(()),
            Err(error) => Err(explain("PutJobFailureResult", &format!("job {job}"), error)),
        }
    }
}

/// The job is no longer in progress: an earlier attempt, whose response was lost, reported it.
fn is_answered(code: Option<&str>) -> bool {
    code == Some("InvalidJobStateException")
}

/// A success that could not be reported.
fn unheard(error: &Error, summary: &str) -> Failure {
    let failure = Failure::of(error);
    let message =
        format!("everything succeeded ({summary}), but CodePipeline did not accept the result: {}", failure.message);
    Failure { message, ..failure }
}

/// A text cut to at most `limit` characters.
fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn each_error_is_the_kind_of_failure_that_says_who_must_act() {
        let kind = |error: Error| Failure::of(&error).kind;
        assert_eq!(kind(Error::usage("x")), FailureKind::ConfigurationError);
        assert_eq!(kind(Error::superseded("x")), FailureKind::RevisionOutOfSync);
        assert_eq!(
            kind(Error::failed("x").of_kind(ErrorKind::of_aws_code("AccessDenied"))),
            FailureKind::PermissionError
        );
        assert_eq!(
            kind(Error::stale("x").of_kind(ErrorKind::of_aws_code("Throttling"))),
            FailureKind::SystemUnavailable
        );
        assert_eq!(kind(Error::refused("x")), FailureKind::JobFailed);
    }
}
