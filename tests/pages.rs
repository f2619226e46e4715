//! The pages that people open, the report and the dashboard, in a real browser: on phones, tablets and desktops, in
//! both color schemes, on paper, by keyboard, and for assistive technology by the rules of axe-core.

mod dashboard;
mod report;

use crate::world::command::{clean, repository, run};
use crate::world::{browser, tools};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Widths of windows: a phone, a tablet, a desktop; and both color schemes.
const ALL: [(u16, &str); 6] =
    [(390, "light"), (768, "light"), (1280, "light"), (390, "dark"), (768, "dark"), (1280, "dark")];
/// For pages that add little new.
const TWO: [(u16, &str); 2] = [(1280, "light"), (390, "dark")];

/// A page, and how to test it.
#[derive(Debug, Serialize)]
struct Page {
    url: String,
    /// A JavaScript expression that is true once it is complete.
    ready: &'static str,
    /// An expression whose value is of interest.
    look: &'static str,
    /// How often Tab is pressed in the last view.
    tabs: u8,
    views: Vec<View>,
}

#[derive(Debug, Serialize)]
struct View {
    width: u16,
    scheme: &'static str,
}

/// What the browser saw.
#[derive(Debug, Deserialize)]
struct Sight {
    url: String,
    width: u16,
    scheme: String,
    title: String,
    /// The width of the window, and of what is in it.
    inner: u32,
    scroll: u32,
    /// The levels of the headings, in order.
    levels: Vec<u8>,
    background: String,
    /// The value of the page's expression.
    look: Value,
    /// The violations that axe-core finds; `None` if it is missing.
    #[serde(default)]
    violations: Option<Vec<Value>>,
    focus: Vec<Focus>,
    /// Exceptions in scripts, and what a Content-Security-Policy forbade.
    problems: Vec<String>,
}

/// The element that has the focus after a Tab.
#[derive(Debug, Deserialize)]
struct Focus {
    tag: String,
    #[expect(dead_code, reason = "for the one who reads that a test failed")]
    name: String,
    outlined: bool,
    seen: bool,
}

impl Page {
    fn new(url: String, views: &[(u16, &'static str)]) -> Page {
        let views = views.iter().map(|&(width, scheme)| View { width, scheme }).collect();
        Page { url, ready: "true", look: "null", tabs: 0, views }
    }
}

/// Opens the pages, and checks what must hold for each of them. `None`, with a message, if there is no browser or
/// no Node; without axe-core, also with a message, the rest is checked.
#[track_caller]
fn look(pages: Vec<Page>) -> Option<Vec<Sight>> {
    let browser = browser::browser()?;
    if !tools::has("node") {
        return None;
    }
    let axe = repository("target/ci-tools/axe/node_modules/axe-core/axe.min.js");
    let has_axe = axe.is_file();
    if !has_axe {
        tools::skipped("axe-core looked at no page, as it is not there: .ci/run installs it");
    }
    let folder = tempfile::tempdir().unwrap();
    let order = folder.path().join("order.json");
    let browser = browser.to_str().unwrap();
    let text = serde_json::json!({
        "browser": browser, "profile": folder.path().join("profile"), "axe": has_axe.then_some(axe), "pages": pages,
    });
    std::fs::write(&order, text.to_string()).unwrap();
    let ended = run(clean("node").arg(repository("tests/pages/look.mjs")).arg(&order)).ended_with(0);
    let sights: Vec<Sight> = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    for sight in &sights {
        let view = format!("{} at {} px, {}", sight.title, sight.width, sight.scheme);
        assert!(sight.scroll <= sight.inner, "{view}: {} px are in {} px", sight.scroll, sight.inner);
        assert_eq!(sight.violations.as_deref().unwrap_or_default(), [Value::Null; 0], "{view}");
        assert_eq!(sight.violations.is_some(), has_axe, "{view}");
        assert_eq!(sight.problems, [""; 0], "{view}");
        // One top-level heading, and no skipped level.
        assert_eq!(sight.levels.iter().filter(|level| **level == 1).count(), 1, "{view}: {:?}", sight.levels);
        assert!(sight.levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{view}: {:?}", sight.levels);
        assert!(
            sight.focus.iter().all(|focus| focus.outlined && focus.seen || focus.tag == "body"),
            "{view}: {:?}",
            sight.focus
        );
    }
    Some(sights)
}
