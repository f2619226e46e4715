//! CodePipeline's invoke action: reads the job, carries it out, and reports its result, whatever happens.
//!
//! An action whose job gets no result hangs for 20 minutes
//! (<https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Lambda.html>). So the work runs
//! separately from the reporting: if it panics, or the function's time runs out, the job is failed.

mod answer;
mod artifact;
mod parameters;
mod token;

use crate::clock::Clock;
use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{Which, ids_showing};
use crate::cloudfront::send::Patience;
use crate::commands::invalidate;
use crate::deploy::Deploy;
use crate::error::{Error, ErrorKind, Result};
use crate::lambda::shape::read_shape;
use crate::lambda::{Deadline, EntryPoint};
use crate::outcome::Outcome;
use crate::report::Report;
use answer::{Answerer, Failure, FailureKind, Verdict};
use aws_lambda_events::codepipeline_job::CodePipelineJob;
use parameters::{DeployParameters, Parameters};
use serde_json::{Value, json};
use shipfront_invalidation::Invalidation;
use shipfront_site::Warning;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use token::Waiting;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The field of an event that makes it a job.
pub(super) const JOB: &str = "CodePipeline.job";

/// Carries out a job and reports its result. Returns an error only if the result could not be reported: then Lambda
/// retries the event, and everything in it can be done twice.
pub(super) async fn answer(entry_point: &Arc<EntryPoint>, job: &Value, deadline: Deadline) -> Result<Value> {
    let Some(id) = job.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return Err(Error::failed(format!("the event has a {JOB:?} without an ID, so it cannot be answered"))
            .hint("invoke the function from a Lambda action of CodePipeline"));
    };
    let (entry_point_of_work, id_of_work, job) = (entry_point.clone(), id.clone(), job.clone());
    let limit = deadline.last_call();
    let work = move || work(entry_point_of_work, id_of_work, job, deadline);
    let verdict = guarded(work, limit, entry_point.aws.clock()).await;
    entry_point.terminal.say(format_args!("job {id}: {verdict}"));
    Answerer::new(&entry_point.aws).put(&id, verdict).await.map(|how| json!({"job": id, "answered": how}))
}

/// The verdict of the work, or of whatever keeps it from giving one.
///
/// It has a separate thread: while files are compared, it lets nothing else run on its thread, and this one must
/// notice that the time has run out.
async fn guarded<F>(work: impl FnOnce() -> F + Send + 'static, limit: Duration, clock: &Clock) -> Verdict
where
    F: Future<Output = Result<Verdict>>,
{
    let given_up = CancellationToken::new();
    // Also when this future is dropped.
    let _end = given_up.clone().drop_guard();
    let runtime = Handle::current();
    let task = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                verdict = Box::pin(work()) => Some(verdict),
                () = given_up.cancelled() => None,
            }
        })
    });
    let failed = |message: &str| Verdict::Failed(Failure { kind: FailureKind::JobFailed, message: message.to_owned() });
    match clock.timeout(limit, task).await {
        Some(Ok(Some(Ok(verdict)))) => verdict,
        Some(Ok(Some(Err(error)))) => Verdict::Failed(Failure::of(&error)),
        Some(Err(_)) => {
            failed("shipfront crashed; see the function's log. Retry the action: the next deploy finishes this one")
        }
        Some(Ok(None)) | None => failed(
            "the function's timeout was reached; hint: raise the function's timeout (at most 15 minutes) and \
             memory, and retry the action, which continues where this run ended",
        ),
    }
}

/// What a job requests: the token of one that continues, or the parameters of a new one.
enum Asked {
    Wait(Waiting),
    Begin(Parameters),
}

fn asked(job: &CodePipelineJob) -> Result<Asked> {
    if let Some(token) = job.data.continuation_token.as_deref().filter(|token| !token.is_empty()) {
        return Waiting::parse(token).map(Asked::Wait);
    }
    let text = job.data.action_configuration.configuration.user_parameters.as_deref().unwrap_or_default();
    Parameters::parse(text).map(Asked::Begin)
}

