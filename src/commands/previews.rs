//! `previews`: lists previews, and removes those that are no longer needed.

use crate::cli::previews::PreviewsCommandArgs;
use crate::commands::connection::Connection;
use crate::commands::signal::{FINISHING, stop_on_signal};
use crate::config;
use crate::deploy::Deploy;
use crate::deploy::preview::{Removal, Removed};
use crate::error::{Error, ErrorKind, Result};
use crate::escape::Shown;
use crate::exit::Exit;
use crate::outcome::Failure;
use crate::record::Place;
use crate::record::lease::time;
use crate::record::preview::{FoundRecord, records};
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::terminal::Terminal;
use crate::wording::{SiteAt, counted};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::DecimalBytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shipfront_site::Target;
use shipfront_site::Warning;
use shipfront_site::host_label::host_label;
use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display, Formatter};
use std::io::Read;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Maximum number of records to read at once.
const IN_FLIGHT: usize = 16;
/// Maximum size of a list of names, in bytes.
const MOST_OF_LIST: u64 = 16 * 1024 * 1024;
/// Number of characters of a commit to show, as Git does.
const SHORT_COMMIT: usize = 10;

/// `previews`.
pub async fn run(args: &PreviewsCommandArgs, terminal: &Terminal) -> Result<Exit> {
    // Report errors in the list before any request is sent.
    let kept = args.keep_from.as_deref().map(read_list).transpose()?;
    let connection = Connection::open(&args.connection, None, terminal).await?;
    let outcome = async {
        let target = connection.previews(args.target.as_deref(), args.source.as_deref())?;
        let changes = args.prune || args.remove.is_some();
        let stop = if changes { stop_on_signal(terminal, FINISHING) } else { CancellationToken::new() };
        let command = Command { args, connection: &connection, target, terminal, stop };
        match (&args.remove, args.prune) {
            (Some(name), _) => Box::pin(command.remove(name)).await.map(Answer::Removal),
            (None, true) => Box::pin(command.prune(kept.as_ref())).await.map(Answer::Removal),
            (None, false) => command.list().await.map(Answer::List),
        }
    };
    let outcome = outcome.await;
    match connection.close(outcome).await? {
        Answer::List(previews) => {
            terminal.report(&previews, &[], &[])?;
            Ok(Exit::Done)
        }
        Answer::Removal(removals) => {
            let written = terminal.report(&removals, &removals.warnings, &removals.errors);
            terminal.ended(removals.exit, written)
        }
    }
}

/// The result of the command.
enum Answer {
    List(Previews),
    Removal(Removals),
}

/// The labels of the names in a file, or in standard input.
fn read_list(path: &Path) -> Result<HashSet<String>> {
    let unreadable = |error| {
        Error::usage(format!("cannot read --keep-from {}: {error}", path.display()))
            .hint("name a readable file with a branch on each line, or - for stdin")
    };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(MOST_OF_LIST).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MOST_OF_LIST).read_to_string(&mut text).map_err(unreadable)?;
    }
    // In a list that was cut off, names would seem to be missing.
    if text.len() as u64 >= MOST_OF_LIST {
        return Err(Error::usage(format!("--keep-from {} has {MOST_OF_LIST} bytes or more", path.display()))
            .hint("name a file with a branch on each line"));
    }
    config::previews::kept(&text)
}

/// The command, once the location of previews is known.
struct Command<'a> {
    args: &'a PreviewsCommandArgs,
    connection: &'a Connection,
    target: Target,
    terminal: &'a Terminal,
    /// Set by a signal.
    stop: CancellationToken,
}

/// The records at a location.
struct Found {
    /// The folder of the records.
    records: Bucket,
    /// By label.
    folders: BTreeMap<String, FoundRecord>,
}

