//! Media types by file extension: `mime_guess`, corrected for what the web expects.
//!
//! Peers took the host's own table and so shipped other types from each machine
//! (<https://github.com/aws/aws-cli/issues/1249>); both tables here are compiled in.

use std::borrow::Cow;

/// The `Content-Type` of a key.
pub fn of(key: &str) -> Cow<'static, str> {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    if let Some(known) = by_name(&name) {
        return Cow::Borrowed(known);
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if let Some(known) = by_extension(extension) {
        return Cow::Borrowed(known);
    }
    let guess = mime_guess::from_ext(extension).first_raw().unwrap_or("application/octet-stream");
    if guess.starts_with("text/") { Cow::Owned(format!("{guess}; charset=utf-8")) } else { Cow::Borrowed(guess) }
}

/// Files known by their whole name.
fn by_name(name: &str) -> Option<&'static str> {
    Some(match name {
        // RFC 9264 and the platforms' own documents want JSON although these have no extension.
        "apple-app-site-association" => "application/json",
        "cname" | "license" | "readme" | "changelog" => "text/plain; charset=utf-8",
        "feed.xml" | "atom.xml" => "application/atom+xml; charset=utf-8",
        "rss.xml" => "application/rss+xml; charset=utf-8",
        _ => return None,
    })
}

/// What `mime_guess` lacks, or gets wrong for browsers.
fn by_extension(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "xhtml" => "application/xhtml+xml; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "jsonld" => "application/ld+json; charset=utf-8",
        "geojson" => "application/geo+json; charset=utf-8",
        "webmanifest" => "application/manifest+json; charset=utf-8",
        "xml" | "xsl" | "xslt" => "application/xml; charset=utf-8",
        "atom" => "application/atom+xml; charset=utf-8",
        "rss" => "application/rss+xml; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "yaml" | "yml" => "application/yaml; charset=utf-8",
        "toml" => "application/toml; charset=utf-8",
        "wasm" => "application/wasm",
        "avif" => "image/avif",
        "webp" => "image/webp",
        "jxl" => "image/jxl",
        "heic" => "image/heic",
        "ico" => "image/x-icon",
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
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::of;

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
            ("feed.xml", "application/atom+xml; charset=utf-8"),
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
}
