//! Determines whether viewers can read the deploy record, which they should not.

use crate::aws::partition::arn_start;
use crate::error::ErrorKind;
use crate::record::Record;
use crate::s3::Bucket;
use shipfront_invalidation::Viewers;
use shipfront_site::Target;
use shipfront_site::Warning;

/// Whether viewers can read the record.
#[derive(Debug)]
pub enum PublicAccess {
    /// No distribution serves the record.
    NotShown,
    /// The bucket policy denies it.
    Closed,
    /// The bucket policy does not deny it, as far as it can be read.
    Open,
    /// The bucket policy may not be read.
    Unseen,
}

impl PublicAccess {
    /// Reads the bucket policy, unless that is unnecessary.
    pub async fn of(record: &Record, bucket: &Bucket, viewers: &Viewers) -> PublicAccess {
        let place = record.place();
        if place.bucket() != bucket.target().bucket() || !viewers.serve_key(&record.state_key()) {
            return PublicAccess::NotShown;
        }
        match bucket.keeps_viewers_out(place.prefix()).await {
            Ok(true) => PublicAccess::Closed,
            Err(error) if error.kind() == ErrorKind::AccessDenied => PublicAccess::Unseen,
            Ok(false) | Err(_) => PublicAccess::Open,
        }
    }
}

/// What to do about a record that viewers may read.
pub fn remedy(place: &Target, region: Option<&str>) -> String {
    format!(
        "in the bucket policy, deny s3:GetObject on {}s3:::{}/{}* to cloudfront.amazonaws.com (where the \
         bucket is public, to everyone except by aws:PrincipalAccount), or keep the record elsewhere with --record",
        arn_start(region),
        place.bucket(),
        place.prefix()
    )
}

/// The warning if viewers may read the record: it contains file names and digests, but no secrets.
pub async fn warning(record: &Record, bucket: &Bucket, viewers: &Viewers) -> Option<Warning> {
    let unseen = match PublicAccess::of(record, bucket, viewers).await {
        PublicAccess::NotShown | PublicAccess::Closed => return None,
        PublicAccess::Open => "",
        PublicAccess::Unseen => "; if it is already there, allow s3:GetBucketPolicy, so that shipfront can see it",
    };
    let place = record.place();
    Some(Warning::new(
        format_args!("viewers may be able to read the deploy record at {place}"),
        format_args!("{}{unseen}", remedy(place, bucket.region())),
    ))
}