impl Command<'_> {
    async fn find(&self) -> Result<Found> {
        let (aws, owner) = (&self.connection.aws, self.connection.expected_owner.as_deref());
        let (bucket, ()) = Bucket::open(aws, &self.target, owner, async |_| Ok(())).await?;
        let folder = bucket.place(aws, &self.target.record_folder()).await?;
        let folders = records(&folder).await?;
        Ok(Found { records: folder, folders })
    }

    /// Reads the state of each record; other sites are not previews.
    async fn sessions(&self, found: &Found) -> Result<Vec<(String, Session)>> {
        let labels = found.folders.iter().filter(|(_, folder)| folder.has_state).map(|(label, _)| label.clone());
        let labels: Vec<String> = labels.collect();
        let looking = stream::iter(labels).map(|label| async move {
            let at = Target::parse(&format!("{}/{label}", self.target.to_string().trim_end_matches('/')))?;
            let site = found.records.place(&self.connection.aws, &at).await?;
            let session = Session::look(&self.connection.aws, &site, &Place::SiteFolder).await?;
            Ok::<_, Error>(session.filter(|session| session.preview().is_some()).map(|session| (label, session)))
        });
        let all: Vec<_> = looking.buffered(IN_FLIGHT).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// The same; `None` where the local edge has no bucket for them, which the first preview makes.
    async fn found(&self) -> Result<Option<Found>> {
        match self.find().await {
            Err(error) if self.connection.is_local() && error.kind() == ErrorKind::NoSuchResource => Ok(None),
            found => found.map(Some),
        }
    }

    async fn list(&self) -> Result<Previews> {
        let sessions = match self.found().await? {
            Some(found) => self.sessions(&found).await?,
            None => Vec::new(),
        };
        let listed = sessions.iter().filter_map(|(label, session)| self.listed(label, session));
        let mut previews: Vec<Listed> = listed.collect::<Result<_>>()?;
        previews.sort_by(|a, b| (a.expires, &a.name).cmp(&(b.expires, &b.name)));
        let (shipfront, is_local) = (env!("CARGO_PKG_VERSION"), self.connection.is_local());
        Ok(Previews { shipfront, target: self.target.to_string(), previews, is_local })
    }

    fn listed(&self, label: &str, session: &Session) -> Option<Result<Listed>> {
        let note = session.preview()?;
        let live = session.deploys().into_iter().next();
        let name = note.name_at(label);
        let url = match self.connection.preview_url(self.args.previews_url.as_deref(), name) {
            Ok(url) => url,
            Err(error) => return Some(Err(error)),
        };
        let age = live.as_ref().map(|live| session.now().duration_since(live.at));
        Some(Ok(Listed {
            name: name.to_owned(),
            label: label.to_owned(),
            url,
            deploy: live.as_ref().map(|live| live.deploy.clone()),
            at: live.as_ref().map(|live| live.at),
            age: age.as_ref().map(SignedDuration::as_secs),
            expires: note.expires,
            expired: note.expires <= session.now(),
            commit: live.as_ref().and_then(|live| live.commit.clone()),
            production: note.production.clone(),
            objects: live.as_ref().and_then(|live| live.objects),
            bytes: note.bytes,
            complete: session.lease().is_none()
                && session.last().is_none_or(|last| last.left == 0)
                && live.is_some_and(|live| live.is_complete()),
        }))
    }

    async fn remove(&self, name: &str) -> Result<Removals> {
        let target = config::previews::target_of(&self.target, name)?;
        let mut removals = self.removals();
        let removal = match self.found().await? {
            Some(_) => self.remove_one(target.clone(), |_| true).await?,
            None => Removal::Absent,
        };
        match removal {
            Removal::Absent => {
                return Err(Error::refused(format!("there is no preview {name} at {target}; nothing was changed"))
                    .hint("'shipfront previews' lists them"));
            }
            removal => removals.add(name.to_owned(), host_label(name), removal),
        }
        Ok(removals)
    }

    async fn prune(&self, kept: Option<&HashSet<String>>) -> Result<Removals> {
        let Some(found) = self.found().await? else { return Ok(self.removals()) };
        let sessions = self.sessions(&found).await?;
        let goes = |label: &str, session: &Session| {
            let is_expired = session.preview().is_some_and(|note| note.expires <= session.now());
            is_expired || kept.is_some_and(|kept| !kept.contains(label))
        };
        let mut removals = self.removals();
        for (label, session) in sessions {
            let Some(note) = session.preview() else { continue };
            let name = note.name_at(&label).to_owned();
            if !goes(&label, &session) {
                removals.kept.push(name);
                continue;
            }
            let target = Target::parse(&format!("{}/{label}", self.target.to_string().trim_end_matches('/')))?;
            match self.remove_one(target, |session| goes(&label, session)).await {
                Ok(removal) => removals.add(name, label, removal),
                // After a signal, the rest is not wanted.
                Err(error) if error.exit() == Exit::Interrupted => return Err(error),
                Err(error) => removals.fail(&name, &error),
            }
        }
        // Remainders of a record whose removal died.
        let now = self.now(&found).await;
        for (label, folder) in found.folders.iter().filter(|(_, folder)| !folder.has_state) {
            if let Some(now) = now {
                folder.sweep(label, &found.records, now).await;
            }
        }
        Ok(removals)
    }

    /// S3's time; without it, no remainders are removed.
    async fn now(&self, found: &Found) -> Option<Timestamp> {
        if found.folders.values().all(|folder| folder.has_state) {
            return None;
        }
        let place = Place::At(self.target.record_folder());
        let look = Session::look(&self.connection.aws, &found.records, &place);
        look.await.ok().flatten().map(|session| session.now())
    }

    async fn remove_one(&self, target: Target, goes: impl Fn(&Session) -> bool) -> Result<Removal> {
        let owner = self.connection.expected_owner.as_deref();
        let settings = config::previews::removal_settings(self.args, target, owner)?;
        let deploy = Deploy::new(&settings, &self.connection.aws, self.terminal, self.stop.clone());
        Box::pin(deploy.remove_preview(goes)).await
    }

    fn removals(&self) -> Removals {
        Removals {
            shipfront: env!("CARGO_PKG_VERSION"),
            target: self.target.to_string(),
            removed: Vec::new(),
            kept: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            exit: Exit::Done,
            is_named: self.args.remove.is_some(),
            is_local: self.connection.is_local(),
        }
    }
}

