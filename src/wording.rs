//! Numbers, lists and marks for people, the same in every output.

use crate::escape::Shown;
use anstyle::{AnsiColor, Style};
use std::fmt::{self, Display, Formatter};

/// A number with thousands separators.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun, whose plural ends in `s`: `1 file`, `1,200 files`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// The texts in a row: `a`, `a and b`, `a, b, and c`.
pub fn listed(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] => format!("{first} and {second}"),
        [rest @ .., last] => format!("{}, and {last}", rest.join(", ")),
    }
}

/// Where a site is. On the local edge its name may be that of a site in AWS, which it is not.
#[derive(Debug, Clone, Copy)]
pub struct SiteAt<'a> {
    target: &'a str,
    is_local: bool,
}

impl<'a> SiteAt<'a> {
    /// The target as a URL, in AWS or on the local edge.
    pub fn new(target: &'a str, is_local: bool) -> SiteAt<'a> {
        SiteAt { target, is_local }
    }
}

impl Display for SiteAt<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let edge = if self.is_local { " (local edge)" } else { "" };
        write!(out, "{}{edge}", Shown(self.target))
    }
}

/// How something ended, as a colored symbol that is legible without its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// All is well.
    Good,
    /// Something needs a look.
    Warning,
    /// Something failed.
    Bad,
}

impl Mark {
    /// The style of a line with this mark.
    pub fn style(self) -> Style {
        match self {
            Mark::Good => AnsiColor::Green.on_default().bold(),
            Mark::Warning => AnsiColor::Yellow.on_default().bold(),
            Mark::Bad => AnsiColor::Red.on_default().bold(),
        }
    }

    fn sign(self) -> char {
        match self {
            Mark::Good => '✓',
            Mark::Warning => '!',
            Mark::Bad => '✗',
        }
    }

    /// The mark and a text, both in its style.
    pub fn line(self, text: impl Display) -> String {
        let style = self.style();
        format!("{style}{} {text}{style:#}", self.sign())
    }
}

impl Display for Mark {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let style = self.style();
        write!(out, "{style}{}{style:#}", self.sign())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_separated_and_nouns_their_plural() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(0, "file"), "0 files");
        assert_eq!(counted(1200, "file"), "1,200 files");
    }

    #[test]
    fn the_last_of_several_follows_an_and() {
        let texts = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&texts), "a, b, and c");
        assert_eq!(listed(&texts[..2]), "a and b");
        assert_eq!(listed(&texts[..1]), "a");
        assert_eq!(listed(&[]), "");
    }
}
