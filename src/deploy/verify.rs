//! `--verify`: what viewers get once CloudFront says that it is done, held against what was deployed.
//!
//! Which URLs to look at and what to make of an answer is decided here, without I/O; `fetch` asks. The
//! lease is held until then, so that what differs can be left in the record for the next deploy.

mod fetch;

use super::Deploy;
use super::plan::{Action, Plan};
use super::survey::Survey;
use super::walk::Walk;
use crate::distribution::DistributionId;
use crate::error::{Error, Result};
use crate::invalidation::find::matches_host;
use crate::invalidation::viewer::{DistributionShape, Form, ViewerPath};
use crate::record::intent::Promise;
use crate::record::manifest::Row;
use crate::site::etag::Etag;
use crate::site::headers::Headers;
use futures::{StreamExt, stream};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use url::Url;

/// URLs that are looked at; of more, so many, evenly spread over the site.
const MOST_URLS: usize = 250;
/// Requests under way at once.
const IN_FLIGHT: usize = 16;
/// Larger objects are held against their headers alone.
const LARGEST_BODY: u64 = 64 << 20;

/// The site as viewers reach it: scheme and host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(Url);

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Site, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; write it as https://www.example.com"))?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("it is no https:// URL".to_owned());
        }
        if !plain || url.path() != "/" {
            return Err("name the host alone: the paths follow from what changed".to_owned());
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
    /// The one distribution that shows it, whose configuration tells the URLs.
    pub(super) fn distribution(&self, shapes: &[(DistributionId, DistributionShape)]) -> Result<DistributionId> {
        let host = self.0.host_str().unwrap_or_default();
        let serves = |shape: &DistributionShape| shape.aliases.iter().any(|name| matches_host(name, host));
        let named: Vec<_> = shapes.iter().filter(|(_, shape)| serves(shape)).collect();
        let (id, shape) = match (shapes, named.as_slice()) {
            ([only], _) => only,
            (_, [only]) => *only,
            ([], _) => {
                return Err(Error::usage("--verify looks at what changed at CloudFront, and no distribution is told")
                    .hint("name the distribution with --distribution, or leave --verify away"));
            }
            _ => {
                return Err(Error::usage(format!("which of the {} distributions is {self}?", shapes.len()))
                    .hint("use a host name that one of them alone has as its alias (CNAME)"));
            }
        };
        if shape.readable {
            return Ok(id.clone());
        }
        Err(Error::usage(format!("--verify cannot know the URLs: the configuration of the {id} may not be read"))
            .hint("allow cloudfront:GetDistributionConfig on it"))
    }
}

/// A URL, and what is to be found at it.
#[derive(Debug, Clone, PartialEq)]
struct Check {
    key: String,
    /// As it is asked for.
    path: String,
    /// Where else the key may answer: a redirect may lead there.
    others: Vec<String>,
    expected: Expected,
    /// The object's ETag before the deploy, where it was another one.
    before: Option<Etag>,
}

/// What is to be found.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    /// This object, and nothing else.
    Object { size: u64, etag: Etag, content: Etag, content_type: String, content_encoding: Option<String> },
    /// Anything but what was there before: whether the URL shows the key, no configuration tells for sure.
    NotBefore,
}

/// What came back.
#[derive(Debug, Default, Clone)]
struct Answer {
    status: u16,
    location: Option<String>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    content_length: Option<u64>,
    etag: Option<String>,
    /// What a cache on the way says of the answer.
    cache: Option<String>,
    /// Whether the bytes are those of the object; `None` where they were not read.
    bytes_match: Option<bool>,
}

