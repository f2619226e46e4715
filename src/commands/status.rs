//! `status`: what the deploy record says about a site.

use crate::cli::record::StatusArgs;
use crate::commands::connection::Connection;
use crate::commands::history::{Listed, listed};
use crate::config;
use crate::deploy::diff::PruneAfter;
use crate::error::{Error, Result};
use crate::escape::Shown;
use crate::exit::Exit;
use crate::record::allowance::UsedPaths;
use crate::record::intent::left_by;
use crate::record::lease::{Holder, LEASE, time};
use crate::record::session::Session;
use crate::record::{Build, LastDeploy};
use crate::s3::Bucket;
use crate::terminal::Terminal;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shipfront_site::{ObjectKind, Target};
use std::fmt::{self, Display, Formatter};

/// Orphans named in the text before the rest is only counted.
const SHORT_LIST: usize = 20;

/// `status`.
pub async fn run(args: &StatusArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = ask(args, &connection).await;
    let (status, warnings) = connection.close(outcome).await?;
    terminal.report(&status, &warnings, &[])?;
    Ok(Exit::Done)
}

/// What the record says, and what the person should know of it.
async fn ask(args: &StatusArgs, connection: &Connection) -> Result<(Status, Vec<String>)> {
    let StatusArgs { site, orphans, free_paths } = args;
    let place = config::place(site.record.as_deref(), false)?;
    let target = connection.site(site)?;
    let (prune_after, kinds) = (config::prune_after(orphans, true)?, config::kinds(orphans)?);
    let goes_after = |key: &str, since| goes_after(kinds.kind_of(key), prune_after, since);
    let open = async |bucket: &Bucket| Session::open(&connection.aws, bucket, &place).await;
    let (_, session) = Bucket::open(&connection.aws, &target, connection.expected_owner.as_deref(), open).await?;
    let session = session.ok_or_else(no_record)?;
    Ok((status(&session, &target, *free_paths, goes_after)?, session.warnings().to_vec()))
}

/// What the record says about a site.
#[derive(Debug, Serialize)]
struct Status {
    shipfront: &'static str,
    /// The site.
    target: String,
    /// The folder of the record.
    record: String,
    /// The last deploy that was completed.
    last: Option<LastDeploy>,
    /// The newest build.
    build: Option<Build>,
    /// The deploys that are kept, the newest first.
    deploys: Vec<Listed>,
    /// Who deploys now.
    lease: Option<Holder>,
    /// A lease that its holder no longer renews: the next deploy takes it.
    expired_lease: Option<Holder>,
    /// What an interrupted run left for the next one.
    pending: Option<Pending>,
    /// The paths that were sent to CloudFront this month.
    allowance: UsedPaths,
    /// Objects that the manifest knows.
    objects: u64,
    /// Those that are no longer in the source.
    orphans: Vec<Orphan>,
}

#[derive(Debug, Serialize)]
struct Pending {
    deploy: String,
    keys: u64,
}

#[derive(Debug, Serialize)]
struct Orphan {
    key: String,
    bytes: u64,
    since: Timestamp,
    /// After when a deploy removes it, if ever one does.
    goes_after: Option<Timestamp>,
}

pub(super) fn no_record() -> Error {
    Error::usage("without a deploy record there is nothing to show")
}

pub(super) fn no_record_there(session: &Session) -> Error {
    Error::failed(format!("there is no deploy record at {}", session.place()))
        .hint("nothing was deployed there yet, or the record is elsewhere: see --record")
}

