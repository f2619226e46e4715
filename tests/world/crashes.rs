//! What runs that died left behind. A run starts from nothing else, so one run after each of them is enough.

use super::oracle::is_record;
use shipfront_edge::Effect;
use std::collections::HashSet;
use std::fmt::{Debug, Write};

/// What was left behind so far, in one sweep over the requests of a run.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind(HashSet<String>);

impl LeftBehind {
    /// Whether a run that died left what none before it did: other changes, or the same in another order. `besides`
    /// is whatever else the run after it depends on.
    pub(crate) fn is_new(&mut self, effects: &[Effect], besides: impl Debug) -> bool {
        let mut left = format!("{besides:?}\n");
        for effect in effects {
            let _ = match effect {
                Effect::Put { bucket, key, .. } if is_record(key) => writeln!(left, "put {bucket} {}", kind(key)),
                Effect::Delete { bucket, key } if is_record(key) => writeln!(left, "delete {bucket} {}", kind(key)),
                effect => writeln!(left, "{effect:?}"),
            };
        }
        self.0.insert(left)
    }

    /// How many different things were left behind.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A file of the record without the id of its deploy, which is another one in each run.
fn kind(key: &str) -> &str {
    let of_a_deploy = |kind: &&str| key.rsplit('/').next().is_some_and(|name| name.starts_with(*kind));
    ["manifest-", "plan-"].into_iter().find(of_a_deploy).unwrap_or(key)
}
