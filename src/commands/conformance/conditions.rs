//! Conditional writes and deletions, on which the record and the removals depend.

use crate::commands::conformance::check::{Check, Seen, check};
use crate::commands::conformance::trial::{Trial, text};
use crate::error::Result;
use crate::s3::Bucket;
use crate::s3::trial::{Conditions, Deletion, Put, Tried};
use futures::future::join_all;

/// An ETag that no object has.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";
/// Number of simultaneous writers.
const WRITERS: usize = 8;
/// How S3 refuses a write whose condition does not hold, and one that conflicts with another.
const UNMET: [&str; 3] = ["PreconditionFailed", "412", "ConditionalRequestConflict"];

pub(super) const CHECKS: &[Check] = &[
    check!(
        "create-only",
        "5.2",
        "S3 refuses a write with If-None-Match: * if the object exists",
        "two deploys could run at the same time: use --no-record, and deploy from one pipeline only",
        create_only
    ),
    check!(
        "create-only-in-parts",
        "5.7",
        "S3 refuses to complete a multipart upload with If-None-Match: * if the object exists",
        "a shard could overwrite a large file: do not use --shard",
        create_only_in_parts
    ),
    check!(
        "replace-if-unchanged",
        "5.2",
        "a write with If-Match succeeds only with the object's current ETag",
        "the lock would not hold: use --no-record, and deploy from one pipeline only",
        replace_if_unchanged
    ),
    check!(
        "replace-if-gone",
        "5.2",
        "S3 refuses a write with If-Match if there is no object",
        "a removed deploy record would come back: use --no-record",
        replace_if_gone
    ),
    check!(
        "one-of-many-wins",
        "5.2",
        "if several writes create a key at the same time, one succeeds, and reads return that one",
        "two deploys could run at the same time: use --no-record, and deploy from one pipeline only",
        one_of_many_wins
    ),
    check!(
        "lost-answer-is-found",
        "5.2",
        "a conditional write that is repeated after it succeeded is refused, and the object is the one we wrote",
        "after a lost answer, a deploy would take its own lock for another's: release it with 'shipfront unlock'",
        lost_answer_is_found
    ),
    check!(
        "delete-if-unchanged",
        "4.3",
        "DeleteObjects with an ETag deletes an object only if it has that ETag",
        "deploys could remove what other tools wrote: use --prune-after never",
        delete_if_unchanged
    ),
    check!(
        "refused-key-by-key",
        "4.7",
        "DeleteObjects reports each key that it refuses, and deletes the others",
        "one refused removal would fail all: use --prune-after never",
        refused_key_by_key
    ),
    check!(
        "deleting-nothing",
        "1.11",
        "deleting a key that has no object succeeds",
        "after a lost answer, a removal counts as failed: run the deploy again",
        deleting_nothing
    ),
];

/// The result of a write that must be refused.
async fn refused(bucket: &Bucket, put: Tried<Put>, kept: &str) -> Result<Seen> {
    Ok(match put {
        Ok(_) => Seen::otherwise("it was written"),
        Err(refused) if refused.error.kind() == crate::error::ErrorKind::NotImplemented => {
            return Err(refused.into());
        }
        Err(refused) => {
            let read = bucket.try_get("object", None).await?;
            let unmet = UNMET.contains(&refused.code.as_str());
            Seen::whether(unmet && read == kept.as_bytes(), refused.code)
        }
    })
}

async fn create_only(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("create-only")?;
    let conditions = Conditions { if_absent: true, ..Conditions::default() };
    trial.put(&bucket, "object", "first", &text(), conditions).await?;
    let again = trial.put(&bucket, "object", "second", &text(), conditions).await;
    refused(&bucket, again, "first").await
}

async fn create_only_in_parts(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("create-only-in-parts")?;
    trial.write(&bucket, "object", "first").await?;
    let again = trial.put_parts(&bucket, "object", vec![b"second".to_vec()], true).await?;
    refused(&bucket, again, "first").await
}

async fn replace_if_unchanged(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("replace-if-unchanged")?;
    let before = trial.write(&bucket, "object", "first").await?;
    let conditions = Conditions { if_match: Some(&before.etag), ..Conditions::default() };
    trial.put(&bucket, "object", "second", &text(), conditions).await?;
    let again = trial.put(&bucket, "object", "third", &text(), conditions).await;
    refused(&bucket, again, "second").await
}

