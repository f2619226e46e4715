//! Patterns of other tools, as far as globs can express them.
//!
//! A pattern is parsed into pieces, and those are written as globs. A pattern without an exact counterpart is not
//! converted: a rule about other files than before would be worse than a missing one.
//!
//! The other tools' expressions are those of Go, whose syntax is nearly that of `regex_syntax`; what the two
//! interpret differently (`[a[b]]`, `[a&&b]`, `\<`) has no globs here. The syntax tree is translated, not the
//! `Hir`, in which `\d` and `\w` are more than ASCII or bytes. Hugo's globs are too simple to need a library.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, Repetition,
    RepetitionKind, RepetitionRange,
};
use std::slice;

/// Maximum number of globs for one pattern.
const MOST: usize = 64;
/// Maximum nesting of brackets.
const MOST_NESTED: u32 = 20;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A literal character.
    Literal(char),
    /// Some characters, as globs write them.
    Class(String),
    /// Anything, across folders.
    Anything,
    /// Anything within a folder.
    InFolder,
}

type Pieces = Vec<Piece>;

/// Globs that match what a regular expression finds in a path; `None` if there are none.
pub(super) fn of_regex(text: &str) -> Option<Vec<String>> {
    let tree = ParserBuilder::new().nest_limit(MOST_NESTED).build().parse(text).ok()?;
    let alternatives = match &tree {
        Ast::Alternation(alternation) => alternation.asts.as_slice(),
        one => slice::from_ref(one),
    };
    let mut all = Vec::new();
    for alternative in alternatives {
        all.extend(searched(alternative)?);
    }
    globs(all.into_iter())
}

/// Globs that match whole paths as one of Hugo's globs does, where `**` is anything.
pub(super) fn of_glob(text: &str) -> Option<Vec<String>> {
    let mut alternatives = vec![Pieces::new()];
    let mut rest = text.trim_start_matches('/');
    while let Some(c) = rest.chars().next() {
        let (next, taken) = match c {
            '*' if rest.starts_with("**") => (vec![vec![Piece::Anything]], 2),
            '*' => (vec![vec![Piece::InFolder]], 1),
            '?' => (vec![vec![Piece::Class("?".to_owned())]], 1),
            '{' => {
                let inner = rest[1..].split_once('}')?.0;
                let plain = |c: char| !matches!(c, '*' | '?' | '{' | '[' | '\\');
                if !inner.chars().all(plain) {
                    return None;
                }
                (inner.split(',').map(|word| word.chars().map(Piece::Literal).collect()).collect(), inner.len() + 2)
            }
            '[' | ']' | '\\' | '}' => return None,
            c => (vec![vec![Piece::Literal(c)]], c.len_utf8()),
        };
        alternatives = product(&alternatives, &next)?;
        rest = &rest[taken..];
    }
    globs(alternatives.into_iter())
}

/// What a top-level alternative finds: it may begin and end anywhere in a path, unless it says otherwise.
fn searched(alternative: &Ast) -> Option<Vec<Pieces>> {
    let mut parts = match alternative {
        Ast::Concat(concat) => concat.asts.as_slice(),
        one => slice::from_ref(one),
    };
    let mut start = vec![Piece::Anything];
    if let [Ast::Assertion(first), rest @ ..] = parts
        && is_start(first)
    {
        (start, parts) = (Pieces::new(), rest);
    }
    let mut end = vec![Piece::Anything];
    if let [rest @ .., Ast::Assertion(last)] = parts
        && is_end(last)
    {
        (end, parts) = (Pieces::new(), rest);
    }
    product(&in_sequence(vec![start], parts)?, &[end])
}

fn is_start(assertion: &Assertion) -> bool {
    matches!(assertion.kind, AssertionKind::StartLine | AssertionKind::StartText)
}

fn is_end(assertion: &Assertion) -> bool {
    matches!(assertion.kind, AssertionKind::EndLine | AssertionKind::EndText)
}

/// What each part matches, appended to what there is before.
fn in_sequence(before: Vec<Pieces>, parts: &[Ast]) -> Option<Vec<Pieces>> {
    parts.iter().try_fold(before, |so_far, part| product(&so_far, &matched(part)?))
}

