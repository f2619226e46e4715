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
use crate::wording::{Mark, SiteAt, counted, grouped};
use anstyle::Style;
use indicatif::DecimalBytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shipfront_site::Warning;
use shipfront_site::{ObjectKind, Target};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// Number of groups of orphans to list before the rest is only counted.
const SHORT_LIST: usize = 20;
/// Maximum width of the folder column.
const WIDE_FOLDER: usize = 40;

/// `status`.
pub async fn run(args: &StatusArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = ask(args, &connection).await;
    let (status, warnings) = connection.close(outcome).await?;
    terminal.report(&status, &warnings, &[])?;
    Ok(Exit::Done)
}

/// What the record says, and warnings about it.
async fn ask(args: &StatusArgs, connection: &Connection) -> Result<(Status, Vec<Warning>)> {
    let StatusArgs { site, orphans, free_paths } = args;
    let place = config::place(site.record.as_deref(), false)?;
    let target = connection.site(site)?;
    let (prune_after, kinds) = (config::prune_after(orphans, true)?, config::kinds(orphans)?);
    let goes_after = |key: &str, since| goes_after(kinds.kind_of(key), prune_after, since);
    let open = async |bucket: &Bucket| Session::open(&connection.aws, bucket, &place).await;
    let (_, session) = Bucket::open(&connection.aws, &target, connection.expected_owner.as_deref(), open).await?;
    let session = session.ok_or_else(no_record)?;
    let status = status(&session, &target, *free_paths, goes_after)?;
    Ok((Status { is_local: connection.is_local(), ..status }, session.warnings().to_vec()))
}

/// What the record says about a site.
#[derive(Debug, Serialize)]
struct Status {
    shipfront: &'static str,
    /// The site.
    target: String,
    /// The folder of the record.
    record: String,
    /// The last completed deploy.
    last: Option<LastDeploy>,
    /// The newest build.
    build: Option<Build>,
    /// The deploys that are kept, newest first.
    deploys: Vec<Listed>,
    /// The run that is deploying now.
    lease: Option<Holder>,
    /// A lease that its holder no longer renews: the next deploy takes it.
    expired_lease: Option<Holder>,
    /// What an interrupted run left for the next one.
    pending: Option<Pending>,
    /// The paths that were sent to CloudFront this month.
    allowance: UsedPaths,
    /// Number of objects in the manifest.
    objects: u64,
    /// Those that are no longer in the source.
    orphans: Vec<Orphan>,
    /// Whether the site is on the local edge.
    #[serde(skip)]
    is_local: bool,
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
    /// The time after which a deploy removes it, if one ever does.
    goes_after: Option<Timestamp>,
}

pub(super) fn no_record() -> Error {
    Error::usage("there is nothing to show without a deploy record").hint("run the command without --no-record")
}

pub(super) fn no_record_there(session: &Session) -> Error {
    Error::failed(format!("there is no deploy record at {}", session.place()))
        .hint("deploy first, or pass --record if the record is elsewhere")
}

/// Reads what the record says. `goes_after` says when an orphan is old enough to be removed.
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
        for (key, row) in manifest.rows() {
            objects += 1;
            let since = row.orphaned.and_then(|since| Timestamp::from_second(since).ok());
            orphans.extend(since.map(|since| Orphan {
                key: key.to_string(),
                bytes: row.size,
                since,
                goes_after: goes_after(&key, since),
            }));
        }
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
        is_local: false,
    })
}

impl Display for Status {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}", SiteAt::new(&self.target, self.is_local))?;
        self.write_last(out)?;
        self.write_lock(out)?;
        writeln!(out, "  {:11}  {}", "CloudFront", self.allowance)?;
        if self.deploys.len() > 1 {
            let earlier = counted(self.deploys.len() as u64 - 1, "earlier deploy");
            writeln!(out, "  {:11}  {earlier} kept; 'shipfront history' lists them", "history")?;
        }
        writeln!(out, "  {:11}  {}", "record", Shown(&self.record))?;
        let orphans = self.orphans.len() as u64;
        let unused =
            if orphans == 0 { String::new() } else { format!(", {} no longer in the source", grouped(orphans)) };
        writeln!(out, "  {:11}  {}{unused}", "site", counted(self.objects, "object"))?;
        self.write_orphans(out)
    }
}

