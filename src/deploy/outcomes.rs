//! The outcomes of a plan's changes in few bytes: a site may have a million, and they are held until the report.
//!
//! A change has a slot of eight bytes. What most uploads and copies come to is packed, as the rows of a manifest are;
//! an outcome that few changes have is kept whole beside them.

use crate::deploy::change::{ChangeOutcome, Copied, MoreOfUpload, Uploaded};
use crate::packed::{Packed, Place, number, push, put_number, put_text, take, text};
use shipfront_site::etag::Etag;
use shipfront_site::headers::HeadersDigest;
use std::borrow::Cow;
use std::collections::HashMap;

/// What a packed outcome is and has, in its first byte: an upload, or without this, a copy.
const UPLOADED: u8 = 1;
const VERSION: u8 = 1 << 1;
const MORE: u8 = 1 << 2;

/// The outcome of each change, in the plan's order.
#[derive(Debug, Default)]
pub struct Outcomes {
    slots: Vec<Slot>,
    /// Usual uploads and copies.
    packed: Packed,
    /// The headers that uploads have in common, by number, and their numbers.
    headers: Vec<HeadersDigest>,
    numbers: HashMap<HeadersDigest, usize>,
    /// What is to be remembered of some uploads.
    #[expect(clippy::vec_box, reason = "a list of what is in the boxes would take twice their size as it grows")]
    more: Vec<Box<MoreOfUpload>>,
    whole: Vec<ChangeOutcome>,
}

/// The outcome of a change, or where it is.
#[derive(Debug, Clone, Copy)]
enum Slot {
    NotBegun,
    Removed,
    Packed(Place),
    /// The index among those that are kept whole.
    Whole(u32),
}

impl Outcomes {
    /// The outcomes of so many changes before anything is done.
    pub fn untouched(count: usize) -> Outcomes {
        Outcomes { slots: vec![Slot::NotBegun; count], ..Outcomes::default() }
    }

