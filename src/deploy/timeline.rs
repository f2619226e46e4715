//! When each stage of a run began and ended, by the run's clock.

use crate::clock::{Clock, Stopwatch};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// One stage, in seconds since the run began. Stages may overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// `walk`, `list`, `compare`, `rules`, `assets`, `pages`, `removals`, `invalidate`, `late removals`, `record`
    /// or `wait`.
    pub stage: &'static str,
    /// When it began.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// The stages of a run so far, in the order in which they ended.
#[derive(Debug)]
pub struct Timeline {
    began: Stopwatch,
    spans: Mutex<Vec<Span>>,
}

impl Timeline {
    /// Creates the timeline of a run that begins now.
    pub fn start(clock: &Clock) -> Timeline {
        Timeline { began: clock.start(), spans: Mutex::default() }
    }

    /// Seconds since the run began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Runs the work of a stage.
    pub async fn during<T>(&self, stage: &'static str, work: impl Future<Output = T>) -> T {
        let start = self.seconds();
        let done = work.await;
        let span = Span { stage, start, end: self.seconds() };
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).push(span);
        done
    }

    /// Clears the stages so far: what they found is outdated, and they begin again.
    pub fn begin_again(&self) {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The stages.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
