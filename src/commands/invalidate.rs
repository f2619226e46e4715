//! `invalidate`: sends the keys, URLs, paths and wildcards that a user or a script names directly to CloudFront.

use crate::aws::{Aws, Requests};
use crate::cli::invalidate::InvalidateArgs;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{Which, ids_for_hosts, ids_showing};
use crate::cloudfront::send::{Patience, submit, wait};
use crate::commands::connection::Connection;
use crate::commands::signal::stop_on_signal;
use crate::config;
use crate::deploy::new_deploy_id;
use crate::error::{Error, ErrorKind, Result};
use crate::escape::{Shown, shown};
use crate::exit::Exit;
use crate::outcome::{Failure, Outcome};
use crate::record::Place as RecordPlace;
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::terminal::Terminal;
use crate::wording::{Mark, counted};
use serde::{Serialize, Serializer};
use shipfront_invalidation::viewer::path_from_input;
use shipfront_invalidation::{DistributionId, Invalidation, InvalidationStatus};
use shipfront_site::Warning;
use std::fmt::{self, Display, Formatter};
use std::io::Read;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The message after a signal.
const STOPPING: &str = "Stopping within 30 s; press Ctrl-C again to stop at once";
/// How long counting the paths may take after a signal.
const COUNTING: Duration = Duration::from_secs(2);
/// Maximum size of typed paths, in bytes.
const MOST_TYPED: u64 = 64 << 20;

/// `invalidate`.
pub async fn run(args: &InvalidateArgs, terminal: &Terminal) -> Result<Exit> {
    let which = Which::parse(&args.distribution, &args.distribution_tenant)?;
    let patience = config::patience(&args.wait)?;
    let record = config::place(args.record.as_deref(), false)?;
    // It only says where the paths are counted; but an invalid one should be reported before anything is sent.
    args.target.as_deref().map(|target| config::target(Some(target))).transpose()?;
    let paths = with_stdin(&args.paths)?;
    let connection = Connection::open(&args.connection, None, terminal).await?;
    let stop = stop_on_signal(terminal, STOPPING);
    let outcome = async {
        let which = match which {
            Which::Auto if !paths.iter().any(|path| path_from_input(path).is_ok_and(|path| path.host.is_some())) => {
                of_site(args, &connection).await?
            }
            which => which,
        };
        let id = new_deploy_id(connection.aws.clock());
        let report = invalidate(&connection.aws, &which, &paths, &id, patience, (&stop, terminal)).await?;
        let counting = count_paths(args, &record, &connection, &report, terminal);
        // Uncounted paths are no reason to delay somebody who wants to stop.
        let _ = connection.aws.clock().timeout_after(&stop, COUNTING, counting).await;
        Ok(report)
    };
    let outcome = outcome.await;
    let report = connection.close(outcome).await?;
    let written = terminal.report(&report, report.warnings(), report.errors());
    terminal.ended(report.outcome.exit(), written)
}

/// The typed paths, with each `-` replaced by the lines of stdin.
fn with_stdin(typed: &[String]) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for path in typed {
        if path == "-" {
            let mut text = String::new();
            let read = std::io::stdin().take(MOST_TYPED + 1).read_to_string(&mut text);
            read.map_err(|error| {
                Error::usage(format!("cannot read paths from stdin: {error}"))
                    .hint("pipe UTF-8 text into it, or pass the paths as arguments")
            })?;
            if text.len() as u64 > MOST_TYPED {
                return Err(Error::usage("stdin has more than 64 MiB of paths").hint("'/*' invalidates everything"));
            }
            paths.extend(listed(&text));
        } else {
            paths.push(path.clone());
        }
    }
    Ok(paths)
}

/// The paths of a list: its lines, or literal names separated by zero bytes, as `git diff -z` and `find -print0`
/// write them. In a list with both, either ends a path.
fn listed(text: &str) -> Vec<String> {
    match text.contains('\0') && !text.contains('\n') {
        true => text.split('\0').map(as_typed).collect(),
        false => text.split(['\n', '\0']).map(str::to_owned).collect(),
    }
}

/// A name that is not delimited by lines, escaped as a user would type it: nothing around it is removed, and all
/// its characters are literal.
fn as_typed(name: &str) -> String {
    if name.contains("://") {
        return name.to_owned();
    }
    let inner = name.trim_matches(' ');
    if inner.is_empty() {
        return String::new();
    }
    let start = name.len() - name.trim_start_matches(' ').len();
    let end = name.len() - start - inner.len();
    let inner = inner.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(',', "%2C");
    format!("{}{inner}{}", "%20".repeat(start), "%20".repeat(end))
}

