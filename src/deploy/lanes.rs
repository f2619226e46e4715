//! Requests in lanes: as many at once as may be in flight, spread over the runtime's threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinSet;

/// Works on each item, on at most `lanes` at once and beginning in their order. Each lane takes one item after another.
/// They end with the returned future, also if it is dropped.
pub(super) async fn in_lanes<I, W>(items: I, lanes: usize, work: impl Fn(I::Item) -> W + Send + Sync + 'static)
where
    I: Iterator + Send + 'static,
    I::Item: Send,
    W: Future<Output = ()> + Send + 'static,
{
    let most = items.size_hint().1.unwrap_or(usize::MAX);
    let shared = Arc::new((Mutex::new(items), work));
    let lane = |_| {
        let shared = shared.clone();
        async move {
            loop {
                let (items, work) = &*shared;
                let Some(item) = held(items).next() else { break };
                work(item).await;
            }
        }
    };
    let mut running: JoinSet<()> = (0..lanes.max(1).min(most)).map(lane).collect();
    while let Some(lane) = running.join_next().await {
        if let Err(error) = lane
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// What lanes share; none of them leaves it half changed.
pub(super) fn held<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_item_is_worked_on_once_and_no_more_at_once_than_there_are_lanes() {
        let (done, now, most) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)), Arc::default());
        let work = {
            let (done, now, most) = (done.clone(), now.clone(), Arc::<AtomicUsize>::clone(&most));
            move |item: usize| {
                let (done, now, most) = (done.clone(), now.clone(), most.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    held(&done).push(item);
                }
            }
        };
        in_lanes(0..1_000, 7, work.clone()).await;
        let mut items = std::mem::take(&mut *held(&done));
        items.sort_unstable();
        assert_eq!(items, (0..1_000).collect::<Vec<_>>());
        assert!((2..=7).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        in_lanes(0..9, 1, work.clone()).await;
        assert_eq!(std::mem::take(&mut *held(&done)), (0..9).collect::<Vec<_>>(), "in their order");
        in_lanes(std::iter::empty(), 7, work).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_is_passed_on() {
        let running = in_lanes(0..9, 3, |item| async move { assert_ne!(item, 5, "five") });
        assert!(tokio::spawn(running).await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn lanes_end_with_the_future() {
        let held_by_lanes = Arc::new(());
        let work = {
            let held_by_lanes = held_by_lanes.clone();
            move |_| {
                let held_by_lanes = held_by_lanes.clone();
                async move {
                    std::future::pending::<()>().await;
                    drop(held_by_lanes);
                }
            }
        };
        let mut running = Box::pin(in_lanes(0..9, 3, work));
        assert!(futures::poll!(&mut running).is_pending());
        tokio::task::yield_now().await;
        assert!(Arc::strong_count(&held_by_lanes) > 3);
        drop(running);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&held_by_lanes), 1);
    }
}