/// Reads what the record says. `goes_after` tells when an orphan is old enough to be removed.
fn status(
    session: &Session,
    target: &Target,
    free_paths: u64,
    goes_after: impl Fn(&str, Timestamp) -> Option<Timestamp>,
) -> Result<Status> {
    if session.is_new() {
        return Err(no_record_there(session));
    }
    let lease = session.holder().cloned();
    let (mut objects, mut orphans) = (0, Vec::new());
    if let Some(manifest) = session.manifest() {
        manifest.read(|key, row| {
            objects += 1;
            let since = row.orphaned.and_then(|since| Timestamp::from_second(since).ok());
            orphans.extend(since.map(|since| Orphan {
                key: key.to_owned(),
                bytes: row.size,
                since,
                goes_after: goes_after(key, since),
            }));
        })?;
    }
    orphans.sort_by(|a, b| (a.since, &a.key).cmp(&(b.since, &b.key)));
    Ok(Status {
        shipfront: env!("CARGO_PKG_VERSION"),
        target: target.to_string(),
        record: session.place().to_string(),
        objects,
        orphans,
        pending: session
            .unfinished()
            .map(|unfinished| Pending { deploy: unfinished.deploy.clone(), keys: unfinished.pending.len() as u64 }),
        expired_lease: session.lease().filter(|_| lease.is_none()).cloned(),
        lease,
        allowance: session.paths(free_paths),
        last: session.last().cloned(),
        build: session.build().cloned(),
        deploys: listed(session.deploys(), |_| true),
    })
}

impl Display for Status {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} (record in {})", Shown(&self.target), Shown(&self.record))?;
        match &self.last {
            Some(last) => writeln!(
                out,
                "  last deploy: {}, {}: {} uploaded, {} deleted",
                Shown(&last.deploy),
                time(last.at),
                last.uploaded,
                last.pruned
            )?,
            None => writeln!(out, "  last deploy: none was completed yet")?,
        }
        if let Some(last) = self.last.as_ref().filter(|last| last.left > 0) {
            let (how, left) = (if last.interrupted { "was interrupted" } else { "did not do all" }, last.left);
            let objects = if left == 1 { "1 object" } else { &format!("{left} objects") };
            writeln!(out, "  it {how}: {objects} of its plan neither uploaded nor deleted; run the deploy again")?;
        }
        if let Some(build) = &self.build {
            let project =
                if build.project.is_empty() { String::new() } else { format!(" of {}", Shown(&build.project)) };
            writeln!(out, "  newest build: {}{project}", build.number)?;
        }
        if self.deploys.len() > 1 {
            let before = self.deploys.len() - 1;
            let deploys =
                if before == 1 { "1 deploy before it is" } else { &format!("{before} deploys before it are") };
            writeln!(out, "  history: {deploys} kept; 'shipfront history' lists them")?;
        }
        match (&self.lease, &self.expired_lease) {
            (Some(holder), _) => writeln!(out, "  lock: {}, since {}", Shown(&holder.owner), time(holder.since))?,
            (None, Some(holder)) => writeln!(
                out,
                "  lock: expired; {} took it {} and has not renewed it for {} s",
                Shown(&holder.owner),
                time(holder.since),
                LEASE.as_secs()
            )?,
            (None, None) => writeln!(out, "  lock: free")?,
        }
        if let Some(pending) = &self.pending {
            let (keys, deploy) = (pending.keys, &pending.deploy);
            let left = Shown(left_by(deploy));
            match &self.lease {
                Some(_) => writeln!(out, "  pending: {keys} keys of {} (the deploy under way)", Shown(deploy))?,
                None => writeln!(out, "  pending: {keys} keys, {left}; the next deploy finishes it")?,
            }
        }
        writeln!(out, "  CloudFront: {}", self.allowance)?;
        writeln!(out, "  objects: {}, of which {} are no longer in the source", self.objects, self.orphans.len())?;
        for orphan in self.orphans.iter().take(SHORT_LIST) {
            let goes = match orphan.goes_after {
                Some(after) => format!("goes with the first deploy after {}", time(after)),
                None => "stays".to_owned(),
            };
            writeln!(out, "    {}  since {}; {goes}", Shown(&orphan.key), time(orphan.since))?;
        }
        if self.orphans.len() > SHORT_LIST {
            writeln!(out, "    ... and {} more (--json names all)", self.orphans.len() - SHORT_LIST)?;
        }
        Ok(())
    }
}

/// When an orphan is old enough: a page at once, an asset in time.
fn goes_after(wave: ObjectKind, prune_after: PruneAfter, since: Timestamp) -> Option<Timestamp> {
    match (prune_after, wave) {
        (PruneAfter::Never, _) => None,
        (PruneAfter::Seconds(_), ObjectKind::Pages) => Some(since),
        (PruneAfter::Seconds(age), ObjectKind::Assets) => since.checked_add(SignedDuration::from_secs(age)).ok(),
    }
}
