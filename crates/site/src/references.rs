//! Finds the site's scripts and style sheets that a page refers to, in one pass over its bytes.
//!
//! Cache tags use them to group pages: a missing or superfluous reference makes a group less apt but never leaves
//! anything stale. So the page's tree is not built: the contents of `noscript` and `template` count as well.

use html5gum::{Emitter, Error as HtmlError, IoReader, State, Tokenizer, naive_next_state};
use percent_encoding::percent_decode_str;
use std::convert::Infallible;
use std::io::{self, Read};
use url::Url;

/// Maximum number of references kept per page; there would be no tags for more.
const MAX_REFERENCES: usize = 64;
/// Maximum length of the name of an element or attribute, in bytes; those that matter are shorter.
const MAX_NAME: usize = 16;
/// Maximum length of an attribute's value, in bytes; a `data:` URL may have millions.
const MAX_VALUE: usize = 2048;
/// Represents the site's host; RFC 2606 reserves the name.
const SITE: &str = "site.invalid";

/// Returns the local scripts and style sheets of a page: the decoded paths of their URLs without the leading slash,
/// query and fragment, each once, in the order of the page.
///
/// `page` is the page's own path in that form. `hosts` are the site's host names, in lowercase: URLs of other hosts
/// are omitted. `<base href>` is honored. Memory is bounded, however long the page is.
///
/// # Errors
/// Fails if reading `html` fails.
pub fn references(html: impl Read, page: &str, hosts: &[String]) -> io::Result<Vec<String>> {
    let Ok(mut base) = Url::parse(&format!("https://{SITE}/")) else { return Ok(Vec::new()) };
    base.set_path(page);
    let mut page = Page { base, based: false, hosts, found: Vec::new() };
    Tokenizer::new_with_emitter(IoReader::new(html), Finder::new(&mut page)).finish()?;
    Ok(page.found)
}

/// What is known of a page so far.
struct Page<'h> {
    base: Url,
    /// Whether a `<base href>` was seen: only the first counts.
    based: bool,
    hosts: &'h [String],
    found: Vec<String>,
}

impl Page<'_> {
    fn set_base(&mut self, href: &str) {
        if !self.based
            && let Ok(base) = self.base.join(href)
        {
            (self.base, self.based) = (base, true);
        }
    }

    fn add(&mut self, reference: &str) {
        let Ok(url) = self.base.join(reference) else { return };
        let local = |host: &str| host == SITE || self.hosts.iter().any(|own| own == host);
        // An empty reference refers to nothing, not to the page.
        let empty = reference.trim_ascii().is_empty();
        if empty || !matches!(url.scheme(), "http" | "https") || !url.host_str().is_some_and(local) {
            return;
        }
        let path = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8_lossy();
        if !path.is_empty() && self.found.len() < MAX_REFERENCES && !self.found.iter().any(|known| *known == path) {
            self.found.push(path.into_owned());
        }
    }
}

/// Text of at most `MAX` bytes; longer text is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
struct Bounded<const MAX: usize> {
    bytes: Vec<u8>,
    too_long: bool,
}