/// The distributions of the local edge that serve the site, if it is known: each site there has one.
async fn of_site(args: &InvalidateArgs, connection: &Connection) -> Result<Which> {
    let (target, source) = (args.target.as_deref(), args.source.as_deref());
    if !connection.is_local() || target.is_none() && source.is_none() {
        return Ok(Which::Auto);
    }
    let site = connection.target(target, source)?;
    Ok(Which::Ids(ids_showing(&Distributions::new(&connection.aws), site.bucket()).await?))
}

/// Counts the paths in the site's allowance of the month, if the site is known: in the side file of its record,
/// because a deploy may be running. A run that may not write there counts nothing.
async fn count_paths(
    args: &InvalidateArgs,
    record: &RecordPlace,
    connection: &Connection,
    report: &TypedReport,
    terminal: &Terminal,
) {
    let (target, source) = (args.target.as_deref(), args.source.as_deref());
    let taken = report.invalidations.iter().filter(|invalidation| invalidation.id.is_some());
    let paths: u64 = taken.map(|invalidation| invalidation.items.len() as u64).sum();
    if target.is_none() && !(connection.is_local() && source.is_some()) || paths == 0 {
        return;
    }
    let counted = async {
        let site = connection.target(target, source)?;
        let open = async |bucket: &Bucket| Session::look(&connection.aws, bucket, record).await;
        let owner = connection.expected_owner.as_deref();
        let (_, session) = Bucket::open(&connection.aws, &site, owner, open).await?;
        match session.filter(|session| !session.is_new()) {
            Some(session) => session.count_paths(paths).await,
            None => Ok(()),
        }
    };
    if let Err(error) = counted.await {
        terminal.detail(format_args!("the paths were not counted in the deploy record: {error}"));
    }
}

/// What was sent for typed paths.
#[derive(Debug, Serialize)]
pub struct TypedReport {
    shipfront: &'static str,
    /// How it ended: `invalidated`, or `stale` when CloudFront did not take it.
    #[serde(serialize_with = "word")]
    pub outcome: Outcome,
    #[serde(serialize_with = "uncounted")]
    invalidations: Vec<Invalidation>,
    requests: Requests,
    warnings: Vec<Warning>,
    errors: Vec<Failure>,
}

/// The word for an outcome: nothing was deployed.
fn word<S: Serializer>(outcome: &Outcome, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(if *outcome == Outcome::Deployed { "invalidated" } else { outcome.word() })
}

/// An invalidation without the counts of a deploy: nobody knows what typed paths evict.
#[derive(Serialize)]
struct Uncounted<'a> {
    distribution: &'a DistributionId,
    id: &'a Option<String>,
    status: InvalidationStatus,
    items: &'a [String],
}

fn uncounted<S: Serializer>(invalidations: &[Invalidation], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(invalidations.iter().map(|invalidation| {
        let Invalidation { distribution, id, status, items, .. } = invalidation;
        Uncounted { distribution, id, status: *status, items }
    }))
}

/// Encoded, without duplicates, and the hosts of typed URLs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Typed {
    items: Vec<String>,
    hosts: Vec<String>,
    notes: Vec<String>,
}

/// Invalidates what was typed and waits for it. The same `run` again requests the same invalidations, free of
/// charge. Once `stop` is set, whatever is not accepted soon after is reported as not sent.
pub async fn invalidate(
    aws: &Aws,
    which: &Which,
    paths: &[String],
    run: &str,
    patience: Patience,
    (stop, terminal): (&CancellationToken, &Terminal),
) -> Result<TypedReport> {
    let typed = read(paths)?;
    for note in &typed.notes {
        terminal.say(note);
    }
    let distributions = Distributions::new(aws);
    let ids = tokio::select! {
        biased;
        ids = ids_for_hosts(&distributions, which, &typed.hosts) => ids?,
        () = stop.cancelled() => return Err(Error::interrupted("interrupted; nothing was sent")),
    };
    let planned = ids.into_iter().map(|id| Invalidation::of_items(id, typed.items.clone())).collect();
    let mut sent = submit(&distributions, run, planned, patience, stop, terminal).await;
    wait(&distributions, &mut sent, patience, stop, terminal).await;
    // A distribution that does not exist is a typo, not a stale edge.
    let taken = sent.invalidations.iter().any(|invalidation| invalidation.id.is_some());
    if !taken && let Some(error) = sent.failed.first().filter(|error| error.kind() == ErrorKind::NoSuchResource) {
        return Err(error.clone());
    }
    Ok(TypedReport {
        shipfront: env!("CARGO_PKG_VERSION"),
        outcome: if sent.failed.is_empty() { Outcome::Deployed } else { Outcome::Stale },
        invalidations: sent.invalidations,
        requests: aws.requests(),
        warnings: sent.warnings,
        errors: sent.failed.iter().map(|error| Failure::of(None, error)).collect(),
    })
}

