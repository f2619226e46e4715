//! The one decision in which wave a key goes: by the patterns of the settings, else by its name.

use super::Wave;
use super::glob::{self, Glob};
use globset::GlobSet;
use std::sync::Arc;

/// What is decided about waves; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Waves {
    patterns: Arc<Patterns>,
}

#[derive(Debug, Default)]
struct Patterns {
    pages: GlobSet,
    assets: GlobSet,
}

impl Waves {
    /// Patterns of pages and of assets, over what names tell. A key of both is a page: it is the later
    /// wave, in which everything else is in place.
    pub fn new(pages: &[Glob], assets: &[Glob]) -> Result<Waves, String> {
        let patterns = Patterns { pages: glob::set(pages)?, assets: glob::set(assets)? };
        Ok(Waves { patterns: Arc::new(patterns) })
    }

    /// In which wave a key goes.
    pub fn of(&self, key: &str) -> Wave {
        if self.patterns.pages.is_match(key) {
            Wave::Pages
        } else if self.patterns.assets.is_match(key) {
            Wave::Assets
        } else {
            Wave::of(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_go_before_names_and_pages_before_assets() {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Glob>>();
        let waves = Waves::new(&globs(&["/data/*.json"]), &globs(&["embed/", "data/x.json"])).unwrap();
        assert_eq!(waves.of("data/x.json"), Wave::Pages);
        assert_eq!(waves.of("data/x/y.json"), Wave::Assets, "by its name");
        assert_eq!(waves.of("embed/frame.html"), Wave::Assets);
        assert_eq!(waves.of("index.html"), Wave::Pages, "by its name");
        assert_eq!(Waves::default().of("sw.js"), Wave::Pages);
    }
}
