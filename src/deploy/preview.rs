//! Previews: a deploy next to production, mostly copied from there, and its removal.
//!
//! A preview is a site like any other, with its own folder and record, but no distribution caches it. Its deploy is
//! the recipe with two differences: files and redirects are interpreted for production's distributions, so that a
//! promotion makes live what was previewed, and objects that production already has are copied.

mod moved;
mod remove;

use crate::deploy::change::Change;
use crate::deploy::copy_from::{CommonSource, CopyFrom};
use crate::deploy::diff::{Content, Decision, HeadersMatch, Local, Pair, Rules};
use crate::deploy::discover::Discovered;
use crate::deploy::hash;
use crate::deploy::head_check::{self, Inspected, Inspector, Opacity};
use crate::deploy::planned::Planned;
use crate::deploy::settings::{Preview, Settings};
use crate::deploy::walk::{Unknown, Walk};
use crate::deploy::{Deploy, on_cores};
use crate::error::{Error, Result};
use crate::record::manifest::{Manifest, Row};
use crate::record::preview::other_name;
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::s3::copy::Source;
pub use remove::{Removal, Removed};
use shipfront_invalidation::tags::copy_tags::Shared;
use shipfront_site::Warning;
use std::sync::Arc;

/// A warning if it is not known how production is served.
pub(super) fn without_distributions(error: &Error) -> Warning {
    let notice = format!(
        "cannot read production's distributions, so redirects and error pages may differ from production: {error}"
    );
    Warning::new(notice, error.hint_text())
}

fn unreadable_production(error: &Error) -> Warning {
    let notice = format!("cannot read production, so every file is uploaded instead of copied: {error}");
    Warning::new(notice, error.hint_text())
}

/// Refuses to deploy over a preview of another name with the same label, and over one of another site.
pub(super) fn guard_other(settings: &Settings, session: Option<&Session>) -> Result<()> {
    let new = settings.preview.as_ref().map(|preview| &preview.new);
    let Some((new, note)) = new.zip(session.and_then(Session::preview)) else { return Ok(()) };
    if new.name != note.name {
        return Err(other_name(&new.name, &note.name, &settings.target));
    }
    match new.production.as_ref().zip(note.production.as_ref()).filter(|(ours, theirs)| ours != theirs) {
        None => Ok(()),
        Some((ours, theirs)) => Err(Error::refused(format!(
            "the preview {} at {} is one of {theirs}, not of {ours}; nothing was changed",
            new.name, settings.target
        ))
        .hint(
            "give the previews of each site a bucket of their own ([previews] target); if it is to go: 'shipfront previews \
             --remove NAME'",
        )),
    }
}

/// Production as its last deploy left it.
struct Production {
    bucket: Bucket,
    session: Session,
    index: Arc<Manifest>,
}

/// An upload, and an object of production that may be its file, under the same key or another one.
struct Question {
    /// Its index among the changes.
    at: usize,
    pair: Pair,
}