    /// The outcome of the change at an index of the plan.
    pub fn get(&self, at: usize) -> Cow<'_, ChangeOutcome> {
        self.outcome(self.slots[at])
    }

    /// All of them, in the plan's order.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, ChangeOutcome>> {
        self.slots.iter().map(|slot| self.outcome(*slot))
    }

    /// Enters the outcome of the change at an index of the plan. It replaces an earlier one: a copy that failed may be
    /// followed by an upload.
    pub fn set(&mut self, at: usize, outcome: ChangeOutcome) {
        if let Slot::Whole(before) = self.slots[at] {
            // Its error is not needed any more.
            self.whole.get_mut(before as usize).map(std::mem::take);
        }
        self.slots[at] = match outcome {
            ChangeOutcome::NotBegun => Slot::NotBegun,
            ChangeOutcome::Removed => Slot::Removed,
            ChangeOutcome::Uploaded(uploaded) => self.pack_upload(uploaded),
            ChangeOutcome::Copied(Copied { etag: Etag::Single(digest), version }) => match self.packed.next_place() {
                Some((place, out)) => {
                    out.push(if version.is_some() { VERSION } else { 0 });
                    out.extend(digest);
                    version.iter().for_each(|version| put_text(out, version));
                    Slot::Packed(place)
                }
                None => self.keep_whole(ChangeOutcome::Copied(Copied { etag: Etag::Single(digest), version })),
            },
            rare => self.keep_whole(rare),
        };
    }

    fn pack_upload(&mut self, uploaded: Uploaded) -> Slot {
        let Uploaded { etag: Etag::Single(digest), headers, version, more } = uploaded else {
            return self.keep_whole(ChangeOutcome::Uploaded(uploaded));
        };
        let known = &mut self.headers;
        let headers_at = *self.numbers.entry(headers).or_insert_with(|| push(known, headers));
        let more_at = self.more.len();
        let Some((place, out)) = self.packed.next_place() else {
            let whole = Uploaded { etag: Etag::Single(digest), headers, version, more };
            return self.keep_whole(ChangeOutcome::Uploaded(whole));
        };
        let has = |is: bool, flag: u8| if is { flag } else { 0 };
        out.push(UPLOADED | has(version.is_some(), VERSION) | has(more.is_some(), MORE));
        out.extend(digest);
        put_number(out, headers_at as u64);
        version.iter().for_each(|version| put_text(out, version));
        if let Some(more) = more {
            put_number(out, more_at as u64);
            self.more.push(more);
        }
        Slot::Packed(place)
    }

    fn keep_whole(&mut self, outcome: ChangeOutcome) -> Slot {
        Slot::Whole(push(&mut self.whole, outcome) as u32)
    }

    fn outcome(&self, slot: Slot) -> Cow<'_, ChangeOutcome> {
        match slot {
            Slot::NotBegun => Cow::Owned(ChangeOutcome::NotBegun),
            Slot::Removed => Cow::Owned(ChangeOutcome::Removed),
            Slot::Packed(place) => Cow::Owned(self.unpacked(place).unwrap_or_default()),
            Slot::Whole(at) => self.whole.get(at as usize).map(Cow::Borrowed).unwrap_or_default(),
        }
    }

    /// The outcome that is packed at a place, where there always is one.
    fn unpacked(&self, place: Place) -> Option<ChangeOutcome> {
        let rest = &mut self.packed.at(place);
        let has = take::<1>(rest)?[0];
        let etag = Etag::Single(take(rest)?);
        let headers = if has & UPLOADED != 0 { Some(*self.headers.get(number(rest)?)?) } else { None };
        let version = if has & VERSION != 0 { Some(text(rest)?.into()) } else { None };
        let Some(headers) = headers else { return Some(ChangeOutcome::Copied(Copied { etag, version })) };
        let more = if has & MORE != 0 { Some(self.more.get(number(rest)?)?.clone()) } else { None };
        Some(ChangeOutcome::Uploaded(Uploaded { etag, headers, version, more }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;
    use shipfront_site::headers::Headers;

    fn digest_of(number: u8) -> HeadersDigest {
        Headers { content_language: Some(number.to_string()), ..Headers::default() }.digest()
    }

    fn etags() -> impl Strategy<Value = Etag> {
        prop_oneof![
            any::<[u8; 16]>().prop_map(Etag::Single),
            (any::<[u8; 16]>(), 1..9u32).prop_map(|(digest, parts)| Etag::Multipart(digest, parts)),
            "[a-z]{0,9}".prop_map(|text| Etag::Opaque(text.into())),
        ]
    }

    fn outcomes() -> impl Strategy<Value = ChangeOutcome> {
        let version = || proptest::option::of("[a-zA-Z0-9é]{0,90}").prop_map(|text| text.map(Into::into));
        let more = proptest::option::of(proptest::option::of(0..9u64))
            .prop_map(|size| size.map(|size| Box::new(MoreOfUpload { size, ..MoreOfUpload::default() })));
        let uploaded = (etags(), 0..4u8, version(), more).prop_map(|(etag, headers, version, more)| {
            ChangeOutcome::Uploaded(Uploaded { etag, headers: digest_of(headers), version, more })
        });
        prop_oneof![
            4 => uploaded,
            2 => (etags(), version()).prop_map(|(etag, version)| ChangeOutcome::Copied(Copied { etag, version })),
            1 => Just(ChangeOutcome::NotBegun),
            1 => Just(ChangeOutcome::Removed),
            1 => Just(ChangeOutcome::Overwritten),
            1 => Just(ChangeOutcome::LeftAlone("too large")),
            1 => "[a-z]{1,9}".prop_map(|text| ChangeOutcome::Failed {
                error: Box::new(Error::failed(text)),
                may_have_succeeded: true,
            }),
        ]
    }

    fn shown<'a>(all: impl IntoIterator<Item = Cow<'a, ChangeOutcome>>) -> Vec<String> {
        all.into_iter().map(|outcome| format!("{outcome:?}")).collect()
    }

    proptest! {
        #[test]
        fn each_change_has_the_outcome_that_was_entered_last(
            entered in proptest::collection::vec((0..12usize, outcomes()), 0..60),
        ) {
            let mut packed = Outcomes::untouched(12);
            let mut expected = vec![ChangeOutcome::NotBegun; 12];
            for (at, outcome) in entered {
                packed.set(at, outcome.clone());
                expected[at] = outcome;
            }
            let expected = shown(expected.iter().map(Cow::Borrowed));
            prop_assert_eq!(&shown(packed.iter()), &expected);
            prop_assert_eq!(&shown((0..12).map(|at| packed.get(at))), &expected);
        }
    }

    #[test]
    fn an_outcome_of_the_usual_kind_takes_few_bytes() {
        assert_eq!(size_of::<Slot>(), 8);
        let mut packed = Outcomes::untouched(4000);
        for at in 0..1000 {
            let (etag, version) = (Etag::Single([7; 16]), Some("v".repeat(32).into()));
            let uploaded = Uploaded { etag: etag.clone(), headers: digest_of(1), version, more: None };
            packed.set(at, ChangeOutcome::Uploaded(uploaded));
            packed.set(1000 + at, ChangeOutcome::Copied(Copied { etag, version: None }));
            packed.set(2000 + at, ChangeOutcome::Removed);
        }
        assert_eq!(packed.packed.bytes(), 1000 * (1 + 16 + 1 + 1 + 32) + 1000 * (1 + 16));
        assert!(packed.whole.is_empty() && packed.headers.len() == 1 && packed.slots.capacity() == 4000);
    }

    #[test]
    fn what_is_replaced_keeps_no_error() {
        let mut packed = Outcomes::untouched(1);
        let failed = ChangeOutcome::Failed { error: Box::new(Error::failed("gone")), may_have_succeeded: false };
        packed.set(0, failed);
        packed.set(0, ChangeOutcome::Removed);
        assert!(matches!(packed.whole[..], [ChangeOutcome::NotBegun]));
    }
}
