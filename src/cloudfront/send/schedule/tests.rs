//! Whole submissions to CloudFronts with every quota, in simulated time.

use super::*;
use proptest::prelude::*;

/// How long an invalidation takes.
const COMPLETION: f64 = 25.0;

/// Longer than any submission takes.
const LIMIT: Duration = Duration::from_secs(1_000_000);

/// A CloudFront with the quotas that a test sets.
#[derive(Debug, Clone)]
struct Edge {
    /// Maximum numbers of items, and of wildcards, in one request.
    request: (usize, usize),
    /// Maximum numbers of paths, and of wildcards, in progress.
    in_progress: (usize, usize),
    /// Maximum number of requests in progress.
    batches: usize,
    /// Paths and wildcards per second; the buckets hold one second's worth.
    rate: Option<(f64, f64)>,
    tokens: (f64, f64),
    filled: f64,
    /// When each is completed, and its numbers of paths and wildcards.
    open: Vec<(f64, usize, usize)>,
}

impl Edge {
    fn unlimited() -> Edge {
        let all = (usize::MAX, usize::MAX);
        Edge {
            request: all,
            in_progress: all,
            batches: usize::MAX,
            rate: None,
            tokens: (0.0, 0.0),
            filled: 0.0,
            open: vec![],
        }
    }

    fn older() -> Edge {
        Edge { in_progress: (3000, 15), ..Edge::unlimited() }
    }

    fn newer() -> Edge {
        Edge { rate: Some((150.0, 1.0)), tokens: (150.0, 1.0), ..Edge::unlimited() }
    }

    fn of_requests(items: usize, wildcards: usize) -> Edge {
        Edge { request: (items, wildcards), ..Edge::unlimited() }
    }

    fn open_at(&mut self, now: f64) -> usize {
        self.open.retain(|(done, ..)| *done > now);
        self.open.len()
    }

    fn takes(&mut self, items: &[String], now: f64) -> bool {
        self.open_at(now);
        let wildcards = items.iter().filter(|item| is_wildcard(item)).count();
        let paths = items.len() - wildcards;
        if let Some(rate) = self.rate {
            let filled = |tokens: f64, rate: f64| (tokens + (now - self.filled) * rate).min(rate);
            self.tokens = (filled(self.tokens.0, rate.0), filled(self.tokens.1, rate.1));
            self.filled = now;
        }
        let (open_paths, open_wildcards) =
            self.open.iter().fold((0, 0), |(paths, wildcards), open| (paths + open.1, wildcards + open.2));
        let fits = items.len() <= self.request.0
            && wildcards <= self.request.1
            && (paths == 0 || paths + open_paths <= self.in_progress.0)
            && (wildcards == 0 || wildcards + open_wildcards <= self.in_progress.1)
            && self.open.len() < self.batches
            && (self.rate.is_none()
                || (items.len() as f64 <= self.tokens.0 + 1e-6 && wildcards as f64 <= self.tokens.1 + 1e-6));
        if fits {
            self.tokens = (self.tokens.0 - items.len() as f64, self.tokens.1 - wildcards as f64);
            self.open.push((now + COMPLETION, paths, wildcards));
        }
        fits
    }
}

/// The result of a submission.
#[derive(Debug, Default)]
struct Run {
    accepted: Vec<(usize, Vec<String>)>,
    given_up: Vec<(usize, Vec<String>)>,
    refused: usize,
    requests: usize,
    /// Seconds until the last request was accepted.
    seconds: f64,
}

impl Run {
    /// Every item, and how often it was accepted or given up.
    fn items(&self) -> Vec<(usize, String)> {
        let all = self.accepted.iter().chain(&self.given_up);
        let mut all: Vec<_> = all.flat_map(|(at, items)| items.iter().map(|item| (*at, item.clone()))).collect();
        all.sort();
        all
    }
}

