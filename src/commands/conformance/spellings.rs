//! Spellings of one path: what a deploy sends clears the URLs that viewers request.

use crate::commands::conformance::check::{Check, Seen, check};
use crate::commands::conformance::distribution::{Story, shown, state, story, url};
use crate::commands::conformance::trial::{Trial, text};
use crate::error::Result;

/// A check of a name, with what to do if its URLs stay stale.
macro_rules! spelling {
    ($name:literal, $what:literal, $key:literal) => {
        check!($name, "1.4", $what, "rename such files, or invalidate them with a wildcard", |trial| spelling(
            trial, $name, $key
        ))
    };
}

pub(super) const CHECKS: &[Check] = &[
    spelling!("path-of-a-space", "the path that a deploy sends for a name with a space evicts its URLs", "a b.txt"),
    spelling!("path-of-a-plus", "the path that a deploy sends for a name with a + evicts its URLs", "a+b.txt"),
    spelling!(
        "path-of-parentheses",
        "the path that a deploy sends for a name with parentheses, which it does not encode, evicts its URL",
        "a(1).txt"
    ),
    spelling!(
        "path-of-brackets",
        "the path that a deploy sends for a name with brackets, which it encodes, evicts its URL",
        "a[1].txt"
    ),
    spelling!("path-of-a-tilde", "the wildcard that a deploy sends for a name with a ~ evicts its URL", "b~c.txt"),
    check!(
        "path-of-an-accent",
        "1.4",
        "the path that a deploy sends for a name outside ASCII, encoded in uppercase, evicts its URL",
        "rename such files, or invalidate them with a wildcard",
        path_of_an_accent
    ),
];

async fn spelling(trial: &Trial, folder: &str, key: &str) -> Result<Seen> {
    let (cdn, bucket) = (shown(trial)?, trial.folder(folder)?);
    let whole = format!("{folder}/{key}");
    let mut paths: Vec<String> =
        cdn.paths(&whole).into_iter().map(|path| path.path).filter(|path| !path.ends_with('?')).collect();
    // A viewer's browser sends it unencoded.
    let raw: Vec<String> =
        paths.iter().filter(|path| path.contains("%7E")).map(|path| path.replace("%7E", "~")).collect();
    paths.extend(raw);
    Ok(story(trial, (&bucket, key, &text()), &paths, &cdn.items(&whole)).await?.seen())
}

async fn path_of_an_accent(trial: &Trial) -> Result<Seen> {
    let (folder, key) = ("path-of-an-accent", "caf\u{e9}.txt");
    let (cdn, bucket) = (shown(trial)?, trial.folder(folder)?);
    let path = url(cdn, folder, key);
    let small = path.replace("%C3%A9", "%c3%a9");
    trial.write(&bucket, key, &state(key, 1)).await?;
    let both = cdn.keep(&small).await?.body == state(key, 1);
    let story =
        story(trial, (&bucket, key, &text()), std::slice::from_ref(&path), &cdn.items(&format!("{folder}/{key}")))
            .await?;
    if let Story::Fresh(_, accepted) = &story
        && both
        && cdn.done(accepted).await?
    {
        let together = cdn.get(&small).await?.body == state(key, 2);
        trial.learn(|learned| learned.readings.spellings_are_one = Some(together));
    }
    Ok(story.seen())
}