impl Status {
    fn write_last(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(last) = &self.last else {
            return writeln!(out, "  {:11}  none has finished yet", "last deploy");
        };
        let (uploaded, removed) = (grouped(last.uploaded), grouped(last.pruned));
        let build = self.build.as_ref().map(|build| match build.project.as_str() {
            "" => format!(", build {}", build.number),
            project => format!(", build {} of {}", build.number, Shown(project)),
        });
        let (build, at) = (build.unwrap_or_default(), time(last.at));
        writeln!(out, "  {:11}  {at}{build}: {uploaded} uploaded, {removed} removed", "last deploy")?;
        writeln!(out, "  {:11}  {}", "", Shown(&last.deploy))?;
        if last.left > 0 {
            let how = if last.interrupted { "was interrupted" } else { "is incomplete" };
            let changes = counted(last.left, "change");
            let text = format!("it {how}: {changes} missing; run the deploy again to finish it");
            writeln!(out, "  {:11}  {}", "", Mark::Warning.line(text))?;
        }
        Ok(())
    }

    fn write_lock(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match (&self.lease, &self.expired_lease) {
            (Some(holder), _) => {
                let (owner, since) = (Shown(&holder.owner), time(holder.since));
                let text = format!("held by {owner} since {since}; 'shipfront unlock' releases it if that deploy died");
                writeln!(out, "  {:11}  {}", "lock", Mark::Warning.line(text))?;
            }
            (None, Some(holder)) => writeln!(
                out,
                "  {:11}  expired: {} took it {} and has not renewed it for {} s; the next deploy takes it over",
                "lock",
                Shown(&holder.owner),
                time(holder.since),
                LEASE.as_secs()
            )?,
            (None, None) => writeln!(out, "  {:11}  free", "lock")?,
        }
        let Some(pending) = &self.pending else { return Ok(()) };
        let (keys, deploy) = (counted(pending.keys, "file"), &pending.deploy);
        match &self.lease {
            Some(_) => writeln!(out, "  {:11}  {keys} of {} (the deploy under way)", "pending", Shown(deploy)),
            None => {
                let left = Shown(left_by(deploy));
                writeln!(out, "  {:11}  {keys}, {left}; the next deploy finishes it", "pending")
            }
        }
    }

    /// The orphans by folder, and by when they left the source and when they are removed.
    fn write_orphans(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        let mut groups: BTreeMap<(String, Option<String>, &str), (u64, u64)> = BTreeMap::new();
        for orphan in &self.orphans {
            let folder = orphan.key.rfind('/').map_or("", |slash| &orphan.key[..=slash]);
            let group = groups.entry((day(orphan.since), orphan.goes_after.map(day), folder)).or_default();
            *group = (group.0 + 1, group.1 + orphan.bytes);
        }
        let folder_of =
            |folder: &str| if folder.is_empty() { "(top level)".to_owned() } else { Shown(folder).to_string() };
        let width = groups.keys().take(SHORT_LIST).map(|(_, _, folder)| folder_of(folder).chars().count()).max();
        let width = width.unwrap_or(0).min(WIDE_FOLDER);
        for ((since, goes, folder), (count, bytes)) in groups.iter().take(SHORT_LIST) {
            let (files, size) = (counted(*count, "file"), DecimalBytes(*bytes).to_string());
            let goes = match goes {
                Some(after) => format!("removed by the first deploy after {after}"),
                None => "kept".to_owned(),
            };
            let folder = folder_of(folder);
            writeln!(out, "    {folder:width$}  {files:>9}  {size:>9}  left the source {since}; {goes}")?;
        }
        let rest: u64 = groups.values().skip(SHORT_LIST).map(|(count, _)| count).sum();
        if rest > 0 {
            writeln!(out, "    ... and {} (--json lists all)", counted(rest, "more file"))?;
        }
        Ok(())
    }
}

/// When an orphan is old enough: a page at once, an asset after `prune_after`.
fn goes_after(wave: ObjectKind, prune_after: PruneAfter, since: Timestamp) -> Option<Timestamp> {
    match (prune_after, wave) {
        (PruneAfter::Never, _) => None,
        (PruneAfter::Seconds(_), ObjectKind::Pages) => Some(since),
        (PruneAfter::Seconds(age), ObjectKind::Assets) => since.checked_add(SignedDuration::from_secs(age)).ok(),
    }
}
