//! `doctor`: looks at everything that a deploy relies on, changes nothing, and says what to repair.
//!
//! What cannot be seen is reported as not checked, never as right. `bucket` and `distribution` turn what AWS
//! answers into findings; what follows from a configuration alone is decided there without I/O.

mod bucket;
mod distribution;
mod history;
mod permissions;

use crate::aws::Aws;
use crate::cli::doctor::DoctorArgs;
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
use permissions::Evidence;
use serde::Serialize;
use shipfront_invalidation::allowance::MaxPaths;
use shipfront_invalidation::{Policy, Viewers};
use shipfront_site::Target;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroU32;

/// Text is not broken into shorter lines than this.
const NARROWEST: usize = 40;

/// `doctor`.
pub async fn run(args: &DoctorArgs, terminal: &Terminal) -> Result<Exit> {
    let connection = Connection::open(&args.site.connection, None, terminal).await?;
    let outcome = match Doctor::new(args, &connection) {
        Ok(doctor) => Ok(doctor.examine(&connection.aws).await),
        Err(error) => Err(error),
    };
    let report = Report { columns: terminal.columns(), ..connection.close(outcome).await? };
    let written = terminal.report(&report, &[], &[]);
    terminal.ended(if report.outcome == State::Error { Exit::Failed } else { Exit::Done }, written)
}

/// What is to be looked at.
#[derive(Debug, Clone)]
struct Doctor {
    /// The site.
    target: Target,
    /// Which distributions show it.
    distributions: Which,
    /// Whether any origin of those that are named may show it.
    any_origin: bool,
    /// Where the deploy record is kept.
    place: Place,
    /// The account that must own the bucket.
    expected_owner: Option<String>,
    /// Whether an object is written, and removed again, where the record is: nothing else tells whether
    /// writes are allowed, and kept apart by conditions.
    probe: bool,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// As it should be.
    Ok,
    /// It cannot be seen from here.
    NotChecked,
    /// A deploy works, and could do better or costs more.
    Warning,
    /// A deploy fails, or viewers do.
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
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    check: String,
    /// How it stands.
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

    /// What an error tells: what the deploy would meet, too.
    fn of_error(check: &str, error: &Error) -> Finding {
        let finding = Finding::new(check, State::Error, error.to_string());
        Finding { fix: error.hint_text().map(str::to_owned), ..finding }
    }

    /// What a question told that only the doctor asks: without an answer nothing is wrong.
    fn unanswered(check: &str, error: &Error) -> Finding {
        if error.kind() == ErrorKind::NotImplemented {
            return Finding::new(check, State::NotChecked, "cannot be checked on this endpoint");
        }
        Finding { state: State::NotChecked, ..Finding::of_error(check, error) }
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Report {
    /// The version of shipfront.
    shipfront: &'static str,
    /// The site as a URL.
    target: String,
    /// The worst of it.
    outcome: State,
    /// Line by line.
    findings: Vec<Finding>,
    /// How wide its text is to be, if that matters.
    #[serde(skip)]
    columns: Option<u16>,
}

impl Report {
    fn of(target: &Target, findings: Vec<Finding>) -> Report {
        // What was not checked is neither good nor bad.
        let states = findings.iter().map(|finding| finding.state).filter(|&state| state != State::NotChecked);
        let outcome = states.max().unwrap_or(State::Ok);
        Report { shipfront: env!("CARGO_PKG_VERSION"), target: target.to_string(), outcome, findings, columns: None }
    }

    fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// A line whose parts beyond the first stay right of the column of states.
    fn line(&self, start: &str, text: &str) -> String {
        let columns = self.columns.map_or(usize::MAX, usize::from).max(NARROWEST);
        let indent = " ".repeat(start.len() + 2);
        let options = textwrap::Options::new(columns).initial_indent(start).subsequent_indent(&indent);
        // A path or a command is copied whole.
        textwrap::fill(text, options.break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation))
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for Finding { check, state, found, fix } in &self.findings {
            writeln!(
                out,
                "{}",
                self.line(&format!("{:11}  ", state.word()), &format!("{}: {}", Shown(check), Shown(found)))
            )?;
            if let Some(fix) = fix {
                writeln!(out, "{}", self.line(&" ".repeat(15), &format!("fix: {}", Shown(fix))))?;
            }
        }
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let counts = [(State::Error, "error"), (State::Warning, "warning"), (State::NotChecked, "not checked")];
        let counts = counts.map(|(state, word)| match (self.count(state), state) {
            (count, State::NotChecked) => format!("{count} {word}"),
            (count, _) => format!("{count} {word}{}", plural(count)),
        });
        writeln!(out, "{}: {} ok, {}", self.target, self.count(State::Ok), counts.join(", "))
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
        })
    }

    /// Looks at everything. What cannot be looked at, because something before it failed, is left out.
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
                "nothing is invalidated, with the distribution 'none'",
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
        findings.extend(evidence.findings(self, aws.is_amazon(), &shapes));
        Report::of(&self.target, findings)
    }
}

/// Whose the credentials are.
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
    fn on_a_narrow_terminal_the_states_stay_a_column_of_their_own() {
        let target = Target::parse("s3://www.example.com").unwrap();
        let found = Finding::new("encryption", State::Warning, "a sentence that is too long for one line");
        let report = Report::of(&target, vec![found.fix("say it in fewer words, or take a wider terminal")]);
        let narrow = Report { columns: Some(44), ..report.clone() }.to_string();
        let expected = "warning      encryption: a sentence that is\n               too long for one line\n               \
                        fix: say it in fewer words,\n                 or take a wider terminal\n\
                        s3://www.example.com: 0 ok, 0 errors, 1 warning, 0 not checked\n";
        assert_eq!(narrow, expected);
        assert_eq!(report.to_string().lines().count(), 3);
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
