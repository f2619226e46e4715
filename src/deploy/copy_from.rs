//! The source of a copy in a plan: an object that an earlier deploy or a deploy of another site left.

use crate::packed::{Packed, Place, number, push, put_number, put_text, take, text};
use crate::record::manifest::{ErrorPage, RecordedObject, Row};
use crate::s3::copy::Source;
use shipfront_invalidation::tags::copy_tags::{Memory, Shared};
use shipfront_site::etag::Etag;
use shipfront_site::headers::{Headers, HeadersDigest};
use shipfront_site::{Key, Target};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The source of a copy, with everything that the copy must set again, and the row that the object had there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFrom {
    /// What it has in common with other sources.
    pub common: Arc<CommonSource>,
    /// The key there.
    pub key: Key,
    /// The version there; `None` is the newest one.
    pub version: Option<Box<str>>,
    /// The ETag there, if it differs from that of the row.
    pub etag: Option<Box<Etag>>,
    /// What the earlier deploy's manifest says about it.
    pub object: RecordedObject,
    /// The cache tags that it carries.
    pub memory: Option<Memory>,
    /// The lifetime of its cached copies, if a distribution serves it as an error page.
    pub error_page: Option<Box<ErrorPage>>,
}

/// What many sources of copies have in common: a site has few different headers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommonSource {
    /// The bucket and its folder.
    pub target: Arc<Target>,
    /// The storage class of the copies; `None` is the default one.
    pub class: Option<Box<str>>,
    /// The headers that they have there.
    pub headers: Headers,
}

impl CopyFrom {
    /// The source of a copy. `row` is what the manifest says about the object.
    pub fn new(place: Source, headers: Headers, row: Row, common: &Shared<CommonSource>) -> CopyFrom {
        let Source { target, key, version, etag, class, size: _, redirect: _ } = place;
        let etag = (etag != row.etag).then(|| Box::new(etag));
        let common = common.share(CommonSource { target, class, headers });
        CopyFrom { common, key, version, etag, object: row.into(), memory: None, error_page: None }
    }

    /// The source as a request needs it.
    pub fn place(&self) -> Source {
        let CommonSource { target, class, headers } = &*self.common;
        Source {
            target: target.clone(),
            key: self.key.clone(),
            version: self.version.clone(),
            etag: self.etag.as_deref().unwrap_or(&self.object.etag).clone(),
            size: self.object.size,
            class: class.clone(),
            redirect: headers.website_redirect.as_deref().map(Into::into),
        }
    }
}

/// What a packed source has, in its first byte.
const VERSION: u8 = 1;
const OTHER_KEY: u8 = 1 << 1;

/// The bit of a number that says that the source is kept whole; without it, the number is that of a place.
const WHOLE: u32 = Place::MAX + 1;

/// The sources of a plan's copies in few bytes: a rollback may have a million. What is usual is packed; a source with a
/// field that few have is kept whole.
#[derive(Debug, Clone, Default)]
pub struct CopySources {
    packed: Packed,
    /// What sources have in common, by number, and the numbers.
    common: Vec<Common>,
    numbers: HashMap<Common, usize>,
    whole: Vec<CopyFrom>,
}

/// With the digest of the headers in the row.
type Common = (Arc<CommonSource>, Option<HeadersDigest>);

/// The number of a source among those of its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceNumber(u32);

impl CopySources {
    /// Adds the source of a copy to a key, of an object of this size.
    pub fn add(&mut self, key: &Key, size: u64, from: CopyFrom) -> SourceNumber {
        SourceNumber(self.pack(key, size, &from).unwrap_or_else(|| push(&mut self.whole, from) as u32 | WHOLE))
    }

    /// Packs a source; `None` if it is not a usual one.
    fn pack(&mut self, key: &Key, size: u64, from: &CopyFrom) -> Option<u32> {
        let row = from.object.row();
        let Etag::Single(digest) = row.etag else { return None };
        let is_usual = row == Row { headers: row.headers, ..Row::new(size, Etag::Single(digest)) }
            && (&from.etag, &from.memory, &from.error_page) == (&None, &None, &None);
        if !is_usual {
            return None;
        }
        let known = &mut self.common;
        let common = (from.common.clone(), row.headers);
        let common_at = *self.numbers.entry(common.clone()).or_insert_with(|| push(known, common));
        let other_key = Some(&from.key).filter(|other| *other != key);
        let (place, out) = self.packed.next_place()?;
        let has = |is: bool, flag: u8| if is { flag } else { 0 };
        out.push(has(from.version.is_some(), VERSION) | has(other_key.is_some(), OTHER_KEY));
        out.extend(digest);
        put_number(out, common_at as u64);
        from.version.as_deref().into_iter().chain(other_key.map(Key::as_str)).for_each(|text| put_text(out, text));
        Some(place.number())
    }

