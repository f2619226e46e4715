//! `conformance`: tests what shipfront assumes about S3 and CloudFront, in a separate folder that is removed
//! afterwards.
//!
//! Each assumption is a check in a table, with the statement of SEMANTICS.md that depends on it. The tables are
//! below; their requests go through `trial`, which keeps every key inside the folder and every invalidation within
//! a budget.

mod cdn;
mod check;
mod conditions;
mod copies;
mod distribution;
mod evidence;
mod listings;
mod objects;
mod report;
mod spellings;
mod trial;

use crate::cli::conformance::ConformanceArgs;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{self, Which};
use crate::commands::connection::Connection;
use crate::commands::signal::stop_on_signal;
use crate::deploy::new_deploy_id;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::s3::Bucket;
use crate::terminal::Terminal;
use cdn::{Cdn, MOST_PATHS, MOST_WILDCARDS};
use check::{Check, Finding};
use report::Report;
use shipfront_invalidation::DistributionId;
use shipfront_site::Target;
use shipfront_site::Warning;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trial::Trial;

/// Prefix of the folder's name.
pub(crate) const FOLDER: &str = "shipfront-conformance-";
/// The message after a signal.
const STOPPING: &str = "Stopping and removing what was written; press Ctrl-C again to stop at once";
/// How long a check may continue after a signal.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Every check, in the order in which they run.
fn checks() -> impl Iterator<Item = &'static Check> {
    let tables: [&'static [Check]; 6] = [
        objects::CHECKS,
        conditions::CHECKS,
        copies::CHECKS,
        listings::CHECKS,
        spellings::CHECKS,
        distribution::CHECKS,
    ];
    tables.into_iter().flatten()
}

/// `conformance`.
pub async fn run(args: &ConformanceArgs, terminal: &Terminal) -> Result<Exit> {
    for (option, file) in [("--report", &args.report), ("--evidence", &args.evidence)] {
        if let Some(file) = file {
            guard(option, file)?;
        }
    }
    let connection = Connection::open(&args.connection, None, terminal).await?;
    let outcome = attempt(args, &connection, terminal).await;
    let (mut report, learned) = connection.close(outcome).await?;
    report.verbose = terminal.is_verbose();
    for (option, file, text) in
        [("--report", &args.report, report.markdown()), ("--evidence", &args.evidence, learned.json(&report)?)]
    {
        if let Some(file) = file
            && let Err(error) = std::fs::write(file, text)
        {
            let notice = format!("{option} {} cannot be written: {error}", file.display());
            terminal.warn(&Warning::new(notice, "name a file in a writable folder"));
        }
    }
    let written = terminal.report(&report, &report.warnings, &[]);
    terminal.ended(report.exit(), written)
}

/// Refuses a file that cannot be written before anything is tested.
fn guard(option: &str, file: &Path) -> Result<()> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
    opened.map(|_| ()).map_err(|error| {
        Error::usage(format!("{option} {} cannot be written: {error}", file.display()))
            .hint("name a file in a writable folder")
    })
}

/// Everything from asking for consent to removing what it wrote.
async fn attempt(
    args: &ConformanceArgs,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<(Report, evidence::Learned)> {
    let chosen = chosen(&args.check)?;
    let target = connection.trial(args.target.as_deref())?;
    let aws = &connection.aws;
    let name = args.name.clone().unwrap_or_else(|| new_deploy_id(aws.clock()).to_ascii_lowercase());
    let folder = Target::parse(&format!("s3://{}/{}{FOLDER}{name}/", target.bucket(), target.prefix()))?;
    consent(args, connection.is_local(), &folder, terminal)?;
    let stop = stop_on_signal(terminal, STOPPING);
    connection.make_bucket(&target).await?;
    let (bucket, ()) = Bucket::open(aws, &target, connection.expected_owner.as_deref(), async |_| Ok(())).await?;
    let bucket = bucket.place(aws, &folder).await?;
    let trial = Trial::new(bucket, aws.clock());
    if !trial.is_empty().await? {
        return Err(Error::refused(format!("{folder} is not empty, and shipfront does not remove what others wrote"))
            .hint("choose another --name, or remove it first"));
    }
    let shown_by = shown_by(args)?;
    let trial = match &shown_by {
        Some(id) => trial.with(open(args, connection, id, &folder).await?),
        None => trial,
    };
    let mut findings = Vec::new();
    for check in chosen {
        findings.push(look(check, &trial, &stop, terminal).await);
    }
    let left = trial.clean_up(stop.is_cancelled()).await;
    let report = Report::new(&folder, shown_by.as_ref(), findings, &trial, aws, (left, stop.is_cancelled()));
    Ok((report, trial.learned()))
}

/// The requested checks: all, unless some are named.
fn chosen(names: &[String]) -> Result<Vec<&'static Check>> {
    if names.is_empty() {
        return Ok(checks().collect());
    }
    if let Some(unknown) = names.iter().find(|name| !checks().any(|check| check.name == *name)) {
        let all: Vec<&str> = checks().map(|check| check.name).collect();
        return Err(Error::usage(format!("there is no check {unknown}")).hint(format!("checks are {}", all.join(", "))));
    }
    Ok(checks().filter(|check| names.iter().any(|name| name == check.name)).collect())
}

