//! Packs a table of texts into few bytes of JavaScript: parts that repeat are written once.
//!
//! Frequent pairs of neighboring symbols are replaced by new symbols, repeatedly (byte pair encoding). A function
//! that looks up one key unpacks only the bucket that contains the key: a CloudFront function has about a
//! millisecond, and unpacking the whole table would take longer.

use crate::javascript::literal;
use std::collections::{HashMap, HashSet};

/// Separates a key from its value; URLs contain it only encoded.
const BETWEEN: char = '>';
/// Ends an entry; URLs contain it only encoded.
const BEHIND: char = ' ';
/// Separates the parts; URLs contain it only encoded.
const BETWEEN_PARTS: char = '"';
/// Approximate number of entries in a bucket.
const IN_BUCKET: usize = 8;
const MOST_BUCKETS: usize = 97;
/// Maximum number of pairs to try, and how often each must occur.
const MOST_PAIRS: usize = 1000;
const LEAST_USES: usize = 3;
const AT_A_TIME: usize = 12;
/// Larger tables cannot be packed small enough.
const MAX_BYTES: usize = 64 * 1024;
/// Number of characters that start a two-character code.
const PREFIXES: usize = 3;

/// Text of the table, or the number of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Symbol {
    Char(char),
    Pair(usize),
}

/// The declarations of a table, and those of `get(key)`, which looks up a value in it. `None` if its texts contain
/// characters that the table needs for itself.
pub(crate) fn compact(entries: &[(String, String)]) -> Option<(String, &'static str)> {
    let allowed = |c: &char| !matches!(*c, '\'' | '\\' | BETWEEN_PARTS);
    let usable = |text: &String| text.chars().all(|c| matches!(c, '!'..='~') && c != BETWEEN && allowed(&c));
    let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_BYTES || !entries.iter().all(|(key, value)| usable(key) && usable(value)) {
        return None;
    }
    let count = entries.len().div_ceil(IN_BUCKET).clamp(1, MOST_BUCKETS);
    let mut buckets = vec![String::from(BEHIND); count];
    for (key, value) in entries {
        buckets[bucket(key, count)].extend([key, &BETWEEN.to_string(), value, &BEHIND.to_string()].map(String::as_str));
    }
    let mut free: Vec<char> = ('!'..='~').filter(allowed).collect();
    free.retain(|c| !buckets.iter().any(|bucket| bucket.contains(*c)));
    // The first free characters start two-character codes.
    let prefixes: Vec<char> = free.drain(..free.len().min(PREFIXES)).collect();
    let second: Vec<char> = ('!'..='~').filter(allowed).collect();
    let codes: Vec<String> = free
        .iter()
        .map(char::to_string)
        .chain(prefixes.iter().flat_map(|prefix| second.iter().map(move |c| format!("{prefix}{c}"))))
        .collect();
    let (texts, pairs) = encode(&buckets);
    let (texts, pairs) = named(&texts, pairs, &codes, free.len());
    let (ones, prefixes): (String, String) = (free.into_iter().collect(), prefixes.into_iter().collect());
    let declarations = format!(
        "const packed = {}.split('\"');\nconst parts = {}.split('\"');\nconst ones = {};\nconst twos = {};\n",
        literal(&texts.join("\"")),
        literal(&pairs.join("\"")),
        literal(&ones),
        literal(&prefixes),
    );
    Some((declarations, RUNTIME))
}

/// The bucket of a key.
fn bucket(key: &str, count: usize) -> usize {
    key.bytes().fold(0, |sum: usize, byte| (sum * 31 + usize::from(byte)) % 8191) % count
}

/// Looks up a key.
const RUNTIME: &str = r"
function unpack(text) {
  let out = '';
  for (let at = 0; at < text.length; at++) {
    const one = ones.indexOf(text[at]), two = twos.indexOf(text[at]);
    if (two >= 0) out += unpack(parts[ones.length + 91 * two + code(text[++at])]);
    else out += one >= 0 ? unpack(parts[one]) : text[at];
  }
  return out;
}

function code(c) {
  const number = c.charCodeAt(0);
  return number - 33 - (number > 34) - (number > 39) - (number > 92);
}

function get(key) {
  let sum = 0;
  for (let at = 0; at < key.length; at++) sum = (sum * 31 + key.charCodeAt(at)) % 8191;
  const text = unpack(packed[sum % packed.length]), from = text.indexOf(' ' + key + '>') + key.length + 2;
  return from < key.length + 2 ? undefined : text.slice(from, text.indexOf(' ', from));
}
";

