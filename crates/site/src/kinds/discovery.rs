//! Recognizes files that keep their names and name others: the files that they name must be in place first.
//!
//! A script that a page loads has a digest in its name, or is requested again with the page. The files here are
//! read by programs that have no page, or a cached one: an open tab requests `_app/version.json` and reloads what
//! it finds there; an updater reads `latest.yml` and downloads the release. The names are the defaults of the
//! tools, as found in their outputs.

/// What visitors and crawlers request directly: HTML, service workers, feeds, sitemaps and web manifests.
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
                | "onesignalsdkworker"
                | "onesignalsdkupdaterworker"
        ),
        // Without an extension, as generators write them for addresses such as `/blog/feed`.
        "" => matches!(stem, "feed" | "rss" | "atom"),
        "xml" | "json" | "txt" | "gz" => {
            matches!(stem, "feed" | "rss" | "atom" | "podcast" | "index" | "manifest" | "robots" | "ngsw")
                || stem.starts_with("sitemap")
                || stem.ends_with("-sitemap")
        }
        _ => false,
    }
}

/// What programs request directly.
pub(super) fn names_others(key: &str) -> bool {
    let name = name(key);
    is_module_list(key, &name)
        || is_search_index(key, &name)
        || is_feed(key, &name)
        || is_version(key, &name)
        || is_twin(key, &name)
}

fn name(key: &str) -> String {
    key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase()
}

/// Lists of modules and chunks: module federation, import maps, and the manifests that build tools write about
/// their output.
///
/// Scripts and settings that a page loads by their plain names (`registerSW.js`, `env.js`, `config.json`) are not
/// included: they must be in place before the page.
fn is_module_list(key: &str, name: &str) -> bool {
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
            | "asset-manifest.json"
            | "assets-manifest.json"
            | "build-manifest.json"
            | "mix-manifest.json"
            | "vite-manifest.json"
            | "rev-manifest.json"
            | "webpack-assets.json"
            | "entrypoints.json"
            | "chunk-map.json"
            | "webpack.stats.json"
            // VitePress: the chunk of each page.
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
        // Single-spa and SystemJS put a name before it.
        || name.ends_with("-importmap.json")
        // From .NET 10 on, it contains what `blazor.boot.json` contained.
        || name == "dotnet.js" && is_below(key, &["_framework"])
}

/// Search indexes, which name pages and their own parts.
fn is_search_index(key: &str, name: &str) -> bool {
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
            | "fuse-index.json"
            | "lunr.json"
            | "lunr-index.json"
            | "pagefind-entry.json"
            // Dokka.
            | "pages.json"
    ) || name.starts_with("search_index.") && matches!(extension(name), "js" | "json")
        || name.ends_with("-search-index.js")
        // One for each language.
        || name.ends_with(".search-data.json")
        || name.starts_with("pagefind") && extension(name) == "js" && is_below(key, &["pagefind", "_pagefind"])
}

