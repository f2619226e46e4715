//! `history`: the deploys that can be restored, according to the record.

use crate::cli::history::HistoryCommandArgs;
use crate::commands::connection::Connection;
use crate::commands::status::{no_record, no_record_there};
use crate::config;
use crate::error::Result;
use crate::escape::Shown;
use crate::exit::Exit;
use crate::record::Build;
use crate::record::history::{Deployed, Restorable, restorable};
use crate::record::lease::time;
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::terminal::Terminal;
use crate::wording::{SiteAt, grouped};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Number of characters of a commit to show, as Git does.
const SHORT_COMMIT: usize = 10;

/// `history`.
pub async fn run(args: &HistoryCommandArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = ask(args, &connection).await;
    let history = connection.close(outcome).await?;
    terminal.report(&history, &[], &[])?;
    Ok(Exit::Done)
}

async fn ask(args: &HistoryCommandArgs, connection: &Connection) -> Result<History> {
    let place = config::place(args.site.record.as_deref(), false)?;
    let target = connection.site(&args.site)?;
    let look = async |bucket: &Bucket| Session::look(&connection.aws, bucket, &place).await;
    let (_, session) = Bucket::open(&connection.aws, &target, connection.expected_owner.as_deref(), look).await?;
    let session = session.ok_or_else(no_record)?;
    if session.is_new() {
        return Err(no_record_there(&session));
    }
    let there = session.record().manifests().await?;
    let deploys = listed(session.deploys(), |deploy| there.iter().any(|known| known == deploy));
    let (shipfront, is_local) = (env!("CARGO_PKG_VERSION"), connection.is_local());
    Ok(History { shipfront, target: target.to_string(), deploys, is_local })
}

/// The deploys of a site.
#[derive(Debug, Serialize)]
struct History {
    shipfront: &'static str,
    /// The site.
    target: String,
    /// Newest first.
    deploys: Vec<Listed>,
    /// Whether the site is on the local edge.
    #[serde(skip)]
    is_local: bool,
}

/// A listed deploy.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    deploy: String,
    at: Timestamp,
    /// Whether it is the live one.
    live: bool,
    build: Option<Build>,
    commit: Option<String>,
    by: String,
    /// The deploy whose site it restored, if it was a rollback.
    restored: Option<String>,
    /// The preview that it made live, if it was a promotion.
    promoted: Option<String>,
    /// Number of objects that it wrote.
    uploaded: u64,
    /// Number of objects that it deleted.
    pruned: u64,
    /// Number of objects that it should have written or deleted but did not.
    left: u64,
    /// Whether its site is not a whole one, because it was interrupted or files failed.
    incomplete: bool,
    /// Number of objects of its site.
    objects: Option<u64>,
    /// Whether it can be restored completely: `yes`, `no`, or `unknown` before a rollback has checked.
    restorable: &'static str,
}

/// The listed deploys. `has_manifest` says which of them have one.
pub(super) fn listed(deploys: Vec<Deployed>, has_manifest: impl Fn(&str) -> bool) -> Vec<Listed> {
    let sure = restorable(&deploys);
    let each = deploys.into_iter().zip(sure).enumerate().map(|(at, (deployed, sure))| Listed {
        live: at == 0,
        restorable: match sure {
            _ if !has_manifest(&deployed.deploy) => "no",
            Restorable::Yes => "yes",
            Restorable::Unknown => "unknown",
        },
        incomplete: !deployed.is_complete(),
        deploy: deployed.deploy,
        at: deployed.at,
        build: deployed.build,
        commit: deployed.commit,
        by: deployed.by,
        restored: deployed.restored,
        promoted: deployed.promoted,
        uploaded: deployed.uploaded,
        pruned: deployed.pruned,
        left: deployed.left,
        objects: deployed.objects,
    });
    each.collect()
}

impl Display for History {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}, newest deploy first", SiteAt::new(&self.target, self.is_local))?;
        if self.deploys.is_empty() {
            return writeln!(out, "  no deploy has finished yet");
        }
        self.deploys.iter().try_for_each(|listed| write!(out, "{listed}"))?;
        if self.deploys.iter().any(|listed| listed.restorable == "unknown") {
            writeln!(out, "  'shipfront rollback --to ID --plan' checks whether a deploy can be restored")?;
        } else if self.deploys.iter().any(|listed| !listed.live && listed.restorable == "yes") {
            writeln!(out, "  'shipfront rollback --to ID' restores one; the start of its ID is enough")?;
        }
        Ok(())
    }
}

impl Display for Listed {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mark = if self.live { '*' } else { ' ' };
        write!(out, "{mark} {}  {}", Shown(&self.deploy), time(self.at))?;
        if let Some(build) = &self.build {
            write!(out, "  build {}", build.number)?;
        }
        if let Some(commit) = &self.commit {
            write!(out, "  {}", Shown(commit.chars().take(SHORT_COMMIT).collect::<String>()))?;
        }
        if !self.by.is_empty() {
            write!(out, "  {}", Shown(&self.by))?;
        }
        write!(out, "\n    {} uploaded, {} removed", grouped(self.uploaded), grouped(self.pruned))?;
        if let Some(restored) = &self.restored {
            write!(out, "; back to {}", Shown(restored))?;
        }
        if let Some(promoted) = &self.promoted {
            write!(out, "; promoted {}", Shown(promoted))?;
        }
        if self.incomplete {
            let files = if self.left == 1 { "1 file was" } else { &format!("{} files were", grouped(self.left)) };
            write!(out, "; incomplete: {files} not deployed")?;
        }
        match (self.live, self.restorable) {
            (true, _) => writeln!(out, "; live"),
            (false, "yes" | "unknown") if self.incomplete => writeln!(out),
            (false, "yes") => writeln!(out, "; restorable"),
            (false, "no") => writeln!(out, "; not restorable, its manifest is gone"),
            (false, _) => writeln!(out, "; perhaps restorable"),
        }
    }
}
