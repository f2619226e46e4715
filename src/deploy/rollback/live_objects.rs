//! What is in the places of an earlier deploy's objects now: listed where many keys differ, since a response then says
//! as much as a thousand HEADs, and requested one by one where few do.

use crate::error::Result;
use crate::s3::head::Head;
use crate::s3::{Page, RemoteObject, Start};
use shipfront_site::Key;
use shipfront_site::etag::Etag;
use std::collections::HashMap;

/// Number of keys to check in a part, if there are as many: a tenth less than a response contains, so that a few
/// objects of others among them do not need a second one.
const CHECKED_A_PART: usize = 900;
/// Number of keys in a part at most, whatever is done about them.
const MOST_KEYS: usize = 10_000;
/// Number of keys to check from which listing a part is worth the round trips before the first HEAD.
const WORTH_LISTING: usize = 100;
/// Number of keys for one to check at most: a response costs as much as a dozen HEADs.
const SPARSE: usize = 10;
/// Number of responses for a part, which may be full of others' objects.
const MOST_RESPONSES: usize = 4;

/// A live object.
#[derive(Debug)]
pub(super) struct LiveObject {
    /// Bytes.
    pub size: u64,
    pub etag: Etag,
    /// When it was written, in seconds of S3's clock.
    pub modified: i64,
    /// The rest, if it was requested.
    pub head: Option<Box<Head>>,
}

impl From<Head> for LiveObject {
    fn from(head: Head) -> LiveObject {
        LiveObject { size: head.size, etag: head.etag.clone(), modified: head.modified, head: Some(Box::new(head)) }
    }
}

/// Consecutive keys that are checked together, each with what is known about it.
pub(super) struct Part<T> {
    /// The key before the first one; `None` for the first part.
    after: Option<Key>,
    /// Each with whether to check it.
    pub keys: Vec<(Key, T, bool)>,
}

impl<T> Part<T> {
    /// Splits keys, which come in order, into parts.
    pub(super) fn split(keys: impl Iterator<Item = (Key, T, bool)>) -> impl Iterator<Item = Part<T>> {
        let (mut keys, mut after) = (keys.peekable(), None);
        std::iter::from_fn(move || {
            keys.peek()?;
            let mut part = Part { after: after.take(), keys: Vec::new() };
            let mut checked = 0;
            while checked < CHECKED_A_PART
                && part.keys.len() < MOST_KEYS
                && let Some(key) = keys.next()
            {
                checked += usize::from(key.2);
                part.keys.push(key);
            }
            after = part.keys.last().map(|(key, ..)| key.clone());
            Some(part)
        })
    }

    /// Lists what is in the places of its keys, if so many of them are to be checked that it pays. `ask` requests a
    /// response of the listing.
    pub(super) async fn list<A>(&self, ask: impl Fn(Start) -> A) -> Result<Listing>
    where
        A: Future<Output = Result<Page>>,
    {
        let Some((last, ..)) = self.keys.last() else { return Ok(Listing::default()) };
        let checked = self.keys.iter().filter(|(.., is_checked)| *is_checked).count();
        if checked < WORTH_LISTING || checked * SPARSE < self.keys.len() {
            return Ok(Listing::default());
        }
        let mut listing = Listing::default();
        let mut reached = self.after.as_deref().map(str::to_owned);
        let mut start = reached.clone().map_or(Start::Beginning, Start::After);
        for _ in 0..MOST_RESPONSES {
            let page = ask(start).await?;
            for object in page.objects {
                if reached.as_ref().is_some_and(|reached| *reached >= object.key) {
                    // Not a store that lists as S3 does: what it did not list may be there.
                    return Ok(Listing::default());
                }
                reached = Some(object.key.clone());
                listing.objects.insert(object.key.clone(), object);
            }
            match page.next {
                Some(next) if reached.as_deref() < Some(last.as_str()) => start = Start::Token(next),
                Some(_) => break,
                None => {
                    reached = Some(last.to_string());
                    break;
                }
            }
        }
        listing.up_to = reached;
        Ok(listing)
    }
}

/// What a listing shows.
#[derive(Debug, Default)]
pub(super) struct Listing {
    objects: HashMap<String, RemoteObject>,
    /// The key up to which it is complete; `None` if nothing was listed.
    up_to: Option<String>,
}