impl Check {
    /// What is wrong with an answer, if anything is.
    fn difference(&self, answer: &Answer) -> Option<String> {
        let has = |etag: &Etag| answer.etag.as_deref().is_some_and(|found| Etag::parse(found) == *etag);
        let is_old = answer.status == 200 && self.before.as_ref().is_some_and(has);
        let what = match &self.expected {
            Expected::NotBefore if is_old => "is what was there before".to_owned(),
            Expected::NotBefore => return None,
            Expected::Object { .. } if (300..400).contains(&answer.status) => {
                format!("leads to {}, which was not followed", answer.location.as_deref().unwrap_or("nowhere"))
            }
            Expected::Object { .. } if answer.status != 200 => format!("answers {}", answer.status),
            Expected::Object { content_encoding, .. } if answer.content_encoding != *content_encoding => {
                let named = |encoding: &Option<String>| encoding.clone().unwrap_or_else(|| "none".to_owned());
                format!("has the Content-Encoding {}, not {}", named(&answer.content_encoding), named(content_encoding))
            }
            Expected::Object { size, etag, content_type, .. } => {
                let found_type = answer.content_type.as_deref().unwrap_or("none");
                let other_size = answer.content_length.is_some_and(|length| length != *size);
                if is_old && answer.bytes_match != Some(true) {
                    "is what was there before".to_owned()
                } else if answer.bytes_match == Some(false) {
                    "has other bytes than were deployed".to_owned()
                } else if answer.bytes_match.is_none() && (other_size || answer.etag.is_some() && !has(etag)) {
                    "is another object than was deployed".to_owned()
                } else if plain_type(found_type) != plain_type(content_type) {
                    format!("has the Content-Type {found_type}, not {content_type}")
                } else {
                    return None;
                }
            }
        };
        Some(match &answer.cache {
            Some(cache) => format!("{what} ({cache})"),
            None => what,
        })
    }

    /// Whether a redirect leads to another URL of the same key, on the same host.
    fn own_path(&self, site: &Site, location: &str) -> Option<String> {
        let base = site.0.join(&self.path).ok()?;
        let target = base.join(location).ok()?;
        let same_host = target.origin() == site.0.origin() && target.query().is_none();
        let path = target.path().to_owned();
        (same_host && path != self.path && self.others.contains(&path)).then_some(path)
    }
}

/// A media type without what is written in two ways.
fn plain_type(text: &str) -> String {
    text.to_ascii_lowercase().replace(' ', "")
}

/// A key that changed, what is there now, and what was there before.
struct Changed<'a> {
    key: &'a str,
    row: Option<&'a Row>,
    before: Option<&'a Etag>,
    headers: Headers,
}

impl Changed<'_> {
    /// What to look at, given the paths at which the key may answer.
    fn checks(&self, paths: &[ViewerPath]) -> Vec<Check> {
        let others: Vec<String> = paths.iter().map(|path| path.path.clone()).collect();
        let before = self.before.filter(|before| self.row.is_none_or(|row| row.etag != **before));
        let check = |path: &ViewerPath| {
            // A website endpoint answers for a redirect object in its own way.
            let sure = matches!(path.form, Form::Key | Form::DefaultRoot) && self.headers.website_redirect.is_none();
            let compressed = self.row.and_then(|row| row.compressed.as_ref()?.encoding);
            let expected = match self.row {
                Some(row) if sure => Expected::Object {
                    size: row.size,
                    etag: row.etag.clone(),
                    content: row.content().clone(),
                    content_type: self.headers.content_type.clone(),
                    content_encoding: match compressed {
                        Some(encoding) => Some(encoding.word().to_owned()),
                        None => self.headers.content_encoding.clone(),
                    },
                },
                _ if before.is_some() => Expected::NotBefore,
                _ => return None,
            };
            let (key, path, before) = (self.key.to_owned(), path.path.clone(), before.cloned());
            Some(Check { key, path, others: others.clone(), expected, before })
        };
        // Of the variants by query string there is no list, and a `+` has its two spellings for the
        // invalidation's sake only.
        let asked = |path: &&ViewerPath| !matches!(path.form, Form::QueryVariants | Form::PlusSpelling);
        paths.iter().filter(asked).filter_map(check).collect()
    }
}

/// What was found, for the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The site that was looked at.
    pub site: String,
    /// Changed URLs of which the answer is known.
    pub urls: usize,
    /// How many of them were looked at.
    pub checked: usize,
    /// Those that answer otherwise than they must.
    pub differences: Vec<Difference>,
}

/// A URL that answers otherwise than it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The URL.
    pub url: String,
    /// The key that it belongs to.
    pub key: String,
    /// What is wrong with the answer.
    pub found: String,
}