impl<const MAX: usize> Bounded<MAX> {
    fn push(&mut self, more: &[u8]) {
        self.too_long |= self.bytes.len() + more.len() > MAX;
        if !self.too_long {
            self.bytes.extend_from_slice(more);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.too_long = false;
    }

    fn bytes(&self) -> Option<&[u8]> {
        (!self.too_long).then_some(self.bytes.as_slice())
    }

    fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The relevant attributes of the tag being read.
#[derive(Default)]
struct Attributes {
    source: Option<String>,
    href: Option<String>,
    relation: Option<String>,
    destination: Option<String>,
}

/// Receives the tokenizer's events. It keeps no text and no comments.
struct Finder<'p, 'h> {
    page: &'p mut Page<'h>,
    name: Bounded<MAX_NAME>,
    end_tag: bool,
    self_closing: bool,
    attribute: Bounded<MAX_NAME>,
    value: Bounded<MAX_VALUE>,
    attributes: Attributes,
    last_start_tag: Bounded<MAX_NAME>,
    /// The number of open `svg` and `math` elements, in which `<title/>` and `<style/>` are empty.
    foreign: usize,
}

impl<'p, 'h> Finder<'p, 'h> {
    fn new(page: &'p mut Page<'h>) -> Self {
        Finder {
            page,
            name: Bounded::default(),
            end_tag: false,
            self_closing: false,
            attribute: Bounded::default(),
            value: Bounded::default(),
            attributes: Attributes::default(),
            last_start_tag: Bounded::default(),
            foreign: 0,
        }
    }

    fn begin_tag(&mut self, end_tag: bool) {
        self.name.clear();
        self.attribute.clear();
        self.value.clear();
        self.attributes = Attributes::default();
        (self.end_tag, self.self_closing) = (end_tag, false);
    }

    /// Keeps the attribute that was read, unless an earlier one has the same name.
    fn end_attribute(&mut self) {
        let attribute = match self.attribute.bytes() {
            Some(b"src") => &mut self.attributes.source,
            Some(b"href") => &mut self.attributes.href,
            Some(b"rel") => &mut self.attributes.relation,
            Some(b"as") => &mut self.attributes.destination,
            _ => return,
        };
        if attribute.is_none() {
            *attribute = self.value.text();
        }
    }

    fn end_start_tag(&mut self) {
        let Attributes { source, href, relation, destination } = std::mem::take(&mut self.attributes);
        match (self.name.bytes(), source, href) {
            (Some(b"script"), Some(source), _) => self.page.add(&source),
            (Some(b"base"), _, Some(href)) => self.page.set_base(&href),
            (Some(b"link"), _, Some(href)) if loads(relation.as_deref(), destination.as_deref()) => {
                self.page.add(&href);
            }
            _ => {}
        }
    }
}

/// Whether a `link` refers to a script or a style sheet.
fn loads(relation: Option<&str>, destination: Option<&str>) -> bool {
    let destination = destination.map(str::to_ascii_lowercase);
    let early = matches!(destination.as_deref().map(str::trim), Some("script" | "style"));
    let mut relations = relation.unwrap_or("").split_ascii_whitespace();
    relations.any(|relation| match relation.to_ascii_lowercase().as_str() {
        "stylesheet" | "modulepreload" => true,
        "preload" | "prefetch" => early,
        _ => false,
    })
}

impl Emitter for Finder<'_, '_> {
    type Token = Infallible;

    fn pop_token(&mut self) -> Option<Infallible> {
        None
    }

    fn init_start_tag(&mut self) {
        self.begin_tag(false);
    }

    fn init_end_tag(&mut self) {
        self.begin_tag(true);
    }

    fn push_tag_name(&mut self, name: &[u8]) {
        self.name.push(name);
    }

    fn init_attribute(&mut self) {
        self.end_attribute();
        self.attribute.clear();
        self.value.clear();
    }

    fn push_attribute_name(&mut self, name: &[u8]) {
        self.attribute.push(name);
    }

    fn push_attribute_value(&mut self, value: &[u8]) {
        self.value.push(value);
    }

    fn set_self_closing(&mut self) {
        self.self_closing = true;
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        let foreign = matches!(self.name.bytes(), Some(b"svg" | b"math"));
        if self.end_tag {
            self.foreign = self.foreign.saturating_sub(usize::from(foreign));
            return None;
        }
        self.end_attribute();
        self.end_start_tag();
        self.last_start_tag.clone_from(&self.name);
        if self.self_closing && (foreign || self.foreign > 0) {
            return None;
        }
        self.foreign += usize::from(foreign);
        match self.name.bytes()? {
            // Its contents may be loaded where scripts are off.
            b"noscript" => None,
            b"noframes" => Some(State::RawText),
            name => naive_next_state(name),
        }
    }

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        self.end_tag && self.name.bytes().is_some_and(|name| !name.is_empty()) && self.name == self.last_start_tag
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&mut self) -> bool {
        self.foreign > 0
    }

    fn set_last_start_tag(&mut self, name: Option<&[u8]>) {
        self.last_start_tag.clear();
        self.last_start_tag.push(name.unwrap_or_default());
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn emit_error(&mut self, _: HtmlError) {}
    fn emit_eof(&mut self) {}
    fn emit_string(&mut self, _: &[u8]) {}
    fn init_comment(&mut self) {}
    fn push_comment(&mut self, _: &[u8]) {}
    fn emit_current_comment(&mut self) {}
    fn init_doctype(&mut self) {}
    fn emit_current_doctype(&mut self) {}
    fn set_force_quirks(&mut self) {}
    fn push_doctype_name(&mut self, _: &[u8]) {}
    fn set_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn set_doctype_system_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_system_identifier(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(html: &str) -> Vec<String> {
        references(html.as_bytes(), "blog/2026/a post.html", &["www.example.com".to_owned()]).unwrap()
    }

    /// A reader that gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len()).min(self.0.len());
            let (now, later) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    #[test]
    fn scripts_and_style_sheets_are_resolved_against_the_page() {
        let html = r##"<!doctype html><LINK REL="preload stylesheet" HREF=../site.css?v=3>
            <link rel=modulepreload href="/js/m.mjs"><link rel=preload as=style href=early.css>
            <link rel=preload as=font href=font.woff2><link rel=icon href=/favicon.ico><a href="/other.html">
            <script src='./caf%C3%A9.js#x'></script><script>no()</script><img src="/image.png">
            <script type=module src="../site.css"></script>"##;
        assert_eq!(of(html), ["blog/site.css", "js/m.mjs", "blog/2026/early.css", "blog/2026/café.js"]);
    }

    #[test]
    fn other_hosts_are_left_out_and_names_of_the_site_are_not() {
        let html = r#"<script src="https://cdn.example.net/x.js"></script><script src="//www.Example.com/a.js"></script>
            <script src="http://www.example.com:8080/b.js"></script><script src="data:text/javascript,1"></script>
            <script src="https://www.example.com.evil.net/c.js"></script><script src="https://"></script>
            <script src="//invalid/d.js"></script><script src="/"></script><script src=""></script>"#;
        assert_eq!(of(html), ["a.js", "b.js"]);
    }

    #[test]
    fn the_first_base_is_honoured_for_what_comes_after_it() {
        let html = r#"<script src=a.js></script><base target=_blank><base href="/app/"><base href="/no/">
            <script src=b.js></script>"#;
        assert_eq!(of(html), ["blog/2026/a.js", "app/b.js"]);
        assert_eq!(of(r#"<base href="https://cdn.example.net/"><script src=b.js></script>"#), Vec::<String>::new());
        assert_eq!(of(r#"<base href="https://www.example.com/x/"><script src=b.js></script>"#), ["x/b.js"]);
    }

    #[test]
    fn what_is_text_or_a_comment_is_no_reference() {
        let html = r#"<!-- <script src=comment.js></script> --><title><script src=title.js></script></title>
            <textarea><link rel=stylesheet href=text.css></textarea><style>a{}/*<script src=style.js>*/</style>
            <script>document.write("<script src=written.js><\/script>")</script>
            <script><!-- <script src=x.js> --></script>
            <noscript><link rel=stylesheet href=/noscript.css></noscript><script src=/real.js></script>"#;
        assert_eq!(of(html), ["noscript.css", "real.js"]);
    }

    #[test]
    fn an_empty_element_of_a_drawing_does_not_swallow_the_rest() {
        let html = "<svg><title/><style/><![CDATA[<script src=/no.js>]]></svg><script src=/yes.js></script>";
        assert_eq!(of(html), ["yes.js"]);
    }

    #[test]
    fn memory_does_not_grow_with_the_page() {
        let long = "x".repeat(5_000_000);
        let html = format!(
            "<!--{long}--><{long} {long}={long}><script src=data:{long}></script><link rel=stylesheet href=/a.css>{long}"
        );
        assert_eq!(of(&html), ["a.css"]);
        let many: String = (0..1_000).map(|number| format!("<script src=/{number}.js></script>")).collect();
        assert_eq!(of(&many).len(), MAX_REFERENCES);
    }

    #[test]
    fn a_read_error_is_reported() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        assert_eq!(references(Broken, "a.html", &[]).unwrap_err().to_string(), "gone");
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_and_nothing_panics(
            parts in prop::collection::vec(prop::sample::select(vec![
                "<script src=/a.js>", "</script>", "<link rel=stylesheet href='b.css'>", "<base href=/x/>", "<!--", "-->",
                "<svg>", "</svg>", "<title/>", "<title>", "</title>", "&amp;", "<", "\"", "é", "\0", "<style>", "</style", ">",
                " src=", "/", "<![CDATA[", "]]>", "<!doctype html SYSTEM 'a'>", "</", "\r\n",
            ]), 0..40),
            size in 1..9_usize,
        ) {
            let html = parts.concat();
            let whole = of(&html);
            let hosts = ["www.example.com".to_owned()];
            let trickled = references(Trickle(html.as_bytes(), size), "blog/2026/a post.html", &hosts).unwrap();
            prop_assert_eq!(whole, trickled);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            references(bytes.as_slice(), "a", &[]).unwrap();
        }
    }
}