impl Deploy<'_> {
    /// Replaces uploads with copies of objects that production has as well, according to its record: those that a
    /// deploy there would keep.
    pub(super) async fn copy_from_production(
        &self,
        preview: &Preview,
        discovered: &Discovered,
        mut planned: Planned,
    ) -> Result<Planned> {
        // Its expiry is extended even if nothing differs.
        planned.record_differs = true;
        let has_uploads = planned.plan.changes.iter().any(|change| matches!(change, Change::Upload { .. }));
        if preview.production.is_none() || !has_uploads {
            return Ok(planned);
        }
        let production = match self.timeline.during("list", self.read_production(preview)).await {
            Ok(Some(production)) => production,
            Ok(None) => return Ok(planned),
            Err(error) => {
                planned.warnings.push(unreadable_production(&error));
                return Ok(planned);
            }
        };
        let copies = self.timeline.during("compare", self.compare_with(&production, discovered, &planned)).await;
        let copies = match copies {
            Ok(copies) => copies,
            Err(error) => {
                planned.warnings.push(unreadable_production(&error));
                return Ok(planned);
            }
        };
        let mut plan = Arc::unwrap_or_clone(planned.plan);
        for (at, from, is_utf8) in copies {
            let Change::Upload { subject, kind, entry, .. } = &plan.changes[at] else { continue };
            let (subject, kind, otherwise) = (subject.clone(), *kind, u32::try_from(*entry).ok());
            let bytes = from.object.size;
            let from = plan.sources.add(&subject.key, bytes, from);
            if !is_utf8 {
                plan.other_charsets.add(&subject.key);
            }
            plan.changes[at] = Change::Copy { subject, kind, bytes, from, otherwise };
        }
        planned.plan = Arc::new(plan);
        Ok(planned)
    }

    /// Reads the record of production; `None` if there is none.
    async fn read_production(&self, preview: &Preview) -> Result<Option<Production>> {
        let Some((target, place)) = &preview.production else { return Ok(None) };
        let owner = self.settings.expected_owner.as_deref();
        let open = async |bucket: &Bucket| Session::open(self.aws, bucket, place).await;
        let (bucket, session) = Bucket::open(self.aws, target, owner, open).await?;
        let Some(mut session) = session else { return Ok(None) };
        let index = Arc::new(session.take_manifest().unwrap_or_default());
        Ok(Some(Production { bucket, session, index }))
    }

    /// Compares the files to upload with production's objects, as a deploy to production does.
    async fn compare_with(
        &self,
        production: &Production,
        discovered: &Discovered,
        planned: &Planned,
    ) -> Result<Vec<(usize, CopyFrom, bool)>> {
        let walk = &discovered.walk;
        let (hashing, unfinished) = (walk.clone(), production.session.unfinished().cloned());
        let (plan, index) = (planned.plan.clone(), production.index.clone());
        let reading = move || {
            let mut questions = questions(&plan.changes, &index);
            questions.extend(moved::moved(&plan, &index, &hashing));
            let (places, pairs): (Vec<usize>, Vec<Pair>) =
                questions.into_iter().map(|question| (question.at, question.pair)).unzip();
            let hashed = hash::compare(&hashing, &pairs).into_iter();
            let (contents, files) = hashed.map(|file| (file.content, (file.compressed, file.is_utf8))).unzip();
            let inspected = head_check::by_manifest(&pairs, files, &hashing, unfinished.as_deref());
            (places, pairs, contents, inspected)
        };
        let (places, pairs, mut contents, mut inspected): (_, _, Vec<Content>, Vec<Inspected>) =
            on_cores(reading).await?;
        let (unknown, opacity) = (Unknown::default(), Opacity::default());
        let rules = Rules {
            unknown: &unknown,
            unfinished: production.session.unfinished().map(|unfinished| &**unfinished),
            recorded: true,
            adopt: false,
            prune_after: self.settings.prune_after,
            kinds: &self.settings.kinds,
            now: production.session.now().as_second(),
        };
        let inspector = Inspector {
            bucket: &production.bucket,
            walk,
            recorded: true,
            concurrency: self.settings.concurrency,
            tagging: None,
            opacity: &opacity,
        };
        let decide = |pair: &Pair, content: &Content, headers: HeadersMatch| rules.decide(pair, content, headers);
        inspector.inspect(&pairs, &mut contents, &mut inspected, decide).await?;
        let common = Shared::default();
        let each = places.into_iter().zip(pairs).zip(contents.into_iter().zip(inspected));
        let copies = each.filter_map(|((at, pair), (content, inspected))| {
            let is_same = decide(&pair, &content, inspected.headers) == Decision::Keep;
            let is_utf8 = inspected.is_utf8;
            Some((at, copy(production, walk, pair, inspected, &common).filter(|_| is_same)?, is_utf8))
        });
        Ok(copies.collect())
    }
}

/// The uploads whose key production has.
fn questions(changes: &[Change], production: &Manifest) -> Vec<Question> {
    let question = |(at, change): (usize, &Change)| {
        let Change::Upload { subject, entry, bytes, .. } = change else { return None };
        let row = production.row(&subject.key)?;
        let pair = Pair {
            key: subject.key.clone(),
            local: Some(Local { at: *entry, size: *bytes }),
            remote: Some((row.size, row.etag.clone())),
            row: Some(row),
            rewritten: false,
            modified: 0,
        };
        Some(Question { at, pair })
    };
    changes.iter().enumerate().filter_map(question).collect()
}

/// The copy of a production object that equals its file.
fn copy(
    production: &Production,
    walk: &Walk,
    pair: Pair,
    inspected: Inspected,
    common: &Shared<CommonSource>,
) -> Option<CopyFrom> {
    let (at, row) = (pair.local?.at, pair.row?);
    let entry = walk.entries.get(at)?;
    let headers = entry.headers.of_digest(inspected.digest?)?;
    let place = Source {
        target: production.bucket.shared_target(),
        key: pair.key,
        version: None,
        etag: row.etag.clone(),
        size: row.size,
        class: headers.storage_class.as_deref().map(Into::into),
        redirect: headers.website_redirect.as_deref().map(Into::into),
    };
    let content = inspected.content.map(Box::new).or(row.content);
    let row =
        Row { content, headers: inspected.digest, compressed: inspected.compressed, ..Row::new(row.size, row.etag) };
    let error_page = entry.headers.error_page().map(Box::new);
    Some(CopyFrom { error_page, ..CopyFrom::new(place, headers, row, common) })
}
