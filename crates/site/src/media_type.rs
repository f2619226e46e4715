//! Media types by file name: `mime_guess`, corrected for what the web expects and what IANA has registered.
//!
//! Other tools used the host's own table and so shipped different types from each machine
//! (<https://github.com/aws/aws-cli/issues/1249>); the tables here are compiled in. They were compared with the
//! registry and with what hosting platforms send (<https://github.com/jshttp/mime-db>).

mod well_known;

use crate::Encoding;
use std::borrow::Cow;

/// The `Content-Type` of a key.
pub fn of(key: &str) -> Cow<'static, str> {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    if let Some(known) = by_name(&name) {
        return Cow::Borrowed(known);
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if let Some(known) = by_extension(extension).or_else(|| registered(extension)) {
        return Cow::Borrowed(known);
    }
    if let Some(guess) = mime_guess::from_ext(extension).first_raw() {
        let is_text = guess.starts_with("text/");
        return if is_text { Cow::Owned(format!("{guess}; charset=utf-8")) } else { Cow::Borrowed(guess) };
    }
    Cow::Borrowed(well_known::of(key).unwrap_or("application/octet-stream"))
}

/// How the bytes of a key are compressed, if its name says so and browsers need to decode them.
pub fn encoding_of(key: &str) -> Option<Encoding> {
    let (_, extension) = key.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("svgz").then_some(Encoding::Gzip)
}

/// Files known by their whole name.
fn by_name(name: &str) -> Option<&'static str> {
    Some(match name {
        // The platforms' own documentation requires JSON although these have no extension.
        "apple-app-site-association" => "application/json",
        "apple-developer-merchantid-domain-association" => "text/plain; charset=utf-8",
        "cname" | "license" | "licence" | "copying" | "notice" | "authors" | "readme" | "changelog" => {
            "text/plain; charset=utf-8"
        }
        "sha256sums" | "sha512sums" | "sha1sums" | "md5sums" => "text/plain; charset=utf-8",
        "inrelease" | "release" | "packages" | "sources" => "text/plain; charset=utf-8",
        // RSS or Atom, which only the content shows; browsers and feed readers check it.
        "feed.xml" | "feed" | "rss" | "atom" => "application/xml; charset=utf-8",
        "atom.xml" => "application/atom+xml; charset=utf-8",
        "rss.xml" => "application/rss+xml; charset=utf-8",
        _ => return None,
    })
}

/// Types that `mime_guess` lacks or gets wrong for browsers.
fn by_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "xhtml" => "application/xhtml+xml; charset=utf-8",
        "json" | "map" | "topojson" | "jsonc" | "har" => "application/json; charset=utf-8",
        "jsonld" => "application/ld+json; charset=utf-8",
        "geojson" => "application/geo+json; charset=utf-8",
        "webmanifest" => "application/manifest+json; charset=utf-8",
        "xml" | "xsl" | "xslt" | "xsd" => "application/xml; charset=utf-8",
        "atom" => "application/atom+xml; charset=utf-8",
        "rss" => "application/rss+xml; charset=utf-8",
        "svg" | "svgz" => "image/svg+xml; charset=utf-8",
        // Browsers display this type, but download text of a type that they do not know.
        "diff" | "patch" | "rst" | "po" | "pot" | "graphql" | "gql" | "vue" | "tsx" | "md5" | "sha1" | "sha256"
        | "sha384" | "sha512" => "text/plain; charset=utf-8",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "vcf" => "text/vcard; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "yaml" | "yml" => "application/yaml; charset=utf-8",
        "toml" => "application/toml; charset=utf-8",
        "wasm" => "application/wasm",
        "avif" => "image/avif",
        "webp" => "image/webp",
        "jxl" => "image/jxl",
        "heic" => "image/heic",
        "ico" | "cur" => "image/x-icon",
        "glb" => "model/gltf-binary",
        "gltf" => "model/gltf+json",
        "usdz" => "model/vnd.usdz+zip",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "m4a" => "audio/mp4",
        "opus" => "audio/ogg",
        "ts" => "video/mp2t",
        "br" => "application/x-brotli",
        // Android bundles, Unity builds, modules and archives, instead of what once had these extensions.
        "aab" | "unityweb" | "mod" | "car" => "application/octet-stream",
        _ => return None,
    })
}

