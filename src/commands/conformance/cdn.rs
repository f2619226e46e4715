//! The tested distribution: a viewer of it, its invalidations, and the budget that they stay within.

use crate::clock::Clock;
use crate::cloudfront::send::{self, Patience, Sent};
use crate::cloudfront::viewer::{View, Viewer};
use crate::cloudfront::{Accepted, Distributions, Refusal, RefusalKind};
use crate::error::{Error, ErrorKind, Result};
use crate::terminal::{Terminal, Volume};
use serde::Serialize;
use shipfront_invalidation::viewer::{DistributionShape, Form, ViewerPath};
use shipfront_invalidation::{DistributionId, Invalidation, InvalidationStatus, Policy, Viewers};
use shipfront_site::Target;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Maximum number of paths in a run.
pub(super) const MOST_PATHS: u64 = 100;
pub(super) const MOST_WILDCARDS: u64 = 20;
/// Number of attempts until the edge has a URL cached: a point of presence has several servers.
const TRIES: u32 = 10;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// The amounts that CloudFront counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Spent {
    /// Paths and tags without a wildcard.
    pub(super) paths: u64,
    pub(super) wildcards: u64,
}

impl Spent {
    fn of(items: &[String]) -> Spent {
        let wildcards = items.iter().filter(|item| item.ends_with('*') && item.starts_with('/')).count() as u64;
        Spent { paths: items.len() as u64 - wildcards, wildcards }
    }
}

/// The result of a request with many items.
pub(super) enum Probe {
    /// One request was accepted.
    Whole,
    /// It was refused; what was accepted of half of them in further requests, and how long that took. The other
    /// half is left.
    Parts(Sent, Duration, Vec<String>),
}

/// How fast single items were accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pace {
    pub(super) taken: usize,
    pub(super) refusals: usize,
    /// Number accepted per second from the first refusal on; before it, nothing shows how many there could be.
    pub(super) per_second: Option<f64>,
}

/// A distribution.
pub(super) struct Cdn {
    distributions: Distributions,
    id: DistributionId,
    shape: DistributionShape,
    viewers: Viewers,
    viewer: Viewer,
    patience: Duration,
    clock: Clock,
    /// Distinguishes invalidations of this run from those of others.
    run: String,
    spent: Mutex<Spent>,
}

impl Cdn {
    /// A distribution that serves a folder at `site`.
    pub(super) fn new(
        distributions: Distributions,
        shapes: Vec<(DistributionId, DistributionShape)>,
        folder: &Target,
        site: &str,
        patience: Duration,
        clock: &Clock,
    ) -> Cdn {
        let viewers = Viewers::new(&shapes, folder, Policy::default());
        let (id, shape) = shapes
            .into_iter()
            .next()
            .unwrap_or_else(|| (DistributionId::Distribution(String::new()), DistributionShape::default()));
        Cdn {
            distributions,
            id,
            shape,
            viewers,
            viewer: Viewer::new(site, clock),
            patience,
            clock: clock.clone(),
            run: folder.to_string(),
            spent: Mutex::default(),
        }
    }

    pub(super) fn shape(&self) -> &DistributionShape {
        &self.shape
    }

    /// The amounts spent so far.
    pub(super) fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rest of the budget.
    pub(super) fn left(&self) -> Spent {
        let spent = self.spent();
        Spent {
            paths: MOST_PATHS.saturating_sub(spent.paths),
            wildcards: MOST_WILDCARDS.saturating_sub(spent.wildcards),
        }
    }

    /// Charges items to the budget, before anything is sent.
    fn spend(&self, items: &[String]) -> Result<()> {
        let more = Spent::of(items);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let after = Spent { paths: spent.paths + more.paths, wildcards: spent.wildcards + more.wildcards };
        if after.paths > MOST_PATHS || after.wildcards > MOST_WILDCARDS {
            return Err(Error::interrupted("the paths of this run are used up"));
        }
        *spent = after;
        Ok(())
    }

    /// The paths at which a deploy expects the key to be served.
    pub(super) fn paths(&self, key: &str) -> Vec<ViewerPath> {
        self.viewers.paths(&self.id, key)
    }

    /// The URL of a key; `None` if the distribution does not serve, or never caches, the folder.
    pub(super) fn url(&self, key: &str) -> Option<String> {
        self.paths(key).into_iter().find(|path| path.form == Form::Key).map(|path| path.path)
    }

    /// What a deploy sends if a key has changed, each of its URLs an item.
    pub(super) fn items(&self, key: &str) -> Vec<String> {
        let item = |path: ViewerPath| match path.exact {
            true => path.path,
            false => format!("{}*", &path.path[..path.wildcard_limit]),
        };
        self.paths(key).into_iter().map(item).collect()
    }

    /// What a viewer gets.
    pub(super) async fn get(&self, path: &str) -> Result<View> {
        self.viewer.get(path).await
    }

