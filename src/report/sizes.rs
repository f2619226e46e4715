//! The sizes of what is sent and of what it replaces.

use crate::deploy::change::{Action, Reason};
use crate::report::ReportedChange;
use indicatif::DecimalBytes;

/// The size of one change, or of several together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// If something is replaced and its size is meaningful.
    before: Option<u64>,
    /// `None` if nothing is sent or removed.
    now: Option<u64>,
}

impl Sizes {
    /// The total of these changes. The previous size is shown only if it is known for everything that is replaced.
    pub(super) fn of<'a>(changes: impl Iterator<Item = &'a ReportedChange> + Clone) -> Sizes {
        let uploads = changes.clone().filter(|change| matches!(change.action, Action::Upload | Action::Copy));
        let mut replaced = uploads.filter(|change| change.reason != Reason::New).peekable();
        let replaces = replaced.peek().is_some();
        let before = replaced.map(|change| change.bytes_before).sum::<Option<u64>>().filter(|_| replaces);
        let mut moved = changes.filter(|change| change.action != Action::Evict).peekable();
        let moves = moved.peek().is_some();
        Sizes { before, now: moves.then(|| moved.map(|change| change.bytes).sum()) }
    }

    /// `1.90 kB -> 2.10 kB`, or one size if it stays the same.
    pub(super) fn text(self, arrow: &str) -> String {
        let Some(now) = self.now else { return String::new() };
        let text = |bytes| DecimalBytes(bytes).to_string();
        match self.before.filter(|before| *before != now) {
            None => text(now),
            // The difference is smaller than what is displayed.
            Some(before) if text(before) == text(now) => format!("{before} {arrow} {now} B"),
            Some(before) => format!("{} {arrow} {}", text(before), text(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_reported_beside_the_one_before_where_that_differs_and_is_known() {
        let text = |before, now| Sizes { before, now }.text("->");
        assert_eq!(text(None, Some(2100)), "2.10 kB");
        assert_eq!(text(Some(1900), Some(2100)), "1.90 kB -> 2.10 kB");
        assert_eq!(text(Some(2100), Some(2100)), "2.10 kB");
        assert_eq!(text(Some(2101), Some(2103)), "2101 -> 2103 B", "2.10 kB -> 2.10 kB would say nothing");
        assert_eq!(text(Some(0), Some(3)), "0 B -> 3 B");
        assert_eq!(text(None, None), "");
    }
}
