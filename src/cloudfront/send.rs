//! Sends items to CloudFront in requests that it accepts, until they are accepted and completed.

mod schedule;

use crate::clock::{Moment, Stopwatch};
use crate::cloudfront::{Accepted, Distributions, RefusalKind};
use crate::error::{Error, ErrorKind};
use crate::terminal::{Progress, Terminal};
use backon::{BackoffBuilder, ExponentialBuilder};
use schedule::{Answer, Batch, Schedule, Step};
use shipfront_invalidation::{DistributionId, Invalidation, InvalidationStatus};
use shipfront_site::Warning;
use shipfront_site::etag::{hex, md5};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long to continue if CloudFront is busy, and whether to wait until the edge locations are clear.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long to continue while CloudFront accepts nothing, before that counts as a failure.
    pub busy: Duration,
    /// How long to continue while CloudFront does not respond at all.
    pub silence: Duration,
    /// When to stop sending regardless of progress, if the run's own time is limited.
    pub until: Option<Moment>,
    /// How long to wait for `Completed`; `None` does not wait.
    pub completion: Option<Duration>,
}

/// The result of sending invalidations.
#[derive(Debug, Default)]
pub struct Sent {
    /// One for each request.
    pub invalidations: Vec<Invalidation>,
    /// The distributions for which one failed, and why.
    pub failed: Vec<Error>,
    /// Problems that are not failures.
    pub warnings: Vec<Warning>,
}

impl Sent {
    /// The number of paths that CloudFront accepted, as it counts them: a wildcard or a tag is one.
    pub fn paths(&self) -> u64 {
        let taken = self.invalidations.iter().filter(|invalidation| invalidation.id.is_some());
        taken.map(|invalidation| invalidation.items.len() as u64).sum()
    }

    /// Adds the result of a later submission.
    pub fn extend(&mut self, other: Sent) {
        self.invalidations.extend(other.invalidations);
        self.failed.extend(other.failed);
        self.warnings.extend(other.warnings);
    }
}

/// How long sending continues after the run is asked to stop. Containers have 30 s between the two signals, in
/// which the record must be written as well.
pub const STOPPING: Duration = Duration::from_secs(20);

/// An older invalidation counts as completed when a refusal is interpreted: 95 of 100 take less than 25 s.
const OVERDUE: Duration = Duration::from_secs(60);

/// How long one check of an invalidation's progress may take during sending.
const LOOK: Duration = Duration::from_secs(12);

/// How long the last check may take after the run is asked to stop.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// The number of requests that items need if CloudFront refuses none.
pub(crate) fn requests(items: &[String]) -> usize {
    schedule::requests(items)
}

/// Sends the planned invalidations until CloudFront has accepted all of them, whatever its quota is, or has
/// accepted nothing for as long as patience lasts. `schedule` decides sizes and pauses. Once `stop` is set, it ends
/// within [`STOPPING`], whatever CloudFront does.
///
/// A run that dies between two requests leaves the rest to the next deploy, which finds the plan in the record and
/// sends all of it under its own ID: what CloudFront accepted from the dead run is sent again, because copies that
/// were made since may be stale again.
pub async fn submit(
    distributions: &Distributions,
    deploy: &str,
    planned: Vec<Invalidation>,
    patience: Patience,
    stop: &CancellationToken,
    terminal: &Terminal,
) -> Sent {
    let items = planned.iter().map(|invalidation| invalidation.items.as_slice());
    let started = distributions.clock.start();
    let until = patience.until.map_or(Duration::MAX, |until| distributions.clock.until(until));
    let schedule = Schedule::new(items, patience.busy, until);
    let sender = Sender {
        distributions,
        deploy,
        planned: &planned,
        terminal,
        progress: terminal.wait("invalidate"),
        started,
        ours: Vec::new(),
        accepted: Vec::new(),
        refusals: vec![None; planned.len()],
        silence: patience.silence,
        is_silent: false,
        asked: distributions.clock.start(),
        stop,
        is_stopping: false,
    };
    sender.send(schedule).await
}

