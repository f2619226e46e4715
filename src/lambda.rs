//! The Lambda entry points: the same binary, named `bootstrap`, as CodePipeline's action and for the events of a
//! bucket.
//!
//! An invocation's event shows which entry point it is for. Neither has logic of its own beyond reading the event
//! and reporting back: a job deploys through [`crate::deploy`], and events go through [`shipfront_invalidation`] as
//! every other change does.
//!
//! Nothing here prints an event: CodePipeline's carries credentials
//! (<https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-invoke-lambda-function.html>).

mod object_events;
mod pipeline;
mod shape;

use crate::aws::{Aws, AwsOptions};
use crate::cli::SiteOptions;
use crate::clock::{Clock, Moment, Stopwatch};
use crate::cloudfront::lookup::Which;
use crate::config::{self, merge, variables};
use crate::error::{Error, Result};
use crate::escape::escaped;
use crate::record::Place;
use crate::terminal::Terminal;
use clap::{Args, Command, FromArgMatches};
use futures::future::LocalBoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use object_events::site::Buckets;
use serde_json::Value;
use shipfront_invalidation::Policy;
use shipfront_site::Target;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The program name that Lambda requires in its `provided` runtimes
/// (<https://docs.aws.amazon.com/lambda/latest/dg/rust-package.html>).
const BOOTSTRAP: &str = "bootstrap";
/// Options of a deploy that also matter for the events of a bucket, such as `--clean-urls`.
const OPTIONS_VARIABLE: &str = "SHIPFRONT_OPTIONS";

/// Maximum duration of an invocation (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Whether Lambda started the program: it is called `bootstrap`, with no arguments.
///
/// The environment would be less reliable: CodeBuild's Lambda compute runs builds inside a function, where
/// `AWS_LAMBDA_RUNTIME_API` may be set although a `shipfront deploy` is meant.
pub fn is_asked_for() -> bool {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let named = |path: &OsStr| Path::new(path).file_name() == Some(OsStr::new(BOOTSTRAP));
    name.is_some_and(|name| named(&name)) && arguments.next().is_none()
}

/// Answers invocations until Lambda ends the process. Boxed here, as the commands are.
pub fn run(terminal: Terminal) -> LocalBoxFuture<'static, Result<()>> {
    Box::pin(answer_invocations(terminal))
}

async fn answer_invocations(terminal: Terminal) -> Result<()> {
    // Without these, the runtime's own crate would fail.
    const NEEDED: [&str; 4] = [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    ];
    for name in NEEDED {
        if std::env::var_os(name).is_none() {
            return Err(Error::usage(format!(
                "'{BOOTSTRAP}' is the program of a Lambda function, and {name} is not set"
            ))
            .hint("call the program shipfront, or give it arguments, to use it from a command line"));
        }
    }
    variables::check(std::env::vars_os())?;
    for warning in variables::unknown(std::env::vars_os()) {
        terminal.warn(&warning);
    }
    let entry_point = Arc::new(EntryPoint {
        settings: FunctionSettings::read()?,
        aws: Aws::load(&AwsOptions::default()).await?,
        terminal,
        buckets: Buckets::default(),
    });
    let handler = service_fn(move |invocation: LambdaEvent<Value>| {
        let entry_point = entry_point.clone();
        async move {
            let deadline = Deadline::at(invocation.context.deadline(), entry_point.aws.clock());
            Box::pin(entry_point.answer(invocation.payload, &invocation.context.request_id, deadline)).await
        }
    });
    lambda_runtime::run(handler).await.map_err(|error| Error::failed(format!("Lambda's runtime: {error}")))
}

/// The bucket and key of each change in an event, none for a job; an error if the event cannot be parsed. Nothing
/// else happens.
#[doc(hidden)]
pub fn read(event: &Value) -> Result<Vec<(String, String)>, String> {
    match event.get(pipeline::JOB) {
        Some(job) => pipeline::read(job).map(|()| Vec::new()).map_err(|error| error.to_string()),
        None => object_events::read(event),
    }
}

/// What lasts as long as the function's execution environment.
#[derive(Debug)]
struct EntryPoint {
    settings: FunctionSettings,
    aws: Aws,
    terminal: Terminal,
    buckets: Buckets,
}

/// The settings in the function's environment variables: the same that the command line reads.
#[derive(Debug)]
struct FunctionSettings {
    distributions: Which,
    /// Whether any origin of the named distributions may serve the bucket.
    any_origin: bool,
    policy: Policy,
    /// The site to which the record at `SHIPFRONT_RECORD` belongs, and the record's location.
    elsewhere: Option<(Option<Target>, Target)>,
}