/// Sends everything to a server; its answer to how many requests are in progress is what polling finds.
fn run(
    planned: &[Vec<String>],
    busy: u64,
    mut answer: impl FnMut(&Batch, f64) -> Answer,
    mut open: impl FnMut(f64) -> usize,
) -> Run {
    let mut schedule = Schedule::new(planned.iter().map(Vec::as_slice), Duration::from_secs(busy), LIMIT);
    let (mut now, mut run) = (Duration::ZERO, Run::default());
    loop {
        match schedule.next(now) {
            Step::Done => break,
            Step::Rest(pause) if schedule.watches_progress() => {
                now += pause.min(Duration::from_secs(1));
                if open(now.as_secs_f64()) == 0 {
                    schedule.all_done(now);
                }
            }
            Step::Rest(pause) => now += pause,
            Step::Send(batch) => {
                run.requests += 1;
                assert!(run.requests < 100_000, "it does not end");
                assert!(!batch.items.is_empty() && batch.items.len() <= ITEMS);
                let sent = now;
                now += Duration::from_millis(50);
                let answer = answer(&batch, now.as_secs_f64());
                match answer {
                    Answer::Accepted => {
                        run.accepted.push((batch.planned, batch.items.clone()));
                        run.seconds = now.as_secs_f64();
                    }
                    Answer::Dropped => schedule.give_up(batch.planned),
                    _ => run.refused += 1,
                }
                schedule.answered(&batch, answer, sent, now, 1.0);
            }
        }
    }
    run.given_up = schedule.into_given_up().collect();
    run
}

fn against(edge: Edge, planned: &[Vec<String>]) -> Run {
    let edge = std::cell::RefCell::new(edge);
    let answer = |batch: &Batch, now| {
        let taken = edge.borrow_mut().takes(&batch.items, now);
        if taken { Answer::Accepted } else { Answer::Overload { in_progress: edge.borrow_mut().open_at(now) } }
    };
    run(planned, 600, answer, |now| edge.borrow_mut().open_at(now))
}

fn items(paths: usize, wildcards: usize) -> Vec<String> {
    let paths = (0..paths).map(|at| format!("/{at}"));
    paths.chain((0..wildcards).map(|at| format!("/{at}/*"))).collect()
}

fn whole(planned: &[Vec<String>]) -> Vec<(usize, String)> {
    let mut all: Vec<_> =
        planned.iter().enumerate().flat_map(|(at, items)| items.iter().map(move |item| (at, item.clone()))).collect();
    all.sort();
    all
}

#[test]
fn what_both_documents_allow_is_one_request() {
    let planned = [items(100, 10)];
    let run = against(Edge::unlimited(), &planned);
    assert_eq!((run.requests, run.refused, &run.accepted[0].1), (1, 0, &planned[0]));
    assert_eq!((requests(&planned[0]), requests(&items(301, 16)), requests(&[])), (1, 5, 0));
}

#[test]
fn wildcards_go_apart_from_paths_and_first() {
    let run = against(Edge::newer(), &[items(100, 10)]);
    assert!(run.accepted.iter().all(|(_, items)| items.iter().all(|item| is_wildcard(item) == is_wildcard(&items[0]))));
    let paths = run.accepted.iter().position(|(_, items)| items.len() == 100).unwrap();
    assert!(paths <= 1, "paths do not wait for wildcards: {run:?}");
}

#[test]
fn an_ordinary_deploy_gets_through_whatever_the_quota_is() {
    // 140 changes: 108 paths and 32 wildcards.
    let planned = [items(108, 32)];
    let one_at_a_time = Edge { batches: 1, ..Edge::unlimited() };
    let strictest = Edge { request: (5, 1), in_progress: (3000, 15), ..Edge::newer() };
    for (name, edge, seconds, refused) in [
        ("older", Edge::older(), 70.0, 30),
        ("newer", Edge::newer(), 45.0, 20),
        ("one item a request", Edge::of_requests(1, 1), 45.0, 40),
        ("five items, one wildcard", Edge::of_requests(5, 1), 45.0, 30),
        ("one request in progress", one_at_a_time, 500.0, 120),
        ("strictest", strictest, 70.0, 60),
    ] {
        let run = against(edge, &planned);
        println!("{name}: {} requests, {} refused, {:.1} s", run.requests, run.refused, run.seconds);
        assert!(run.given_up.is_empty(), "{name}: {run:?}");
        assert_eq!(run.items(), whole(&planned), "{name}");
        assert!(run.seconds < seconds && run.refused <= refused, "{name}: {} refused, {} s", run.refused, run.seconds);
    }
}

#[test]
fn a_refusal_while_ours_are_in_progress_does_not_make_requests_smaller_if_one_item_is_refused_too() {
    let edge = Edge { batches: 1, ..Edge::unlimited() };
    let run = against(edge, &[items(100, 0), items(100, 0)]);
    assert_eq!(run.accepted.iter().map(|(_, items)| items.len()).collect::<Vec<_>>(), [100, 100]);
}

