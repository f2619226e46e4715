//! When each stage of a run began and ended.

use serde::Serialize;
use std::time::{Duration, Instant};

/// One stage, in seconds since the run began. Stages may overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// `walk`, `list`, `compare`, `assets`, `pages`, `removals`, `invalidate`, `late removals`, `record`
    /// or `wait`.
    pub stage: &'static str,
    /// When it began.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// The stages so far, in the order in which they were noted.
#[derive(Debug, Clone)]
pub struct Timeline {
    began: Instant,
    spans: Vec<Span>,
}

impl Timeline {
    /// Of a run that began then.
    pub fn since(began: Instant) -> Timeline {
        Timeline { began, spans: Vec::new() }
    }

    /// A stage that ends now.
    pub fn ends(&mut self, stage: &'static str, began: Instant) {
        self.took(stage, began, began.elapsed());
    }

    /// A stage that took so long.
    pub fn took(&mut self, stage: &'static str, began: Instant, took: Duration) {
        let start = began.saturating_duration_since(self.began).as_secs_f64();
        self.spans.push(Span { stage, start, end: start + took.as_secs_f64() });
    }

    /// The stages.
    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }
}
