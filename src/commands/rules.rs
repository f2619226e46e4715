//! `rules`: the rules that viewers get from the last deploy, and what to change once so that deploys can publish
//! them.

mod attach;

use crate::cli::rules::RulesArgs;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{Which, refuse_other_buckets, shapes};
use crate::commands::connection::Connection;
use crate::commands::status::no_record;
use crate::config;
use crate::deploy::rules::not_done;
use crate::error::{ErrorKind, Result};
use crate::escape::Shown;
use crate::exit::Exit;
use crate::record::rules::{RecordedLines, RecordedRules};
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::terminal::Terminal;
use crate::wording::SiteAt;
use attach::Attachment;
use serde::Serialize;
use shipfront_invalidation::viewer::ViewerEvent;
use shipfront_invalidation::{Policy, Viewers};
use shipfront_site::Target;
use shipfront_site::Warning;
use shipfront_site::rule_changes::ChangedLine;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// `rules`.
pub async fn run(args: &RulesArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    if let Some(form) = args.attach {
        let outcome = attachment(args, &connection).await;
        terminal.document(&connection.close(outcome).await?.of_form(form), &[])?;
    } else {
        let outcome = in_force(args, &connection).await;
        let (rules, warnings) = connection.close(outcome).await?;
        terminal.report(&rules, &warnings, &[])?;
    }
    Ok(Exit::Done)
}

/// The distributions of the site.
async fn viewers(args: &RulesArgs, connection: &Connection, target: &Target) -> Result<(Viewers, Distributions)> {
    let which = Which::parse(&args.distribution, &args.distribution_tenant)?;
    let distributions = Distributions::new(&connection.aws);
    let shapes = shapes(&distributions, &which, args.any_origin, target.bucket()).await?;
    refuse_other_buckets(&shapes, target.bucket())?;
    Ok((Viewers::new(&shapes, target, Policy::default()), distributions))
}

/// `rules --attach`.
async fn attachment(args: &RulesArgs, connection: &Connection) -> Result<Attachment> {
    let target = connection.site(&args.site)?;
    let (viewers, _) = viewers(args, connection, &target).await?;
    Ok(Attachment::new(&target, &viewers))
}

/// The state of a function's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Viewers get what the last deploy published.
    Live,
    /// Viewers get other code: the next deploy that publishes rules corrects that.
    OtherCode,
    /// Its comment does not name the site.
    NotOurs,
    /// It may not be read.
    NotChecked,
}

/// A function that a behavior of the site calls.
#[derive(Debug, Serialize)]
struct AttachedFunction {
    function: &'static str,
    name: String,
    state: State,
}

/// The rules of a site.
#[derive(Debug, Serialize)]
struct InForce {
    shipfront: &'static str,
    target: String,
    /// The digest of the code that the last deploy published; `None` if none did.
    digest: Option<String>,
    functions: Vec<AttachedFunction>,
    redirects: Vec<String>,
    headers: Vec<String>,
    /// The lines among them that cannot be done, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_done: Vec<ChangedLine>,
    /// Whether a deploy found that there are none, which is not known of those that were too long to keep.
    #[serde(skip)]
    has_none: bool,
    /// Whether the site is on the local edge.
    #[serde(skip)]
    is_local: bool,
}

