//! Errors that cross stages: each ends the run with an exit code and, if a fix is known, a hint.

use crate::exit::Exit;
use crate::open_files;
use shipfront_site::Warning;
use std::io;
use std::path::Path;

/// The result of a stage.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, for decisions of callers: an error's text is only for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line, or something it names, makes no sense.
    Usage,
    /// A guard refused.
    Refused,
    /// Another deploy holds the lock of the target.
    Locked,
    /// A newer build came first.
    Superseded,
    /// The live site may be stale at the edge.
    Stale,
    /// A signal, or the time limit of a Lambda function.
    Interrupted,
    /// A file of the source cannot be read, or changed while it was read: not AWS's fault.
    UnreadableFile,
    /// A disk is full.
    NoRoom,
    /// AWS does not allow it.
    AccessDenied,
    /// AWS does not accept the credentials, or no longer does.
    Credentials,
    /// An object, an invalidation or a setting does not exist.
    NotFound,
    /// A bucket or a distribution does not exist.
    NoSuchResource,
    /// The condition of a request does not hold.
    PreconditionFailed,
    /// Another request came at the same time.
    Conflict,
    /// The bucket's access control lists are disabled.
    AclsDisabled,
    /// The endpoint does not support it.
    NotImplemented,
    /// AWS accepts no more at the moment.
    Busy,
    /// AWS failed; the request may have had its effect.
    ServerFault,
    /// There was no response: the request may have succeeded.
    Unanswered,
    /// AWS returned another error, and did nothing.
    Rejected,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The meaning of an AWS error code of S3, CloudFront and STS. Every decision about a response of AWS starts
    /// from this table.
    pub(crate) fn of_aws_code(code: &str) -> ErrorKind {
        match code {
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "Forbidden" => ErrorKind::AccessDenied,
            "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "RequestExpired"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => ErrorKind::Credentials,
            "NoSuchKey"
            | "NoSuchVersion"
            | "NotFound"
            | "NoSuchInvalidation"
            | "NoSuchFunctionExists"
            | "ResourceNotFoundException"
            | "NoSuchBucketPolicy"
            | "OwnershipControlsNotFoundError"
            | "ServerSideEncryptionConfigurationNotFoundError" => ErrorKind::NotFound,
            "NoSuchBucket" | "NoSuchDistribution" | "EntityNotFound" => ErrorKind::NoSuchResource,
            "PreconditionFailed" | "InvalidIfMatchVersion" => ErrorKind::PreconditionFailed,
            "ConditionalRequestConflict" | "ConflictException" => ErrorKind::Conflict,
            "AccessControlListNotSupported" => ErrorKind::AclsDisabled,
            "NotImplemented" => ErrorKind::NotImplemented,
            // The local edge, whose disk may be full.
            "InsufficientStorage" => ErrorKind::NoRoom,
            "TooManyInvalidationsInProgress"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "SlowDown" => ErrorKind::Busy,
            "ServiceUnavailable" | "InternalError" | "InternalServerException" => ErrorKind::ServerFault,
            // S3 received no more of the request, but may have received all of it.
            "RequestTimeout" => ErrorKind::Unanswered,
            _ => ErrorKind::Rejected,
        }
    }

    /// What to do about an error of which nothing more is known.
    fn hint(self) -> &'static str {
        match self {
            ErrorKind::Usage => "correct the command or the setting; 'shipfront help' describes both",
            ErrorKind::Refused => "correct it, and run the command again",
            ErrorKind::Locked => "wait until the other run ends, and run the command again",
            ErrorKind::Superseded => "deploy the newest build",
            ErrorKind::Stale => "run the deploy again: it invalidates what is missing",
            ErrorKind::Interrupted => "run the command again",
            ErrorKind::UnreadableFile => "make the file readable, and run the command again",
            ErrorKind::NoRoom => "free some disk space, and run the command again",
            ErrorKind::AccessDenied => "'shipfront policy' prints the permissions that shipfront needs",
            ErrorKind::Credentials => "renew the credentials, and run the command again",
            ErrorKind::NotFound | ErrorKind::NoSuchResource => "check the name, the account and the region",
            ErrorKind::PreconditionFailed | ErrorKind::Conflict => {
                "something else changed it at the same time: run the command again"
            }
            ErrorKind::AclsDisabled => "remove acl from the header rules, and grant access in a bucket policy",
            ErrorKind::NotImplemented => "'shipfront conformance' lists what the endpoint supports",
            ErrorKind::Busy | ErrorKind::ServerFault | ErrorKind::Unanswered => {
                "run the command again; what is done stays done"
            }
            ErrorKind::Rejected | ErrorKind::Other => {
                "run the command again; if it fails again, 'shipfront doctor' checks the setup"
            }
        }
    }
}