impl Verified {
    /// The keys of the differences.
    fn keys(&self) -> HashSet<&str> {
        self.differences.iter().map(|difference| difference.key.as_str()).collect()
    }

    /// What the next deploy is to invalidate again, if anything.
    pub(super) fn promises(&self, plan: &Plan, walk: &Walk, left: &[Promise]) -> Vec<Promise> {
        let keys = self.keys();
        let ours = plan.changes.iter().filter(|change| keys.contains(change.key.as_str()));
        let mut promises: Vec<Promise> = ours.map(|change| Promise::of(change, walk)).collect();
        let known: HashSet<String> = promises.iter().map(|promise| promise.key.clone()).collect();
        let left = left.iter().filter(|left| keys.contains(left.key.as_str()) && !known.contains(&left.key));
        promises.extend(left.cloned());
        promises.sort_by(|a, b| a.key.cmp(&b.key));
        promises
    }
}

impl Deploy<'_> {
    /// Looks at what changed; `None` where that was not asked for, or broken off. `rows` are those of the
    /// next manifest, in key order.
    pub(super) async fn verify<'a>(
        &self,
        survey: &Survey,
        plan: &Plan,
        landed: &HashSet<&str>,
        rows: impl Iterator<Item = (&'a str, &'a Row)>,
    ) -> Option<Verified> {
        let (site, id) = (self.settings.verify.as_ref()?, survey.verified.as_ref()?);
        let checks = checks(survey, id, plan, landed, rows);
        let urls = checks.len();
        let checks = sample(checks, MOST_URLS);
        let checked = checks.len();
        let progress = self.terminal.wait("verify");
        let viewer = fetch::Viewer::new(site);
        let looking = stream::iter(checks).map(|check| {
            let (viewer, progress) = (&viewer, &progress);
            async move {
                let found = viewer.look(&check).await;
                progress.message(&check.path);
                found.map(|found| Difference { url: format!("{site}{}", check.path), key: check.key, found })
            }
        });
        let looking = looking.buffer_unordered(IN_FLIGHT).filter_map(async |found| found).collect::<Vec<_>>();
        let mut differences = tokio::select! {
            found = looking => found,
            () = self.stop.cancelled() => return None,
        };
        differences.sort_by(|a, b| a.url.cmp(&b.url));
        Some(Verified { site: site.to_string(), urls, checked, differences })
    }
}

/// Everything to look at, in the order of keys.
fn checks<'a>(
    survey: &Survey,
    id: &DistributionId,
    plan: &Plan,
    landed: &HashSet<&str>,
    rows: impl Iterator<Item = (&'a str, &'a Row)>,
) -> Vec<Check> {
    let done = |change: &&super::plan::Change| {
        change.is_visible() && (!change.is_write() || landed.contains(change.key.as_str()))
    };
    let changes = plan.changes.iter().filter(done);
    let mut changed: Vec<(&str, Option<&Etag>)> =
        changes.map(|change| (change.key.as_str(), change.before.as_ref())).collect();
    let planned: BTreeSet<&str> = plan.changes.iter().map(|change| change.key.as_str()).collect();
    let left = survey.abandoned().into_iter().flat_map(|abandoned| &abandoned.promises);
    let left = left.filter(|promise| promise.action == Action::Prune && !planned.contains(promise.key.as_str()));
    changed.extend(left.map(|promise| (promise.key.as_str(), promise.before.as_ref())));
    changed.sort_unstable_by_key(|(key, _)| *key);

    let mut rows = rows.peekable();
    let mut checks = Vec::new();
    for (key, before) in changed {
        while rows.next_if(|(other, _)| *other < key).is_some() {}
        let row = rows.next_if(|(other, _)| *other == key).map(|(_, row)| row);
        let changed = Changed { key, row, before, headers: survey.walk.headers(key) };
        checks.extend(changed.checks(&survey.viewers.paths(id, key)));
    }
    checks
}

/// At most so many, evenly spread.
fn sample<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let count = all.len();
    if count <= most {
        return all;
    }
    let chosen: HashSet<usize> = (0..most).map(|at| at * count / most).collect();
    all.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, each)| each).collect()
}

#[cfg(test)]
mod tests;
