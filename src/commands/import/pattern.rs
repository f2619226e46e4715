//! Patterns of other tools, as far as globs can say the same.
//!
//! A pattern is read into pieces, and those are written as globs. What has no exact counterpart is none:
//! a rule about other files than before would be worse than one that is missed.

/// The most globs that one pattern may come to.
const MOST: usize = 64;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A character as it is.
    Literal(char),
    /// Some characters, as globs write them.
    Class(String),
    /// Anything, through folders.
    Anything,
    /// Anything within a folder.
    InFolder,
}

type Pieces = Vec<Piece>;

/// Globs that match what a regular expression finds in a path; `None` if there are none.
pub(super) fn of_regex(text: &str) -> Option<Vec<String>> {
    let mut reader = Reader { rest: text.chars().collect(), at: 0 };
    let mut alternatives = reader.alternatives(0)?;
    if reader.at < reader.rest.len() {
        return None;
    }
    for (pieces, from_start, to_end) in &mut alternatives {
        if !*from_start {
            pieces.insert(0, Piece::Anything);
        }
        if !*to_end {
            pieces.push(Piece::Anything);
        }
    }
    globs(alternatives.into_iter().map(|(pieces, ..)| pieces))
}

/// Globs that match whole paths as one of Hugo's does, where `**` is anything.
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

/// An alternative: its pieces, and whether it goes from the start and to the end of a path.
type Alternative = (Pieces, bool, bool);

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn takes(&mut self, c: char) -> bool {
        let taken = self.peek() == Some(c);
        self.at += usize::from(taken);
        taken
    }

    /// Alternatives up to the end, or to the bracket that ends a group.
    fn alternatives(&mut self, depth: usize) -> Option<Vec<Alternative>> {
        let mut all = Vec::new();
        loop {
            all.extend(self.sequence(depth)?);
            if all.len() > MOST {
                return None;
            }
            if !self.takes('|') {
                return Some(all);
            }
        }
    }

    fn sequence(&mut self, depth: usize) -> Option<Vec<Alternative>> {
        let mut so_far: Vec<Pieces> = vec![Pieces::new()];
        let from_start = depth == 0 && self.takes('^');
        let mut to_end = false;
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' && depth > 0 {
                break;
            }
            if to_end {
                return None;
            }
            self.at += 1;
            if c == '$' && depth == 0 {
                to_end = true;
                continue;
            }
            let atom: Vec<Pieces> = match c {
                '(' => {
                    if self.takes('?') && !self.takes(':') || depth > 3 {
                        return None;
                    }
                    let inner = self.alternatives(depth + 1)?;
                    if !self.takes(')') {
                        return None;
                    }
                    inner.into_iter().map(|(pieces, ..)| pieces).collect()
                }
                '.' => {
                    if self.takes('*') || self.takes('+') {
                        // It makes no difference to what is matched whether it takes little or much.
                        self.takes('?');
                        so_far = product(&so_far, &[vec![Piece::Anything]])?;
                        continue;
                    }
                    // A glob's ? is no slash.
                    return None;
                }
                '[' => {
                    let class = self.class()?;
                    if class == "[^/]" && (self.takes('*') || self.takes('+')) {
                        so_far = product(&so_far, &[vec![Piece::InFolder]])?;
                        continue;
                    }
                    vec![vec![Piece::Class(if class == "[^/]" { "?".to_owned() } else { class })]]
                }
                '\\' => match self.next()? {
                    'd' => vec![vec![Piece::Class("[0-9]".to_owned())]],
                    'w' => vec![vec![Piece::Class("[0-9A-Za-z_]".to_owned())]],
                    c if c.is_ascii_punctuation() => vec![vec![Piece::Literal(c)]],
                    _ => return None,
                },
                '^' | '$' | '*' | '+' | '?' | '{' | ')' => return None,
                c => vec![vec![Piece::Literal(c)]],
            };
            let atom = self.repeated(atom)?;
            so_far = product(&so_far, &atom)?;
        }
        Some(so_far.into_iter().map(|pieces| (pieces, from_start, to_end)).collect())
    }

    /// `[0-9a-f]`, as globs have it, too.
    fn class(&mut self) -> Option<String> {
        let mut class = "[".to_owned();
        if self.takes('^') {
            // Other than in globs, a class of what it is not has the slash.
            return (self.takes('/') && self.takes(']')).then(|| "[^/]".to_owned());
        }
        loop {
            match self.next()? {
                ']' if class.len() > 1 => return Some(class + "]"),
                c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') => class.push(c),
                _ => return None,
            }
        }
    }

    /// What follows an atom: `?`, `{8}`, or nothing.
    fn repeated(&mut self, mut atom: Vec<Pieces>) -> Option<Vec<Pieces>> {
        match self.peek() {
            Some('?') => {
                self.at += 1;
                atom.push(Pieces::new());
                Some(atom)
            }
            Some('{') => {
                let end = self.rest[self.at..].iter().position(|c| *c == '}')? + self.at;
                let count: String = self.rest[self.at + 1..end].iter().collect();
                self.at = end + 1;
                let count: usize = count.parse().ok().filter(|count| (1..=MOST).contains(count))?;
                (1..count).try_fold(atom.clone(), |so_far, _| product(&so_far, &atom))
            }
            Some('*' | '+') => None,
            _ => Some(atom),
        }
    }
}

/// Every alternative followed by every other.
fn product(before: &[Pieces], after: &[Pieces]) -> Option<Vec<Pieces>> {
    let all = before.iter().flat_map(|a| after.iter().map(move |b| [a.as_slice(), b].concat()));
    (before.len() * after.len() <= MOST).then(|| all.collect())
}

/// The globs of alternatives, those that differ in their last words alone put together.
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
            // Several in a row are one, as far as the farthest of them goes.
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
                // Something is before the slash: no name is empty.
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
    // No path ends in a slash, and none has a folder `..`.
    let possible = |glob: &String| !glob.ends_with('/') && glob.split('/').all(|part| part != "..");
    Some(globs.into_iter().filter(possible).map(short).collect())
}

/// A pattern of a file's name in any folder is written as that name.
fn short(glob: String) -> String {
    match glob.strip_prefix("/**/") {
        Some(name) if !name.contains('/') && !name.is_empty() => name.replace("**", "*"),
        _ => glob,
    }
}

/// `*.css` and `*.js` are `*.{css,js}`.
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
        ] {
            assert_eq!(of_regex(regex).unwrap(), globs, "{regex}");
        }
    }

    #[test]
    fn what_no_glob_says_is_none() {
        for regex in
            [r"(?i)\.js$", r"^.$", r"a+b", r"[^a]+", r"(a", r"a)", r"\bx", r"x{2,3}", r"a$b", r"(a*)", "[", "\\"]
        {
            assert_eq!(of_regex(regex), None, "{regex}");
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
        let parts =
            [r"a", r"/", r"\.", r".*", r".+", r"(a|b/)", r"[ab]", r"[^/]*", r"b?", r"(?:x|\.y)", r"a{2}", r"\d"];
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
            // What takes at least one character, and can be nothing in a glob, tells only of names that no site has.
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
