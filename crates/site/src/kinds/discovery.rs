//! Files that keep their name and name others: what they name must be in place first.
//!
//! A script that a page loads has a digest in its name, or is asked for again with the page. These are read by programs
//! that have no page at hand, or a cached one: a tab that is open asks for `_app/version.json` and reloads what it
//! finds there, an updater reads `latest.yml` and fetches the release. The names are those that the tools give by
//! default, as found in their outputs.

/// What visitors and crawlers enter by: HTML, service workers, feeds, sitemaps and web manifests.
pub(super) fn is_page(key: &str) -> bool {
    let name = name(key);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
    match extension {
        "html" | "htm" | "xhtml" | "webmanifest" | "atom" | "rss" | "appcache" => true,
        "js" | "mjs" => matches!(
            stem,
            "sw" | "service-worker"
                | "serviceworker"
                | "service_worker"
                | "ngsw-worker"
                | "firebase-messaging-sw"
                | "flutter_service_worker"
                | "service-worker-assets"
        ),
        "xml" | "json" | "txt" | "gz" => {
            matches!(stem, "feed" | "rss" | "atom" | "index" | "manifest" | "robots" | "ngsw")
                || stem.starts_with("sitemap")
                || stem.ends_with("-sitemap")
        }
        _ => false,
    }
}

/// What programs enter by.
pub(super) fn names_others(key: &str) -> bool {
    let name = name(key);
    is_module_list(&name) || is_search_index(key, &name) || is_feed(&name) || is_version(key, &name) || is_twin(&name)
}

fn name(key: &str) -> String {
    key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase()
}

/// Lists of modules and chunks: module federation, import maps, and what build tools list of their output.
fn is_module_list(name: &str) -> bool {
    matches!(
        name,
        "remoteentry.js"
            | "remoteentry.mjs"
            | "remoteentry.json"
            | "mf-manifest.json"
            | "federation.manifest.json"
            | "module-federation.manifest.json"
            | "importmap.json"
            | "import-map.json"
            | "importmap.js"
            | "import-map.js"
            | "systemjs-importmap.json"
            | "asset-manifest.json"
            | "assets-manifest.json"
            | "build-manifest.json"
            | "mix-manifest.json"
            | "rev-manifest.json"
            | "webpack-assets.json"
            | "entrypoints.json"
            | "chunk-map.json"
            | "webpack.stats.json"
            // VitePress: which chunk each page is in.
            | "hashmap.json"
            // Flutter and Blazor.
            | "flutter_bootstrap.js"
            | "assetmanifest.json"
            | "assetmanifest.bin"
            | "assetmanifest.bin.json"
            | "fontmanifest.json"
            | "blazor.boot.json"
            | "q-manifest.json"
    ) || name.ends_with(".importmap")
}

/// Search indexes, which name pages and parts of themselves.
fn is_search_index(key: &str, name: &str) -> bool {
    let in_pagefind = || key.split('/').rev().skip(1).any(|folder| matches!(folder, "pagefind" | "_pagefind"));
    matches!(
        name,
        // MkDocs, Zola, Sphinx, mdBook and rustdoc.
        "search_index.json"
            | "search-index.json"
            | "searchindex.json"
            | "searchindex.js"
            | "search-index.js"
            | "objects.inv"
            // Quarto, Just the Docs, Docusaurus and others.
            | "search.json"
            | "search-data.json"
            | "searchdata.json"
            | "search-doc.json"
            | "lunr.json"
            | "lunr-index.json"
            | "pagefind-entry.json"
            // Dokka.
            | "pages.json"
    ) || name.starts_with("search_index.") && matches!(extension(name), "js" | "json")
        || name.ends_with("-search-index.js")
        || name.starts_with("pagefind") && extension(name) == "js" && in_pagefind()
}

