//! `--verify`: compares what viewers get, once CloudFront reports completion, with what was deployed.
//!
//! Which URLs to check and how to interpret a response is decided here, without I/O; `fetch` sends the requests.
//! The lease is held until then, so that differences can be recorded for the next deploy.

mod fetch;
mod verified;

pub use verified::{Difference, Verified};

use crate::cloudfront::lookup::matches_host;
use crate::deploy::change::{Change, ChangeOutcome};
use crate::deploy::discover::Discovered;
use crate::deploy::executor::Executor;
use crate::deploy::outcomes::Outcomes;
use crate::deploy::plan::Plan;
use crate::error::{Error, Result};
use crate::open_files;
use crate::record::intent::{PendingAction, is_of_verify};
use crate::record::manifest::Row;
use futures::{StreamExt, stream};
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::viewer::{DistributionShape, Form, ViewerPath};
use shipfront_site::etag::Etag;
use shipfront_site::headers::Headers;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display, Formatter};
use std::iter::Peekable;
use std::str::FromStr;
use std::vec::IntoIter;
use url::Url;

/// Maximum number of URLs to check, evenly spread over the site.
const MOST_URLS: usize = 250;
/// Maximum number of requests in flight.
const IN_FLIGHT: usize = 16;
/// Larger objects, in bytes, are compared only by their headers.
const LARGEST_BODY: u64 = 64 << 20;
/// The headers of an object that viewers get.
const COMPARED: [&str; 5] =
    ["Content-Encoding", "Content-Type", "Cache-Control", "Content-Disposition", "Content-Language"];
/// The index of `Content-Encoding` among them.
const ENCODING: usize = 0;

/// The site as viewers reach it: scheme and host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(Url);

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Site, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; write it as https://www.example.com"))?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("it is not an https:// URL".to_owned());
        }
        if !plain || url.path() != "/" {
            return Err("name only the host: the paths follow from the changes".to_owned());
        }
        Ok(Site(url))
    }
}

impl Display for Site {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Site {
    /// Whether a redirect leads where its object says; S3 may expand a path to a URL.
    fn leads_to(&self, location: &str, to: &str) -> bool {
        let found = self.0.join(location);
        found.is_ok_and(|found| found.join(to).is_ok_and(|wanted| wanted == found))
    }

    /// The one distribution that serves it, whose configuration determines the URLs.
    pub(super) fn distribution(&self, shapes: &[(DistributionId, DistributionShape)]) -> Result<DistributionId> {
        let host = self.0.host_str().unwrap_or_default();
        let serves = |shape: &DistributionShape| shape.aliases.iter().any(|name| matches_host(name, host));
        let named: Vec<_> = shapes.iter().filter(|(_, shape)| serves(shape)).collect();
        let (id, shape) = match (shapes, named.as_slice()) {
            ([only], _) => only,
            (_, [only]) => *only,
            ([], _) => {
                return Err(Error::usage("--verify fetches from CloudFront, and no distribution is invalidated")
                    .hint("name the distribution with --distribution, or remove --verify"));
            }
            _ => {
                return Err(Error::usage(format!("which of the {} distributions is {self}?", shapes.len()))
                    .hint("use a host name that is an alias (CNAME) of only one of them"));
            }
        };
        if shape.readable {
            return Ok(id.clone());
        }
        Err(Error::usage(format!(
            "--verify cannot determine the URLs, because the configuration of the {id} cannot be read"
        ))
        .hint("allow cloudfront:GetDistributionConfig on it"))
    }
}

/// A URL, and what it should serve.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    key: String,
    /// As requested.
    path: String,
    /// Other paths of the key: a redirect may lead there.
    others: Vec<String>,
    expected: Expected,
    /// The object's ETags before the deploy and before an interrupted one, if they were different.
    before: Vec<Etag>,
    /// Whether nothing that is known of may set headers on the way from the bucket.
    keeps_headers: bool,
}

/// What a URL should serve.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    /// Exactly this object. For an object that redirects, a website endpoint answers with the redirect.
    Object { size: u64, etag: Etag, content: Etag, headers: Box<Headers> },
    /// Anything except the previous object: no configuration says for certain whether the URL serves the key.
    NotBefore,
}