impl Listing {
    /// The object of a key in its part, or that there is none; `None` if it was not listed, so nothing is known.
    pub(super) fn find(&self, key: &str) -> Option<Option<LiveObject>> {
        if self.up_to.as_deref() < Some(key) {
            return None;
        }
        let object = self.objects.get(key);
        Some(object.map(|RemoteObject { size, etag, modified, .. }| LiveObject {
            size: *size,
            etag: etag.clone(),
            modified: *modified,
            head: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn part(after: Option<&str>, keys: &[String]) -> Part<()> {
        let keys = keys.iter().map(|key| (key.as_str().into(), (), true)).collect();
        Part { after: after.map(Into::into), keys }
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("{at:04}")).collect()
    }

    fn object(key: &str) -> RemoteObject {
        RemoteObject { key: key.to_owned(), size: 1, etag: Etag::Opaque("x".into()), modified: 7 }
    }

    /// Lists a part in a bucket that returns so many objects in a response, and counts the responses.
    fn list(part: &Part<()>, bucket: &[String], page: usize) -> (Listing, Vec<Start>) {
        let asked = RefCell::new(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listing = runtime.block_on(part.list(|start| {
            asked.borrow_mut().push(start.clone());
            let from = match start {
                Start::Beginning => 0,
                Start::After(after) => bucket.partition_point(|key| *key <= after),
                Start::Token(token) => token.parse().unwrap(),
            };
            let to = (from + page).min(bucket.len());
            let objects = bucket[from..to].iter().map(|key| object(key)).collect();
            async move { Ok(Page { objects, next: (to < bucket.len()).then(|| to.to_string()) }) }
        }));
        (listing.unwrap(), asked.into_inner())
    }

    #[test]
    fn keys_are_split_into_parts_in_order() {
        let keys = numbered(2_500);
        let checked = |at: usize| at.is_multiple_of(2);
        let all = keys.iter().enumerate().map(|(at, key)| (key.as_str().into(), (), checked(at)));
        let parts: Vec<Part<()>> = Part::split(all).collect();
        let sizes: Vec<usize> = parts.iter().map(|part| part.keys.len()).collect();
        assert_eq!(sizes, [1_799, 701], "900 to check, and the rest");
        assert_eq!((parts[0].after.as_deref(), parts[1].after.as_deref()), (None, Some("1798")));
        let joined: Vec<&str> = parts.iter().flat_map(|part| &part.keys).map(|(key, ..)| key.as_str()).collect();
        assert_eq!(joined, keys);
        assert_eq!(Part::<()>::split(std::iter::empty()).count(), 0);
        let unchecked = numbered(25_000).into_iter().map(|key| (key.as_str().into(), (), false));
        assert_eq!(Part::split(unchecked).map(|part| part.keys.len()).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
    }

    #[test]
    fn a_listing_says_what_is_there_and_what_is_not() {
        let keys = numbered(150);
        let bucket: Vec<String> = keys.iter().filter(|key| *key != "0070").cloned().collect();
        let (listing, asked) = list(&part(None, &keys), &bucket, 1_000);
        assert_eq!(asked.len(), 1);
        assert_eq!(listing.find("0071").unwrap().unwrap().modified, 7);
        assert!(listing.find("0070").unwrap().is_none(), "it is gone");
        let (listing, asked) = list(&part(Some("0099"), &keys[100..]), &bucket, 1_000);
        assert!(asked.is_empty() && listing.find("0120").is_none(), "so few are requested");
    }

    #[test]
    fn a_part_ends_with_its_last_key_and_after_a_few_responses() {
        let bucket = numbered(2_000);
        let (listing, asked) = list(&part(Some("0099"), &bucket[100..250]), &bucket, 100);
        assert_eq!(asked[0], Start::After("0099".to_owned()));
        assert_eq!(asked.len(), 2, "the second response goes beyond");
        assert!(listing.find("0249").unwrap().is_some());
        let (listing, asked) = list(&part(None, &bucket[..500]), &bucket, 100);
        assert_eq!(asked.len(), MOST_RESPONSES);
        assert!(listing.find("0399").unwrap().is_some() && listing.find("0400").is_none(), "nothing is known of it");
    }

    #[test]
    fn where_few_of_many_keys_are_checked_they_are_requested() {
        let keys = numbered(2_000);
        let part = |one_in: usize| {
            let each = keys.iter().enumerate();
            let keys = each.map(|(at, key)| (key.as_str().into(), (), at.is_multiple_of(one_in))).collect();
            Part { after: None, keys }
        };
        assert_eq!(list(&part(10), &keys, 1_000).1.len(), 2);
        assert_eq!(list(&part(11), &keys, 1_000).1.len(), 0);
    }

    #[test]
    fn pages_without_keys_are_followed_and_what_is_after_the_last_key_is_gone() {
        let keys = numbered(150);
        let pages = [(0..70, Some("1")), (70..70, Some("2")), (70..120, None)];
        let page = |at: usize| {
            let (range, next) = &pages[at];
            Page { objects: keys[range.clone()].iter().map(|key| object(key)).collect(), next: next.map(str::to_owned) }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listing = runtime.block_on(part(None, &keys).list(|start| {
            let page = page(if let Start::Token(token) = start { token.parse().unwrap() } else { 0 });
            async move { Ok(page) }
        }));
        let listing = listing.unwrap();
        assert!(listing.find("0119").unwrap().is_some());
        assert!(listing.find("0120").unwrap().is_none() && listing.find("0149").unwrap().is_none());
    }

    #[test]
    fn a_listing_that_repeats_keys_in_a_later_page_says_nothing() {
        let keys = numbered(150);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let listing = runtime.block_on(part(None, &keys).list(|start| {
            let from = if matches!(start, Start::Beginning) { 0 } else { 40 };
            let objects = keys[from..from + 50].iter().map(|key| object(key)).collect();
            async move { Ok(Page { objects, next: Some("more".to_owned()) }) }
        }));
        assert!(listing.unwrap().find("0001").is_none());
    }

    #[test]
    fn a_listing_out_of_order_says_nothing() {
        let keys = numbered(150);
        let bucket: Vec<String> = keys.iter().rev().cloned().collect();
        let (listing, _) = list(&part(None, &keys), &bucket, 1_000);
        assert!(keys.iter().all(|key| listing.find(key).is_none()));
    }
}
