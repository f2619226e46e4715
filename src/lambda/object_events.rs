//! The events of a bucket: S3's notifications and EventBridge's, sent directly, through SNS topics, and in queues.
//!
//! All changed keys of an invocation become one set, which is sent to each distribution once. Duplicate, late or
//! reordered events do no harm: what counts is what is in the bucket now (see `dedupe`).

mod dedupe;
mod event;
pub(super) mod site;

use crate::cloudfront::Distributions;
use crate::cloudfront::send::{Patience, Sent, submit};
use crate::error::{Error, Result};
use crate::lambda::object_events::dedupe::{Changes, Deduped};
use crate::lambda::{Deadline, EntryPoint};
use aws_lambda_events::sqs::SqsBatchResponse;
use event::{Batch, ObjectEvent};
use serde_json::{Value, json};
use shipfront_invalidation::ChangedKey;
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::Invalidation;
use shipfront_site::RECORD_FOLDER;
use shipfront_site::Warning;
use shipfront_site::etag::{hex, md5};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long CloudFront may be too busy before the messages are returned: waiting in their queue costs nothing.
const BUSY_LIMIT: Duration = Duration::from_secs(3);

/// A key of a bucket.
type Place = (String, String);

/// Reads an event, invalidates its keys, and says which messages must be delivered again.
pub(super) async fn answer(
    entry_point: &EntryPoint,
    event: &Value,
    request: &str,
    deadline: Deadline,
) -> Result<Value> {
    let batch = event::read(event).map_err(|problem| {
        Error::failed(format!("unknown event: {problem}")).hint(
            "supported: CodePipeline jobs, S3 notifications and S3 events of EventBridge, the latter two also through SNS and SQS",
        )
    })?;
    let run = reference(&batch, request);
    let work = tell(entry_point, &batch, &run, &deadline);
    let mut failed = match deadline.clock.timeout(deadline.last_call(), work).await {
        Some(failed) => failed,
        None => batch.all("the function's timeout was reached"),
    };
    for (at, message) in batch.messages.iter().enumerate() {
        if let Some(problem) = message.problems.first() {
            failed.entry(at).or_insert_with(|| problem.clone());
        }
    }
    reply(entry_point, &batch, &failed)
}

/// The bucket and key of each change in an event.
pub(super) fn read(event: &Value) -> Result<Vec<(String, String)>, String> {
    let batch = event::read(event)?;
    if let Some(problem) = batch.messages.iter().find_map(|message| message.problems.first()) {
        return Err(problem.clone());
    }
    let events = batch.messages.into_iter().flat_map(|message| message.events);
    Ok(events.map(|event| (event.bucket, event.key)).collect())
}

/// The identity of the invalidations for these messages: repeating the same messages is free.
fn reference(batch: &Batch, request: &str) -> String {
    let mut ids: Vec<&str> = batch.messages.iter().filter_map(|message| message.id.as_deref()).collect();
    if ids.is_empty() {
        ids.push(request);
    }
    ids.sort_unstable();
    format!("events-{}", hex(&md5(ids.join("\n").as_bytes())))
}

/// The response to SQS, or an error if there is no queue: then Lambda itself retries.
fn reply(entry_point: &EntryPoint, batch: &Batch, failed: &BTreeMap<usize, String>) -> Result<Value> {
    let mut answer = SqsBatchResponse::default();
    for (at, reason) in failed {
        let Some(id) = batch.messages.get(*at).and_then(|message| message.id.as_deref()) else {
            return Err(Error::failed(format!("some events failed: {reason}")));
        };
        let notice = format!("message {id} goes back to the queue: {reason}");
        entry_point.terminal.warn(&Warning::new(notice, "SQS delivers it again"));
        answer.add_failure(id);
    }
    if batch.queued {
        return serde_json::to_value(answer).map_err(|error| Error::failed(format!("cannot form the answer: {error}")));
    }
    Ok(json!({"dealtWith": batch.messages.iter().map(|message| message.events.len()).sum::<usize>()}))
}

