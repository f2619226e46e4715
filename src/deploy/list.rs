//! Lists the target in several ranges at once.
//!
//! S3 returns a thousand keys per response, one response after another. The source's own keys show approximately
//! where the target's are: they split the listing into ranges with about the same number of keys, and every range
//! is listed separately. If the target contains more keys than the source suggests, a range that runs long is split
//! again.

use crate::deploy::entry::Entry;
use crate::deploy::sorted::between;
use crate::error::{Error, Result};
use crate::s3::{Page, RemoteObject, Start, repeats_itself};
use std::collections::{BTreeMap, HashSet, VecDeque};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

/// Number of the source's keys in one range, if there are enough ranges: a tenth less than a response contains, so
/// that a few orphans among them do not need a second one.
const KEYS_A_RANGE: usize = 900;
/// Number of responses in flight per core: each is a third of a megabyte, and most of a larger number would only
/// wait to be parsed and compared.
const ANSWERS_A_CORE: usize = 16;

/// Number of consecutive responses that may be without a key: more mean a listing that does not end.
const MOST_EMPTY: u32 = 1000;

/// Everything that the target contains after one key and up to another.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key after which it begins; `None` for the first part.
    pub after: Option<String>,
    /// The key with which it ends; `None` for the last part.
    pub up_to: Option<String>,
    /// In key order.
    pub objects: Vec<RemoteObject>,
}

/// What remains to be listed after one key and up to another.
#[derive(Debug)]
struct Range {
    start: Start,
    after: Option<String>,
    up_to: Option<String>,
    /// Number of responses expected from the source, minus those received.
    expected: usize,
    /// Number of responses without a key since the last one with some.
    empty: u32,
}

/// Lists the target in up to `concurrency` ranges, and passes on the contents of each response, in any order.
///
/// Returns the first key that was out of order, if any: then ranges mean nothing, and what was passed on may have
/// gaps. `files` is the source, in key order; `within` contains the key after which to begin and the one with which
/// to end.
pub async fn list<A>(
    ask: impl Fn(Start) -> A,
    files: &[Entry],
    within: (Option<String>, Option<String>),
    concurrency: usize,
    found: Sender<Listed>,
) -> Result<Option<String>>
where
    A: Future<Output = Result<Page>> + Send + 'static,
{
    let mut waiting = ranges(files, &within, concurrency.max(1));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let at_once = concurrency.clamp(1, ANSWERS_A_CORE * cores);
    let mut running = JoinSet::new();
    loop {
        while running.len() < at_once
            && let Some(range) = waiting.pop_front()
        {
            let answer = ask(range.start.clone());
            running.spawn(async move { (range, answer.await) });
        }
        let Some(answered) = running.join_next().await else { return Ok(None) };
        let (range, page) = answered.map_err(|error| Error::failed(format!("listing failed: {error}")))?;
        let page = page?;
        if let Some(key) = range.disorder(&page) {
            return Ok(Some(key));
        }
        let first = page.objects.first().map(|object| object.key.clone());
        let (listed, rest) = range.advance(page);
        if let Some(listed) = listed
            && found.send(listed).await.is_err()
        {
            // The receiver has failed, and reports why.
            return Ok(None);
        }
        let Some(rest) = rest else { continue };
        if rest.empty > MOST_EMPTY {
            return Err(repeats_itself("the bucket"));
        }
        let idle = running.len() + waiting.len() + 1 < at_once;
        match first.filter(|_| idle).and_then(|first| rest.middle(files, &first)) {
            Some(middle) => waiting.extend(rest.split(middle, files)),
            None => waiting.push_back(rest),
        }
    }
}

/// Lists the target response by response, whatever the order, and sorts it: for stores that do not list as S3 does.
pub async fn one_by_one<A>(ask: impl Fn(Start) -> A) -> Result<Vec<RemoteObject>>
where
    A: Future<Output = Result<Page>>,
{
    let mut objects = BTreeMap::new();
    let mut followed = HashSet::new();
    let mut start = Start::Beginning;
    loop {
        let page = ask(start).await?;
        for object in page.objects {
            if let Some(object) = objects.insert(object.key.clone(), object) {
                return Err(Error::failed(format!("the bucket lists {:?} twice", object.key))
                    .hint("shipfront needs a store that lists each key once and in UTF-8 order, as S3 does"));
            }
        }
        match page.next {
            Some(next) if !followed.insert(next.clone()) => return Err(repeats_itself("the bucket")),
            Some(next) => start = Start::Token(next),
            None => return Ok(objects.into_values().collect()),
        }
    }
}