/// The alternatives that an expression matches.
fn matched(tree: &Ast) -> Option<Vec<Pieces>> {
    let one = |piece: Piece| Some(vec![vec![piece]]);
    match tree {
        Ast::Empty(_) => Some(vec![Pieces::new()]),
        Ast::Literal(literal) => one(Piece::Literal(literal.c)),
        Ast::ClassPerl(class) => one(Piece::Class(format!("[{}]", characters(class)?))),
        Ast::ClassBracketed(class) => one(of_class(class)?),
        Ast::Repetition(repetition) => repeated(repetition),
        Ast::Group(group) if group.flags().is_none_or(|flags| flags.items.is_empty()) => matched(&group.ast),
        Ast::Concat(concat) => in_sequence(vec![Pieces::new()], &concat.asts),
        Ast::Alternation(alternation) => {
            let mut all = Vec::new();
            for alternative in &alternation.asts {
                all.extend(matched(alternative)?);
                if all.len() > MOST {
                    return None;
                }
            }
            Some(all)
        }
        // A dot may be a slash, unlike a glob's ?.
        Ast::Dot(_) | Ast::Assertion(_) | Ast::Flags(_) | Ast::ClassUnicode(_) | Ast::Group(_) => None,
    }
}

fn repeated(repetition: &Repetition) -> Option<Vec<Pieces>> {
    // Greediness makes no difference to what is matched.
    let (least, most) = match repetition.op.kind {
        RepetitionKind::ZeroOrOne => (0, Some(1)),
        RepetitionKind::ZeroOrMore => (0, None),
        RepetitionKind::OneOrMore => (1, None),
        RepetitionKind::Range(RepetitionRange::Exactly(count)) => (count, Some(count)),
        RepetitionKind::Range(RepetitionRange::AtLeast(least)) => (least, None),
        RepetitionKind::Range(RepetitionRange::Bounded(least, most)) => (least, Some(most)),
    };
    let Some(most) = most else {
        let run = match &*repetition.ast {
            Ast::Dot(_) => Piece::Anything,
            Ast::ClassBracketed(class) if of_class(class)? == in_folder() => Piece::InFolder,
            _ => return None,
        };
        return (least <= 1).then(|| vec![vec![run]]);
    };
    let atom = matched(&repetition.ast)?;
    let (mut so_far, mut all) = (vec![Pieces::new()], Vec::new());
    for count in 0..=most {
        if count >= least {
            all.extend_from_slice(&so_far);
        }
        if all.len() > MOST || count as usize > MOST {
            return None;
        }
        if count < most {
            so_far = product(&so_far, &atom)?;
        }
    }
    Some(all)
}

/// Any character except a slash.
fn in_folder() -> Piece {
    Piece::Class("?".to_owned())
}

/// `[0-9a-f]`, which globs support as well; of the negated classes, the one of everything except the slash.
fn of_class(class: &ClassBracketed) -> Option<Piece> {
    let ClassSet::Item(item) = &class.kind else { return None };
    let items = match item {
        ClassSetItem::Union(union) => union.items.as_slice(),
        one => slice::from_ref(one),
    };
    match items {
        [ClassSetItem::Literal(literal)] if !class.negated => return Some(Piece::Literal(literal.c)),
        [ClassSetItem::Literal(literal)] if literal.c == '/' => return Some(in_folder()),
        _ if class.negated => return None,
        _ => {}
    }
    let (mut text, mut hyphen) = (String::new(), "");
    for item in items {
        match item {
            // At the end, it is literal.
            ClassSetItem::Literal(literal) if literal.c == '-' => hyphen = "-",
            ClassSetItem::Literal(literal) if literal.c.is_ascii_alphanumeric() || matches!(literal.c, '_' | '.') => {
                text.push(literal.c);
            }
            // There is no slash between letters and digits.
            ClassSetItem::Range(range)
                if range.start.c.is_ascii_alphanumeric() && range.end.c.is_ascii_alphanumeric() =>
            {
                text.extend([range.start.c, '-', range.end.c]);
            }
            ClassSetItem::Perl(class) => text.push_str(characters(class)?),
            _ => return None,
        }
    }
    Some(Piece::Class(format!("[{text}{hyphen}]")))
}

