//! The shapes of events: what happened to which key, message by message.
//!
//! Each message, and each record in it, is parsed separately: an error in one of them never affects its neighbors
//! (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>). An SNS topic on the way wraps
//! the event of S3 or EventBridge in one of two envelopes; it is extracted from both.

use crate::lambda::shape::read_shape;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::s3::S3EventRecord;
use aws_lambda_events::sqs::SqsMessage;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use shipfront_site::etag::Etag;
use std::collections::{BTreeMap, HashMap};

/// The events of an invocation.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    /// Whether the messages come from a queue to which single ones can be returned.
    pub(super) queued: bool,
}

/// A unit that is processed, or delivered again, as a whole.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message {
    /// SQS's ID of it.
    pub(super) id: Option<String>,
    pub(super) events: Vec<ObjectEvent>,
    /// What could not be parsed in it.
    pub(super) problems: Vec<String>,
}

/// Something happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectEvent {
    pub(super) bucket: String,
    /// The full key, decoded.
    pub(super) key: String,
    pub(super) change: Change,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It was written, and has this ETag and size if the event says so.
    Written { etag: Option<Etag>, size: Option<u64> },
    /// It was removed, by anybody or by a lifecycle rule.
    Removed,
    /// Who may read it changed: an archived object was restored or archived again, or its access control list
    /// changed.
    Reachable,
}

impl Batch {
    /// All of its messages, for one reason.
    pub(super) fn all(&self, reason: &str) -> BTreeMap<usize, String> {
        (0..self.messages.len()).map(|at| (at, reason.to_owned())).collect()
    }

    /// The messages with any of these keys, each with the reason of the first.
    pub(super) fn with_keys(&self, keys: &HashMap<(String, String), String>) -> BTreeMap<usize, String> {
        let mut found = BTreeMap::new();
        if keys.is_empty() {
            return found;
        }
        for (at, message) in self.messages.iter().enumerate() {
            let reason = |event: &ObjectEvent| keys.get(&(event.bucket.clone(), event.key.clone()));
            if let Some(reason) = message.events.iter().find_map(reason) {
                found.insert(at, reason.clone());
            }
        }
        found
    }
}

/// Parses an invocation's event.
pub(super) fn read(event: &Value) -> Result<Batch, String> {
    let queued = |record: &Value| record.get("eventSource").and_then(Value::as_str) == Some("aws:sqs");
    match event.get("Records").and_then(Value::as_array) {
        Some(records) if records.iter().any(queued) => {
            Ok(Batch { messages: records.iter().map(message).collect(), queued: true })
        }
        _ => Ok(Batch { messages: vec![content(event)?], queued: false }),
    }
}

/// One record of a queue's event.
fn message(record: &Value) -> Message {
    let id = record.get("messageId").and_then(Value::as_str).map(str::to_owned);
    let body = read_shape::<SqsMessage>(record).and_then(|message| message.body.ok_or_else(|| "no body".to_owned()));
    let read = body.and_then(|body| content(&parse("its body", &body)?));
    match read {
        Ok(message) => Message { id, ..message },
        Err(problem) => Message { id, events: Vec::new(), problems: vec![problem] },
    }
}

fn parse(what: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{what} is not JSON: {error}"))
}

/// The event of S3 or EventBridge, sent directly or through a topic: an error if it is neither.
fn content(event: &Value) -> Result<Message, String> {
    let mut message = Message::default();
    if let Some(records) = event.get("Records") {
        let records = records.as_array().ok_or("Records: expected a list")?;
        for record in records {
            let read = match record.get("EventSource").and_then(Value::as_str) {
                Some("aws:sns") => published(record.get("Sns").unwrap_or(&Value::Null)),
                _ => native(record).map(|event| Message { events: event.into_iter().collect(), ..Message::default() }),
            };
            match read {
                Ok(read) => {
                    message.events.extend(read.events);
                    message.problems.extend(read.problems);
                }
                Err(problem) => message.problems.push(problem),
            }
        }
    } else if event.get("detail-type").is_some() {
        message.events.extend(bridged(event)?);
    } else if event.get("TopicArn").is_some() {
        return published(event);
    } else if event.get("Event").and_then(Value::as_str) != Some("s3:TestEvent") {
        // S3 sends a test event when notifications are configured; it contains no change.
        return Err("it has neither Records nor a detail-type".to_owned());
    }
    Ok(message)
}

/// The SNS envelope of a message: in the record of an event of its own
/// (<https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>), and in the body of a queue's message
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>) unless the subscription delivers
/// raw messages.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    #[serde(rename = "Type")]
    kind: Option<String>,
    topic_arn: Option<String>,
    message: String,
}

fn published(envelope: &Value) -> Result<Message, String> {
    let envelope: Published = read_shape(envelope).map_err(|problem| format!("a message of SNS: {problem}"))?;
    match envelope.kind.as_deref() {
        None | Some("Notification") => {
            let inner = parse("the message of SNS", &envelope.message)?;
            // Topics cannot subscribe to topics, so no message is wrapped twice.
            match inner.get("TopicArn") {
                Some(_) => Err("a message of SNS within a message of SNS".to_owned()),
                None => content(&inner),
            }
        }
        // Sent if one account's topic should deliver to another one's queue. The URL that confirms it is as good as
        // a key.
        Some("SubscriptionConfirmation") => Err(format!(
            "confirm the subscription of the topic {} by opening its SubscribeURL",
            envelope.topic_arn.unwrap_or_default()
        )),
        Some(other) => Err(format!("a message of SNS of the type {other:?}")),
    }
}

