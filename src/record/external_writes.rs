//! Keys for which the edge may hold something else than the manifest says, because another tool wrote them and the
//! events of the bucket made CloudFront invalidate them.
//!
//! A mark is set before such an object is invalidated, and removed only after an invalidation of one that is the
//! manifest's again. Each mark has a unique value, so that one that was set again meanwhile is not removed.

use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;
use crate::record::allowance::{self, PathCount};
use crate::s3::conditional::{Condition, Written};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shipfront_site::Warning;
use shipfront_site::etag::{hex, md5};
use std::collections::BTreeMap;
use std::time::Duration;

/// The object that holds the marks. The function for a bucket's events may write only this one.
pub(crate) const EXTERNAL_WRITES: &str = "foreign.json";
/// Maximum size of it, in bytes: a hundred thousand marks.
const MOST: u64 = 16 * 1024 * 1024;
/// Marks every key: no object has the empty one.
const EVERY_KEY: &str = "";
/// Number of attempts at a write that another one overtook: every failed attempt means that another one succeeded.
const TRIES: usize = 12;

/// The marks of a record as they were read.
#[derive(Debug)]
pub struct ExternalWrites {
    record: Record,
    marks: Marks,
    etag: String,
    /// S3's time when they were read.
    read: Timestamp,
    /// Why the file is invalid, if it is: then every key counts as marked, and nothing is written before a deploy
    /// has moved the file aside.
    unreadable: Option<String>,
}