async fn replace_if_gone(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("replace-if-gone")?;
    let conditions = Conditions { if_match: Some(NO_ETAG), ..Conditions::default() };
    Ok(match trial.put(&bucket, "object", "back", &text(), conditions).await {
        Ok(_) => Seen::otherwise("it was written"),
        Err(refused) => {
            let known = UNMET.contains(&refused.code.as_str()) || refused.code == "NoSuchKey";
            if !known {
                return Err(refused.into());
            }
            Seen::whether(true, refused.code)
        }
    })
}

async fn one_of_many_wins(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("one-of-many-wins")?;
    let headers = text();
    let conditions = Conditions { if_absent: true, ..Conditions::default() };
    let bodies: Vec<String> = (0..WRITERS).map(|writer| format!("writer {writer}")).collect();
    let writes = bodies.iter().map(|body| trial.put(&bucket, "object", body, &headers, conditions));
    let answers = join_all(writes).await;
    let won: Vec<&String> = bodies.iter().zip(&answers).filter(|(_, put)| put.is_ok()).map(|(body, _)| body).collect();
    let unmet = |put: &Tried<Put>| put.as_ref().err().is_none_or(|refused| UNMET.contains(&refused.code.as_str()));
    if let Some(Err(other)) = answers.iter().find(|put| !unmet(put)) {
        return Err(other.clone().into());
    }
    let read = bucket.try_get("object", None).await?;
    let is_first = won.first().is_some_and(|body| body.as_bytes() == read);
    Ok(Seen::whether(won.len() == 1 && is_first, format!("{} of {WRITERS} succeeded", won.len())))
}

async fn lost_answer_is_found(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("lost-answer-is-found")?;
    let before = trial.write(&bucket, "object", "before").await?;
    let conditions = Conditions { if_match: Some(&before.etag), ..Conditions::default() };
    trial.put(&bucket, "object", "ours", &text(), conditions).await?;
    let again = trial.put(&bucket, "object", "ours", &text(), conditions).await;
    refused(&bucket, again, "ours").await
}

async fn delete_if_unchanged(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("delete-if-unchanged")?;
    let put = trial.write(&bucket, "object", "kept").await?;
    let with = |etag| [Deletion { key: "object", etag: Some(etag), version: None }];
    let refused = trial.delete(&bucket, &with(NO_ETAG)).await?;
    if bucket.try_get("object", None).await.is_err() {
        return Ok(Seen::otherwise("an object with another ETag was deleted"));
    }
    let Some((_, code)) = refused.first() else {
        return Ok(Seen::otherwise("an object with another ETag stayed, and nothing said so"));
    };
    let left = trial.delete(&bucket, &with(&put.etag)).await?;
    if let Some((_, code)) = left.first() {
        return Ok(Seen::otherwise(format!("the object's own ETag was refused: {code}")));
    }
    let gone = bucket.try_get("object", None).await.is_err();
    Ok(Seen::whether(gone && UNMET.contains(&code.as_str()), code.clone()))
}

async fn refused_key_by_key(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("refused-key-by-key")?;
    for key in ["refused", "deleted"] {
        trial.write(&bucket, key, key).await?;
    }
    let deletions = [
        Deletion { key: "refused", etag: Some(NO_ETAG), version: None },
        Deletion { key: "deleted", ..Deletion::default() },
    ];
    let refused = trial.delete(&bucket, &deletions).await?;
    let gone = bucket.try_get("deleted", None).await.is_err();
    let named = refused.iter().map(|(key, code)| format!("{key}: {code}")).collect::<Vec<_>>().join(", ");
    let as_expected = gone && matches!(refused.as_slice(), [(key, _)] if key == "refused");
    Ok(Seen::whether(as_expected, if named.is_empty() { "no key was refused".to_owned() } else { named }))
}

async fn deleting_nothing(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("deleting-nothing")?;
    let refused = trial.delete(&bucket, &[Deletion { key: "nothing", ..Deletion::default() }]).await?;
    Ok(match refused.first() {
        None => Seen::whether(true, "no error"),
        Some((_, code)) => Seen::whether(code == "NoSuchKey", code.clone()),
    })
}
