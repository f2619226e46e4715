//! `doctor`: checks everything that a deploy relies on, changes nothing, and says what to repair.
//!
//! What cannot be seen is reported as not checked, never as right. `bucket` and `distribution` convert AWS's
//! responses into findings; `distribution` derives them from a configuration alone, without I/O.

mod bucket;
mod distribution;
mod history;
mod permissions;
mod rules;

use crate::aws::Aws;
use crate::cli::doctor::DoctorArgs;
use crate::cli::history::HistoryArg;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup;
use crate::cloudfront::lookup::Which;
use crate::commands::connection::Connection;
use crate::config;
use crate::error::{Error, ErrorKind, Result};
use crate::escape::Shown;
use crate::exit::Exit;
use crate::record::Place;
use crate::terminal::Terminal;

use crate::wording::{Mark, SiteAt, counted};
use permissions::Evidence;
use serde::Serialize;
use shipfront_invalidation::allowance::MaxPaths;
use shipfront_invalidation::{Policy, Viewers};
use shipfront_site::Target;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroU32;

/// Text is not wrapped to lines shorter than this.
const NARROWEST: usize = 40;

/// `doctor`.
pub async fn run(args: &DoctorArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = match Doctor::new(args, &connection) {
        Ok(doctor) => Ok(doctor.examine(&connection.aws).await),
        Err(error) => Err(error),
    };
    let is_local = connection.is_local();
    let report = connection.close(outcome).await?;
    let (columns, verbose) = (terminal.columns(), terminal.is_verbose());
    let report = Report { columns, verbose, is_local, ..report };
    let written = terminal.report(&report, &[], &[]);
    terminal.ended(if report.outcome == State::Error { Exit::Failed } else { Exit::Done }, written)
}

/// What to check.
#[derive(Debug, Clone)]
struct Doctor {
    /// The site.
    target: Target,
    /// The distributions that serve it.
    distributions: Which,
    /// Whether any origin of the named distributions may serve it.
    any_origin: bool,
    /// The location of the deploy record.
    place: Place,
    /// The account that must own the bucket.
    expected_owner: Option<String>,
    /// Whether to write an object next to the record and remove it again: nothing else shows whether writes are
    /// allowed and conditions are checked.
    probe: bool,
    /// Whether deploys publish rules.
    publishes_rules: bool,
    /// Whether deploys keep copies of what they replace.
    keeps_copies: bool,
    /// Whether the site is on the local edge.
    is_local: bool,
}

