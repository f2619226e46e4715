//! Listings, and the names in them.

use crate::commands::conformance::check::{Check, Seen, check};
use crate::commands::conformance::trial::Trial;
use crate::error::Result;
use crate::s3::{Bucket, Start};

/// Names in the order of their UTF-8 bytes, which differs from that of UTF-16, where the last but one sorts after
/// the last.
const ORDERED: [&str; 7] = ["A", "a-b", "a.b", "a/b", "a0", "\u{fb03}", "\u{1f600}"];
/// Number of objects in a page.
const PAGE: i32 = 3;

pub(super) const CHECKS: &[Check] = &[
    check!(
        "listing-is-ordered",
        "4.2",
        "a listing returns keys in the order of their UTF-8 bytes",
        "deploys notice it and list sequentially, which is correct but slower on a large site",
        listing_is_ordered
    ),
    check!(
        "listing-is-complete",
        "4.2",
        "a listing includes an object that was just written, and not one that was just deleted",
        "a deploy could upload or remove too little: run it again after a while",
        listing_is_complete
    ),
    check!(
        "listing-starts-after",
        "4.2",
        "StartAfter skips every key up to and including the given one, and no other",
        "deploys that notice it list sequentially: look at 'shipfront plan' first",
        listing_starts_after
    ),
    check!(
        "listing-goes-on",
        "4.2",
        "the pages of a listing contain each key once",
        "deploys would not see every object: do not deploy here",
        listing_goes_on
    ),
    check!(
        "name-with-a-space",
        "1.4",
        "an object with a space in its name is listed and read by that name",
        "rename such files",
        |trial| name(trial, "name-with-a-space", "a b  c.txt")
    ),
    check!(
        "name-with-a-plus",
        "1.4",
        "an object with a + in its name is listed and read by that name",
        "rename such files",
        |trial| name(trial, "name-with-a-plus", "c++.txt")
    ),
    check!(
        "name-with-a-percent-sign",
        "1.4",
        "an object with a % in its name is listed and read by that name",
        "rename such files",
        |trial| name(trial, "name-with-a-percent-sign", "100%25.txt")
    ),
    check!(
        "name-with-a-tilde",
        "1.4",
        "an object with a ~ in its name is listed and read by that name",
        "rename such files",
        |trial| name(trial, "name-with-a-tilde", "~user.txt")
    ),
    check!(
        "name-with-markup",
        "4.6d",
        "an object with characters that XML reserves in its name is listed and read by that name",
        "rename such files",
        |trial| name(trial, "name-with-markup", "a&b<c>'d'.txt")
    ),
    check!(
        "name-with-a-control-character",
        "4.6d",
        "an object with a control character in its name is listed and read by that name",
        "remove such objects before you deploy",
        |trial| name(trial, "name-with-a-control-character", "a\u{1}b.txt")
    ),
    check!(
        "forms-of-unicode",
        "1.4",
        "two names that differ only in their Unicode form are two objects",
        "rename files so that no two look the same",
        forms_of_unicode
    ),
];

fn keys(objects: &[crate::s3::RemoteObject]) -> Vec<&str> {
    objects.iter().map(|object| object.key.as_str()).collect()
}

/// A folder that contains the ordered names.
async fn ordered(trial: &Trial, name: &str) -> Result<Bucket> {
    let bucket = trial.folder(name)?;
    for key in ORDERED.iter().rev() {
        trial.write(&bucket, key, key).await?;
    }
    Ok(bucket)
}

async fn listing_is_ordered(trial: &Trial) -> Result<Seen> {
    let bucket = ordered(trial, "listing-is-ordered").await?;
    let found = trial.list(&bucket).await?;
    Ok(Seen::whether(keys(&found) == ORDERED, keys(&found).join(" ")))
}

async fn listing_is_complete(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("listing-is-complete")?;
    for key in ["one", "two"] {
        trial.write(&bucket, key, key).await?;
        if !keys(&trial.list(&bucket).await?).contains(&key) {
            return Ok(Seen::otherwise("it does not have what was just written"));
        }
    }
    trial.delete(&bucket, &[crate::s3::trial::Deletion { key: "one", ..Default::default() }]).await?;
    let found = trial.list(&bucket).await?;
    Ok(Seen::whether(keys(&found) == ["two"], format!("after a deletion it has: {}", keys(&found).join(" "))))
}

async fn listing_starts_after(trial: &Trial) -> Result<Seen> {
    let bucket = ordered(trial, "listing-starts-after").await?;
    let after = async |key: &str| bucket.list(Start::After(key.to_owned())).await;
    let (from_one, between) = (after("a.b").await?, after("a/").await?);
    let answered =
        format!("after a.b: {}; after a/: {}", keys(&from_one.objects).join(" "), keys(&between.objects).join(" "));
    let as_expected = keys(&from_one.objects) == ORDERED[3..] && keys(&between.objects) == ORDERED[3..];
    Ok(Seen::whether(as_expected, answered))
}

async fn listing_goes_on(trial: &Trial) -> Result<Seen> {
    let bucket = ordered(trial, "listing-goes-on").await?;
    let mut found = Vec::new();
    let mut start = Start::Beginning;
    // One page more than there can be.
    for _ in 0..=ORDERED.len() {
        let page = bucket.list_at_most(start, Some(PAGE)).await?;
        found.extend(page.objects);
        match page.next {
            Some(token) => start = Start::Token(token),
            None => break,
        }
    }
    // The order is the subject of another check.
    let answered = keys(&found).join(" ");
    let mut sorted = keys(&found);
    sorted.sort_unstable();
    Ok(Seen::whether(sorted == ORDERED, answered))
}

async fn name(trial: &Trial, folder: &str, key: &str) -> Result<Seen> {
    let bucket = trial.folder(folder)?;
    trial.write(&bucket, key, key).await?;
    let found = trial.list(&bucket).await?;
    if keys(&found) != [key] {
        return Ok(Seen::otherwise(format!("listed as {:?}", keys(&found))));
    }
    let read = bucket.try_get(key, None).await?;
    Ok(Seen::whether(read == key.as_bytes(), format!("listed as {key:?}, and read")))
}

async fn forms_of_unicode(trial: &Trial) -> Result<Seen> {
    let bucket = trial.folder("forms-of-unicode")?;
    let forms = ["cafe\u{301}.txt", "caf\u{e9}.txt"];
    for form in forms {
        trial.write(&bucket, form, form).await?;
    }
    let found = trial.list(&bucket).await?;
    for form in forms {
        let read = bucket.try_get(form, None).await?;
        if read != form.as_bytes() {
            return Ok(Seen::otherwise("they are one object"));
        }
    }
    Ok(Seen::whether(keys(&found) == forms, format!("{} are listed", found.len())))
}