/// A record of an S3 notification
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>).
fn native(record: &Value) -> Result<Option<ObjectEvent>, String> {
    let record: S3EventRecord = read_shape(record)?;
    match record.event_source.as_deref() {
        Some("aws:s3") => {}
        Some(other) => return Err(format!("a record of {other:?}, which is not S3")),
        None => return Err("a record without an eventSource".to_owned()),
    }
    // Fields are added within a major version, which is 2.
    let version = record.event_version.as_deref().unwrap_or("2");
    if version.split('.').next() != Some("2") {
        return Err(format!("a record of version {version:?}"));
    }
    let name = record.event_name.ok_or("a record without an eventName")?;
    let bucket = record.s3.bucket.name.filter(|name| !name.is_empty()).ok_or("a record without a bucket")?;
    let key = record.s3.object.key.filter(|key| !key.is_empty()).ok_or("a record without a key")?;
    let key = form_decoded(&key)?;
    let etag = record.s3.object.e_tag.as_deref().map(Etag::parse);
    let size = record.s3.object.size.and_then(|size| u64::try_from(size).ok());
    let change = match name.strip_prefix("s3:").unwrap_or(&name).split_once(':') {
        Some(("ObjectCreated", _)) => Change::Written { etag, size },
        Some(("ObjectRemoved" | "LifecycleExpiration", _)) => Change::Removed,
        Some(("ObjectRestore", "Completed" | "Delete") | ("ObjectAcl", _)) => Change::Reachable,
        None if name == "ReducedRedundancyLostObject" => Change::Removed,
        // Tags, storage classes, replication: what viewers get stays the same.
        _ => return Ok(None),
    };
    Ok(Some(ObjectEvent { bucket, key, change }))
}

/// The `detail` of an EventBridge event of S3, which `aws_lambda_events` leaves untyped
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>).
#[derive(Deserialize)]
struct Detail {
    bucket: DetailBucket,
    object: DetailObject,
}

#[derive(Deserialize)]
struct DetailBucket {
    name: String,
}

#[derive(Deserialize)]
struct DetailObject {
    /// Unchanged: EventBridge's keys are not encoded.
    key: String,
    etag: Option<String>,
    size: Option<u64>,
}

fn bridged(event: &Value) -> Result<Option<ObjectEvent>, String> {
    let event: EventBridgeEvent = read_shape(event)?;
    if event.source != "aws.s3" {
        return Err(format!("an event of {:?}, which is not S3", event.source));
    }
    let detail: Result<Detail, String> = read_shape(&event.detail).map_err(|problem| format!("detail.{problem}"));
    let change = |object: &DetailObject| match event.detail_type.as_str() {
        "Object Created" => Some(Change::Written { etag: object.etag.as_deref().map(Etag::parse), size: object.size }),
        "Object Deleted" => Some(Change::Removed),
        "Object Restore Completed" | "Object Restore Expired" | "Object ACL Updated" => Some(Change::Reachable),
        _ => None,
    };
    let Detail { bucket, object } = detail?;
    if object.key.is_empty() || bucket.name.is_empty() {
        return Err("detail: a bucket or key without a name".to_owned());
    }
    Ok(change(&object).map(|change| ObjectEvent { bucket: bucket.name, key: object.key, change }))
}

/// Decodes a key as notifications encode it: a space is `+`, and a plus sign `%2B`.
fn form_decoded(key: &str) -> Result<String, String> {
    let mut rest = key.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let digits = rest.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if digits.is_none() {
            return Err(format!("the key {key:?} is not encoded as S3 does it"));
        }
        rest = &rest[at + 3..];
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(|key| key.into_owned()).map_err(|_| format!("the key {key:?} is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_notification_is_form_encoded() {
        assert_eq!(form_decoded("a+b%2Bc/caf%C3%A9%25.html").unwrap(), "a b+c/café%.html");
        for wrong in ["a%", "a%4", "a%zz", "%C3", "%ff%fe"] {
            assert!(form_decoded(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_topic_wraps_is_taken_out_once_and_nothing_else_of_it_is() {
        let inner = serde_json::json!({"Event": "s3:TestEvent"});
        let wrap = |message: &Value, kind: &str| {
            serde_json::json!({"Type": kind, "TopicArn": "arn:aws:sns:eu-west-1:111122223333:changes",
                "Message": message.to_string(), "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Token=secret"})
        };
        let once = wrap(&inner, "Notification");
        assert_eq!(content(&once), Ok(Message::default()));
        assert!(content(&wrap(&once, "Notification")).unwrap_err().contains("within"));
        let confirm = content(&wrap(&inner, "SubscriptionConfirmation")).unwrap_err();
        assert!(
            confirm.contains("confirm the subscription") && confirm.contains(":changes") && !confirm.contains("secret")
        );
        assert!(content(&wrap(&inner, "UnsubscribeConfirmation")).is_err());
        let direct = |sns: Value| serde_json::json!({"Records": [{"EventSource": "aws:sns", "Sns": sns}]});
        assert_eq!(content(&direct(once)), Ok(Message::default()));
        for wrong in [Value::Null, serde_json::json!({"Message": "hello"}), serde_json::json!({"TopicArn": "a"})] {
            let read = content(&direct(wrong)).unwrap();
            assert!(read.events.is_empty() && read.problems.len() == 1, "{read:?}");
        }
    }
}