/// The state of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// As it should be.
    Ok,
    /// It cannot be seen from here.
    NotChecked,
    /// A deploy works, but could do better or costs more.
    Warning,
    /// A deploy fails, or viewers get errors.
    Error,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::NotChecked => "not checked",
            State::Warning => "warning",
            State::Error => "error",
        }
    }

    fn mark(self) -> String {
        match self {
            State::Ok => Mark::Good.to_string(),
            State::NotChecked => "-".to_owned(),
            State::Warning => Mark::Warning.to_string(),
            State::Error => Mark::Bad.to_string(),
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was checked.
    check: String,
    /// Its state.
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn new(check: impl Into<String>, state: State, found: impl Into<String>) -> Finding {
        Finding { check: check.into(), state, found: found.into(), fix: None }
    }

    fn fix(self, fix: impl Into<String>) -> Finding {
        Finding { fix: Some(fix.into()), ..self }
    }

    /// A finding from an error that a deploy would get as well.
    fn of_error(check: &str, error: &Error) -> Finding {
        let finding = Finding::new(check, State::Error, error.to_string());
        finding.fix(error.hint_text())
    }

    /// The result of a request that only the doctor makes: a missing response is not a problem.
    fn unanswered(check: &str, error: &Error) -> Finding {
        if error.kind() == ErrorKind::NotImplemented {
            return Finding::new(check, State::NotChecked, "cannot be checked on this endpoint");
        }
        Finding { state: State::NotChecked, ..Finding::of_error(check, error) }
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Report {
    /// The version of shipfront.
    shipfront: &'static str,
    /// The site as a URL.
    target: String,
    /// The worst state.
    outcome: State,
    /// The findings, line by line.
    findings: Vec<Finding>,
    /// Maximum width of its text, if that matters.
    #[serde(skip)]
    columns: Option<u16>,
    /// Whether its text has a line for each finding.
    #[serde(skip)]
    verbose: bool,
    /// Whether the site is on the local edge.
    #[serde(skip)]
    is_local: bool,
}

impl Report {
    fn of(target: &Target, findings: Vec<Finding>) -> Report {
        // What was not checked is neither good nor bad.
        let states = findings.iter().map(|finding| finding.state).filter(|&state| state != State::NotChecked);
        let outcome = states.max().unwrap_or(State::Ok);
        Report {
            shipfront: env!("CARGO_PKG_VERSION"),
            target: target.to_string(),
            outcome,
            findings,
            columns: None,
            verbose: false,
            is_local: false,
        }
    }

    fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// A line whose continuation is indented to the right of its mark.
    fn line(&self, start: &str, text: &str) -> String {
        let columns = self.columns.map_or(usize::MAX, usize::from).max(NARROWEST);
        let indent = "    ";
        let options = textwrap::Options::new(columns).initial_indent(start).subsequent_indent(indent);
        // A path or a command must stay whole to be copied.
        textwrap::fill(text, options.break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation))
    }
}

impl Display for Report {
    /// The problems, then a short summary of what could not be checked and what is fine, and a verdict last.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for state in [State::Error, State::Warning] {
            for finding in self.findings.iter().filter(|finding| finding.state == state) {
                self.write_finding(out, finding)?;
            }
        }
        for state in [State::NotChecked, State::Ok] {
            let findings: Vec<&Finding> = self.findings.iter().filter(|finding| finding.state == state).collect();
            if self.verbose {
                findings.into_iter().try_for_each(|finding| self.write_finding(out, finding))?;
            } else if !findings.is_empty() {
                // The long list names the distribution.
                let name = |finding: &&Finding| {
                    let name = finding.check.split(" of distribution").next().unwrap_or_default();
                    Shown(name).to_string()
                };
                let mut checks: Vec<String> = Vec::with_capacity(findings.len());
                for name in findings.iter().map(name) {
                    if !checks.contains(&name) {
                        checks.push(name);
                    }
                }
                let text = format!("{}: {}", state.word(), checks.join(", "));
                writeln!(out, "{}", self.line(&format!("{} ", state.mark()), &text))?;
            }
        }
        if !self.verbose && self.findings.iter().any(|finding| finding.state <= State::NotChecked) {
            writeln!(out, "  (--verbose lists what was found)")?;
        }
        writeln!(out, "{}", self.verdict())
    }
}

impl Report {
    fn write_finding(&self, out: &mut Formatter<'_>, finding: &Finding) -> fmt::Result {
        let Finding { check, state, found, fix } = finding;
        let text = format!("{}: {}", Shown(check), Shown(found));
        writeln!(out, "{}", self.line(&format!("{} ", state.mark()), &text))?;
        match fix {
            Some(fix) => writeln!(out, "{}", self.line("  fix: ", &Shown(fix).to_string())),
            None => Ok(()),
        }
    }

    /// Whether the site can be deployed.
    fn verdict(&self) -> String {
        let target = SiteAt::new(&self.target, self.is_local);
        let problems = counted(self.count(State::Error) as u64, "problem");
        let warnings = counted(self.count(State::Warning) as u64, "warning");
        match self.outcome {
            State::Error if self.count(State::Warning) > 0 => {
                Mark::Bad.line(format!("{target} has {problems} and {warnings}"))
            }
            State::Error => Mark::Bad.line(format!("{target} has {problems}")),
            State::Warning => Mark::Warning.line(format!("{target} is ready to deploy, with {warnings}")),
            State::Ok | State::NotChecked => Mark::Good.line(format!("{target} is ready to deploy")),
        }
    }
}

impl Doctor {
    fn new(args: &DoctorArgs, connection: &Connection) -> Result<Doctor> {
        Ok(Doctor {
            target: connection.site(&args.site)?,
            distributions: Which::parse(&args.distribution, &args.distribution_tenant)?,
            any_origin: args.any_origin,
            place: config::place(args.site.record.as_deref(), args.no_record)?,
            expected_owner: connection.expected_owner.clone(),
            probe: args.probe,
            // Deploys to the local edge do so without being asked to.
            publishes_rules: args.publish_rules || connection.is_local(),
            keeps_copies: args.history == HistoryArg::Copies,
            is_local: connection.is_local(),
        })
    }