/// `rules`: what the record says, and whether that is what viewers get.
async fn in_force(args: &RulesArgs, connection: &Connection) -> Result<(InForce, Vec<Warning>)> {
    let target = connection.site(&args.site)?;
    let place = config::place(args.site.record.as_deref(), false)?;
    let open = async |bucket: &Bucket| Session::open(&connection.aws, bucket, &place).await;
    let opening = Bucket::open(&connection.aws, &target, connection.expected_owner.as_deref(), open);
    let (session, found) = tokio::join!(opening, viewers(args, connection, &target));
    let session = session?.1.ok_or_else(no_record)?;
    let (viewers, distributions) = found?;
    let recorded = session.rules();
    let mut functions = Vec::new();
    for (event, arn, name) in attached(&viewers) {
        let Some(name) = name else {
            functions.push(AttachedFunction { function: event.word(), name: arn, state: State::NotOurs });
            continue;
        };
        let state = state(&distributions, &target, recorded.as_ref(), event, &name).await?;
        functions.push(AttachedFunction { function: event.word(), name, state });
    }
    let digest = recorded.as_ref().map(RecordedRules::digest);
    let lines = recorded.and_then(|recorded| recorded.lines);
    let has_none = lines.as_ref().is_some_and(|lines| lines.redirects.is_empty() && lines.headers.is_empty());
    let not_done = lines.as_ref().map(not_done).unwrap_or_default();
    let RecordedLines { redirects, headers, .. } = lines.unwrap_or_default();
    let (shipfront, target, is_local) = (env!("CARGO_PKG_VERSION"), target.to_string(), connection.is_local());
    let in_force = InForce { shipfront, target, digest, functions, redirects, headers, not_done, has_none, is_local };
    Ok((in_force, session.warnings().to_vec()))
}

/// The functions of the site's behaviors, each once: event, ARN, and the name of a CloudFront Function.
fn attached(viewers: &Viewers) -> BTreeSet<(ViewerEvent, String, Option<String>)> {
    let functions = viewers.functions().flat_map(|(_, _, functions)| functions);
    functions.map(|function| (function.event, function.arn.clone(), function.name().map(str::to_owned))).collect()
}

async fn state(
    distributions: &Distributions,
    target: &Target,
    recorded: Option<&RecordedRules>,
    event: ViewerEvent,
    name: &str,
) -> Result<State> {
    let both = async { tokio::try_join!(distributions.function(name), distributions.live_code(name)) };
    let (function, live) = match both.await {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::AccessDenied => return Ok(State::NotChecked),
        Err(error) => return Err(error),
    };
    let is_ours = function.is_some_and(|function| function.comment.trim() == target.function_comment());
    let code = recorded.and_then(|recorded| recorded.functions.get(event.word()));
    Ok(match (is_ours, code, live) {
        (false, ..) => State::NotOurs,
        (true, Some(code), Some(live)) if code.as_bytes() == live => State::Live,
        (true, ..) => State::OtherCode,
    })
}

impl Display for InForce {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let target = SiteAt::new(&self.target, self.is_local);
        match &self.digest {
            Some(_) if self.has_none => {
                writeln!(out, "no redirect or header rules of {target}: the last deploy had none for a function")?;
            }
            Some(_) => writeln!(out, "rules of {target}, published by the last deploy")?,
            None => writeln!(out, "no deploy has published rules of {target}")?,
        }
        for event in ViewerEvent::ALL {
            let mut of_event = self.functions.iter().filter(|function| function.function == event.word()).peekable();
            if of_event.peek().is_none() {
                writeln!(out, "  {}: no function ('shipfront rules --attach' shows how to attach one)", event.word())?;
            }
            for function in of_event {
                let state = match function.state {
                    State::Live if self.has_none => "live, without rules",
                    State::Live => "live",
                    State::OtherCode => "has other code, which the next deploy with --publish-rules replaces",
                    State::NotOurs => "not shipfront's for this site",
                    State::NotChecked => "cannot be read, so it was not checked",
                };
                writeln!(out, "  {}: {}, {state}", event.word(), Shown(&function.name))?;
            }
        }
        for (file, lines) in [("_redirects", &self.redirects), ("_headers", &self.headers)] {
            if !lines.is_empty() {
                writeln!(out, "{file}:")?;
                lines.iter().try_for_each(|line| match self.not_done.iter().find(|undone| undone.rule == *line) {
                    Some(undone) => {
                        let reason = Shown(undone.reason.as_deref().unwrap_or_default());
                        writeln!(out, "! {}  not done: {reason}", Shown(line))
                    }
                    None => writeln!(out, "  {}", Shown(line)),
                })?;
            }
        }
        Ok(())
    }
}