/// Marks that could not be read, as stored in the bucket.
#[derive(Debug, Clone)]
pub(super) struct UnreadableMarks {
    /// `None` if there are more than is ever read: then they stay.
    bytes: Option<Bytes>,
    etag: String,
    why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Marks {
    /// Increases with every write, so that no two contents have the same ETag.
    revision: u64,
    keys: BTreeMap<String, String>,
    /// The paths that were sent to CloudFront outside deploys, this month.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "allowance::lenient")]
    paths: Option<PathCount>,
    /// Fields written by a later version.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Record {
    /// Reads the marks. If there are none yet, an empty set is written: a run that may not write could not keep
    /// any.
    pub async fn external_writes(&self) -> Result<ExternalWrites> {
        loop {
            match self.read_external_writes().await? {
                Some((Ok(marks), etag, read)) => {
                    return Ok(ExternalWrites { record: self.clone(), marks, etag, read, unreadable: None });
                }
                Some((Err(UnreadableMarks { why, .. }), etag, read)) => {
                    let marks = Marks::of_every_key();
                    return Ok(ExternalWrites { record: self.clone(), marks, etag, read, unreadable: Some(why) });
                }
                None => {}
            }
            // It is read again to get S3's time.
            self.bucket.put_if(EXTERNAL_WRITES, &encode(&Marks::default())?, Condition::Absent).await?;
        }
    }

    async fn read_external_writes(&self) -> Result<Option<Read>> {
        let (found, now) = self.bucket.get_at(EXTERNAL_WRITES, MOST, Vec::new).await?;
        let Some(found) = found else { return Ok(None) };
        let etag = found.etag;
        let body = Bytes::from(found.body);
        let marks = serde_json::from_slice(&body).map_err(|error| UnreadableMarks {
            bytes: Some(body.clone()),
            etag: etag.clone(),
            why: error.to_string(),
        });
        Ok(Some((marks, etag, now)))
    }

    /// The paths that were sent outside deploys, if that can be read: they only save money. The error is a file
    /// with other contents.
    pub(super) async fn other_paths(&self) -> Result<Option<PathCount>, UnreadableMarks> {
        match self.read_external_writes().await {
            Ok(Some((marks, ..))) => marks.map(|marks| marks.paths),
            Err(error) if error.kind() == ErrorKind::Refused => {
                Err(UnreadableMarks { bytes: None, etag: String::new(), why: error.to_string() })
            }
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// The message about marks that cannot be read.
    pub(super) fn unreadable_marks(&self, marks: &UnreadableMarks) -> Warning {
        if marks.bytes.is_none() {
            return Warning::new(
                format_args!("{}, so the function for the bucket's events fails", marks.why),
                "run shipfront invalidate '/*', and remove the file",
            );
        }
        Warning::new(
            format_args!(
                "{} is not what shipfront writes ({}), so every key counts as written by others",
                self.what(EXTERNAL_WRITES),
                marks.why
            ),
            "the next deploy that writes moves the file aside",
        )
    }

    /// Moves unreadable marks aside, so that nothing is lost. Which keys were marked is unknown: from then on all
    /// of them are, until somebody invalidates everything and removes the file.
    pub(super) async fn move_aside(&self, marks: &UnreadableMarks) -> Result<()> {
        let Some(bytes) = &marks.bytes else { return Ok(()) };
        let aside = format!("{EXTERNAL_WRITES}.unread-{}", hex(&md5(bytes)));
        self.bucket.put_plain(&aside, bytes.clone().into()).await?;
        let every_key = encode(&Marks::of_every_key())?;
        // Whoever wrote it meanwhile has repaired it, or the next deploy moves it aside.
        self.bucket.put_if(EXTERNAL_WRITES, &every_key, Condition::Match(&marks.etag)).await.map(|_| ())
    }
}

/// The marks, their ETag, and S3's time when they were read.
type Read = (Result<Marks, UnreadableMarks>, String, Timestamp);

impl Marks {
    fn of_every_key() -> Marks {
        let value = format!("{:08x}", fastrand::u32(..));
        Marks { keys: BTreeMap::from([(EVERY_KEY.to_owned(), value)]), ..Marks::default() }
    }
}

fn encode(marks: &Marks) -> Result<Vec<u8>> {
    serde_json::to_vec(marks).map_err(|error| Error::failed(format!("the record: {error}")))
}

impl ExternalWrites {
    /// Whether the edge may hold something else than the manifest says for this key.
    pub fn is_marked(&self, key: &str) -> bool {
        self.marks.keys.contains_key(key) || self.marks.keys.contains_key(EVERY_KEY)
    }

    /// Why the marks could not be read, if they could not.
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Marks keys, including those that are already marked.
    pub async fn mark(&mut self, keys: Vec<String>) -> Result<()> {
        let value = format!("{:08x}", fastrand::u32(..));
        let change = |marks: &mut Marks| {
            for key in &keys {
                marks.keys.insert(key.clone(), value.clone());
            }
        };
        self.update(change).await
    }

    /// Removes the marks of keys, if they are still the ones that were read.
    pub async fn settle(&mut self, keys: Vec<String>) -> Result<()> {
        let seen: Vec<(String, String)> = keys
            .into_iter()
            .filter_map(|key| self.marks.keys.get_key_value(&key).map(|(k, v)| (k.clone(), v.clone())))
            .collect();
        let change = |marks: &mut Marks| {
            for (key, value) in &seen {
                if marks.keys.get(key) == Some(value) {
                    marks.keys.remove(key);
                }
            }
        };
        self.update(change).await
    }

    /// Counts paths that were just sent to CloudFront, by S3's clock.
    pub async fn count_paths(&mut self, paths: u64) -> Result<()> {
        let now = self.read;
        let change = |marks: &mut Marks| {
            let used = allowance::used(now, [marks.paths.as_ref()]).saturating_add(paths);
            marks.paths = Some(allowance::next(marks.paths.as_ref(), now, used));
        };
        if paths == 0 { Ok(()) } else { self.update(change).await }
    }

    async fn update(&mut self, change: impl Fn(&mut Marks)) -> Result<()> {
        if self.unreadable.is_some() {
            return Ok(());
        }
        for attempt in 0..TRIES {
            let mut next = self.marks.clone();
            change(&mut next);
            if next == self.marks {
                return Ok(());
            }
            next.revision = next.revision.wrapping_add(1);
            match self.record.bucket.put_if(EXTERNAL_WRITES, &encode(&next)?, Condition::Match(&self.etag)).await? {
                Written::Yes(etag) => {
                    (self.marks, self.etag) = (next, etag);
                    return Ok(());
                }
                Written::Refused => {
                    let pause = Duration::from_millis(fastrand::u64(0..50 << attempt.min(5)));
                    self.record.clock.sleep(pause).await;
                    *self = self.record.external_writes().await?;
                }
            }
        }
        Err(Error::failed(format!("{} is written too often by others", self.record.what(EXTERNAL_WRITES)))
            .hint("it is tried again"))
    }
}