/// Feeds of packages and updates, and playlists.
fn is_feed(name: &str) -> bool {
    matches!(
        name,
        // Electron, Squirrel, Sparkle, Tauri, and browsers' extensions.
        "latest.yml"
            | "latest.json"
            | "latest.txt"
            | "releases"
            | "releases.json"
            | "releases.txt"
            | "appcast.xml"
            | "update.json"
            | "updates.json"
            | "update.xml"
            | "updates.xml"
            // Helm, Debian, RPM, Alpine, Maven, conda, F-Droid, Eclipse, Nix.
            | "index.yaml"
            | "release"
            | "inrelease"
            | "release.gpg"
            | "packages"
            | "packages.gz"
            | "packages.xz"
            | "packages.bz2"
            | "packages.zst"
            | "repomd.xml"
            | "repomd.xml.asc"
            | "repomd.xml.key"
            | "apkindex.tar.gz"
            | "maven-metadata.xml"
            | "repodata.json"
            | "current_repodata.json"
            | "channeldata.json"
            | "index-v1.jar"
            | "index-v2.json"
            | "entry.jar"
            | "entry.json"
            | "artifacts.jar"
            | "content.jar"
            | "compositecontent.xml"
            | "compositeartifacts.xml"
            // The Update Framework.
            | "timestamp.json"
            | "snapshot.json"
            | "targets.json"
            // What crawlers and language models are led by.
            | "opensearch.xml"
            | "browserconfig.xml"
            | "llms.txt"
            | "llms-full.txt"
    ) || name.starts_with("latest-") && extension(name) == "yml"
        || name.starts_with("maven-metadata.xml.")
        || matches!(extension(name), "m3u8" | "mpd" | "appinstaller")
}

/// What says which build or version is the present one.
fn is_version(key: &str, name: &str) -> bool {
    matches!(
        name,
        "version.json"
            | "versions.json"
            | "version.txt"
            | "versions.txt"
            | "version"
            | "build.json"
            | "build-info.json"
            | "switcher.json"
            | "app-data.json"
    ) || key.ends_with("/builds/latest.json")
}

/// Data twins of pages: what a router asks for in place of the page.
fn is_twin(name: &str) -> bool {
    matches!(name, "page-data.json" | "__data.json" | "_payload.json" | "q-data.json" | "_payload.js" | "_root.data")
        // Next.js, beside each page and segment.
        || name.starts_with("__next.") && extension(name) == "txt"
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use crate::ObjectKind;

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

    #[test]
    fn what_keeps_its_name_and_names_others_goes_last() {
        for last in [
            "assets/remoteEntry.js",
            "mf-manifest.json",
            "importmap.json",
            "asset-manifest.json",
            "hashmap.json",
            "search/search_index.json",
            "searchindex.js",
            "objects.inv",
            "search_index.en.js",
            "search-index.json",
            "api/member-search-index.js",
            "pagefind/pagefind-entry.json",
            "pagefind/pagefind.js",
            "docs/_pagefind/pagefind-ui.js",
            "releases/latest.yml",
            "releases/latest-mac.yml",
            "latest.json",
            "RELEASES",
            "appcast.xml",
            "charts/index.yaml",
            "dists/stable/InRelease",
            "dists/stable/main/binary-amd64/Packages.gz",
            "repodata/repomd.xml",
            "org/example/maven-metadata.xml.sha1",
            "_app/version.json",
            "version.json",
            "_nuxt/builds/latest.json",
            "page-data/about/page-data.json",
            "page-data/app-data.json",
            "about/__data.json",
            "about/_payload.json",
            "about/index.txt",
            "about/__next._tree.txt",
            "live/index.m3u8",
            "live/manifest.mpd",
            "llms.txt",
        ] {
            assert_eq!(ObjectKind::by_name(last), ObjectKind::Pages, "{last}");
        }
        for asset in [
            "assets/remoteEntry-4f8a.js",
            "pagefind/fragment/en_8f.pf_fragment",
            "js/pagefind-theme.js",
            "_app/immutable/chunks/version.4f8a.js",
            "repodata/0f-primary.xml.gz",
            "pool/main/t/tool_1.0_amd64.deb",
            "search.4f8a.js",
            "_next/static/chunks/main.js",
            "about.txt.gz",
            "live/1.ts",
        ] {
            assert_eq!(ObjectKind::by_name(asset), ObjectKind::Assets, "{asset}");
        }
    }
}
