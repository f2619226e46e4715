//! Previews of sites: each is a folder in a bucket for previews, and viewers reach it at `<folder>.localhost`.

use crate::State;
use crate::distribution::{CACHING_DISABLED, CacheSettings, Distribution};

/// Suffix of the name of a bucket that contains a preview in each folder.
pub const PREVIEWS_SUFFIX: &str = "-previews";

/// The distribution of the bucket of previews that has a folder of this name, as viewers of that preview see it:
/// without a cache. If several buckets have one, the first by name.
pub(super) fn at(state: &State, label: &str) -> Option<Distribution> {
    let folder = format!("{label}/");
    let mut buckets = state.store.buckets();
    buckets.retain(|bucket| bucket.name.ends_with(PREVIEWS_SUFFIX));
    buckets.sort_by(|one, other| one.name.cmp(&other.name));
    let bucket = buckets.into_iter().find(|bucket| !bucket.list(&folder, None, None, 1).objects.is_empty())?;
    let id = state.distributions.ensure(&bucket.name).ok()?;
    let mut view = state.distributions.get(&id)?;
    for origin in &mut view.origins {
        origin.origin_path = format!("/{label}");
    }
    for behavior in view.behaviors.iter_mut().chain([&mut view.default_behavior]) {
        behavior.cache = CacheSettings::Policy(CACHING_DISABLED.to_owned());
        behavior.response_headers.push(("x-robots-tag".to_owned(), "noindex".to_owned()));
    }
    // Cached responses of the other view must not answer for this one.
    view.id = format!("{id}/{label}");
    Some(view)
}