impl FunctionSettings {
    fn read() -> Result<FunctionSettings> {
        let text = std::env::var(OPTIONS_VARIABLE).unwrap_or_default();
        let options = site_options(text.split_whitespace().map(str::to_owned)).map_err(|problem| {
            Error::usage(format!("{OPTIONS_VARIABLE}: {problem}"))
                .hint("write options of 'shipfront deploy', as on a command line")
        })?;
        let site = std::env::var("SHIPFRONT_TARGET").ok().filter(|text| !text.trim().is_empty());
        let site = site.map(|text| Target::parse(&text)).transpose()?;
        let elsewhere = match config::place(options.record.record.as_deref(), options.record.no_record)? {
            Place::At(place) => Some((site, place)),
            Place::SiteFolder | Place::Nowhere => None,
        };
        Ok(FunctionSettings {
            distributions: Which::parse(&options.choice.distribution, &options.choice.distribution_tenant)?,
            any_origin: options.choice.any_origin,
            policy: config::policy(&options.choice),
            elsewhere,
        })
    }

    /// Whether a key is part of a record that is kept elsewhere than in `.shipfront/`.
    fn is_record(&self, bucket: &str, key: &str) -> bool {
        let place = self.elsewhere.as_ref().map(|(_, place)| place);
        place.is_some_and(|place| place.bucket() == bucket && key.starts_with(place.prefix()))
    }
}

/// Parses options as the command line does; the error is clap's own, on one line.
fn site_options(arguments: impl Iterator<Item = String>) -> Result<SiteOptions, String> {
    let command = merge::open(SiteOptions::augment_args(Command::new("options").no_binary_name(true)));
    let read = command.try_get_matches_from(arguments).and_then(|matches| SiteOptions::from_arg_matches(&matches));
    read.map_err(|error| merge::in_one_line(&error))
}

impl EntryPoint {
    /// Determines which entry point it is for, and runs it.
    async fn answer(
        self: Arc<EntryPoint>,
        event: Value,
        request: &str,
        deadline: Deadline,
    ) -> Result<Value, Diagnostic> {
        let answer = match &event {
            Value::Object(fields) if fields.contains_key(pipeline::JOB) => {
                pipeline::answer(&self, &event[pipeline::JOB], deadline).await
            }
            _ => object_events::answer(&self, &event, request, deadline).await,
        };
        answer.map_err(|error| {
            self.terminal.fail(&error);
            let hint = error.hint_text();
            Diagnostic {
                error_type: error.outcome().to_owned(),
                error_message: escaped(&format!("{error}; hint: {hint}")).into_owned(),
            }
        })
    }
}

/// The deadline of an invocation, by the clock.
#[derive(Debug, Clone)]
struct Deadline {
    clock: Clock,
    started: Stopwatch,
    remaining: Duration,
}

impl Deadline {
    fn at(end: SystemTime, clock: &Clock) -> Deadline {
        let remaining = match end.duration_since(clock.now().into()) {
            Ok(remaining) => remaining,
            // cargo-lambda's emulator sends a time in 1970.
            Err(past) if past.duration() > LONGEST => LONGEST,
            Err(_) => Duration::ZERO,
        };
        Deadline::after(remaining, clock)
    }

    fn after(remaining: Duration, clock: &Clock) -> Deadline {
        Deadline { clock: clock.clone(), started: clock.start(), remaining }
    }

    /// Time left until nothing new should be started: requests in flight need time to end, and invalidations must
    /// be sent.
    fn wind_down(&self) -> Duration {
        (self.remaining - (self.remaining / 2).min(Duration::from_secs(60))).saturating_sub(self.started.elapsed())
    }

    /// When to stop sending to CloudFront: after that, the record is written and the response is sent.
    fn last_request(&self) -> Moment {
        self.clock.moment().after((self.wind_down() + self.last_call()) / 2)
    }

    /// Time left until the response must be sent.
    fn last_call(&self) -> Duration {
        (self.remaining - (self.remaining / 8).min(Duration::from_secs(10))).saturating_sub(self.started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_command_line_reads_them() {
        let read = |text: &str| site_options(text.split_whitespace().map(str::to_owned));
        assert!(
            read("--clean-urls --max-paths 7")
                .is_ok_and(|options| options.choice.clean_urls && options.choice.max_paths.to_string() == "7")
        );
        assert!(read("--no-such-thing").unwrap_err().contains("--no-such-thing"));
    }

    #[test]
    fn the_answer_leaves_before_the_deadline_whatever_the_time_limit() {
        let (clock, hand) = Clock::by_hand();
        for seconds in [3, 60, 900] {
            let deadline = Deadline::after(Duration::from_secs(seconds), &clock);
            assert!(deadline.wind_down() < deadline.last_call());
            assert!(deadline.last_call() < deadline.remaining);
            let last_request = clock.until(deadline.last_request());
            assert!(deadline.wind_down() < last_request && last_request < deadline.last_call());
            hand.advance(Duration::from_secs(seconds));
            assert_eq!(deadline.last_call(), Duration::ZERO);
        }
        let reported = |end| Deadline::at(end, &clock).remaining;
        assert_eq!(reported(SystemTime::UNIX_EPOCH + Duration::from_secs(600)), LONGEST);
        let now = SystemTime::from(clock.now());
        assert_eq!(reported(now - Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(reported(now + Duration::from_secs(1)), Duration::from_secs(1));
    }
}
