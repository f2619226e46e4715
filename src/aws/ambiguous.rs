//! Responses that never came: the request may have had its effect although a later attempt failed.

use crate::error::{Error, ErrorKind};
use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    /// Whether an attempt of the call that is being observed may have had its effect although no response says so.
    static OBSERVED: Arc<AtomicBool>;
}

/// What the attempts of one call show.
#[derive(Debug, Clone, Default)]
pub(crate) struct AmbiguousAnswer(Arc<AtomicBool>);

impl AmbiguousAnswer {
    /// Makes a call, and observes its attempts.
    pub(crate) async fn observe<T>(&self, call: impl Future<Output = T>) -> T {
        OBSERVED.scope(self.0.clone(), call).await
    }

    /// The call's error, as an unanswered one if an earlier attempt may have had its effect: the kind of the last
    /// one would say that nothing happened.
    pub(crate) fn mark(&self, error: Error) -> Error {
        if self.0.load(Ordering::Relaxed) { error.of_kind(ErrorKind::Unanswered) } else { error }
    }
}

/// Observes the attempts of all calls of a client. An interceptor for each call would make the SDK build its configuration
/// again each time, which takes a twentieth of an upload's CPU time.
#[derive(Debug)]
pub(super) struct ObserveAttempts;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for ObserveAttempts {
    fn name(&self) -> &'static str {
        "ObserveAttempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        // 503 is S3's refusal to begin, and 501 that of a store; other server errors leave the effect open.
        let unclear = context.response().is_none_or(|answer| {
            let status = answer.status();
            status.is_server_error() && !matches!(status.as_u16(), 501 | 503)
        });
        if unclear {
            // Nobody observes reads.
            let _ = OBSERVED.try_with(|observed| observed.store(true, Ordering::Relaxed));
        }
        Ok(())
    }
}
