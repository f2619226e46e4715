//! Downloads an object to a file, with credentials that may allow nothing else.

use crate::aws::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::{Bucket, UploadTraits, region_of};
use aws_sdk_s3::Client;
use shipfront_site::Target;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// Number of attempts at a download whose response breaks off.
const TRIES: u32 = 3;

impl Bucket {
    /// A bucket, without any request beforehand.
    pub fn unseen(aws: &Aws, target: &Target) -> Bucket {
        Bucket {
            client: Client::from_conf(aws.s3(None)),
            target: Arc::new(target.clone()),
            expected_owner: None,
            uploads: UploadTraits::of(aws),
        }
    }

    /// Writes an object to the beginning of a file, unless it has more than `limit` bytes; returns its size.
    pub async fn download(&mut self, aws: &Aws, key: &str, file: &mut File, limit: u64) -> Result<u64> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let request = self.client.get_object().bucket(self.target.bucket()).key(self.target.full_key(key));
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => match region_of(&error).filter(|_| tries > 0) {
                    Some(region) => {
                        self.client = Client::from_conf(aws.s3(Some(&region)));
                        continue;
                    }
                    None => return Err(self.explain_key("GetObject", key, error)),
                },
            };
            let size = answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
            if size > limit {
                let subject = format!("s3://{}/{}", self.target.bucket(), self.target.full_key(key));
                return Err(Error::failed(format!("{subject} has {size} bytes, and there is room for {limit}"))
                    .of_kind(ErrorKind::NoRoom));
            }
            match write(answer.body, file, size).await {
                Ok(()) => return Ok(size),
                Err(Broken::Disk(error)) => {
                    return Err(Error::failed(format!("cannot write {key} to the disk: {error}"))
                        .hint("free some disk space, and run again"));
                }
                Err(Broken::Network(_)) if tries > 0 => {}
                Err(Broken::Network(problem)) => {
                    return Err(Error::failed(format!("reading {key} from the bucket broke off: {problem}")));
                }
            }
        }
    }
}

enum Broken {
    Disk(std::io::Error),
    Network(String),
}

async fn write(mut body: aws_sdk_s3::primitives::ByteStream, file: &mut File, size: u64) -> Result<(), Broken> {
    file.set_len(0).await.map_err(Broken::Disk)?;
    file.rewind().await.map_err(Broken::Disk)?;
    let mut written = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Broken::Network(error.to_string()))?;
        file.write_all(&chunk).await.map_err(Broken::Disk)?;
        written += chunk.len() as u64;
    }
    file.flush().await.map_err(Broken::Disk)?;
    if written == size { Ok(()) } else { Err(Broken::Network(format!("{written} of {size} bytes came"))) }
}