    /// Checks everything. What cannot be checked because something before it failed is omitted.
    async fn examine(&self, aws: &Aws) -> Report {
        let mut evidence = Evidence::default();
        let mut findings = vec![credentials(aws).await];
        let distributions = Distributions::new(aws);
        let shapes = lookup::shapes(&distributions, &self.distributions, self.any_origin, self.target.bucket());
        let bucket = self.bucket(aws, &mut evidence);
        let (shapes, (bucket, seen)) = tokio::join!(shapes, bucket);
        findings.extend(seen);
        let shapes = match shapes {
            Ok(shapes) => {
                if self.distributions == Which::Auto {
                    evidence.works("cloudfront:ListDistributions");
                }
                shapes
            }
            Err(error) => {
                if self.distributions == Which::Auto && error.kind() == ErrorKind::AccessDenied {
                    evidence.denied("cloudfront:ListDistributions");
                }
                findings.push(Finding::of_error("distributions", &error));
                Vec::new()
            }
        };
        if self.distributions == Which::None {
            findings.push(Finding::new(
                "distributions",
                State::NotChecked,
                "deploys invalidate nothing, because the distribution is 'none'",
            ));
        }
        let policy = Policy { max_paths: MaxPaths::Fixed(NonZeroU32::MIN), ..Policy::default() };
        let viewers = Viewers::new(&shapes, &self.target, policy);
        if let Some((bucket, record)) = &bucket {
            findings.extend(self.policy_findings(aws, bucket, record.as_ref(), &viewers, &shapes, &mut evidence).await);
        }
        for (id, shape) in &shapes {
            findings.extend(distribution::findings(id, shape, &self.target));
            evidence.of_shape(shape);
            evidence.of_invalidations(&distributions, id).await;
        }
        findings.extend(rules::findings(self.publishes_rules, &viewers, &self.target, &distributions).await);
        findings.extend(evidence.findings(self, aws.is_amazon(), &shapes));
        Report::of(&self.target, findings)
    }
}

/// Whose credentials are used.
async fn credentials(aws: &Aws) -> Finding {
    const CHECK: &str = "credentials";
    match aws.identity().await {
        Ok(identity) if !identity.arn.is_empty() => {
            Finding::new(CHECK, State::Ok, format!("{} (account {})", identity.arn, identity.account))
        }
        Err(error) if aws.is_amazon() => Finding::of_error(CHECK, &error),
        _ => Finding::new(CHECK, State::NotChecked, "cannot be checked on this endpoint"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_narrow_terminal_the_marks_stay_a_column_of_their_own() {
        let target = Target::parse("s3://www.example.com").unwrap();
        let found = Finding::new("encryption", State::Warning, "a sentence that is too long for one line");
        let report = Report::of(&target, vec![found.fix("say it in fewer words, or take a wider terminal")]);
        let narrow = Report { columns: Some(44), ..report.clone() }.to_string();
        let expected = "! encryption: a sentence that is too long\n    for one line\n  fix: say it in fewer words, or take a\n    \
                        wider terminal\n! s3://www.example.com is ready to deploy, with 1 warning\n";
        assert_eq!(anstream::adapter::strip_str(&narrow).to_string(), expected);
        assert_eq!(report.to_string().lines().count(), 3);
    }

    #[test]
    fn problems_come_first_and_what_is_well_is_one_line() {
        let target = Target::parse("s3://www.example.com").unwrap();
        let finding = |check: &str, state| Finding::new(check, state, "found");
        let findings = vec![
            finding("a", State::Ok),
            finding("b", State::NotChecked),
            finding("c", State::Warning),
            finding("d", State::Error),
            finding("e", State::Ok),
        ];
        let report = Report::of(&target, findings);
        let text = |report: &Report| anstream::adapter::strip_str(&report.to_string()).to_string();
        let folded = "✗ d: found\n! c: found\n- not checked: b\n✓ ok: a, e\n  (--verbose lists what was found)\n\
                      ✗ s3://www.example.com has 1 problem and 1 warning\n";
        assert_eq!(text(&report), folded);
        assert_eq!(text(&Report { verbose: true, ..report }).lines().count(), 6);
    }

    #[test]
    fn what_was_not_checked_makes_nothing_better_or_worse() {
        let finding = |state| Finding::new("x", state, "y");
        let outcome = |states: &[State]| {
            let target = Target::parse("s3://www.example.com").unwrap();
            Report::of(&target, states.iter().map(|&state| finding(state)).collect()).outcome
        };
        assert_eq!(outcome(&[State::Ok, State::NotChecked]), State::Ok);
        assert_eq!(outcome(&[State::NotChecked, State::Warning, State::Ok]), State::Warning);
        assert_eq!(outcome(&[State::Warning, State::Error, State::NotChecked]), State::Error);
    }
}
