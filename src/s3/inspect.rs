//! What a bucket is set up like. `doctor` asks, and a deploy where a record has to be explained that HEAD may not.

use crate::error::Result;
use crate::s3::Bucket;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::BucketVersioningStatus;

impl Bucket {
    /// With what new objects are encrypted: `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub async fn encryption(&self) -> Result<Option<String>> {
        let request = self.client.get_bucket_encryption().bucket(self.target.bucket());
        let answer = match request.set_expected_bucket_owner(self.expected_owner.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ServerSideEncryptionConfigurationNotFoundError") => return Ok(None),
            Err(error) => return Err(self.explain("GetBucketEncryption", error)),
        };
        let rules = answer.server_side_encryption_configuration.map(|found| found.rules).unwrap_or_default();
        let mut defaults = rules.into_iter().filter_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(defaults.next().map(|default| default.sse_algorithm.as_str().to_owned()))
    }

    /// Whether what is overwritten or deleted can be had back.
    pub async fn keeps_versions(&self) -> Result<bool> {
        let request = self.client.get_bucket_versioning().bucket(self.target.bucket());
        let answer = request.set_expected_bucket_owner(self.expected_owner.clone()).send().await;
        let answer = answer.map_err(|error| self.explain("GetBucketVersioning", error))?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }
}