/// A response.
#[derive(Debug, Default, Clone)]
struct Answer {
    status: u16,
    location: Option<String>,
    /// The headers of [`COMPARED`], in its order.
    headers: [Option<String>; COMPARED.len()],
    content_length: Option<u64>,
    etag: Option<String>,
    /// What a cache on the way says about the response.
    cache: Option<String>,
    /// Whether the bytes are those of the object; `None` if they were not read.
    bytes_match: Option<bool>,
}

/// What is wrong with a response.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// It is not what was deployed.
    Different(String),
    /// A header is not the object's, which may be intended.
    Overridden(String),
    /// There was no response, so it is not known what viewers get.
    Unanswered(String),
}

impl Check {
    /// What is wrong with a response, if anything.
    fn difference(&self, site: &Site, answer: &Answer) -> Option<Wrong> {
        let what = match &self.expected {
            Expected::NotBefore if self.is_before(answer) => "serves what was there before".to_owned(),
            Expected::NotBefore => return None,
            Expected::Object { headers, .. } if (300..400).contains(&answer.status) => {
                let location = answer.location.as_deref().unwrap_or("nowhere");
                match &headers.website_redirect {
                    Some(to) if site.leads_to(location, to) => return None,
                    Some(to) => format!("redirects to {location}, not to {to}"),
                    None => format!("redirects to {location}, which was not followed"),
                }
            }
            Expected::Object { .. } if answer.status != 200 => format!("answers {}", answer.status),
            Expected::Object { size, etag, headers, .. } => match self.other_object(answer, *size, etag, headers) {
                Some(what) => what.to_owned(),
                None => match other_header(answer, headers)? {
                    what if self.keeps_headers => what,
                    what => return Some(Wrong::Overridden(what)),
                },
            },
        };
        Some(Wrong::Different(match &answer.cache {
            Some(cache) => format!("{what} ({cache})"),
            None => what,
        }))
    }

    fn is_before(&self, answer: &Answer) -> bool {
        answer.status == 200 && self.before.iter().any(|before| answer.has(before))
    }

    /// The evidence that the body is another object's, if it is.
    fn other_object(&self, answer: &Answer, size: u64, etag: &Etag, headers: &Headers) -> Option<&'static str> {
        // A body that was encoded or decoded on the way differs from S3's bytes: its ETag has to be enough.
        let as_stored = answer.headers[ENCODING].as_deref() == compared(headers)[ENCODING];
        let bytes_match = answer.bytes_match.filter(|_| as_stored);
        let other_size = as_stored && answer.content_length.is_some_and(|length| length != size);
        match bytes_match {
            Some(true) => None,
            _ if self.is_before(answer) => Some("serves what was there before"),
            Some(false) => Some("serves other content than was deployed"),
            None if other_size || answer.etag.is_some() && !answer.has(etag) => {
                Some("serves another object than was deployed")
            }
            None => None,
        }
    }

    /// The other URL of the same key, on the same host, that a redirect leads to.
    fn own_path(&self, site: &Site, location: &str) -> Option<String> {
        if matches!(&self.expected, Expected::Object { headers, .. } if headers.website_redirect.is_some()) {
            return None;
        }
        let base = site.0.join(&self.path).ok()?;
        let target = base.join(location).ok()?;
        let same_host = target.origin() == site.0.origin() && target.query().is_none();
        let path = target.path().to_owned();
        (same_host && path != self.path && self.others.contains(&path)).then_some(path)
    }
}

impl Answer {
    fn has(&self, etag: &Etag) -> bool {
        self.etag.as_deref().is_some_and(|found| Etag::parse(found) == *etag)
    }
}

/// The headers of [`COMPARED`].
fn compared(headers: &Headers) -> [Option<&str>; COMPARED.len()] {
    [
        headers.content_encoding.as_deref(),
        Some(&headers.content_type),
        headers.cache_control.as_deref(),
        headers.content_disposition.as_deref(),
        headers.content_language.as_deref(),
    ]
}

/// Describes the first header that differs from the stored one.
fn other_header(answer: &Answer, headers: &Headers) -> Option<String> {
    // Many values are written with or without spaces, in lowercase or uppercase.
    let plain = |text: &str| text.to_ascii_lowercase().replace(' ', "");
    let pairs = COMPARED.iter().zip(&answer.headers).zip(compared(headers));
    pairs.into_iter().find_map(|((name, found), stored)| {
        let found = found.as_deref();
        let named = |value: Option<&str>| value.unwrap_or("none").to_owned();
        (found.map(plain) != stored.map(plain))
            .then(|| format!("has the {name} {}, not {}", named(found), named(stored)))
    })
}

