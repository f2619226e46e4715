//! `state.json`: stays the same when it is written and read again, whatever a later version added.

use serde_json::Value;
use shipfront::record::State;

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(state) = serde_json::from_slice::<State>(bytes) else { return };
    let once: Value = serde_json::to_value(&state).unwrap();
    let again: State = serde_json::from_value(once.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), once);
    for build in [None, state.build.as_ref()] {
        assert!(!state.supersedes(build) || build.is_some());
    }
}
