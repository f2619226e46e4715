//! Explains AWS errors to the user: one sentence, with the missing permission or the fix.

use crate::aws::permission;
use crate::error::{Error, ErrorKind};
use aws_config::meta::ProviderChainError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error as StdError;

/// Converts an SDK error into one with a kind, a plain sentence and a hint.
///
/// `operation` is AWS's own name; `subject` is what it was applied to, as a user would name it.
pub(crate) fn explain<E>(operation: &str, subject: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().or(match status {
        Some(403) => Some("AccessDenied"),
        Some(404) => Some("NotFound"),
        _ => None,
    });
    let code = code.map(said);
    let said = said(error.message().unwrap_or_default());
    let result = match (&error, code.as_deref()) {
        (_, Some(code)) => of_code(operation, subject, code, &said),
        (SdkError::TimeoutError(_), _) => {
            Error::failed(format!("{operation} of {subject} timed out")).hint("check the network and run again")
        }
        (SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_), _) => of_dispatch(operation, subject, error),
        _ => Error::failed(format!("{operation} of {subject} failed: {}", answer_text(&error))),
    };
    result.of_kind(code.as_deref().map_or(ErrorKind::Unanswered, ErrorKind::of_aws_code))
}

/// Describes a response that shipfront does not recognize, briefly: its bytes may be anything, including a web page
/// or secrets.
fn answer_text<E>(error: &SdkError<E, HttpResponse>) -> String {
    let Some(answer) = error.raw_response() else { return "no answer came".to_owned() };
    let status = answer.status().as_u16();
    if status >= 300 {
        return format!("HTTP status {status}");
    }
    let kind = answer.headers().get("content-type").map(said).filter(|kind| !kind.is_empty());
    let kind = kind.map(|kind| format!(" of {kind}")).unwrap_or_default();
    let size = answer.body().bytes().map(|bytes| format!(", {} bytes{kind}", bytes.len())).unwrap_or(kind);
    format!("cannot read the response (HTTP status {status}{size}); it may not come from AWS")
}

/// Maximum number of characters of a message to show.
const MOST_SAID: usize = 300;
/// The beginnings of credentials and signatures in a server's copy of a request.
const SECRETS: [&str; 7] = [
    "aws4-hmac-sha256",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "signature=",
    "credential=",
    "authorization:",
];

/// A server's message, without what is too long and what only the server should see.
fn said(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let secret = SECRETS.iter().filter_map(|secret| lower.find(secret)).min().unwrap_or(text.len());
    let long = text.char_indices().nth(MOST_SAID).map_or(text.len(), |(at, _)| at);
    let end = secret.min(long);
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..end]) }
}

/// The request got no response: no credentials, no network, no such host.
fn of_dispatch<E>(operation: &str, subject: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: StdError + Send + Sync + 'static,
{
    let causes: Vec<&(dyn StdError + 'static)> =
        std::iter::successors(StdError::source(&error), |cause| StdError::source(*cause)).collect();
    let credentials = causes.iter().position(|cause| cause.is::<CredentialsError>());
    if let Some(at) = credentials {
        let tried = said(&tried(&causes[at..]));
        return Error::failed(format!("no usable AWS credentials for {operation} of {subject}: {tried}")).hint(
            "set AWS_PROFILE or pass --profile, sign in with 'aws sso login', or give the build a role; \
             'shipfront deploy --local' needs no account",
        );
    }
    let reason = said(&causes.last().map_or_else(|| error.to_string(), ToString::to_string));
    Error::failed(format!("cannot reach AWS for {operation} of {subject}: {reason}"))
        .hint("check the network, HTTPS_PROXY and any --endpoint-url or AWS_ENDPOINT_URL, then run again")
}

/// Why there are no credentials: none in any place where the SDK looks, or what went wrong in one.
fn tried(causes: &[&(dyn StdError + 'static)]) -> String {
    if causes.iter().any(|cause| cause.is::<ProviderChainError<CredentialsError>>()) {
        return "there are none in the environment, in ~/.aws or from a role".to_owned();
    }
    let text: Vec<String> = causes.iter().map(ToString::to_string).collect();
    text.join(": ")
}

fn of_code(operation: &str, subject: &str, code: &str, said: &str) -> Error {
    let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
    match (ErrorKind::of_aws_code(code), code) {
        (ErrorKind::AccessDenied, _) => {
            Error::failed(format!("not allowed: {operation} on {subject}{said}")).hint(permission::hint(operation))
        }
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired") => {
            Error::failed(format!("the AWS credentials have expired ({operation} on {subject})"))
                .hint("renew them ('aws sso login', or a new session of the role) and run again")
        }
        (ErrorKind::Credentials, _) => Error::failed(format!("AWS does not accept these credentials: {code}{said}"))
            .hint("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or which profile is in use"),
        (_, "RequestTimeTooSkewed") => {
            Error::failed(format!("this machine's clock is wrong{said}")).hint("set the clock and run again")
        }
        (_, "NoSuchBucket") => Error::failed(format!("{subject} does not exist"))
            .hint("check the name, or create the bucket first; shipfront does not create buckets"),
        (ErrorKind::NoSuchResource, _) => Error::usage(format!("{subject} does not exist in this account"))
            .hint("check the id, or pass '--distribution auto' to find the distributions of the bucket"),
        (ErrorKind::NoRoom, _) => Error::failed(format!("no room for {subject}{said}"))
            .hint("free some space and run again: finished uploads are not repeated"),
        (ErrorKind::Busy | ErrorKind::ServerFault, _) => {
            Error::failed(format!("AWS did not accept {operation} of {subject}: {code}{said}"))
                .hint("all retries failed; run again in a minute: finished uploads are not repeated")
        }
        (_, "BadDigest") => Error::failed(format!("{subject} changed while it was sent"))
            .hint("let the build finish before the deploy starts, then run again"),
        _ => Error::failed(format!("{operation} of {subject} failed: {code}{said}")),
    }
}