/// The distribution or tenant to test, if one is named.
fn shown_by(args: &ConformanceArgs) -> Result<Option<DistributionId>> {
    let (ids, tenants) = (args.distribution.as_slice(), args.distribution_tenant.as_slice());
    match Which::parse(ids, tenants)? {
        Which::Ids(ids) => Ok(ids.into_iter().next()),
        Which::Auto if ids.is_empty() => Ok(None),
        Which::Auto | Which::None => {
            Err(Error::usage(format!("--distribution {}: name the one to try", ids.join(","))).hint(
                "pass the id of a distribution whose origin is the bucket, or no --distribution to try the store alone",
            ))
        }
    }
}

/// Says what it costs, and continues if the user agrees.
fn consent(args: &ConformanceArgs, is_local: bool, folder: &Target, terminal: &Terminal) -> Result<()> {
    let edge = match shown_by(args)? {
        Some(id) => format!(
            ", and invalidates at most {MOST_PATHS} paths and {MOST_WILDCARDS} wildcards of the {id}, which cost up to $0.60 if this month's 1,000 free paths are used up"
        ),
        None => String::new(),
    };
    let requests = if args.check.is_empty() { "about 250 requests" } else { "a few requests" };
    let statement = format!(
        "This sends {requests} to S3, all below {folder}, for less than a cent{edge}. It removes what it wrote"
    );
    if is_local || args.yes {
        terminal.say(&statement);
        return Ok(());
    }
    if terminal.confirm(&statement, "Begin?") {
        return Ok(());
    }
    Err(Error::refused(format!("nothing was run. {statement}")).hint("pass --yes to start without confirmation"))
}

/// The distribution as viewers reach it.
async fn open(args: &ConformanceArgs, connection: &Connection, id: &DistributionId, folder: &Target) -> Result<Cdn> {
    let aws = &connection.aws;
    let distributions = Distributions::new(aws);
    let shapes = lookup::shapes(&distributions, &Which::Ids(vec![id.clone()]), false, folder.bucket()).await?;
    lookup::refuse_other_buckets(&shapes, folder.bucket())?;
    if let Some((_, shape)) = shapes.iter().find(|(_, shape)| shape.tenants_only) {
        return Err(Error::usage(format!(
            "the {id} is multi-tenant: viewers reach {} through its tenants only",
            shape.id
        ))
        .hint("pass --distribution-tenant ID in its place"));
    }
    let site = match (&args.viewers, id) {
        (Some(site), _) => site.to_string(),
        (None, DistributionId::Distribution(id)) => format!("https://{}", distributions.domain_name(id).await?),
        (None, DistributionId::Tenant(_)) => {
            let aliases = shapes.iter().flat_map(|(_, shape)| &shape.aliases);
            let first = aliases.into_iter().find(|alias| !alias.starts_with('*'));
            let first = first.ok_or_else(|| {
                Error::usage(format!("CloudFront names no domain of the {id}"))
                    .hint("pass --viewers URL, where viewers reach it")
            })?;
            format!("https://{first}")
        }
    };
    let patience = Duration::from_secs(args.patience);
    Ok(Cdn::new(distributions, shapes, folder, &site, patience, aws.clock()))
}

/// Runs one check, unless a signal came.
async fn look(check: &'static Check, trial: &Trial, stop: &CancellationToken, terminal: &Terminal) -> Finding {
    if stop.is_cancelled() {
        return check.interrupted();
    }
    terminal.detail(format_args!("{}: {}", check.name, check.expected));
    let made = trial.clock().timeout_after(stop, LAST_REQUESTS, (check.look)(trial)).await;
    match made {
        Some(seen) => check.finding(seen),
        None => check.interrupted(),
    }
}

/// The rows of docs/conformance.md: the name of each check, its statement, what is expected, and what to do if it is not so.
pub fn documented() -> Vec<String> {
    let row = |Check { name, statement, expected, hint, .. }: &Check| {
        let cell = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
        format!("| `{name}` | {statement} | {expected} |{} |", cell(hint))
    };
    checks().map(row).collect()
}

/// The names of all checks, with the statements that depend on them.
pub fn named() -> Vec<(&'static str, &'static str)> {
    checks().map(|check| (check.name, check.statement)).collect()
}
