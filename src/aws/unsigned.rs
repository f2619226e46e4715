//! Uploads are signed without their bytes: a header with their digest or checksum is signed, and S3 verifies it. A SHA-256
//! of the body would prove nothing more, and take a tenth of an upload's CPU time.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::client::orchestrator::Metadata;

/// Leaves the bodies of uploads out of their signatures.
#[derive(Debug)]
pub(super) struct UnsignedUploads;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for UnsignedUploads {
    fn name(&self) -> &'static str {
        "UnsignedUploads"
    }

    /// Before this, the operation is not known.
    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        if config.load::<Metadata>().is_some_and(|call| matches!(call.name(), "PutObject" | "UploadPart")) {
            config.interceptor_state().store_put(PayloadSigningOverride::unsigned_payload());
        }
        Ok(())
    }
}
