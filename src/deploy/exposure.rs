//! Whether viewers can read the deploy record, which is no business of theirs.

use super::Deploy;
use super::survey::Survey;

impl Deploy<'_> {
    /// What to tell the person if viewers may read the record: it holds file names and digests, no
    /// secrets. Only a run that wrote asks, and only where a distribution shows the record's folder.
    pub(super) async fn exposed_record(&self, survey: &Survey) -> Option<String> {
        let (record, _) = survey.record.as_ref()?;
        let (bucket, folder) = (record.place().bucket(), record.place().prefix());
        if bucket != self.settings.target.bucket() || !survey.viewers.serve_key(&record.state_key()) {
            return None;
        }
        let unseen = match survey.bucket.keeps_viewers_out(folder).await {
            Ok(true) => return None,
            Ok(false) => "",
            Err(error) if error.aws_code() == Some("AccessDenied") => {
                "; if it is there already, allow s3:GetBucketPolicy, so that shipfront sees it"
            }
            Err(_) => "",
        };
        Some(format!(
            "viewers may be able to read the deploy record at {}: in the bucket policy, deny s3:GetObject on \
             arn:aws:s3:::{bucket}/{folder}* to cloudfront.amazonaws.com (where the bucket is public, to everyone \
             except by aws:PrincipalAccount), or keep the record elsewhere with --record{unseen}",
            record.place(),
        ))
    }
}