fn shape(job: &Value) -> Result<CodePipelineJob> {
    read_shape(job).map_err(|problem| {
        Error::usage(format!("the job is not as CodePipeline documents it: {problem}"))
            .hint("invoke the function from a Lambda action of CodePipeline")
    })
}

/// Checks that a job can be parsed.
pub(super) fn read(job: &Value) -> Result<()> {
    match asked(&shape(job)?)? {
        Asked::Wait(waiting) => drop(waiting.verdict()),
        Asked::Begin(parameters) => {
            let which = parameters.which(&Which::Auto)?;
            if let Some(deploy) = &parameters.deploy {
                deploy.settings(deploy.source.clone(), which)?;
            }
        }
    }
    Ok(())
}

async fn work(entry_point: Arc<EntryPoint>, id: String, job: Value, deadline: Deadline) -> Result<Verdict> {
    let job = shape(&job)?;
    let distributions = Distributions::new(&entry_point.aws);
    let parameters = match asked(&job)? {
        Asked::Wait(waiting) => return Ok(waiting.look(&distributions, entry_point.aws.clock()).await),
        Asked::Begin(parameters) => parameters,
    };
    let which = parameters.which(&entry_point.settings.distributions)?;
    match &parameters.deploy {
        Some(deploy) => deploy_artifact(&entry_point, &job, &parameters, deploy, which, deadline).await,
        None => invalidate(&entry_point, &id, &parameters, which, &distributions, deadline).await,
    }
}

/// Invalidates the paths, as the command does.
async fn invalidate(
    entry_point: &EntryPoint,
    id: &str,
    parameters: &Parameters,
    which: Which,
    distributions: &Distributions,
    deadline: Deadline,
) -> Result<Verdict> {
    let which = match (&which, &parameters.bucket) {
        (Which::Auto, Some(bucket)) => Which::Ids(ids_showing(distributions, bucket.bucket()).await?),
        _ => which,
    };
    let patience = Patience {
        busy: deadline.wind_down(),
        silence: Duration::MAX,
        until: Some(deadline.last_request()),
        completion: None,
    };
    // The job's ID: Lambda may deliver an event twice, and the second time is free.
    let report = invalidate::invalidate(
        &entry_point.aws,
        &which,
        &parameters.paths,
        id,
        patience,
        (&CancellationToken::new(), &entry_point.terminal),
    )
    .await?;
    if let Some(failure) = report.errors().first() {
        let about = "an invalidation was not accepted: the edge may be stale";
        return Ok(Verdict::Failed(Failure::about(about, failure)));
    }
    let variables = BTreeMap::from([("outcome".to_owned(), "invalidated".to_owned())]);
    let summary = format!("{} invalidated", count(report.invalidations().len(), "distribution"));
    Ok(finish(
        report.invalidations(),
        variables,
        summary,
        parameters.wait.then_some(token::WAIT_LIMIT),
        entry_point.aws.clock(),
    ))
}