    /// The source with a number, of a copy to this key, of an object of this size: as it was added.
    pub fn get(&self, number: SourceNumber, key: &Key, size: u64) -> Option<Cow<'_, CopyFrom>> {
        if number.0 & WHOLE != 0 {
            return self.whole.get((number.0 & !WHOLE) as usize).map(Cow::Borrowed);
        }
        self.unpacked(Place::of_number(number.0), key, size).map(Cow::Owned)
    }

    fn unpacked(&self, place: Place, key: &Key, size: u64) -> Option<CopyFrom> {
        let rest = &mut self.packed.at(place);
        let [has] = take::<1>(rest)?;
        let etag = Etag::Single(take(rest)?);
        let (common, headers) = self.common.get(number(rest)?)?;
        let version = if has & VERSION != 0 { Some(text(rest)?.into()) } else { None };
        let key = if has & OTHER_KEY != 0 { text(rest)?.into() } else { key.clone() };
        let object = Row { headers: *headers, ..Row::new(size, etag) }.into();
        Some(CopyFrom { common: common.clone(), key, version, etag: None, object, memory: None, error_page: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn common(number: u8) -> CommonSource {
        let headers = Headers { content_language: Some(number.to_string()), ..Headers::default() };
        let target = Arc::new(Target::parse("s3://www.example.com/site").unwrap());
        CommonSource { target, class: (number > 1).then(|| "STANDARD_IA".into()), headers }
    }

    fn etags() -> impl Strategy<Value = Etag> {
        prop_oneof![
            4 => any::<[u8; 16]>().prop_map(Etag::Single),
            1 => (any::<[u8; 16]>(), 1..9u32).prop_map(|(digest, parts)| Etag::Multipart(digest, parts)),
        ]
    }

    fn sources() -> impl Strategy<Value = (Key, u64, CopyFrom)> {
        let version = proptest::option::of("[a-zA-Z0-9é]{0,90}").prop_map(|text| text.map(Into::into));
        let rare = (
            proptest::option::weighted(0.1, etags()),
            proptest::option::weighted(0.1, etags()),
            proptest::bool::weighted(0.1),
        );
        ("[ab/é]{1,4}", 0..9u64, etags(), 0..4u8, any::<bool>(), version, rare).prop_map(
            |(key, size, etag, kind, moves, version, (other, content, is_page))| {
                let key = Key::from(key.as_str());
                let headers = (kind > 0).then(|| common(kind).headers.digest());
                let row = Row { headers, content: content.map(Box::new), ..Row::new(size, etag) };
                let error_page =
                    is_page.then(|| Box::new(ErrorPage { cache_control: None, chosen: true, as_of: None }));
                let from = if moves { format!("kept/{key}").as_str().into() } else { key.clone() };
                let common = Arc::new(common(kind));
                let etag = other.map(Box::new);
                (key, size, CopyFrom { common, key: from, version, etag, object: row.into(), memory: None, error_page })
            },
        )
    }

    proptest! {
        #[test]
        fn each_source_comes_back_as_it_was_added(added in proptest::collection::vec(sources(), 0..60)) {
            let mut packed = CopySources::default();
            let numbers: Vec<SourceNumber> =
                added.iter().map(|(key, size, from)| packed.add(key, *size, from.clone())).collect();
            for ((key, size, from), number) in added.iter().zip(numbers) {
                let got = packed.get(number, key, *size);
                prop_assert_eq!(got.as_deref(), Some(from));
            }
        }
    }

    #[test]
    fn a_source_of_the_usual_kind_takes_few_bytes() {
        let mut packed = CopySources::default();
        let shared = Shared::default();
        for at in 0..1000 {
            let key = Key::from(format!("blog/post-{at}.html").as_str());
            let row = Row { headers: Some(common(1).headers.digest()), ..Row::new(at, Etag::Single([7; 16])) };
            let (version, common) = (Some("v".repeat(32).into()), shared.share(common(1)));
            let from = CopyFrom {
                common,
                key: key.clone(),
                version,
                etag: None,
                object: row.into(),
                memory: None,
                error_page: None,
            };
            packed.add(&key, at, from);
        }
        assert_eq!(packed.packed.bytes(), 1000 * (1 + 16 + 1 + 1 + 32));
        assert!(packed.whole.is_empty() && packed.common.len() == 1);
    }
}