#[test]
fn a_request_that_was_not_answered_is_sent_again_as_it_was() {
    let mut seen = Vec::new();
    let answer = |batch: &Batch, _| {
        seen.push(batch.items.clone());
        if seen.len() < 3 { Answer::Unclear } else { Answer::Accepted }
    };
    let run = run(&[items(100, 10)], 600, answer, |_| 0);
    assert_eq!(run.accepted.len(), 1);
    assert!(seen.iter().all(|items| *items == seen[0]));
}

#[test]
fn patience_ends_and_what_was_accepted_prolongs_it() {
    let never = |_: &Batch, _| Answer::Overload { in_progress: 0 };
    let given_up = run(&[items(3, 1)], 30, never, |_| 0);
    assert_eq!((given_up.accepted.len(), given_up.items()), (0, whole(&[items(3, 1)])));
    // Every other request is refused, for much longer than 30 s.
    let mut count = 0;
    let every_other = |_: &Batch, _| {
        count += 1;
        if count % 2 == 0 { Answer::Accepted } else { Answer::Overload { in_progress: 0 } }
    };
    assert!(run(&[items(0, 200)], 30, every_other, |_| 0).given_up.is_empty());
}

#[test]
fn nothing_is_sent_once_the_time_of_the_run_has_ended() {
    let planned = [items(0, 40)];
    let until = Duration::from_secs(20);
    let mut schedule = Schedule::new(planned.iter().map(Vec::as_slice), LIMIT, until);
    let (mut now, mut accepted) = (Duration::ZERO, 0);
    loop {
        match schedule.next(now) {
            Step::Done => break,
            Step::Rest(pause) => now += pause,
            Step::Send(batch) => {
                assert!(now < until);
                accepted += batch.items.len();
                schedule.answered(&batch, Answer::Accepted, now, now, 1.0);
            }
        }
    }
    let left: usize = schedule.into_given_up().map(|(_, items)| items.len()).sum();
    assert_eq!((accepted, left), (30, 10));
}

#[test]
fn the_pace_comes_back_after_it_was_slowed_down() {
    let mut pace = Pace::new(WILDCARDS, 1.0);
    pace.slow_down();
    pace.spend(1, Duration::ZERO);
    assert_eq!(pace.next, Duration::from_secs(1) * 8 / 5);
    for _ in 0..5 {
        pace.spend(1, Duration::ZERO);
    }
    assert_eq!(pace.next, Duration::from_secs(1));
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        4 => Just(Answer::Accepted),
        4 => (0_usize..3).prop_map(|in_progress| Answer::Overload { in_progress }),
        1 => Just(Answer::Unclear),
        1 => Just(Answer::Refused),
        1 => Just(Answer::Dropped),
    ];
    prop::collection::vec(answer, 1..60)
}

proptest! {
    #[test]
    fn every_item_is_accepted_once_or_given_up_once_whatever_the_answers(
        sizes in prop::collection::vec((0_usize..200, 0_usize..40), 0..4),
        answers in answers(),
        busy in 0_u64..120,
        last in prop_oneof![Just(Answer::Accepted), Just(Answer::Overload { in_progress: 1 }), Just(Answer::Unclear)],
        open in 0_usize..2,
    ) {
        let planned: Vec<_> = sizes.into_iter().map(|(paths, wildcards)| items(paths, wildcards)).collect();
        let mut answers = answers.into_iter();
        let run = run(&planned, busy, |_, _| answers.next().unwrap_or(last), |_| open);
        prop_assert_eq!(run.items(), whole(&planned));
    }

    #[test]
    fn nothing_is_given_up_where_a_single_item_is_accepted_in_time(
        sizes in prop::collection::vec((0_usize..120, 0_usize..25), 1..3),
        request in (1_usize..200, 1_usize..20),
        in_progress in (1_usize..50, 1_usize..20),
        rate in (2.0_f64..150.0, 1.0_f64..3.0),
        rated: bool,
    ) {
        let planned: Vec<_> = sizes.into_iter().map(|(paths, wildcards)| items(paths, wildcards)).collect();
        let rate = rated.then_some(rate);
        let edge = Edge { request, in_progress, rate, tokens: rate.unwrap_or_default(), ..Edge::unlimited() };
        let run = against(edge, &planned);
        prop_assert!(run.given_up.is_empty(), "{:?}", run);
        prop_assert_eq!(run.items(), whole(&planned));
    }
}