/// Ranges with equal numbers of files.
fn ranges(files: &[Entry], within: &(Option<String>, Option<String>), concurrency: usize) -> VecDeque<Range> {
    let count = files.len().div_ceil(KEYS_A_RANGE).clamp(1, concurrency);
    let bound = |at: usize| match at {
        0 => within.0.clone(),
        at if at == count => within.1.clone(),
        at => Some(files[at * files.len() / count - 1].key.to_string()),
    };
    (0..count).map(|at| Range::new(bound(at), bound(at + 1), files)).collect()
}

impl Range {
    fn new(after: Option<String>, up_to: Option<String>, files: &[Entry]) -> Range {
        let start = after.clone().map_or(Start::Beginning, Start::After);
        let expected = expected(files, after.as_deref(), up_to.as_deref());
        Range { start, after, up_to, expected, empty: 0 }
    }

    /// The first key of a response that is not after the preceding one.
    fn disorder(&self, page: &Page) -> Option<String> {
        let mut last = self.after.as_deref();
        for object in &page.objects {
            if last.is_some_and(|last| last >= object.key.as_str()) {
                return Some(object.key.clone());
            }
            last = Some(&object.key);
        }
        None
    }

    /// What a response contains of the range, and the rest of the range.
    fn advance(self, page: Page) -> (Option<Listed>, Option<Range>) {
        let Page { mut objects, next } = page;
        let beyond = self.up_to.as_ref().and_then(|up_to| objects.iter().position(|object| object.key > *up_to));
        objects.truncate(beyond.unwrap_or(objects.len()));
        let last = objects.last().map(|object| object.key.clone());
        let complete = beyond.is_some() || last.is_some() && last == self.up_to;
        let Some(token) = next.filter(|_| !complete) else {
            return (Some(Listed { after: self.after, up_to: self.up_to, objects }), None);
        };
        let rest = |after, empty| Range {
            start: Start::Token(token),
            after,
            up_to: self.up_to,
            expected: self.expected.saturating_sub(1),
            empty,
        };
        match last {
            Some(last) => {
                let listed = Listed { after: self.after, up_to: Some(last.clone()), objects };
                (Some(listed), Some(rest(Some(last), 0)))
            }
            None => (None, Some(rest(self.after, self.empty + 1))),
        }
    }

    /// A key at which the rest is worth splitting, if there is one: the middle one of the source, if many are left
    /// or more came than expected; without any, a made-up one.
    fn middle(&self, files: &[Entry], first: &str) -> Option<String> {
        let inside = between(files, |file| &file.key, self.after.as_deref(), self.up_to.as_deref());
        let runs_long = self.expected == 0;
        if inside.len() < 2 * KEYS_A_RANGE && !runs_long {
            return None;
        }
        let middle = files[inside.clone()].get(inside.len().saturating_sub(1) / 2).map(|file| file.key.to_string());
        let cuts = |middle: &String| self.up_to.as_ref().is_none_or(|up_to| middle < up_to);
        middle.filter(cuts).or_else(|| midway(first, self.after.as_deref()?, self.up_to.as_deref()))
    }

    fn split(self, middle: String, files: &[Entry]) -> [Range; 2] {
        let right = Range::new(Some(middle.clone()), self.up_to, files);
        let expected = expected(files, self.after.as_deref(), Some(&middle));
        [Range { up_to: Some(middle), expected, ..self }, right]
    }
}

/// The number of responses that the source suggests for a range.
fn expected(files: &[Entry], after: Option<&str>, up_to: Option<&str>) -> usize {
    between(files, |file| &file.key, after, up_to).len() / KEYS_A_RANGE + 1
}

