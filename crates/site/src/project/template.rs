//! Recognizes pages that a generator makes a page from: no browser can show them.

/// Number of bytes of a page to check.
pub const HEAD: u64 = 256 * 1024;

/// Whether a page has placeholders, or loads what no browser reads. `has_framework` says whether the files that
/// Blazor's page loads are next to it: the page itself is the same before and after the build.
pub fn is_template(head: &[u8], has_framework: impl FnOnce() -> bool) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lacks_framework = || text.contains("_framework/blazor.webassembly") && !has_framework();
    has_front_matter(text) || text.split('<').skip(1).any(|tag| is_place(tag) || loads_source(tag)) || lacks_framework()
}

/// Whether a text begins with settings between two lines of hyphens, as pages of Jekyll and others do.
fn has_front_matter(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == "---")
}

/// Whether a tag, in lowercase and without its first character, is one that Vue CLI or webpack, Create React App,
/// Flutter or Trunk fills in. Finished pages also have other placeholders, for scripts to fill in.
fn is_place(tag: &str) -> bool {
    let inner = tag.split('>').next().unwrap_or_default();
    ["%= base_url", "%= htmlwebpackplugin"].iter().any(|place| tag.starts_with(place))
        || ["%public_url%", "$flutter_base_href", " data-trunk", "%sveltekit."]
            .iter()
            .any(|place| inner.contains(place))
}

/// Whether a tag, in lowercase and without its first character, loads a source. Babel and Less do so in browsers as
/// well.
fn loads_source(tag: &str) -> bool {
    let tag = tag.split('>').next().unwrap_or_default();
    let (attribute, endings): (_, &[&str]) = if tag.starts_with("script") && !tag.contains("text/babel") {
        ("src", &[".ts", ".tsx", ".mts", ".jsx", ".vue", ".svelte", ".elm", ".coffee"])
    } else if tag.starts_with("link") && !tag.contains("stylesheet/less") {
        ("href", &[".scss", ".sass", ".less", ".styl"])
    } else {
        return false;
    };
    let value = tag.split(char::is_whitespace).find_map(|part| part.strip_prefix(attribute)?.strip_prefix('='));
    let path = value.unwrap_or_default().trim_matches(['"', '\'']).split(['?', '#']).next().unwrap_or_default();
    let is_elsewhere = path.starts_with("//") || path.contains("://");
    !is_elsewhere && endings.iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_a_generator_makes_a_page_from_is_a_source() {
        for (text, expected) in [
            ("<script type=\"module\" src=\"/src/main.ts\"></script>", true),
            ("<SCRIPT src=/src/main.tsx></SCRIPT>", true),
            ("<link rel=stylesheet href='./style.scss?x'>", true),
            ("<link rel=icon href=\"%PUBLIC_URL%/favicon.ico\">", true),
            ("<title><%= htmlWebpackPlugin.options.title %></title>", true),
            ("<base href=\"$FLUTTER_BASE_HREF\">", true),
            ("<link data-trunk rel=\"rust\">", true),
            ("<body data-sveltekit=\"%sveltekit.body%\">", true),
            ("---\ntitle: x\n---\n", true),
            ("\u{feff}---\r\n---\r\n", true),
            ("<script src=\"_framework/blazor.webassembly.js\"></script>", true),
            ("<script src=\"/assets/index-B9w_x-1Z.js\"></script>", false),
            ("<script type=\"text/babel\" src=\"app.jsx\"></script>", false),
            ("<link rel=\"stylesheet/less\" href=\"style.less\">", false),
            ("<script src=\"https://www.example.com/main.ts\"></script>", false),
            ("<script type=\"text/template\"><%= name %></script>", false),
            ("<p>&lt;script src=\"/src/main.ts\">, %PUBLIC_URL%, data-trunk", false),
            ("--- hello <p>", false),
            ("", false),
        ] {
            assert_eq!(is_template(text.as_bytes(), || false), expected, "{text}");
        }
        assert!(!is_template(b"<script src=\"_framework/blazor.webassembly.js\"></script>", || true), "published");
    }
}
