//! Whether viewers can read the deploy record, which is no business of theirs.

use super::Deploy;
use super::survey::Survey;
use crate::bucket::Bucket;
use crate::invalidation::Viewers;
use crate::record::Record;
use crate::site::Target;

/// How far viewers get.
#[derive(Debug)]
pub enum Exposure {
    /// No distribution shows the record.
    NotShown,
    /// The bucket policy keeps them out.
    Closed,
    /// It does not, as far as it can be read.
    Open,
    /// It may not be read.
    Unseen,
}

impl Exposure {
    /// Asks for the bucket policy, unless that is not necessary.
    pub async fn of(record: &Record, bucket: &Bucket, viewers: &Viewers) -> Exposure {
        let place = record.place();
        if place.bucket() != bucket.target().bucket() || !viewers.serve_key(&record.state_key()) {
            return Exposure::NotShown;
        }
        match bucket.keeps_viewers_out(place.prefix()).await {
            Ok(true) => Exposure::Closed,
            Err(error) if error.aws_code() == Some("AccessDenied") => Exposure::Unseen,
            Ok(false) | Err(_) => Exposure::Open,
        }
    }
}

/// What to do about a record that viewers may read.
pub fn remedy(place: &Target) -> String {
    format!(
        "in the bucket policy, deny s3:GetObject on arn:aws:s3:::{}/{}* to cloudfront.amazonaws.com (where the \
         bucket is public, to everyone except by aws:PrincipalAccount), or keep the record elsewhere with --record",
        place.bucket(),
        place.prefix()
    )
}

impl Deploy<'_> {
    /// What to tell the person if viewers may read the record: it holds file names and digests, no
    /// secrets. Only a run that wrote asks, and only where a distribution shows the record's folder.
    pub(super) async fn exposed_record(&self, survey: &Survey) -> Option<String> {
        let (record, _) = survey.record.as_ref()?;
        let unseen = match Exposure::of(record, &survey.bucket, &survey.viewers).await {
            Exposure::NotShown | Exposure::Closed => return None,
            Exposure::Open => "",
            Exposure::Unseen => "; if it is there already, allow s3:GetBucketPolicy, so that shipfront sees it",
        };
        let place = record.place();
        Some(format!("viewers may be able to read the deploy record at {place}: {}{unseen}", remedy(place)))
    }
}