/// The previews at a location.
#[derive(Debug, Serialize)]
struct Previews {
    shipfront: &'static str,
    /// Their location.
    target: String,
    /// In order of expiry.
    previews: Vec<Listed>,
    /// Whether they are on the local edge.
    #[serde(skip)]
    is_local: bool,
}

/// A listed preview.
#[derive(Debug, Serialize)]
struct Listed {
    /// As typed.
    name: String,
    /// Its host label, which is the name of its folder.
    label: String,
    url: Option<String>,
    /// Its last deploy; `None` if none was completed.
    deploy: Option<String>,
    at: Option<Timestamp>,
    /// Seconds since then.
    age: Option<i64>,
    expires: Timestamp,
    expired: bool,
    commit: Option<String>,
    /// The site that it is a preview of.
    production: Option<String>,
    objects: Option<u64>,
    bytes: Option<u64>,
    /// Whether its last deploy was completed, and none is running.
    complete: bool,
}

impl Display for Previews {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.previews.is_empty() {
            writeln!(out, "No previews at {}", SiteAt::new(&self.target, self.is_local))?;
            let local = if self.is_local { " --local" } else { "" };
            return writeln!(out, "  'shipfront deploy SOURCE{local} --preview NAME' makes one");
        }
        writeln!(out, "Previews at {}, by expiration", SiteAt::new(&self.target, self.is_local))?;
        self.previews.iter().try_for_each(|listed| write!(out, "{listed}"))
    }
}

