//! Syntax that QuickJS supports and the runtime of CloudFront Functions does not list.
//!
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html>

/// Words that start syntax that the runtime does not have.
const WORDS: [&str; 6] = ["class", "export", "extends", "import", "super", "yield"];
/// Words after which a slash begins a regular expression.
const BEFORE_EXPRESSIONS: [&str; 9] = ["case", "delete", "do", "else", "in", "return", "throw", "typeof", "void"];

/// A piece of code that is neither space nor comment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'c> {
    Word(&'c str),
    /// A number, a string, a template or a regular expression.
    Literal,
    Sign(&'c str),
}

/// Refuses code that CloudFront would not accept.
pub(super) fn check(code: &str) -> Result<(), String> {
    let mut tokens = Tokens { rest: code, before: None, templates: Vec::new(), braces: 0 };
    let mut all = Vec::new();
    while let Some(token) = tokens.next_token() {
        all.push(token);
    }
    for at in 0..all.len() {
        let before = at.checked_sub(1).map(|before| all[before]);
        let next = all.get(at + 1).copied();
        if let Some(what) = refused(before, all[at], next, &all[at + 1..]) {
            return Err(format!("SyntaxError: cloudfront-js-2.0 has no {what}"));
        }
    }
    Ok(())
}

fn refused<'c>(
    before: Option<Token<'c>>,
    token: Token<'c>,
    next: Option<Token<'c>>,
    rest: &[Token<'c>],
) -> Option<String> {
    let is_name = before == Some(Token::Sign(".")) || next == Some(Token::Sign(":"));
    match token {
        Token::Word(_) if is_name => None,
        Token::Word(word) if WORDS.contains(&word) => Some(word.to_owned()),
        Token::Word("function") if next == Some(Token::Sign("*")) => Some("generators".to_owned()),
        Token::Word("const" | "let" | "var") => {
            matches!(next, Some(Token::Sign("{" | "["))).then(|| "destructuring".to_owned())
        }
        // `of` is between two names nowhere else.
        Token::Word("of") if matches!(before, Some(Token::Word(_))) => Some("for-of".to_owned()),
        Token::Sign("?.") => Some("optional chaining".to_owned()),
        Token::Sign("??") => Some("nullish coalescing".to_owned()),
        // The rest is the last parameter of a function.
        Token::Sign("...") => {
            let is_rest = matches!(rest, [Token::Word(_), Token::Sign(")"), Token::Sign("{" | "=>"), ..]);
            (!is_rest).then(|| "spread syntax".to_owned())
        }
        _ => None,
    }
}

/// The tokens of code, in order.
struct Tokens<'c> {
    rest: &'c str,
    before: Option<Token<'c>>,
    /// For each open template: the number of open braces when its expression began.
    templates: Vec<usize>,
    braces: usize,
}

impl<'c> Tokens<'c> {
    fn next_token(&mut self) -> Option<Token<'c>> {
        self.skip_space();
        let first = self.rest.chars().next()?;
        let token = if first.is_alphanumeric() || first == '_' || first == '$' {
            let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
            let word = self.take(end.unwrap_or(self.rest.len()));
            if first.is_ascii_digit() { Token::Literal } else { Token::Word(word) }
        } else {
            match first {
                '\'' | '"' => self.quoted(first),
                '`' => self.template(1),
                '}' if self.templates.last() == Some(&self.braces) => {
                    self.templates.pop();
                    self.template(1)
                }
                '/' if self.begins_expression() => self.regular_expression(),
                _ => self.sign(first),
            }
        };
        self.before = Some(token);
        Some(token)
    }

    fn take(&mut self, length: usize) -> &'c str {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let end = match self.rest.get(..2) {
                Some("//") => self.rest.find('\n'),
                Some("/*") => self.rest[2..].find("*/").map(|at| at + 4),
                _ => return,
            };
            self.take(end.unwrap_or(self.rest.len()));
        }
    }

    /// The position of the first unescaped byte that `ends` accepts.
    fn until(&self, from: usize, mut ends: impl FnMut(u8) -> bool) -> usize {
        let bytes = self.rest.as_bytes();
        let mut at = from;
        while at < bytes.len() && !ends(bytes[at]) {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        let mut at = at.min(bytes.len());
        // An escaped character may be longer than a byte.
        while !self.rest.is_char_boundary(at) {
            at += 1;
        }
        at
    }

    fn quoted(&mut self, quote: char) -> Token<'c> {
        let end = self.until(1, |byte| char::from(byte) == quote);
        self.take(end + 1);
        Token::Literal
    }

    /// The text of a template up to its end or to the next expression in it.
    fn template(&mut self, from: usize) -> Token<'c> {
        let mut at = from;
        loop {
            at = self.until(at, |byte| byte == b'`' || byte == b'$');
            let rest = &self.rest[at..];
            if rest.starts_with("${") {
                self.templates.push(self.braces);
                self.take(at + 2);
                // An expression follows.
                return Token::Sign("${");
            }
            if rest.starts_with('$') {
                at += 1;
                continue;
            }
            self.take(at + 1);
            return Token::Literal;
        }
    }

    fn begins_expression(&self) -> bool {
        match self.before {
            None => true,
            Some(Token::Literal) => false,
            Some(Token::Word(word)) => BEFORE_EXPRESSIONS.contains(&word),
            Some(Token::Sign(sign)) => !matches!(sign, ")" | "]" | "}" | "++" | "--"),
        }
    }

    fn regular_expression(&mut self) -> Token<'c> {
        let mut in_class = false;
        let end = self.until(1, |byte| {
            match byte {
                b'[' => in_class = true,
                b']' => in_class = false,
                _ => {}
            }
            byte == b'\n' || (byte == b'/' && !in_class)
        });
        self.take(end + 1);
        Token::Literal
    }

    fn sign(&mut self, first: char) -> Token<'c> {
        match first {
            '{' => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        let known = ["...", "?.", "??", "=>", "++", "--"];
        // `a?.5:b` is a condition.
        let is_condition = |sign: &str| sign == "?." && self.rest[2..].starts_with(|c: char| c.is_ascii_digit());
        let found = known.into_iter().find(|sign| self.rest.starts_with(sign) && !is_condition(sign));
        Token::Sign(self.take(found.map_or(first.len_utf8(), str::len)))
    }
}