/// A changed key, what it is now, and what it was before.
struct Changed<'a> {
    key: &'a str,
    row: Option<&'a Row>,
    before: Vec<&'a Etag>,
    headers: Headers,
}

impl Changed<'_> {
    /// The checks for the paths that may serve the key.
    fn checks(&self, paths: &[ViewerPath], keeps_headers: impl Fn(&str) -> bool) -> Vec<Check> {
        let others: Vec<String> = paths.iter().map(|path| path.path.clone()).collect();
        let before = self.before.iter().copied().filter(|before| self.row.is_none_or(|row| row.etag != **before));
        let before: Vec<Etag> = before.cloned().collect();
        let check = |path: &ViewerPath| {
            let compressed = self.row.and_then(|row| row.compressed.as_ref()?.encoding);
            let expected = match self.row {
                Some(row) if matches!(path.form, Form::Key | Form::DefaultRoot) => Expected::Object {
                    size: row.size,
                    etag: row.etag.clone(),
                    content: row.content().clone(),
                    headers: Box::new(self.headers.clone().compressed(compressed)),
                },
                _ if before.is_empty() => return None,
                _ => Expected::NotBefore,
            };
            Some(Check {
                key: self.key.to_owned(),
                path: path.path.clone(),
                others: others.clone(),
                expected,
                before: before.clone(),
                keeps_headers: keeps_headers(&path.path),
            })
        };
        // Variants by query string cannot be listed, and a `+` has two spellings only for the invalidation.
        let asked = |path: &&ViewerPath| !matches!(path.form, Form::QueryVariants | Form::PlusSpelling);
        paths.iter().filter(asked).filter_map(check).collect()
    }
}

impl Executor<'_> {
    /// Checks what changed; `None` if that was not requested, or was interrupted.
    pub(super) async fn verify(&self, sample: Option<Sample>) -> Option<Verified> {
        let (site, sample) = (self.verify?, sample?);
        let (urls, checks) = (sample.seen, sample.chosen());
        let checked = checks.len();
        let progress = self.terminal.wait("verify");
        let viewer = fetch::Viewer::new(site, self.clock);
        let looking = stream::iter(checks).map(|check| {
            let (viewer, progress) = (&viewer, &progress);
            async move {
                let wrong = viewer.look(&check).await;
                progress.message(&check.path);
                wrong.map(|wrong| (format!("{site}{}", check.path), check.key, wrong))
            }
        });
        let looking = looking
            .buffer_unordered(open_files::at_once(IN_FLIGHT, false))
            .filter_map(async |found| found)
            .collect::<Vec<_>>();
        let mut found = tokio::select! {
            found = looking => found,
            () = self.limits.stop.cancelled() => return None,
        };
        found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let (mut differences, mut overridden, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for (url, key, wrong) in found {
            let (list, found) = match wrong {
                Wrong::Different(found) => (&mut differences, found),
                Wrong::Overridden(found) => (&mut overridden, found),
                Wrong::Unanswered(found) => (&mut unanswered, found),
            };
            list.push(Difference { url, key, found });
        }
        Some(Verified { site: site.to_string(), urls, checked, differences, overridden, unanswered })
    }
}

/// Chooses the checks while the rows of the next manifest are written: they are created once, and not kept.
pub(super) struct Chooser<'a> {
    discovered: &'a Discovered,
    id: &'a DistributionId,
    plan: &'a Plan,
    /// What changed, in key order.
    changed: Peekable<IntoIter<(&'a str, Option<&'a Change>)>>,
    sample: Sample,
}