/// The characters of `\d` and `\w` in Go.
fn characters(class: &ClassPerl) -> Option<&'static str> {
    match class.kind {
        _ if class.negated => None,
        ClassPerlKind::Digit => Some("0-9"),
        ClassPerlKind::Word => Some("0-9A-Za-z_"),
        ClassPerlKind::Space => None,
    }
}

/// Every alternative followed by every other.
fn product(before: &[Pieces], after: &[Pieces]) -> Option<Vec<Pieces>> {
    let all = before.iter().flat_map(|a| after.iter().map(move |b| [a.as_slice(), b].concat()));
    (before.len() * after.len() <= MOST).then(|| all.collect())
}

/// The globs of alternatives, with those that differ only in their last words combined.
fn globs(alternatives: impl Iterator<Item = Pieces>) -> Option<Vec<String>> {
    let mut globs: Vec<String> = Vec::new();
    for pieces in alternatives {
        globs.extend(written(&pieces)?);
        if globs.len() > MOST {
            return None;
        }
    }
    globs.sort();
    globs.dedup();
    (!globs.is_empty()).then(|| together(globs))
}

/// The globs of one alternative, from the top of the site.
fn written(pieces: &[Piece]) -> Option<Vec<String>> {
    let mut globs = vec!["/".to_owned()];
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let mut through_folders = *piece == Piece::Anything;
        if through_folders || *piece == Piece::InFolder {
            // Consecutive ones are combined into the one that matches most.
            while let Some(next) = pieces.next_if(|next| matches!(next, Piece::Anything | Piece::InFolder)) {
                through_folders |= *next == Piece::Anything;
            }
        }
        if !through_folders {
            let text = match piece {
                Piece::Literal(c @ ('*' | '?' | '[' | ']' | '{' | '}' | '\\' | ',')) => format!("\\{c}"),
                Piece::Literal(c) => c.to_string(),
                Piece::Class(class) => class.clone(),
                _ => "*".to_owned(),
            };
            globs.iter_mut().for_each(|glob| glob.push_str(&text));
            continue;
        }
        let next = pieces.peek().copied();
        let mut longer = Vec::new();
        for glob in globs {
            let at_folder = glob.ends_with('/');
            match next {
                None if at_folder => longer.push(glob + "**"),
                None => longer.extend([format!("{glob}*"), format!("{glob}*/**")]),
                // Something must precede the slash: no name is empty.
                Some(Piece::Literal('/')) if at_folder => longer.push(glob + "*/**"),
                Some(_) if at_folder => longer.push(glob + "**/*"),
                Some(_) => longer.extend([format!("{glob}*"), format!("{glob}*/**/*")]),
            }
        }
        globs = longer;
        if globs.len() > MOST {
            return None;
        }
    }
    // No path ends in a slash, and none contains a folder `..`.
    let possible = |glob: &String| !glob.ends_with('/') && glob.split('/').all(|part| part != "..");
    Some(globs.into_iter().filter(possible).map(short).collect())
}

/// A pattern for a file name in any folder is written as that name.
fn short(glob: String) -> String {
    match glob.strip_prefix("/**/") {
        Some(name) if !name.contains('/') && !name.is_empty() => name.replace("**", "*"),
        _ => glob,
    }
}