/// Deploys the job's artifact, with the same recipe as the command line.
async fn deploy_artifact(
    entry_point: &EntryPoint,
    job: &CodePipelineJob,
    parameters: &Parameters,
    deploy: &DeployParameters,
    which: Which,
    deadline: Deadline,
) -> Result<Verdict> {
    let unpacked = artifact::fetch(&entry_point.aws, &job.data, deploy).await?;
    let mut settings = deploy.settings(unpacked.site(), which)?;
    let wait = settings.patience.completion.take().filter(|_| parameters.wait);
    settings.patience.until = Some(deadline.last_request());
    let stop = CancellationToken::new();
    let near_the_end = stop.clone();
    let timer = tokio::spawn(async move {
        deadline.clock.sleep(deadline.wind_down()).await;
        near_the_end.cancel();
    });
    let aws = entry_point.aws.afresh(u16::try_from(settings.concurrency).ok());
    let run = Deploy::new(&settings, &aws, &entry_point.terminal, stop).run().await;
    timer.abort();
    let run = run.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => error.hint("the function's timeout is near: raise it, and retry the action"),
        _ => error,
    })?;
    let refused = run.refused.clone();
    let report = Report::new(run, &entry_point.terminal);
    if let Err(error) = report.show(&entry_point.terminal) {
        entry_point.terminal.warn(&Warning::from(&error));
    }
    if let Some(error) = refused {
        return Ok(Verdict::Failed(Failure::of(&error)));
    }
    let summary = summary(&report);
    match report.outcome {
        Outcome::Deployed | Outcome::NothingToDo | Outcome::Planned => {
            Ok(finish(&report.invalidations, variables(&report), summary, wait, aws.clock()))
        }
        Outcome::Interrupted => Ok(Verdict::Failed(Failure {
            kind: FailureKind::JobFailed,
            message: format!(
                "the function's time limit came near after {summary}; what was changed is live and invalidated; hint: raise \
                 the function's timeout (at most 15 minutes) and memory, and retry the action: it goes on from here"
            ),
        })),
        Outcome::Partial
        | Outcome::Stale
        | Outcome::Failed
        | Outcome::Different
        | Outcome::Unverified
        | Outcome::Refused => {
            let about = match report.outcome {
                Outcome::Stale => "live, but the edge may be stale: the next deploy invalidates again",
                Outcome::Different => "live, but viewers get something else",
                Outcome::Unverified => "live, but what viewers get could not be verified",
                Outcome::Partial => "some files failed; what was changed is live and invalidated",
                _ => "nothing was changed",
            };
            Ok(Verdict::Failed(match report.errors.first() {
                Some(failure) => Failure::about(&format!("{about} ({summary})"), failure),
                None => Failure { kind: FailureKind::JobFailed, message: format!("{about} ({summary})") },
            }))
        }
    }
}

/// Done, or to be checked again after CloudFront had time.
fn finish(
    invalidations: &[Invalidation],
    variables: BTreeMap<String, String>,
    summary: String,
    wait: Option<Duration>,
    clock: &Clock,
) -> Verdict {
    let waiting = Waiting::new(invalidations, variables, summary);
    match wait {
        Some(limit) if waiting.is_open() => waiting.for_at_most(limit, clock).verdict(),
        _ => waiting.done(),
    }
}

fn summary(report: &Report) -> String {
    let objects = &report.objects;
    format!(
        "{} uploaded ({} bytes), {} unchanged, {} deleted, {} failed",
        objects.uploaded, objects.bytes_uploaded, objects.kept, objects.pruned, objects.failed
    )
}

fn variables(report: &Report) -> BTreeMap<String, String> {
    let objects = &report.objects;
    let counts = [
        ("uploaded", objects.uploaded),
        ("unchanged", objects.kept),
        ("deleted", objects.pruned),
        ("bytesUploaded", objects.bytes_uploaded),
        ("warnings", report.warnings.len() as u64),
    ];
    let mut variables: BTreeMap<String, String> =
        counts.into_iter().map(|(name, count)| (name.to_owned(), count.to_string())).collect();
    let outcome = if report.outcome == Outcome::NothingToDo { "nothing-to-do" } else { "deployed" };
    variables.insert("outcome".to_owned(), outcome.to_owned());
    variables.insert("deploy".to_owned(), report.deploy.clone());
    variables
}

fn count(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn message<F: Future<Output = Result<Verdict>>>(
        work: impl FnOnce() -> F + Send + 'static,
        limit: Duration,
    ) -> String {
        match guarded(work, limit, &Clock::default()).await {
            Verdict::Failed(failure) => failure.message,
            other => panic!("{other}"),
        }
    }

    async fn broken() -> Result<Verdict> {
        panic!("a defect")
    }

    async fn deaf() -> Result<Verdict> {
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(300)));
        Err(Error::failed("too late"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_that_breaks_down_or_does_not_end_in_time_is_a_verdict_all_the_same() {
        assert!(message(broken, Duration::from_secs(60)).await.contains("crashed"));
        assert!(message(std::future::pending, Duration::from_millis(50)).await.contains("timeout"));
        assert!(message(deaf, Duration::from_millis(50)).await.contains("timeout"));
    }
}