/// A key about halfway between the last one seen and the end: at the position where the keys of the last response
/// begin to differ, a character halfway to the largest.
fn midway(first: &str, last: &str, end: Option<&str>) -> Option<String> {
    let common = first.char_indices().zip(last.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at)?;
    let (shared, rest) = last.split_at(common);
    let low = u8::try_from(rest.chars().next()?).ok()?;
    let high = end.and_then(|end| end.strip_prefix(shared)?.bytes().next()).unwrap_or(b'~').min(b'~');
    let middle = low.checked_add(high.checked_sub(low)?.div_ceil(2))?;
    let middle = format!("{shared}{}", char::from(middle));
    (middle.as_str() > last && end.is_none_or(|end| middle.as_str() < end) && middle.is_ascii()).then_some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shipfront_site::etag::Etag;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn object(key: &str) -> RemoteObject {
        RemoteObject { key: key.to_owned(), size: 1, etag: Etag::Opaque("x".into()), modified: 0 }
    }

    fn files(keys: impl IntoIterator<Item = String>) -> Vec<Entry> {
        keys.into_iter().map(|key| Entry::file(key, 1)).collect()
    }

    /// The response of a store with this page size.
    fn answer(keys: &[String], page: usize, start: &Start) -> Page {
        let from = match start {
            Start::Beginning => 0,
            Start::After(after) => keys.partition_point(|key| key <= after),
            Start::Token(token) => token.parse().unwrap(),
        };
        let to = (from + page).min(keys.len());
        Page {
            objects: keys[from..to].iter().map(|key| object(key)).collect(),
            next: (to < keys.len()).then(|| to.to_string()),
        }
    }

    /// Lists a store, and returns what was passed on in order, the key out of order, and the number of responses.
    fn listed(
        remote: Vec<String>,
        local: &[Entry],
        page: usize,
        concurrency: usize,
    ) -> (Vec<Listed>, Option<String>, usize) {
        let (remote, asked) = (Arc::new(remote), Arc::new(AtomicUsize::new(0)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            let ask = |start| {
                let remote = remote.clone();
                asked.fetch_add(1, Ordering::Relaxed);
                async move { Ok(answer(&remote, page, &start)) }
            };
            let collect = async {
                let mut all = Vec::new();
                while let Some(listed) = receiver.recv().await {
                    all.push(listed);
                }
                all
            };
            let (disorder, mut all) = tokio::join!(list(ask, local, (None, None), concurrency, sender), collect);
            all.sort_by(|a, b| a.after.cmp(&b.after));
            (all, disorder.unwrap(), asked.load(Ordering::Relaxed))
        })
    }

    fn keys() -> impl Strategy<Value = BTreeSet<String>> {
        proptest::collection::btree_set("[a-c/~é]{1,5}", 0..60)
    }

    proptest! {
        #[test]
        fn whatever_the_ranges_every_key_is_reported_once_and_every_gap_is_known(
            local in keys(), remote in keys(), page in 1..8usize, concurrency in 1..9usize, copies in 1..40usize,
        ) {
            // Enough files for several ranges, around the same keys.
            let local: BTreeSet<String> =
                local.iter().flat_map(|key| (0..copies).map(move |copy| format!("{key}{copy:02}"))).collect();
            let local = files(local);
            let remote: Vec<String> = remote.into_iter().collect();
            let (all, disorder, _) = listed(remote.clone(), &local, page, concurrency);
            prop_assert_eq!(disorder, None);
            let keys: Vec<&String> = all.iter().flat_map(|listed| &listed.objects).map(|object| &object.key).collect();
            prop_assert_eq!(keys, remote.iter().collect::<Vec<_>>());
            // Each begins where the previous one ends, from the first key to the last.
            prop_assert_eq!(&all[0].after, &None);
            prop_assert_eq!(&all[all.len() - 1].up_to, &None);
            for pair in all.windows(2) {
                prop_assert!(pair[0].up_to.is_some() && pair[0].up_to == pair[1].after);
            }
            for listed in &all {
                for object in &listed.objects {
                    prop_assert!(listed.after.as_ref().is_none_or(|after| *after < object.key));
                    prop_assert!(listed.up_to.as_ref().is_none_or(|up_to| object.key <= *up_to));
                }
            }
        }

        #[test]
        fn a_made_up_key_to_split_at_is_between_its_neighbors(first in "[a-c/~é]{0,4}", last in "[a-c/~é]{0,4}", end in proptest::option::of("[a-d/~é]{0,4}")) {
            if let Some(middle) = midway(&first, &last, end.as_deref()) {
                prop_assert!(middle > last && end.is_none_or(|end| middle < end));
            }
        }
    }

    fn numbered(prefix: &str, count: usize) -> Vec<String> {
        (0..count)
            .map(|at| format!("{prefix}{:08x}", (at as u32).wrapping_mul(2_654_435_761)))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    #[test]
    fn a_target_that_is_as_the_source_needs_one_answer_a_range_and_few_more_in_all() {
        let keys = numbered("page/", 100_000);
        let local = files(keys.clone());
        let (_, _, asked) = listed(keys.clone(), &local, 1000, 256);
        assert!(asked <= 112, "{asked} answers for 100 000 keys");
        let (_, _, asked) = listed(keys, &local, 1000, 32);
        assert!(asked <= 132, "{asked} answers for 100 000 keys at 32 at once");
    }

    /// Number of sequential round trips, if each response takes one.
    fn round_trips(remote: Vec<String>, local: &[Entry], concurrency: usize) -> usize {
        let (remote, (clock, now)) = (Arc::new(remote), tokio::sync::watch::channel(0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            let ask = |start| {
                let (remote, mut now) = (remote.clone(), now.clone());
                now.mark_unchanged();
                async move {
                    now.changed().await.unwrap();
                    Ok(answer(&remote, 1000, &start))
                }
            };
            let receive = async { while receiver.recv().await.is_some() {} };
            let listed = async { tokio::join!(list(ask, local, (None, None), concurrency, sender), receive).0 };
            let time = async {
                loop {
                    // Until everything waits for a response.
                    for _ in 0..300 {
                        tokio::task::yield_now().await;
                    }
                    clock.send_modify(|now| *now += 1);
                }
            };
            tokio::select! {
                disorder = listed => assert_eq!(disorder.unwrap(), None),
                () = time => {}
            }
        });
        *now.borrow()
    }

    #[test]
    fn four_round_trips_more_than_the_least_follow_each_other_at_most() {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let same = numbered("page/", 100_000);
        let local = files(same.clone());
        // A quarter of them is no longer in the source.
        let more = numbered("page/", 125_000);
        for concurrency in [8, 32, 64, 256] {
            let at_once = concurrency.min(ANSWERS_A_CORE * cores);
            for remote in [&same, &more] {
                let taken = round_trips(remote.clone(), &local, concurrency);
                let least = remote.len().div_ceil(1000 * at_once);
                assert!(taken <= least + 4, "{taken} round trips at {at_once}, {least} at the least");
            }
        }
    }

    #[test]
    fn what_the_source_does_not_know_is_cut_as_it_comes() {
        let local = files(["a.html".to_owned(), "z.html".to_owned()]);
        let (all, _, asked) = listed(numbered("assets/", 50_000), &local, 1000, 16);
        assert_eq!(all.iter().map(|listed| listed.objects.len()).sum::<usize>(), 50_000);
        let starts = all.windows(2).filter(|pair| pair[0].objects.len() < 1000 && !pair[0].objects.is_empty()).count();
        assert!(starts >= 8, "only {starts} ranges ended early: it was listed one answer after the other");
        assert!(asked < 50 + 40, "{asked} answers");
    }

    #[test]
    fn a_listing_that_repeats_itself_ends_with_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // A new token each time, and never a key.
        let tokens = AtomicUsize::new(0);
        let ask = |_| {
            let next = Some(tokens.fetch_add(1, Ordering::Relaxed).to_string());
            std::future::ready(Ok(Page { objects: Vec::new(), next }))
        };
        let (sender, _receiver) = tokio::sync::mpsc::channel(1);
        let reported = runtime.block_on(list(ask, &[], (None, None), 4, sender)).unwrap_err().to_string();
        assert!(reported.contains("repeats itself"), "{reported}");
        // Two responses that lead to each other, out of order: listed one by one.
        let ask = |start| {
            let first = start == Start::Beginning || start == Start::Token("1".to_owned());
            let (key, next) = if first { ("b", "2") } else { ("a", "1") };
            std::future::ready(Ok(Page { objects: vec![object(key)], next: Some(next.to_owned()) }))
        };
        assert!(runtime.block_on(one_by_one(ask)).unwrap_err().to_string().contains("twice"));
        let ask = |start| {
            let next = if start == Start::Token("1".to_owned()) { "2" } else { "1" };
            std::future::ready(Ok(Page { objects: Vec::new(), next: Some(next.to_owned()) }))
        };
        assert!(runtime.block_on(one_by_one(ask)).unwrap_err().to_string().contains("repeats itself"));
    }

    #[test]
    fn a_store_that_lists_out_of_order_is_found_out_and_can_still_be_listed() {
        let shuffled: Vec<String> = ["a", "c", "b", "d"].map(str::to_owned).into();
        let (_, disorder, _) = listed(shuffled.clone(), &[], 2, 4);
        assert_eq!(disorder.as_deref(), Some("b"));
        let ask = |start| std::future::ready(Ok(answer(&shuffled, 2, &start)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let all = runtime.block_on(one_by_one(ask)).unwrap();
        assert_eq!(all.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }
}