/// A submission in progress.
struct Sender<'s> {
    distributions: &'s Distributions,
    deploy: &'s str,
    planned: &'s [Invalidation],
    terminal: &'s Terminal,
    progress: Progress,
    started: Stopwatch,
    /// Invalidations that were accepted and are not known to be completed, each with the time since.
    ours: Vec<(DistributionId, String, Stopwatch)>,
    /// The accepted invalidations, each with the planned one that it belongs to.
    accepted: Vec<(usize, Invalidation)>,
    /// The last refusal of each planned invalidation.
    refusals: Vec<Option<Error>>,
    /// How long to continue without any response; whether the last request got none, and when the first of the
    /// consecutive requests without one was sent.
    silence: Duration,
    is_silent: bool,
    asked: Stopwatch,
    /// Set by a signal, and whether that was noticed.
    stop: &'s CancellationToken,
    is_stopping: bool,
}

impl Sender<'_> {
    async fn send(mut self, mut schedule: Schedule) -> Sent {
        let (stop, clock) = (self.stop, self.distributions.clock.clone());
        let stopped = async {
            stop.cancelled().await;
            clock.sleep(STOPPING).await;
        };
        tokio::select! {
            biased;
            () = self.send_all(&mut schedule) => {}
            // A hanging request is cut off: if it was accepted after all, the next deploy sends it again.
            () = stopped => schedule.give_up_all(),
        }
        self.sent(schedule)
    }

    async fn send_all(&mut self, schedule: &mut Schedule) {
        let mut polls = polls().build();
        loop {
            if self.stop.is_cancelled() && !self.is_stopping {
                self.is_stopping = true;
                schedule.end_by(self.started.elapsed() + STOPPING);
            }
            match schedule.next(self.started.elapsed()) {
                Step::Done => return,
                Step::Send(batch) => {
                    let sent = self.started.elapsed();
                    let answer = self.request(&batch, schedule).await;
                    if self.is_silent && self.asked.elapsed() >= self.silence {
                        return schedule.give_up_all();
                    }
                    let jitter = 0.75 + fastrand::f64() / 2.0;
                    schedule.answered(&batch, answer, sent, self.started.elapsed(), jitter);
                }
                Step::Rest(pause) if schedule.watches_progress() => {
                    self.tell();
                    self.rest(polls.next().unwrap_or(pause).min(pause)).await;
                    if self.in_progress().await == 0 {
                        schedule.all_done(self.started.elapsed());
                        polls = self::polls().build();
                    }
                }
                Step::Rest(pause) => {
                    self.tell();
                    self.rest(pause).await;
                }
            }
        }
    }

    /// Waits, but at most until a signal comes.
    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = self.distributions.clock.sleep(pause) => {}
            () = self.stop.cancelled(), if !self.is_stopping => {}
        }
    }

    async fn request(&mut self, batch: &Batch, schedule: &mut Schedule) -> Answer {
        let planned = &self.planned[batch.planned];
        let id = &planned.distribution;
        let reference = caller_reference(self.deploy, id, &batch.items);
        let begun = self.distributions.clock.start();
        let answer = self.distributions.create_invalidation(id, &reference, &batch.items).await;
        let was_silent = self.is_silent;
        self.is_silent = answer.as_ref().is_err_and(|refusal| refusal.error.kind() == ErrorKind::Unanswered);
        if !was_silent {
            self.asked = begun;
        }
        let refusal = match answer {
            Ok(Accepted { id: accepted, status }) => {
                if status == InvalidationStatus::InProgress {
                    self.ours.push((id.clone(), accepted.clone(), self.distributions.clock.start()));
                }
                let invalidation =
                    Invalidation { items: batch.items.clone(), id: Some(accepted), status, ..planned.clone() };
                self.accepted.push((batch.planned, invalidation));
                return Answer::Accepted;
            }
            Err(refusal) => refusal,
        };
        self.terminal.detail(format_args!("{} ({} items)", refusal.error, batch.items.len()));
        let (kind, error) = (refusal.kind, refusal.error);
        let hopeless =
            matches!(error.kind(), ErrorKind::AccessDenied | ErrorKind::Credentials | ErrorKind::NoSuchResource);
        self.refusals[batch.planned] = Some(error);
        match kind {
            RefusalKind::Overload => Answer::Overload { in_progress: self.in_progress().await },
            RefusalKind::Unclear => Answer::Unclear,
            RefusalKind::Final if hopeless => {
                schedule.give_up(batch.planned);
                Answer::Dropped
            }
            RefusalKind::Final => Answer::Refused,
        }
    }

    /// The number of this run's invalidations in progress, as far as CloudFront says.
    async fn in_progress(&mut self) -> usize {
        self.ours.retain(|(_, _, since)| since.elapsed() < OVERDUE);
        let mut open = Vec::with_capacity(self.ours.len());
        for (distribution, id, since) in std::mem::take(&mut self.ours) {
            let look = self.distributions.invalidation_status(&distribution, &id);
            match self.distributions.clock.timeout(LOOK, look).await {
                Some(Ok(InvalidationStatus::InProgress)) => open.push((distribution, id, since)),
                Some(Ok(_)) => {}
                // Do not wait for what cannot be seen.
                Some(Err(_)) | None => return 0,
            }
        }
        self.ours = open;
        self.ours.len()
    }

    fn tell(&self) {
        let accepted: usize = self.accepted.iter().map(|(_, invalidation)| invalidation.items.len()).sum();
        let all: usize = self.planned.iter().map(|invalidation| invalidation.items.len()).sum();
        self.progress.message(&format!("waiting for CloudFront: {accepted} of {all} accepted"));
    }

    /// The result, request by request in the order of the plan, each followed by what failed.
    fn sent(self, schedule: Schedule) -> Sent {
        let mut sent = Sent::default();
        let mut left: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (planned, items) in schedule.into_given_up() {
            left.entry(planned).or_default().extend(items);
        }
        for (at, planned) in self.planned.iter().enumerate() {
            let accepted =
                self.accepted.iter().filter(|(of, _)| *of == at).map(|(_, invalidation)| invalidation.clone());
            let mut requests: Vec<Invalidation> = accepted.collect();
            if let Some(items) = left.remove(&at) {
                requests.push(Invalidation { items, status: InvalidationStatus::Failed, ..planned.clone() });
                sent.failed.push(self.failure(at));
            }
            for later in requests.iter_mut().skip(1) {
                (later.viewer_paths, later.collateral, later.universe) = (0, 0, 0);
                (later.why, later.coverage, later.curve) = (Vec::new(), Vec::new(), Vec::new());
            }
            sent.invalidations.extend(requests);
        }
        sent
    }

    /// Why a planned invalidation was not accepted completely.
    fn failure(&self, at: usize) -> Error {
        let (distribution, refusal) = (&self.planned[at].distribution, self.refusals[at].clone());
        if self.stop.is_cancelled() {
            let why = refusal.map(|refusal| format!(": {refusal}")).unwrap_or_default();
            return Error::stale(format!("interrupted before CloudFront accepted all paths for {distribution}{why}"))
                .hint("the next deploy sends it");
        }
        refusal.unwrap_or_else(|| {
            Error::stale(format!("no time was left to send the remaining paths of {distribution}"))
                .hint("raise the function's timeout; the next deploy invalidates again")
        })
    }
}

