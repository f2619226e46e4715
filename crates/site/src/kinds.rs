//! Decides in which wave a key is uploaded: by the patterns of the settings, otherwise by its name.

mod discovery;

use crate::glob::{self, Glob};
use globset::GlobSet;
use serde::Serialize;
use std::sync::Arc;

/// The wave in which an object is uploaded: what pages refer to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// Style sheets, scripts, images: they have no effect until a page refers to them.
    Assets,
    /// What visitors and crawlers request directly, so everything else must already be in place.
    Pages,
}

impl ObjectKind {
    /// Pages are HTML, and the files by which browsers, crawlers and programs discover the rest: files that keep
    /// their names and name others.
    fn by_name(key: &str) -> ObjectKind {
        if discovery::is_page(key) || discovery::names_others(key) { ObjectKind::Pages } else { ObjectKind::Assets }
    }
}

/// The patterns that assign kinds; cheap to clone.
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
    /// Patterns of pages and of assets, which override the names. A key that matches both is a page: that is the
    /// later wave, when everything else is in place.
    pub fn new(pages: &[Glob], assets: &[Glob]) -> Result<ObjectKinds, String> {
        let patterns = Patterns { pages: glob::set(pages)?, assets: glob::set(assets)? };
        Ok(ObjectKinds { patterns: Arc::new(patterns) })
    }

    /// The wave of a key.
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
}
