//! The one decision in which wave a key goes: by the patterns of the settings, else by its name.

use crate::glob::{self, Glob};
use globset::GlobSet;
use serde::Serialize;
use std::sync::Arc;

/// In which wave an object is uploaded: what pages refer to goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// Style sheets, scripts, images: of no effect until a page refers to them.
    Assets,
    /// What visitors and crawlers enter by, and so must find everything else in place.
    Pages,
}

impl ObjectKind {
    /// Pages are HTML, and the files by which browsers and crawlers discover the rest: service
    /// workers, feeds, sitemaps and web manifests.
    fn by_name(key: &str) -> ObjectKind {
        let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        let page = match extension {
            "html" | "htm" | "xhtml" | "webmanifest" | "atom" | "rss" | "appcache" => true,
            "js" | "mjs" => is_service_worker(stem),
            "xml" | "json" | "txt" | "gz" => is_discovery_document(stem),
            _ => false,
        };
        if page { ObjectKind::Pages } else { ObjectKind::Assets }
    }
}

fn is_service_worker(stem: &str) -> bool {
    matches!(
        stem,
        "sw" | "service-worker" | "serviceworker" | "service_worker" | "ngsw-worker" | "firebase-messaging-sw"
    )
}

fn is_discovery_document(stem: &str) -> bool {
    matches!(stem, "feed" | "rss" | "atom" | "index" | "manifest" | "robots" | "ngsw")
        || stem.starts_with("sitemap")
        || stem.ends_with("-sitemap")
}

/// What is decided about kinds; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ObjectKinds {
    patterns: Arc<Patterns>,
}

#[derive(Debug, Default)]
struct Patterns {
    pages: GlobSet,
    assets: GlobSet,
}

impl ObjectKinds {
    /// Patterns of pages and of assets, over what names tell. A key of both is a page: it is the later
    /// wave, in which everything else is in place.
    pub fn new(pages: &[Glob], assets: &[Glob]) -> Result<ObjectKinds, String> {
        let patterns = Patterns { pages: glob::set(pages)?, assets: glob::set(assets)? };
        Ok(ObjectKinds { patterns: Arc::new(patterns) })
    }

    /// In which wave a key goes.
    pub fn kind_of(&self, key: &str) -> ObjectKind {
        if self.patterns.pages.is_match(key) {
            ObjectKind::Pages
        } else if self.patterns.assets.is_match(key) {
            ObjectKind::Assets
        } else {
            ObjectKind::by_name(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_go_before_names_and_pages_before_assets() {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Glob>>();
        let kinds = ObjectKinds::new(&globs(&["/data/*.json"]), &globs(&["embed/", "data/x.json"])).unwrap();
        assert_eq!(kinds.kind_of("data/x.json"), ObjectKind::Pages);
        assert_eq!(kinds.kind_of("data/x/y.json"), ObjectKind::Assets, "by its name");
        assert_eq!(kinds.kind_of("embed/frame.html"), ObjectKind::Assets);
        assert_eq!(kinds.kind_of("index.html"), ObjectKind::Pages, "by its name");
        assert_eq!(ObjectKinds::default().kind_of("sw.js"), ObjectKind::Pages);
    }

    #[test]
    fn pages_are_what_visitors_and_crawlers_enter_by() {
        for page in [
            "index.html",
            "a/b.HTML",
            "sw.js",
            "feed.xml",
            "sitemap-1.xml",
            "sitemap.xml.gz",
            "site.webmanifest",
            "blog/index.xml",
            "manifest.json",
        ] {
            assert_eq!(ObjectKind::by_name(page), ObjectKind::Pages, "{page}");
        }
        for asset in ["app.4f8a.js", "style.css", "data.json", "logo.svg", "answer.js", "html", "book.xml"] {
            assert_eq!(ObjectKind::by_name(asset), ObjectKind::Assets, "{asset}");
        }
    }
}