impl<'a> Chooser<'a> {
    /// Creates a chooser for the changes according to the outcomes, including what an interrupted run may have
    /// removed.
    pub(super) fn new(
        discovered: &'a Discovered,
        id: &'a DistributionId,
        plan: &'a Plan,
        outcomes: &Outcomes,
    ) -> Chooser<'a> {
        let is_done = |(change, outcome): &(&Change, Cow<'_, ChangeOutcome>)| {
            change.is_visible() && (!change.is_write() || outcome.may_have_succeeded())
        };
        let changes = plan.changes.iter().zip(outcomes.iter()).filter(is_done).map(|(change, _)| change);
        let mut changed: Vec<(&str, Option<&Change>)> = changes.map(|change| (change.key(), Some(change))).collect();
        let planned: BTreeSet<&str> = plan.changes.iter().map(Change::key).collect();
        let left = discovered.unfinished().into_iter().flat_map(|unfinished| &unfinished.pending);
        let left = left.filter(|left| left.action == PendingAction::Prune && !planned.contains(left.key.as_str()));
        changed.extend(left.map(|left| (left.key.as_str(), None)));
        changed.sort_unstable_by_key(|(key, _)| *key);
        Chooser { discovered, id, plan, changed: changed.into_iter().peekable(), sample: Sample::of(MOST_URLS) }
    }

    /// Handles the next row, in key order.
    pub(super) fn see(&mut self, key: &str, row: &Row) {
        while let Some((gone, change)) = self.changed.next_if(|(other, _)| *other < key) {
            self.add(gone, change, None);
        }
        if let Some((key, change)) = self.changed.next_if(|(other, _)| *other == key) {
            self.add(key, change, Some(row));
        }
    }

    /// The checks, once all rows were handled.
    pub(super) fn finish(mut self) -> Sample {
        while let Some((gone, change)) = self.changed.next() {
            self.add(gone, change, None);
        }
        self.sample
    }

    fn add(&mut self, key: &str, change: Option<&Change>, row: Option<&Row>) {
        let Discovered { walk, viewers, .. } = self.discovered;
        let entry = match change {
            Some(Change::Upload { entry, .. }) => walk.entries.get(*entry),
            _ => walk.entry(key),
        };
        let headers = entry.map(|entry| &entry.headers);
        let of_row = |row: &Row| headers?.of_digest(row.headers?);
        let headers = match change.and_then(|change| self.plan.copy_from(change)) {
            Some(from) => Some(from.common.headers.clone()),
            None => row.and_then(of_row).or_else(|| Some(headers?.get().clone())),
        };
        // If an object's headers are unknown, it is checked at least that it is not the previous one.
        let (row, headers) = (row.filter(|_| headers.is_some()), headers.unwrap_or_default());
        let unfinished = self.discovered.unfinished();
        let pending = unfinished.and_then(|unfinished| unfinished.pending_change(key));
        let before = change.and_then(Change::before).into_iter();
        let before = before.chain(pending.and_then(|pending| pending.before.as_ref())).collect();
        // If a header still differs although its URL was evicted because of it, something on the way sets it.
        let evicted_for_it = pending.is_some() && unfinished.is_some_and(|left| is_of_verify(&left.deploy));
        let keeps_headers = |path: &str| !evicted_for_it && viewers.keep_headers(self.id, path);
        let checks = Changed { key, row, before, headers }.checks(&viewers.paths(self.id, key), keeps_headers);
        checks.into_iter().for_each(|check| self.sample.add(check));
    }
}

/// A limited number of values, evenly spread over a number that is not known in advance. A deploy may change a
/// million URLs: none of the omitted ones is kept.
pub(super) struct Sample<T = Check> {
    most: usize,
    /// The first of every group, at most twice as many as are wanted.
    kept: Vec<T>,
    every: usize,
    /// Number of values seen.
    seen: usize,
}

impl<T> Sample<T> {
    fn of(most: usize) -> Sample<T> {
        Sample { most, kept: Vec::new(), every: 1, seen: 0 }
    }

    fn add(&mut self, one: T) {
        if self.seen.is_multiple_of(self.every) {
            self.kept.push(one);
        }
        self.seen += 1;
        if self.kept.len() > 2 * self.most {
            let mut at = 0..;
            self.kept.retain(|_| at.next().is_some_and(|at: usize| at.is_multiple_of(2)));
            self.every *= 2;
        }
    }

    fn chosen(self) -> Vec<T> {
        let (most, count) = (self.most, self.kept.len());
        if count <= most {
            return self.kept;
        }
        let chosen: HashSet<usize> = (0..most).map(|at| at * count / most).collect();
        self.kept.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, each)| each).collect()
    }
}

#[cfg(test)]
mod tests;