/// Why a run, or a part of it, could not continue.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    exit: Exit,
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

impl Error {
    fn new(exit: Exit, kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { exit, kind, message: message.into(), hint: None }
    }

    /// The command line, or something it names, makes no sense (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Exit::Usage, ErrorKind::Usage, message)
    }

    /// A guard refused before anything was written (exit 6).
    pub fn refused(message: impl Into<String>) -> Self {
        Error::new(Exit::Refused, ErrorKind::Refused, message)
    }

    /// Something external failed; the caller decides later whether anything was changed (exit 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Error::new(Exit::Failed, ErrorKind::Other, message)
    }

    /// An invalidation was not accepted: the live site may be stale at the edge (exit 4).
    pub fn stale(message: impl Into<String>) -> Self {
        Error::new(Exit::Stale, ErrorKind::Stale, message)
    }

    /// Another deploy holds the lock of the target (exit 5).
    pub fn locked(message: impl Into<String>) -> Self {
        Error::new(Exit::Locked, ErrorKind::Locked, message)
    }

    /// A newer build came first (exit 5).
    pub fn superseded(message: impl Into<String>) -> Self {
        Error::new(Exit::Locked, ErrorKind::Superseded, message)
    }

    /// Stopped before anything was changed (exit 130).
    pub fn interrupted(message: impl Into<String>) -> Self {
        Error::new(Exit::Interrupted, ErrorKind::Interrupted, message)
    }

    /// A file of the source cannot be read, or changed while it was read (exit 1).
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let message = format!("cannot read {}: {error}", path.display());
        let hint = if open_files::is_exhausted(error) {
            "raise the limit of open files ('ulimit -n 1024')"
        } else {
            "let the build finish before the deploy starts, then run again"
        };
        Error::new(Exit::Failed, ErrorKind::UnreadableFile, message).hint(hint)
    }

    /// The kind, for decisions of callers.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The outcome's word in the JSON.
    pub fn outcome(&self) -> &'static str {
        match self.exit {
            Exit::Locked if self.kind == ErrorKind::Superseded => "superseded",
            Exit::Locked => "locked",
            Exit::Refused => "refused",
            Exit::Stale => "stale",
            Exit::Partial => "partial",
            Exit::Interrupted => "interrupted",
            _ => "failed",
        }
    }

    /// Adds a hint that says what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Replaces placeholders in the hint with actual names.
    #[must_use]
    pub(crate) fn name_in_hint(mut self, any: &str, this: &str) -> Self {
        self.hint = self.hint.map(|hint| hint.replace(any, this));
        self
    }

    /// The same error in other words, where the caller knows more.
    #[must_use]
    pub(crate) fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same error with another kind, if the caller knows more.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The exit code for this error.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do about it: what is known at its place, or else what helps with errors of its kind.
    pub fn hint_text(&self) -> &str {
        self.own_hint().unwrap_or(self.kind.hint())
    }

    /// What is known at its place of what to do about it.
    pub fn own_hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<&Error> for Warning {
    fn from(error: &Error) -> Warning {
        Warning::new(error, error.hint_text())
    }
}

impl From<shipfront_site::Error> for Error {
    fn from(error: shipfront_site::Error) -> Error {
        let same = match error.kind() {
            shipfront_site::ErrorKind::Invalid => Error::usage(error.to_string()),
            shipfront_site::ErrorKind::Refused => Error::refused(error.to_string()),
        };
        Error { hint: error.hint_text().map(str::to_owned), ..same }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_hint_of_its_own_has_that_of_its_kind() {
        let error = Error::failed("no").of_kind(ErrorKind::AccessDenied);
        assert_eq!((error.own_hint(), error.hint_text()), (None, ErrorKind::AccessDenied.hint()));
        assert_eq!(Error::failed("no").hint("do this").hint_text(), "do this");
        assert_eq!(Warning::from(&Error::failed("no").hint("do this")).to_string(), "no; do this");
    }
}
