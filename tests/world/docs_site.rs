//! The successive states of a documentation site, as a generator writes them: the digests of the style sheet and of
//! the script are in every page, so that a change of either is a change of all.

use shipfront_site::etag::{hex, md5};
use std::collections::BTreeMap;

const SECTIONS: [&str; 5] = ["guide", "guides-old", "reference", "releases", "tutorial"];
/// Number of states after which the same kinds of changes come again.
const CYCLE: usize = 4;

/// The files of a state of a site of about `pages` pages, by key. The same numbers give the same bytes; state 0 is
/// the first.
pub(crate) fn docs_site(state: usize, pages: usize) -> BTreeMap<String, String> {
    let mut source = Source::new(pages);
    for number in 1..=state {
        source.edit(number);
    }
    source.build()
}

/// What the authors wrote.
struct Source {
    random: fastrand::Rng,
    /// The revision of each page, by its directory.
    pages: BTreeMap<String, usize>,
    style: usize,
    script: usize,
    /// How many pages were ever written.
    written: usize,
}

impl Source {
    fn new(pages: usize) -> Source {
        let random = fastrand::Rng::with_seed(4);
        let mut source = Source { random, pages: BTreeMap::new(), style: 0, script: 0, written: 0 };
        for _ in 0..pages.saturating_sub(SECTIONS.len() + 2) {
            source.add();
        }
        source
    }

    fn add(&mut self) {
        let section = SECTIONS[self.written % SECTIONS.len()];
        self.pages.insert(format!("{section}/topic-{:02}", self.written), 0);
        self.written += 1;
    }

    fn any_page(&mut self) -> Option<String> {
        let at = self.random.usize(..self.pages.len().max(1));
        self.pages.keys().nth(at).cloned()
    }

    /// What happens between a state and the one before it.
    fn edit(&mut self, state: usize) {
        for _ in 0..self.random.usize(1..=3) {
            if let Some(page) = self.any_page() {
                *self.pages.entry(page).or_default() += 1;
            }
        }
        match state % CYCLE {
            2 => {
                self.add();
                if let Some(page) = self.any_page() {
                    let revision = self.pages.remove(&page).unwrap_or_default();
                    self.pages.insert(format!("{page}-renamed-{state}"), revision);
                }
            }
            3 => {
                self.style += 1;
                self.script += usize::from(state % (2 * CYCLE) == 3);
            }
            0 => {
                for _ in 0..2 {
                    let page = self.any_page();
                    page.and_then(|page| self.pages.remove(&page));
                }
            }
            _ => {}
        }
    }

    /// The generator's output.
    fn build(&self) -> BTreeMap<String, String> {
        let style = format!("body {{ margin: {}px }}\n", self.style);
        let script = format!("console.log({});\n", self.script);
        let (style_key, script_key) = (hashed("style", "css", &style), hashed("script", "js", &script));
        let page = |title: &str, text: &str| {
            format!(
                "<!doctype html><title>{title}</title><link rel=\"stylesheet\" href=\"/{style_key}\">\
                 <script src=\"/{script_key}\"></script><main>{text}</main>\n"
            )
        };
        let list = |pages: &mut dyn Iterator<Item = &String>| {
            pages.map(|page| format!("<a href=\"/{page}/\">{page}</a>\n")).collect::<String>()
        };
        let text = |page: &str, revision: usize| format!("{page}, revision {revision}");
        let mut files = BTreeMap::from([
            ("404.html".to_owned(), page("Not found", "There is no such page.")),
            ("index.html".to_owned(), page("Documentation", &list(&mut self.pages.keys()))),
            ("robots.txt".to_owned(), "User-agent: *\n".to_owned()),
            ("feed.xml".to_owned(), format!("<feed>{}</feed>\n", self.pages.values().sum::<usize>())),
            ("sitemap.xml".to_owned(), list(&mut self.pages.keys())),
        ]);
        for section in SECTIONS {
            let folder = format!("{section}/");
            let listed = list(&mut self.pages.keys().filter(|page| page.starts_with(&folder)));
            files.insert(format!("{section}/index.html"), page(section, &listed));
        }
        let found = self.pages.iter().map(|(name, revision)| text(name, *revision) + "\n");
        files.insert("search/index.txt".to_owned(), found.collect());
        for (name, revision) in &self.pages {
            files.insert(format!("{name}/index.html"), page(name, &text(name, *revision)));
        }
        files.extend([(style_key, style), (script_key, script)]);
        files
    }
}

/// The key of an asset, which contains the digest of its bytes.
fn hashed(name: &str, extension: &str, body: &str) -> String {
    format!("assets/{name}.{}.{extension}", &hex(&md5(body.as_bytes()))[..8])
}