/// Types in the registry or on the platforms that `mime_guess` lacks or has otherwise: by kind, then by name.
fn registered(extension: &str) -> Option<&'static str> {
    Some(match extension {
        // Data.
        "sarif" => "application/sarif+json",
        "cbor" => "application/cbor",
        "gpkg" => "application/geopackage+sqlite3",
        "plist" => "application/xml; charset=utf-8",
        "ndjson" => "application/x-ndjson",
        "jsonl" => "application/jsonl",
        "ipynb" => "application/x-ipynb+json",
        "importmap" => "application/importmap+json",
        "nt" => "application/n-triples",
        "nq" => "application/n-quads",
        "trig" => "application/trig",
        "owl" => "application/rdf+xml",
        "parquet" => "application/vnd.apache.parquet",
        "arrow" => "application/vnd.apache.arrow.file",
        "arrows" => "application/vnd.apache.arrow.stream",
        "sqlite" | "sqlite3" => "application/vnd.sqlite3",
        "pmtiles" => "application/vnd.pmtiles",
        "mvt" => "application/vnd.mapbox-vector-tile",
        "osm" => "application/vnd.openstreetmap.data+xml",
        "dcm" => "application/dicom",
        "fits" => "image/fits",
        "xlf" => "application/xliff+xml",
        "wsdl" => "application/wsdl+xml",
        "dtd" => "application/xml-dtd",
        "spdx" => "text/spdx; charset=utf-8",
        "ged" => "text/vnd.familysearch.gedcom; charset=utf-8",
        "wgsl" => "text/wgsl; charset=utf-8",
        "mdx" => "text/mdx; charset=utf-8",
        // Packages and archives.
        "rpm" => "application/x-redhat-package-manager",
        "deb" => "application/vnd.debian.binary-package",
        "dmg" => "application/x-apple-diskimage",
        "msi" => "application/x-msi",
        "mobileconfig" => "application/x-apple-aspen-config",
        "pkpasses" => "application/vnd.apple.pkpasses",
        "msix" => "application/msix",
        "msixbundle" => "application/msixbundle",
        "appx" => "application/appx",
        "appxbundle" => "application/appxbundle",
        "appinstaller" => "application/appinstaller",
        "cab" => "application/vnd.ms-cab-compressed",
        "rar" => "application/vnd.rar",
        "tgz" => "application/gzip",
        "zst" => "application/zstd",
        "key" => "application/vnd.apple.keynote",
        "numbers" => "application/vnd.apple.numbers",
        "pages" => "application/vnd.apple.pages",
        "vsdx" => "application/vnd.visio",
        "cer" => "application/pkix-cert",
        // Sound and video.
        "m3u8" => "application/vnd.apple.mpegurl",
        "m4s" => "video/iso.segment",
        "cmfv" => "video/mp4",
        "cmfa" => "audio/mp4",
        "mts" | "m2t" | "m2ts" => "video/mp2t",
        "ttml" => "application/ttml+xml",
        "smi" => "application/smil+xml",
        "mid" | "midi" | "rmi" => "audio/midi",
        "m4b" => "audio/mp4",
        "m4p" => "application/mp4",
        "amr" => "audio/amr",
        "lottie" => "application/zip+dotlottie",
        // Pictures.
        "exr" => "image/aces",
        "avci" => "image/avci",
        "avcs" => "image/avcs",
        "dpx" => "image/dpx",
        "jls" => "image/jls",
        "jph" => "image/jph",
        "jxr" => "image/jxr",
        "jxs" => "image/jxs",
        "ktx2" => "image/ktx2",
        "psd" => "image/vnd.adobe.photoshop",
        "dds" => "image/vnd.ms-dds",
        "wmf" => "image/wmf",
        "emf" => "image/emf",
        // Models.
        "3mf" => "model/3mf",
        "obj" => "model/obj",
        "mtl" => "model/mtl",
        "stl" => "model/stl",
        "step" | "stp" => "model/step",
        "stpx" => "model/step+xml",
        "stpz" => "model/step+zip",
        "jt" => "model/jt",
        "u3d" => "model/u3d",
        "usda" => "model/vnd.usda",
        "wrl" => "model/vrml",
        "x3db" => "model/x3d+fastinfoset",
        "x3dv" => "model/x3d-vrml",
        "dwg" => "image/vnd.dwg",
        "dxf" => "image/vnd.dxf",
        "dwf" => "model/vnd.dwf",
        "fbx" => "application/vnd.autodesk.fbx",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_browsers_insist_on_are_right() {
        let expected = [
            ("a/index.html", "text/html; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("app.JS", "text/javascript; charset=utf-8"),
            ("mod.wasm", "application/wasm"),
            ("site.webmanifest", "application/manifest+json; charset=utf-8"),
            ("photo.avif", "image/avif"),
            ("app.js.map", "application/json; charset=utf-8"),
            ("feed.xml", "application/xml; charset=utf-8"),
            ("atom.xml", "application/atom+xml; charset=utf-8"),
            ("blog/feed", "application/xml; charset=utf-8"),
            ("sitemap.xml", "application/xml; charset=utf-8"),
            ("robots.txt", "text/plain; charset=utf-8"),
            ("logo.png", "image/png"),
            ("logo.svg", "image/svg+xml; charset=utf-8"),
            (".well-known/apple-app-site-association", "application/json"),
            ("press kit.pdf", "application/pdf"),
            ("no-extension", "application/octet-stream"),
            ("odd.zzzz", "application/octet-stream"),
        ];
        for (key, media_type) in expected {
            assert_eq!(of(key), media_type, "{key}");
        }
    }

    #[test]
    fn types_that_the_registry_has_are_not_left_to_guesses() {
        let expected = [
            ("live/index.m3u8", "application/vnd.apple.mpegurl"),
            ("live/1.m4s", "video/iso.segment"),
            ("live/1.ts", "video/mp2t"),
            ("live/manifest.mpd", "application/dash+xml"),
            ("logo.SVGZ", "image/svg+xml; charset=utf-8"),
            ("el9/tool-1.0.x86_64.rpm", "application/x-redhat-package-manager"),
            ("map.topojson", "application/json; charset=utf-8"),
            ("rows.ndjson", "application/x-ndjson"),
            ("notebook.ipynb", "application/x-ipynb+json"),
            ("part.stl", "model/stl"),
            ("part.obj", "model/obj"),
            ("tool.appinstaller", "application/appinstaller"),
            ("song.mid", "audio/midi"),
            ("data.parquet", "application/vnd.apache.parquet"),
            ("x.vcf", "text/vcard; charset=utf-8"),
            ("talk.key", "application/vnd.apple.keynote"),
            ("a.tgz", "application/gzip"),
            ("app.aab", "application/octet-stream"),
            ("go/x.mod", "application/octet-stream"),
            ("locale/de.pot", "text/plain; charset=utf-8"),
            ("fix.patch", "text/plain; charset=utf-8"),
            ("tool.tar.gz.sha256", "text/plain; charset=utf-8"),
            ("dists/stable/InRelease", "text/plain; charset=utf-8"),
            ("tsconfig.jsonc", "application/json; charset=utf-8"),
            ("scan.sarif", "application/sarif+json"),
            ("tool.deb", "application/vnd.debian.binary-package"),
            ("tool.dmg", "application/x-apple-diskimage"),
            ("manifest.plist", "application/xml; charset=utf-8"),
            ("hand.cur", "image/x-icon"),
        ];
        for (key, media_type) in expected {
            assert_eq!(of(key), media_type, "{key}");
        }
    }

    #[test]
    fn a_compressed_picture_says_so() {
        assert_eq!(encoding_of("img/logo.svgz"), Some(Encoding::Gzip));
        assert_eq!(encoding_of("img/logo.svg"), None);
        assert_eq!(encoding_of("sitemap.xml.gz"), None, "a file to be downloaded as it is");
    }
}