/// The same items of the same deploy are the same invalidation, free of charge, even if the response to a request
/// was lost and the next request is cut differently; those of another deploy never are.
fn caller_reference(deploy: &str, distribution: &DistributionId, items: &[String]) -> String {
    let text = format!("{deploy}\n{distribution}\n{}", items.join("\n"));
    format!("shipfront-{}", hex(&md5(text.as_bytes())))
}

/// CloudFront needs at most 25 s in 95 of 100 cases, and the SDK's own waiter polls every 20 s.
fn polls() -> ExponentialBuilder {
    let polls =
        ExponentialBuilder::default().with_min_delay(Duration::from_millis(500)).with_max_delay(Duration::from_secs(5));
    polls.without_max_times()
}

/// Waits until all are completed, if requested. Whatever is not completed in time is left to CloudFront, with a
/// warning.
pub async fn wait(
    distributions: &Distributions,
    sent: &mut Sent,
    patience: Patience,
    stop: &CancellationToken,
    terminal: &Terminal,
) {
    let Some(limit) = patience.completion else { return };
    let unfinished = || {
        Warning::new(
            format_args!(
                "CloudFront accepted the invalidation but did not complete it within {} s; it continues without shipfront",
                limit.as_secs()
            ),
            "--wait-timeout waits longer",
        )
    };
    // In case the check itself hangs.
    let clock = &distributions.clock;
    let waiting = clock.timeout(limit + LOOK, wait_for_all(distributions, sent, (limit, stop), terminal));
    let warning = match clock.timeout_after(stop, LAST_LOOK, waiting).await {
        Some(Some(Waited::Done)) => None,
        Some(Some(Waited::Unseen(why))) => Some(why),
        Some(Some(Waited::TooLong) | None) => Some(unfinished()),
        Some(Some(Waited::Stopped)) | None => Some(Warning::new(
            "stopped waiting",
            "CloudFront accepted the invalidation and completes it without shipfront",
        )),
    };
    sent.warnings.extend(warning);
}