/// Invalidates what changed. Returns the messages that must be delivered again, each with its reason.
async fn tell(entry_point: &EntryPoint, batch: &Batch, run: &str, deadline: &Deadline) -> BTreeMap<usize, String> {
    let keys = keys(entry_point, batch);
    let mut failed_keys: HashMap<Place, String> = HashMap::new();
    let mut planned: BTreeMap<DistributionId, Invalidation> = BTreeMap::new();
    let mut changes: Vec<(Changes, BTreeMap<DistributionId, Vec<Place>>)> = Vec::new();
    let mut skipped = 0;
    for (bucket, events) in &keys {
        let deduped = match dedupe::dedupe(entry_point, bucket, events).await {
            Ok(deduped) => deduped,
            Err(error) => {
                let keys = events.keys().map(|key| ((bucket.clone(), key.clone()), error.to_string()));
                failed_keys.extend(keys);
                continue;
            }
        };
        let Deduped { changes: of_bucket, viewers, unchanged, warnings, left } = deduped;
        skipped += left;
        let unmarked = of_bucket.unmarked.iter();
        failed_keys.extend(unmarked.map(|(key, reason)| ((bucket.clone(), key.clone()), reason.clone())));
        for warning in warnings.iter().chain(&viewers.warnings()) {
            entry_point.terminal.warn(warning);
        }
        let changed: Vec<ChangedKey<'_>> = of_bucket.changed.iter().map(|key| ChangedKey::unknown(key)).collect();
        // What others uploaded carries no tags.
        for invalidation in viewers.plan(&changed, unchanged.iter(), |_| None) {
            merge(&mut planned, invalidation);
        }
        let mut shown: BTreeMap<DistributionId, Vec<Place>> = BTreeMap::new();
        for key in &of_bucket.changed {
            for id in viewers.showing(key) {
                shown.entry(id.clone()).or_default().push((bucket.clone(), key.clone()));
            }
        }
        changes.push((of_bucket, shown));
    }
    let until = Some(deadline.last_request());
    let patience = Patience { busy: BUSY_LIMIT, silence: Duration::MAX, until, completion: None };
    let distributions = Distributions::new(&entry_point.aws);
    let (planned, stop) = (planned.into_values().collect(), CancellationToken::new());
    let sent = submit(&distributions, run, planned, patience, &stop, &entry_point.terminal).await;
    for invalidation in &sent.invalidations {
        let id = invalidation.id.as_deref().unwrap_or("not accepted");
        entry_point.terminal.say(format_args!(
            "{}: invalidation {id}: {}",
            invalidation.distribution,
            invalidation.items.join(" ")
        ));
    }
    let refused: BTreeSet<&DistributionId> =
        sent.invalidations.iter().filter(|sent| sent.id.is_none()).map(|sent| &sent.distribution).collect();
    let reason = sent.failed.first().map(ToString::to_string).unwrap_or_default();
    if !refused.is_empty() {
        // It may be gone, or another one may serve the bucket now.
        entry_point.buckets.forget().await;
    }
    count_paths(entry_point, &changes, &sent).await;
    for (of_bucket, shown) in changes {
        let back = shown.into_iter().filter(|(id, _)| refused.contains(id)).flat_map(|(_, places)| places);
        let back: HashMap<String, Place> = back.map(|place| (place.1.clone(), place)).collect();
        let settled = of_bucket.settle(|key| !back.contains_key(key)).await;
        if let Err(error) = settled {
            // It costs a path the next time, and no more.
            let notice = format!("the deploy record was not updated: {error}");
            entry_point.terminal.warn(&Warning::new(notice, error.hint_text()));
        }
        failed_keys.extend(back.into_values().map(|place| (place, reason.clone())));
    }
    let events: usize = batch.messages.iter().map(|message| message.events.len()).sum();
    let distinct: usize = keys.values().map(BTreeMap::len).sum();
    entry_point.terminal.say(format_args!("{events} events of {distinct} keys, {skipped} already known"));
    batch.with_keys(&failed_keys)
}

/// Counts the paths that CloudFront accepted in the month's allowance of the first site that has a record. A
/// function that may not write there counts nothing.
async fn count_paths(
    entry_point: &EntryPoint,
    changes: &[(Changes, BTreeMap<DistributionId, Vec<Place>>)],
    sent: &Sent,
) {
    let Some(session) = changes.iter().find_map(|(changes, _)| changes.counter.as_ref()) else { return };
    if let Err(error) = session.count_paths(sent.paths()).await {
        entry_point.terminal.detail(format_args!("the paths were not counted: {error}"));
    }
}

/// The events of each relevant key, by bucket.
fn keys<'a>(entry_point: &EntryPoint, batch: &'a Batch) -> BTreeMap<String, BTreeMap<String, Vec<&'a ObjectEvent>>> {
    let mut keys: BTreeMap<String, BTreeMap<String, Vec<&ObjectEvent>>> = BTreeMap::new();
    for event in batch.messages.iter().flat_map(|message| &message.events) {
        // shipfront's own writes must never cause anything: the function would trigger itself.
        if event.key.starts_with(RECORD_FOLDER) || entry_point.settings.is_record(&event.bucket, &event.key) {
            continue;
        }
        keys.entry(event.bucket.clone()).or_default().entry(event.key.clone()).or_default().push(event);
    }
    keys
}

/// Merges the invalidations for two buckets behind one distribution.
fn merge(planned: &mut BTreeMap<DistributionId, Invalidation>, more: Invalidation) {
    match planned.get_mut(&more.distribution) {
        None => {
            planned.insert(more.distribution.clone(), more);
        }
        Some(known) => {
            let items: BTreeSet<String> = known.items.drain(..).chain(more.items).collect();
            known.items = items.into_iter().collect();
        }
    }
}