fn read(paths: &[String]) -> Result<Typed> {
    let mut typed = Typed::default();
    for line in paths.iter().filter(|path| !path.trim().is_empty()) {
        let text = line.trim();
        if let Some(tag) = text.strip_prefix('#') {
            if !is_tag(tag) {
                return Err(Error::usage(format!("{text:?} is not a cache tag"))
                    .hint("a tag has 1 to 256 printable ASCII characters without spaces and commas; write a path that begins with # as /%23..."));
            }
            typed.items.push(text.to_owned());
            continue;
        }
        // A line of `git status --short` is recognized by its leading space.
        let read = path_from_input(line)
            .map_err(|problem| Error::usage(format!("cannot invalidate {text:?}: {problem}")).hint(problem.hint()))?;
        typed.items.push(read.path);
        typed.items.extend(read.others);
        typed.notes.extend(read.notes);
        typed.hosts.extend(read.host);
    }
    typed.items.sort();
    typed.items.dedup();
    typed.hosts.sort();
    typed.hosts.dedup();
    if typed.items.is_empty() {
        return Err(Error::usage("no path to invalidate").hint("name a path such as /blog/, or '/*' for everything"));
    }
    Ok(typed)
}

/// Whether CloudFront accepts this as a tag
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-by-tags.html>).
fn is_tag(tag: &str) -> bool {
    (1..=256).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

impl TypedReport {
    /// The invalidations and their outcomes.
    pub fn invalidations(&self) -> &[Invalidation] {
        &self.invalidations
    }

    /// Problems that are not failures.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What failed.
    pub fn errors(&self) -> &[Failure] {
        &self.errors
    }
}

impl Display for TypedReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for Invalidation { distribution, id, status, items, .. } in &self.invalidations {
            let (mark, verb) = match (id, status) {
                (None, _) => (Mark::Bad, "Not invalidated"),
                (Some(_), InvalidationStatus::Completed) => (Mark::Good, "Invalidated"),
                (Some(_), _) => (Mark::Good, "Accepted, in progress"),
            };
            let id = id.as_deref().map(|id| format!(" ({})", Shown(id))).unwrap_or_default();
            let paths = counted(items.len() as u64, "path");
            let line = mark.line(format_args!("{verb}: {paths} of the {}{id}", Shown(distribution)));
            writeln!(out, "{line}:{}", shown(items))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_urls_and_paths_come_to_the_same_item_once() {
        let texts = ["blog/a b.html", "/blog/a%20b.html", "https://www.Example.com/blog/a b.html", "", "/img/*"];
        let typed = read(&texts.map(str::to_owned)).unwrap();
        assert_eq!(typed.items, ["/blog/a%20b.html", "/img/*"]);
        assert_eq!(typed.hosts, ["www.example.com"]);
    }

    #[test]
    fn a_cache_tag_is_sent_as_it_is_typed() {
        assert_eq!(read(&["#page:1".to_owned()]).unwrap().items, ["#page:1"]);
        for text in ["#", "#a b", "#a,b", "#é"] {
            assert_eq!(read(&[text.to_owned()]).unwrap_err().exit(), Exit::Usage, "{text}");
        }
    }

    #[test]
    fn what_git_prints_around_a_name_is_no_part_of_it() {
        for line in [" M x.html", "?? x.html", "diff --git a/x b/x"] {
            assert_eq!(read(&[line.to_owned()]).unwrap_err().exit(), Exit::Usage, "{line}");
        }
        assert_eq!(read(&["  x.html ".to_owned(), "/a%2Fb".to_owned()]).unwrap().items, ["/a%2Fb", "/x.html"]);
    }

    #[test]
    fn a_name_that_ends_in_a_zero_byte_is_read_literally() {
        for (name, path) in [
            (" lead.html", "/%20lead.html"),
            ("trail.html ", "/trail.html%20"),
            ("./#a?b.html", "/%23a%3Fb.html"),
            ("a, b/c.html", "/a,%20b/c.html"),
            ("100%25.html", "/100%2525.html"),
            ("café.html", "/caf%C3%A9.html"),
            ("https://www.example.com/a?x=1", "/a?x=1"),
        ] {
            assert_eq!(read(&[as_typed(name)]).unwrap().items, [path], "{name:?}");
        }
        assert_eq!(as_typed("") + &as_typed("  "), "");
        assert_eq!(listed(" a\0b?\0"), ["%20a", "b%3F", ""]);
        assert_eq!(listed(" a\n/%7Bx%7D\0z?\0"), [" a", "/%7Bx%7D", "z?", ""]);
    }

    #[test]
    fn nothing_to_invalidate_is_a_usage_error() {
        assert_eq!(read(&[" ".to_owned()]).unwrap_err().exit(), Exit::Usage);
    }
}
