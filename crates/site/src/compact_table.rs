//! Packs a table of texts into few bytes of JavaScript: parts that repeat are written once.
//!
//! Frequent pairs of neighboring symbols are replaced by new symbols, repeatedly (byte pair encoding). A function
//! that looks up one key unpacks only the bucket that contains the key: a CloudFront function has about a
//! millisecond, and unpacking the whole table would take longer.

use crate::javascript::literal;
use std::collections::{BTreeSet, HashMap};

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
const LEAST_USES: u32 = 3;
const AT_A_TIME: usize = 12;
/// Larger tables cannot be packed small enough.
const MAX_BYTES: usize = 64 * 1024;
/// Number of characters that start a two-character code.
const PREFIXES: usize = 3;

/// An ASCII character of the table, or the number of a pair above those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Symbol(u16);

impl Symbol {
    const PAIRS: u16 = 128;
    /// An upper bound of all symbols.
    const COUNT: usize = Symbol::PAIRS as usize + MOST_PAIRS + AT_A_TIME;

    fn pair(number: usize) -> Symbol {
        Symbol(u16::try_from(number).map_or(u16::MAX, |number| Symbol::PAIRS + number))
    }

    /// The number of the pair that it stands for.
    fn number(self) -> Option<usize> {
        self.0.checked_sub(Symbol::PAIRS).map(usize::from)
    }
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
    let mut texts: Vec<Vec<Symbol>> =
        texts.iter().map(|text| text.bytes().map(|byte| Symbol(byte.into())).collect()).collect();
    let mut pairs: Vec<[Symbol; 2]> = Vec::new();
    let mut counts = vec![0_u32; Symbol::COUNT * Symbol::COUNT];
    while pairs.len() < MOST_PAIRS {
        let mut best = frequent(&texts, &mut counts);
        best.sort_unstable_by_key(|(pair, count)| (std::cmp::Reverse(*count), *pair));
        // Several pairs are replaced at a time, none of which shares a symbol with another.
        let mut symbols: BTreeSet<Symbol> = BTreeSet::new();
        // By the first symbol: the second, and the symbol of both.
        let mut merges = vec![None; Symbol::COUNT];
        for (pair, _) in best.into_iter().take(AT_A_TIME) {
            if !symbols.contains(&pair[0]) && !symbols.contains(&pair[1]) {
                symbols.extend(pair);
                merges[usize::from(pair[0].0)] = Some((pair[1], Symbol::pair(pairs.len())));
                pairs.push(pair);
            }
        }
        if symbols.is_empty() {
            break;
        }
        for text in &mut texts {
            let mut merged = Vec::with_capacity(text.len());
            let mut rest = text.as_slice();
            while let Some((first, others)) = rest.split_first() {
                let merge = merges[usize::from(first.0)].filter(|(second, _)| others.first() == Some(second));
                merged.push(merge.map_or(*first, |(_, symbol)| symbol));
                rest = if merge.is_some() { &others[1..] } else { others };
            }
            *text = merged;
        }
    }
    (texts, pairs)
}

/// The pairs of neighbors that occur often enough, with how often they do. `counts` has a zero for each pair of
/// symbols, before and after.
fn frequent(texts: &[Vec<Symbol>], counts: &mut [u32]) -> Vec<([Symbol; 2], u32)> {
    let place = |pair: &[Symbol]| usize::from(pair[0].0) * Symbol::COUNT + usize::from(pair[1].0);
    let neighbors = || texts.iter().flat_map(|text| text.windows(2));
    neighbors().for_each(|pair| counts[place(pair)] += 1);
    let found = neighbors().map(|pair| ([pair[0], pair[1]], std::mem::take(&mut counts[place(pair)])));
    found.filter(|(_, count)| *count >= LEAST_USES).collect()
}

/// The pairs that get a code.
struct Kept {
    pairs: Vec<[Symbol; 2]>,
    kept: Vec<bool>,
    /// How often each pair occurs in the texts and in the parts.
    uses: Vec<usize>,
}

impl Kept {
    /// Expands symbols that have no code.
    fn written_out(&self, symbols: &[Symbol]) -> Vec<Symbol> {
        let mut out = Vec::new();
        let mut left: Vec<Symbol> = symbols.iter().rev().copied().collect();
        while let Some(symbol) = left.pop() {
            match symbol.number() {
                Some(at) if !self.kept[at] => left.extend([self.pairs[at][1], self.pairs[at][0]]),
                _ => out.push(symbol),
            }
        }
        out
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(at, _)| at)
    }

    /// Takes the code of a pair away: its symbols are written wherever it was used, and it has no part of its own.
    fn take_code(&mut self, at: usize) {
        self.kept[at] = false;
        for used in self.written_out(&self.pairs[at]).into_iter().filter_map(Symbol::number) {
            self.uses[used] = self.uses[used] + self.uses[at] - 1;
        }
        self.uses[at] = 0;
    }
}

/// The texts and the parts with their codes. The pairs that save least get none; the most frequent get the
/// shortest.
fn named(texts: &[Vec<Symbol>], pairs: Vec<[Symbol; 2]>, codes: &[String], ones: usize) -> (Vec<String>, Vec<String>) {
    let mut uses = vec![0; pairs.len()];
    for symbol in texts.iter().flatten().chain(pairs.iter().flatten()) {
        symbol.number().into_iter().for_each(|at| uses[at] += 1);
    }
    let mut kept = Kept { kept: vec![true; pairs.len()], pairs, uses };
    loop {
        let uses = &kept.uses;
        let mut most: Vec<usize> = uses.clone();
        most.sort_unstable_by(|a, b| b.cmp(a));
        let frequent = most.get(ones).copied().unwrap_or_default();
        // A symbol that occurs more often than this gets a code of one byte, the rest get two.
        let bytes = |uses: usize| if uses > frequent { 1 } else { 2 };
        let cost = |symbol: &Symbol| symbol.number().map_or(1, |at| bytes(uses[at]));
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
        worst.iter().take(drop).for_each(|(_, at)| kept.take_code(*at));
    }
    let mut order: Vec<usize> = kept.numbers().collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(kept.uses[at]), at));
    let code_of: HashMap<usize, &String> = order.iter().copied().zip(codes).collect();
    let text = |symbols: &[Symbol]| {
        let mut text = String::new();
        for symbol in kept.written_out(symbols) {
            match (symbol.number(), u8::try_from(symbol.0)) {
                (Some(at), _) => text.push_str(code_of.get(&at).map_or("", |code| code)),
                (None, byte) => text.extend(byte.map(char::from)),
            }
        }
        text
    };
    (texts.iter().map(|symbols| text(symbols)).collect(), order.iter().map(|&at| text(&kept.pairs[at])).collect())
}
