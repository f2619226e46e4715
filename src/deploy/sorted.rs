//! Sorted lists: ranges of them, and two merged into one.

use std::ops::Range;

/// The range of a sorted list after one key and up to another.
pub fn between<T>(sorted: &[T], key: impl Fn(&T) -> &str, after: Option<&str>, up_to: Option<&str>) -> Range<usize> {
    let start = after.map_or(0, |after| sorted.partition_point(|each| key(each) <= after));
    let end = up_to.map_or(sorted.len(), |up_to| sorted.partition_point(|each| key(each) <= up_to));
    start..end.max(start)
}

/// Merges two sorted lists of pairs; if a key is in both, the second list's value is used.
pub fn merge<K: Ord, T>(
    first: impl Iterator<Item = (K, T)>,
    second: impl Iterator<Item = (K, T)>,
) -> impl Iterator<Item = (K, T)> {
    join(first, second, |first, second| second.or(first))
}

/// Merges two sorted lists of pairs: `both` combines the values of a key, at least one of which exists; the key is
/// omitted if the result is `None`.
pub fn join<K: Ord, A, B, T>(
    first: impl Iterator<Item = (K, A)>,
    second: impl Iterator<Item = (K, B)>,
    both: impl Fn(Option<A>, Option<B>) -> Option<T>,
) -> impl Iterator<Item = (K, T)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || {
        loop {
            let (is_first, is_second) = match (first.peek(), second.peek()) {
                (Some((one, _)), Some((other, _))) => (one <= other, other <= one),
                (one, other) => (one.is_some(), other.is_some()),
            };
            let (key_of_first, one) = first.next_if(|_| is_first).unzip();
            let (key_of_second, other) = second.next_if(|_| is_second).unzip();
            let key = key_of_first.or(key_of_second)?;
            if let Some(made) = both(one, other) {
                return Some((key, made));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn keys() -> impl Strategy<Value = BTreeMap<String, u64>> {
        proptest::collection::btree_map("[ab/é]{1,4}", 0..9u64, 0..20)
    }

    proptest! {
        #[test]
        fn of_two_lists_the_second_prevails(first in keys(), second in keys()) {
            let lists = [&first, &second].map(|list| list.iter().map(|(key, size)| (key.as_str(), *size)));
            let [one, other] = lists.clone();
            let merged: Vec<_> = merge(one, other).collect();
            let expected: BTreeMap<_, _> = lists.into_iter().flatten().collect();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