    /// Requests a path until the response comes from the edge's cache; returns that, or the last one.
    pub(super) async fn keep(&self, path: &str) -> Result<View> {
        let mut view = self.get(path).await?;
        for _ in 1..TRIES {
            if view.is_hit() {
                break;
            }
            self.clock.sleep(PAUSE / 5).await;
            view = self.get(path).await?;
        }
        Ok(view)
    }

    /// Invalidates items, and waits if CloudFront says so.
    pub(super) async fn evict(&self, items: &[String]) -> Result<Accepted> {
        self.evict_as(&format!("{} {}", self.run, self.spent().paths + self.spent().wildcards), items)
            .await?
            .map_err(|refusal| refusal.error)
    }

    /// The same with the caller's reference; a refusal that is not about load is a result.
    pub(super) async fn evict_as(&self, reference: &str, items: &[String]) -> Result<Result<Accepted, Refusal>> {
        self.spend(items)?;
        let watch = self.clock.start();
        loop {
            match self.distributions.create_invalidation(&self.id, reference, items).await {
                Err(refusal) if refusal.kind != RefusalKind::Final && watch.elapsed() < self.patience => {
                    self.clock.sleep(PAUSE * 4).await;
                }
                answer => return Ok(answer),
            }
        }
    }

    /// Requests all items at once; if that is refused, half of them as a deploy does.
    ///
    /// # Errors
    /// The budget is exceeded; permission is denied; there is no response.
    pub(super) async fn probe(&self, mut items: Vec<String>) -> Result<Probe> {
        self.spend(&items)?;
        let reference = format!("{} all {}", self.run, items.len());
        match self.distributions.create_invalidation(&self.id, &reference, &items).await {
            Ok(_) => return Ok(Probe::Whole),
            Err(refusal) if is_denied(&refusal) => return Err(refusal.error),
            Err(_) => {}
        }
        let rest = items.split_off(items.len().div_ceil(2));
        let watch = self.clock.start();
        let sent = self.submit(items).await;
        Ok(Probe::Parts(sent, watch.elapsed(), rest))
    }

    /// Requests the items that a probe left, one after another and without a pause: shows how fast CloudFront
    /// accepts them.
    ///
    /// # Errors
    /// Permission is denied.
    pub(super) async fn pace(&self, items: &[String]) -> Result<Pace> {
        let (watch, mut pace, mut first_refusal, mut since) = (self.clock.start(), Pace::default(), None, 0_u32);
        for item in items {
            let reference = format!("{} one {item}", self.run);
            loop {
                match self.distributions.create_invalidation(&self.id, &reference, std::slice::from_ref(item)).await {
                    Ok(_) => break,
                    Err(refusal) if is_denied(&refusal) => return Err(refusal.error),
                    Err(_) if watch.elapsed() >= self.patience => return Ok(pace),
                    Err(_) => {
                        pace.refusals += 1;
                        first_refusal.get_or_insert_with(|| watch.elapsed());
                        self.clock.sleep(PAUSE / 5).await;
                    }
                }
            }
            pace.taken += 1;
            if let Some(first) = first_refusal {
                since += 1;
                let window = watch.elapsed().saturating_sub(first).as_secs_f64();
                pace.per_second = (window > 0.0).then(|| f64::from(since) / window);
            }
        }
        Ok(pace)
    }

    async fn submit(&self, items: Vec<String>) -> Sent {
        let patience = Patience { busy: self.patience, silence: self.patience, until: None, completion: None };
        let planned = vec![Invalidation::of_items(self.id.clone(), items)];
        let (never, quiet) = (CancellationToken::new(), Terminal::new(Volume::Quiet, true));
        send::submit(&self.distributions, &self.run, planned, patience, &never, &quiet).await
    }

    /// Waits until CloudFront reports an invalidation as completed; returns whether it did in time.
    pub(super) async fn done(&self, accepted: &Accepted) -> Result<bool> {
        let watch = self.clock.start();
        loop {
            if self.distributions.invalidation_status(&self.id, &accepted.id).await? == InvalidationStatus::Completed {
                return Ok(true);
            }
            if watch.elapsed() >= self.patience {
                return Ok(false);
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    /// Waits until a path serves a text; returns how long that took, or `None`.
    pub(super) async fn turns(&self, path: &str, text: &str) -> Result<Option<Duration>> {
        let watch = self.clock.start();
        loop {
            if self.get(path).await?.body == text {
                return Ok(Some(watch.elapsed()));
            }
            if watch.elapsed() >= self.patience {
                return Ok(None);
            }
            self.clock.sleep(PAUSE).await;
        }
    }
}

/// Whether it says nothing about quotas.
fn is_denied(refusal: &Refusal) -> bool {
    matches!(refusal.error.kind(), ErrorKind::AccessDenied | ErrorKind::Credentials)
}

/// Why there is nothing to test.
pub(super) fn no_distribution() -> Error {
    Error::failed("no --distribution was named").of_kind(ErrorKind::Interrupted)
}