impl Display for Listed {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "  {}", Shown(&self.name))?;
        if let Some(url) = &self.url {
            write!(out, "  {}", Shown(url))?;
        } else if self.label != self.name {
            write!(out, "  ({})", Shown(&self.label))?;
        }
        write!(out, "\n    ")?;
        match (&self.at, self.age) {
            (Some(_), Some(age)) => write!(out, "deployed {} ago", ago(age))?,
            _ => write!(out, "no deploy of it has finished")?,
        }
        if let Some(commit) = &self.commit {
            write!(out, ", commit {}", Shown(commit.chars().take(SHORT_COMMIT).collect::<String>()))?;
        }
        if let (Some(objects), Some(bytes)) = (self.objects, self.bytes) {
            write!(out, ", {objects} objects ({})", DecimalBytes(bytes))?;
        }
        let expires = if self.expired { "expired" } else { "expires" };
        writeln!(out, "; {expires} {}", time(self.expires))
    }
}

/// A duration for display.
fn ago(seconds: i64) -> String {
    let plural = |count: i64, word: &str| if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") };
    match seconds {
        ..60 => plural(seconds.max(0), "second"),
        60..3600 => plural(seconds / 60, "minute"),
        3600..86_400 => plural(seconds / 3600, "hour"),
        _ => plural(seconds / 86_400, "day"),
    }
}

/// What was removed.
#[derive(Debug, Serialize)]
struct Removals {
    shipfront: &'static str,
    target: String,
    removed: Vec<Gone>,
    /// The names of the previews that stay.
    kept: Vec<String>,
    warnings: Vec<Warning>,
    errors: Vec<Failure>,
    #[serde(skip)]
    exit: Exit,
    /// Whether one was named.
    #[serde(skip)]
    is_named: bool,
    /// Whether they are on the local edge.
    #[serde(skip)]
    is_local: bool,
}

/// A removed preview.
#[derive(Debug, Serialize)]
struct Gone {
    name: String,
    label: String,
    /// Number of objects deleted.
    objects: u64,
    /// The keys of objects that others wrote, which stay.
    foreign: Vec<String>,
}

impl Removals {
    fn add(&mut self, name: String, label: String, removal: Removal) {
        match removal {
            // Another run was faster.
            Removal::Absent => {}
            Removal::Stays => self.kept.push(name),
            Removal::Removed(Removed { objects, foreign, warnings }) => {
                self.warnings.extend(warnings);
                if !foreign.is_empty() {
                    let stay = counted(foreign.len() as u64, "object");
                    let keys = foreign.join(", ");
                    let notice = format!("{stay} of preview {name} written by others and kept: {keys}");
                    self.warnings.push(Warning::new(notice, "remove them with another tool if nobody needs them"));
                }
                self.removed.push(Gone { name, label, objects, foreign });
            }
        }
    }

    fn fail(&mut self, name: &str, error: &Error) {
        self.exit = if self.removed.is_empty() { error.exit() } else { Exit::Partial };
        let failure = Failure::of(None, error);
        self.errors.push(Failure { error: format!("preview {name}: {}", failure.error), ..failure });
    }
}

impl Display for Removals {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let place = SiteAt::new(&self.target, self.is_local);
        for Gone { name, objects, .. } in &self.removed {
            let objects = if *objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") };
            writeln!(out, "Removed preview {}: {objects}", Shown(name))?;
        }
        match (self.removed.len(), self.kept.len()) {
            (0, 0) => writeln!(out, "No previews at {place}"),
            // One that was named was removed, which says nothing of the others.
            _ if self.is_named => Ok(()),
            (removed, kept) => {
                let (removed, are) = (counted(removed as u64, "preview"), if kept == 1 { "is" } else { "are" });
                writeln!(out, "Removed {removed}; {kept} {are} left at {place}")
            }
        }
    }
}