/// Feeds of packages and updates, and playlists.
fn is_feed(key: &str, name: &str) -> bool {
    matches!(
        name,
        // Electron, Squirrel, Sparkle, Tauri, and the extensions of browsers and editors.
        "latest.yml"
            | "beta.yml"
            | "alpha.yml"
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
            | "update.rdf"
            | "updates.rdf"
            | "updateplugins.xml"
            // Helm, Debian, RPM, Alpine, Maven, conda, F-Droid, Eclipse, Composer, RubyGems.
            | "index.yaml"
            | "release"
            | "inrelease"
            | "release.gpg"
            | "packages"
            | "packages.gz"
            | "packages.xz"
            | "packages.bz2"
            | "packages.zst"
            | "sources"
            | "sources.gz"
            | "sources.xz"
            | "sources.bz2"
            | "sources.zst"
            | "repomd.xml"
            | "repomd.xml.asc"
            | "repomd.xml.key"
            | "apkindex.tar.gz"
            | "maven-metadata.xml"
            | "repodata.json"
            | "repodata.json.bz2"
            | "repodata.json.zst"
            | "current_repodata.json"
            | "current_repodata.json.bz2"
            | "current_repodata.json.zst"
            | "channeldata.json"
            | "index-v1.jar"
            | "index-v1.json"
            | "index-v2.json"
            | "entry.jar"
            | "entry.json"
            | "artifacts.jar"
            | "content.jar"
            | "compositecontent.xml"
            | "compositeartifacts.xml"
            | "packages.json"
            | "versions"
            | "specs.4.8.gz"
            | "latest_specs.4.8.gz"
            | "prerelease_specs.4.8.gz"
            // The Update Framework.
            | "timestamp.json"
            | "snapshot.json"
            | "targets.json"
            // Entry points for crawlers and language models.
            | "opensearch.xml"
            | "browserconfig.xml"
            | "llms.txt"
            | "llms-full.txt"
    ) || name.starts_with("latest-") && extension(name) == "yml"
        // Electron's other channels.
        || ["-mac.yml", "-linux.yml", "-linux-arm.yml", "-linux-arm64.yml"].iter().any(|end| name.ends_with(end))
        // Velopack: one for each channel.
        || name.starts_with("releases.") && extension(name) == "json"
        || name.starts_with("maven-metadata.xml.")
        || matches!(extension(name), "m3u8" | "mpd" | "appinstaller" | "jnlp" | "zsync")
        || is_pacman_database(key, name)
}

/// Whether a key is a package list of Arch Linux: `.db` files elsewhere are something else.
fn is_pacman_database(key: &str, name: &str) -> bool {
    let is_packed = [".gz", ".xz", ".zst"].iter().any(|end| {
        let plain = name.strip_suffix(end).and_then(|name| name.strip_suffix(".tar"));
        plain.is_some_and(|plain| matches!(extension(plain), "db" | "files"))
    });
    let parent = key.rsplit('/').nth(1).unwrap_or_default();
    let is_architecture = matches!(parent, "x86_64" | "aarch64" | "armv7h" | "i686" | "any");
    is_packed || is_architecture && matches!(extension(name), "db" | "files")
}

/// Files that name the current build or version.
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

/// Data twins of pages: what a router requests instead of the page.
fn is_twin(key: &str, name: &str) -> bool {
    matches!(name, "page-data.json" | "__data.json" | "_payload.json" | "q-data.json" | "_payload.js" | "_root.data")
        // Next.js: next to each page and segment.
        || name.starts_with("__next.") && extension(name) == "txt"
        // Server components, which name chunks.
        || extension(name) == "rsc"
        // Gatsby: data that pages share, including pictures with digests.
        || extension(name) == "json" && (key.starts_with("page-data/sq/d/") || key.contains("/page-data/sq/d/"))
}

/// Whether a key is below a folder with one of these names.
fn is_below(key: &str, folders: &[&str]) -> bool {
    key.split('/').rev().skip(1).any(|folder| folders.contains(&folder))
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
            "podcast.xml",
            "blog/feed",
            "OneSignalSDKWorker.js",
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
            "vite-manifest.json",
            "systemjs-importmap.json",
            "single-spa-importmap.json",
            "_framework/dotnet.js",
            "fuse-index.json",
            "en.search-data.json",
            "releases/beta.yml",
            "releases/beta-mac.yml",
            "releases/alpha-linux-arm64.yml",
            "releases.win.json",
            "updates.rdf",
            "updatePlugins.xml",
            "packages.json",
            "specs.4.8.gz",
            "dists/stable/main/source/Sources.gz",
            "noarch/repodata.json.zst",
            "repo/index-v1.json",
            "x86_64/repo.db",
            "x86_64/repo.files",
            "repo.db.tar.zst",
            "app.jnlp",
            "tool.AppImage.zsync",
            "about.rsc",
            "page-data/sq/d/1234.json",
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
            "registerSW.js",
            "env.js",
            "assets/config.json",
            "appsettings.json",
            "_next/static/4f8a/_buildManifest.js",
            "js/dotnet.js",
            "data/cities.db",
            "Build/game.data",
            "x86_64/tool-1.0-x86_64.pkg.tar.zst",
            "app.1234.rdf",
        ] {
            assert_eq!(ObjectKind::by_name(asset), ObjectKind::Assets, "{asset}");
        }
    }
}