/// The texts as symbols, and the pairs, including pairs that save nothing.
fn encode(texts: &[String]) -> (Vec<Vec<Symbol>>, Vec<[Symbol; 2]>) {
    let mut texts: Vec<Vec<Symbol>> = texts.iter().map(|text| text.chars().map(Symbol::Char).collect()).collect();
    let mut pairs: Vec<[Symbol; 2]> = Vec::new();
    while pairs.len() < MOST_PAIRS {
        let mut counts: HashMap<[Symbol; 2], usize> = HashMap::new();
        for text in &texts {
            text.windows(2).for_each(|pair| *counts.entry([pair[0], pair[1]]).or_default() += 1);
        }
        // Ties are broken independently of the map's order. Several pairs are replaced at a time, none of which
        // shares a symbol with another.
        let mut best: Vec<_> = counts.into_iter().filter(|(_, count)| *count >= LEAST_USES).collect();
        best.sort_unstable_by_key(|(pair, count)| (std::cmp::Reverse(*count), *pair));
        let mut symbols: HashSet<Symbol> = HashSet::new();
        let mut merges: HashMap<[Symbol; 2], Symbol> = HashMap::new();
        for (pair, _) in best.iter().take(AT_A_TIME) {
            if !symbols.contains(&pair[0]) && !symbols.contains(&pair[1]) {
                symbols.extend(pair);
                merges.insert(*pair, Symbol::Pair(pairs.len()));
                pairs.push(*pair);
            }
        }
        if merges.is_empty() {
            break;
        }
        for text in &mut texts {
            let mut merged = Vec::with_capacity(text.len());
            let mut rest = text.as_slice();
            while let Some((first, others)) = rest.split_first() {
                match others.first().and_then(|second| merges.get(&[*first, *second])) {
                    Some(symbol) => {
                        merged.push(*symbol);
                        rest = &others[1..];
                    }
                    None => {
                        merged.push(*first);
                        rest = others;
                    }
                }
            }
            *text = merged;
        }
    }
    (texts, pairs)
}

/// The pairs that get a code.
struct Kept {
    pairs: Vec<[Symbol; 2]>,
    kept: Vec<bool>,
}

impl Kept {
    /// Expands symbols that have no code.
    fn written_out(&self, symbols: &[Symbol]) -> Vec<Symbol> {
        let mut out = Vec::new();
        let mut left: Vec<Symbol> = symbols.iter().rev().copied().collect();
        while let Some(symbol) = left.pop() {
            match symbol {
                Symbol::Pair(at) if !self.kept[at] => left.extend([self.pairs[at][1], self.pairs[at][0]]),
                symbol => out.push(symbol),
            }
        }
        out
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(at, _)| at)
    }

    /// How often each pair is used.
    fn uses(&self, texts: &[Vec<Symbol>]) -> Vec<usize> {
        let mut uses = vec![0; self.pairs.len()];
        let parts = self.numbers().flat_map(|at| self.written_out(&self.pairs[at]));
        for symbol in texts.iter().flat_map(|text| self.written_out(text)).chain(parts) {
            if let Symbol::Pair(at) = symbol {
                uses[at] += 1;
            }
        }
        uses
    }
}

/// The texts and the parts with their codes. The pairs that save least get none; the most frequent get the
/// shortest.
fn named(texts: &[Vec<Symbol>], pairs: Vec<[Symbol; 2]>, codes: &[String], ones: usize) -> (Vec<String>, Vec<String>) {
    let mut kept = Kept { kept: vec![true; pairs.len()], pairs };
    loop {
        let uses = kept.uses(texts);
        let mut most: Vec<usize> = uses.clone();
        most.sort_unstable_by(|a, b| b.cmp(a));
        let frequent = most.get(ones).copied().unwrap_or_default();
        // A symbol that occurs more often than this gets a code of one byte, the rest get two.
        let bytes = |uses: usize| if uses > frequent { 1 } else { 2 };
        let cost = |symbol: &Symbol| match symbol {
            Symbol::Char(_) => 1,
            Symbol::Pair(at) => bytes(uses[*at]),
        };
        let saved = |at: usize| {
            let part: usize = kept.written_out(&kept.pairs[at]).iter().map(cost).sum();
            (uses[at] * part).cast_signed() - (uses[at] * bytes(uses[at]) + part + 1).cast_signed()
        };
        let mut worst: Vec<(isize, usize)> = kept.numbers().map(|at| (saved(at), at)).collect();
        worst.sort_unstable();
        let too_many = worst.len().saturating_sub(codes.len());
        // A few at a time: removing one pair changes how much the others save.
        let useless = worst.iter().filter(|(saved, _)| *saved <= 0).count();
        let drop = useless.max(too_many).min(1 + worst.len() / 50);
        if drop == 0 {
            break;
        }
        worst.iter().take(drop).for_each(|(_, at)| kept.kept[*at] = false);
    }
    let uses = kept.uses(texts);
    let mut order: Vec<usize> = kept.numbers().collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(uses[at]), at));
    let code_of: HashMap<usize, &String> = order.iter().copied().zip(codes).collect();
    let text = |symbols: &[Symbol]| {
        let mut text = String::new();
        for symbol in kept.written_out(symbols) {
            match symbol {
                Symbol::Char(c) => text.push(c),
                Symbol::Pair(at) => text.push_str(code_of.get(&at).map_or("", |code| code)),
            }
        }
        text
    };
    (texts.iter().map(|symbols| text(symbols)).collect(), order.iter().map(|&at| text(&kept.pairs[at])).collect())
}