/// `*.css` and `*.js` become `*.{css,js}`.
fn together(globs: Vec<String>) -> Vec<String> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for glob in globs {
        let (start, end) = match glob.rsplit_once('.') {
            Some((start, end)) if end.chars().all(|c| c.is_ascii_alphanumeric()) => {
                (format!("{start}."), end.to_owned())
            }
            _ => (glob, String::new()),
        };
        match all.iter_mut().find(|(other, ends)| *other == start && !end.is_empty() && !ends[0].is_empty()) {
            Some((_, ends)) => ends.push(end),
            None => all.push((start, vec![end])),
        }
    }
    let text = |(start, ends): (String, Vec<String>)| match ends.as_slice() {
        [one] => start + one,
        many => format!("{start}{{{}}}", many.join(",")),
    };
    all.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shipfront_site::glob::{self, Glob};

    #[test]
    fn expressions_as_people_write_them_have_globs() {
        for (regex, globs) in [
            (r"^.+\.(js|css|svg|ttf)$", &["*.{css,js,svg,ttf}"][..]),
            (r"^.+\.html$", &["*.html"]),
            (r"\.html$", &["*.html"]),
            (r"^index\.html$", &["/index.html"]),
            (r"^assets/.+", &["/assets/**"]),
            (r"^static/[^/]+\.js$", &["/static/*.js"]),
            (r"^(sitemap|feed)\.xml$", &["/feed.xml", "/sitemap.xml"]),
            (r"^.+\.jpe?g$", &["*.{jpeg,jpg}"]),
            (r"^app-[0-9a-f]{2}\.js$", &["/app-[0-9a-f][0-9a-f].js"]),
            (r".*", &["/**"]),
            (r"\.[\w-]{2}[.]js$", &["*.[0-9A-Za-z_-][0-9A-Za-z_-].js"]),
            (r"^(?P<name>a)b{1,2}\z", &["/ab", "/abb"]),
            (r"^a$|^\x62$", &["/a", "/b"]),
        ] {
            assert_eq!(of_regex(regex).unwrap(), globs, "{regex}");
        }
    }

    #[test]
    fn what_no_glob_says_is_none() {
        for regex in
            [r"(?i)\.js$", r"^.$", r"a+b", r"[^a]+", r"(a", r"a)", r"\bx", r"x{2,}", r"a$b", r"(a*)", "[", "\\"]
        {
            assert_eq!(of_regex(regex), None, "{regex}");
        }
        for read_otherwise_by_go in [r"[a[b]]", r"[a&&b]", r"\<a", r"\Qa\E"] {
            assert_eq!(of_regex(read_otherwise_by_go), None, "{read_otherwise_by_go}");
        }
        for too_many in ["[ab]?".repeat(7), "(a|b)".repeat(7), "a{1000}".to_owned(), "(".repeat(100) + &")".repeat(100)]
        {
            assert_eq!(of_regex(&too_many), None, "{too_many}");
        }
        assert_eq!(of_glob("a[b"), None);
    }

    #[test]
    fn globs_of_hugo_match_whole_paths_and_go_through_folders() {
        assert_eq!(of_glob("**.{jpg,png}").unwrap(), ["*.{jpg,png}"]);
        assert_eq!(of_glob("drafts/**").unwrap(), ["/drafts/**"]);
        assert_eq!(of_glob("*.html").unwrap(), ["/*.html"]);
    }

    fn part() -> impl Strategy<Value = &'static str> {
        let parts = [
            r"a",
            r"/",
            r"\.",
            r".*",
            r".+",
            r"(a|b/)",
            r"[ab]",
            r"[^/]*",
            r"b?",
            r"(?:x|\.y)",
            r"a{2}",
            r"\d",
            r"[\w-]",
            r"x{0,2}",
            r"(?:a|)",
            r"[.]",
        ];
        proptest::sample::select(parts.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn globs_match_what_the_expression_finds(
            parts in proptest::collection::vec(part(), 1..6), start: bool, end: bool,
            keys in proptest::collection::vec("[ab1x][ab1.x]{0,2}(/[aby][ab.y]{0,2}){0,2}", 1..20),
        ) {
            let text = format!("{}{}{}", if start { "^" } else { "" }, parts.concat(), if end { "$" } else { "" });
            // A part that requires at least one character, but may be empty in a glob, concerns only names that no
            // site has.
            let regex = regex::Regex::new(&text.replace(".+", ".*")).unwrap();
            if let Some(globs) = of_regex(&text) {
                let globs: Vec<Glob> = globs.iter().map(|glob| glob.parse().unwrap()).collect();
                let set = glob::set(&globs).unwrap();
                for key in keys {
                    prop_assert_eq!(set.is_match(&key), regex.is_match(&key), "{} in {} as {:?}", key, text, globs);
                }
            }
        }
    }
}