/// The result of waiting.
enum Waited {
    Done,
    TooLong,
    Stopped,
    /// Why the progress cannot be seen.
    Unseen(Warning),
}

/// Waits until all are completed, or their progress cannot be seen.
async fn wait_for_all(
    distributions: &Distributions,
    sent: &mut Sent,
    (limit, stop): (Duration, &CancellationToken),
    terminal: &Terminal,
) -> Waited {
    let started = distributions.clock.start();
    let progress = terminal.wait("wait");
    let mut delays = polls().build();
    loop {
        let mut open = 0;
        for invalidation in &mut sent.invalidations {
            let Some(id) = invalidation.id.as_deref().filter(|_| invalidation.status == InvalidationStatus::InProgress)
            else {
                continue;
            };
            match distributions.invalidation_status(&invalidation.distribution, id).await {
                Ok(status) => invalidation.status = status,
                Err(error) => {
                    return Waited::Unseen(Warning::new(
                        format_args!("cannot see whether invalidation {id} is done: {error}"),
                        error.own_hint().unwrap_or("CloudFront completes it without shipfront"),
                    ));
                }
            }
            open += usize::from(invalidation.status == InvalidationStatus::InProgress);
        }
        if open == 0 {
            return Waited::Done;
        }
        let delay = delays.next().unwrap_or(Duration::from_secs(5));
        if started.elapsed() + delay > limit {
            return Waited::TooLong;
        }
        let (done, all) = (sent.invalidations.len() - open, sent.invalidations.len());
        progress.message(&format!("{done} of {all} invalidations complete after {} s", started.elapsed().as_secs()));
        tokio::select! {
            () = distributions.clock.sleep(delay) => {}
            () = stop.cancelled() => return Waited::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_reference_is_the_same_for_a_retry_and_another_for_the_next_deploy() {
        let id = |name: &str| DistributionId::Distribution(name.to_owned());
        let reference = |deploy, distribution, items: &[&str]| {
            caller_reference(deploy, &id(distribution), &items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>())
        };
        let one = reference("a", "E1", &["/x", "/y"]);
        assert_eq!(one, reference("a", "E1", &["/x", "/y"]));
        for other in
            [reference("b", "E1", &["/x", "/y"]), reference("a", "E2", &["/x", "/y"]), reference("a", "E1", &["/x"])]
        {
            assert_ne!(one, other);
        }
    }
}
