//! Where a project's site is: the folder that holds the front page, wherever the generator's defaults say that it is.

use super::generators::{Generator, OTHER_OUTPUTS, SPHINX};
use serde_json::Value;
use shipfront_site::key::{HEADERS_FILE, key_of};
use std::path::{Component, Path, PathBuf};
use walkdir::WalkDir;

/// The front page.
const FRONT_PAGE: &str = "index.html";
/// Folders of a project that hold pages and are no site.
const NO_SITES: [&str; 12] = [
    "node_modules",
    "src",
    "source",
    "test",
    "tests",
    "examples",
    "vendor",
    "target",
    "coverage",
    "templates",
    "themes",
    "cypress",
];
/// Where generators take files from that they copy as they are: pages there are templates, or parts of the site.
const COPIED: [&str; 3] = ["public", "static", "assets"];

/// The site of a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    /// The folder, as seen from the project; `.` where the project is the site.
    pub(super) folder: Option<String>,
    /// The keys of its files, if it is built.
    pub(super) keys: Option<Vec<String>>,
}

/// Looks for the site of a project: first where one is, then where one will be.
pub(super) fn find(directory: &Path, generator: Option<&Generator>) -> Output {
    let configured = generator.map(|generator| configured(directory, generator)).unwrap_or_default();
    let usual: Vec<String> = generator.map(|generator| usual(directory, generator)).unwrap_or_default();
    let is_copied = |folder: &str| generator.is_some() && COPIED.contains(&folder);
    let others = OTHER_OUTPUTS.iter().map(|folder| (*folder).to_owned()).chain(folders(directory));
    let others = others.filter(|folder| !is_copied(folder) && !usual.contains(folder));
    let is_plain = generator.is_none();
    let here = is_plain.then(|| ".".to_owned());
    let places = configured.iter().cloned().chain(usual.iter().cloned()).chain(others).chain(here);
    let built = places.into_iter().find(|folder| holds_page(&directory.join(folder)));
    let keys = built.as_ref().map(|folder| keys(&directory.join(folder)));
    Output { folder: built.or_else(|| configured.into_iter().chain(usual).next()), keys }
}

/// The `_headers` file of a project that says how long copies live, if it has one: in the site, or where it is copied
/// from.
pub(super) fn cache_headers(directory: &Path, output: &Output) -> Option<PathBuf> {
    let folders = output.folder.iter().map(String::as_str).chain(["."]).chain(COPIED).chain(["src", "site", "docs"]);
    let mut files = folders.map(|folder| directory.join(folder).join(HEADERS_FILE));
    let says = |path: &PathBuf| {
        std::fs::read_to_string(path).is_ok_and(|text| text.to_ascii_lowercase().contains("cache-control:"))
    };
    files.find(says)
}

/// Whether a folder holds a front page with anything in it.
fn holds_page(folder: &Path) -> bool {
    std::fs::metadata(folder.join(FRONT_PAGE)).is_ok_and(|page| page.is_file() && page.len() > 0)
}

/// The keys of the files of a built site.
fn keys(folder: &Path) -> Vec<String> {
    let files = WalkDir::new(folder).into_iter().filter_entry(|entry| {
        entry.depth() == 0
            || !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.file_name() != "node_modules"
    });
    let files = files.flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| key_of(entry.path().strip_prefix(folder).ok()?)).collect()
}

/// Folders of the project that may hold a site, by name.
fn folders(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.') && !NO_SITES.contains(&name.as_str()));
    names.sort();
    names
}

/// Where a generator writes by default.
fn usual(directory: &Path, generator: &Generator) -> Vec<String> {
    let outputs = || generator.outputs.iter().map(|output| (*output).to_owned());
    let made = generator.projects.iter().find(|project| directory.join(project).is_file());
    match (generator.name, made) {
        ("Angular", Some(file)) => of_angular(directory.join(file)),
        // Beside their configuration.
        ("VitePress", Some(file)) if !file.starts_with("docs/") => outputs().rev().collect(),
        (name, Some(file)) if name == SPHINX.name => {
            let folder = file.trim_end_matches("conf.py").trim_end_matches("source/");
            let separate = generator.projects.iter().any(|project| {
                project.ends_with("source/conf.py") && project.starts_with(folder) && directory.join(project).is_file()
            });
            let first = format!("{folder}{}", if separate { "build/html" } else { "_build/html" });
            let others = outputs().filter(|output| *output != first);
            std::iter::once(first.clone()).chain(others).collect()
        }
        _ => outputs().collect(),
    }
}

/// Where Angular writes, for each project of the file.
fn of_angular(file: PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let file: Value = serde_json::from_str(&text).unwrap_or_default();
    let projects = file["projects"].as_object().into_iter().flatten();
    let written = projects.flat_map(|(name, project)| {
        let path = &project["architect"]["build"]["options"]["outputPath"];
        let base =
            path.as_str().or_else(|| path["base"].as_str()).map_or_else(|| format!("dist/{name}"), str::to_owned);
        let browser = path["browser"].as_str().unwrap_or("browser");
        [format!("{base}/{browser}"), base]
    });
    written.filter_map(|folder| within(&folder)).collect()
}

/// Where the generator's configuration says that it writes.
fn configured(directory: &Path, generator: &Generator) -> Vec<String> {
    if generator.name == "Angular" {
        return Vec::new();
    }
    let texts = generator.projects.iter().filter_map(|file| std::fs::read_to_string(directory.join(file)).ok());
    let mut found = Vec::new();
    for text in texts {
        let root = setting(&text, "root");
        for value in generator.settings.iter().filter_map(|name| setting(&text, name)) {
            found.extend(root.as_ref().and_then(|root| within(&format!("{root}/{value}"))));
            found.extend(within(&value));
        }
    }
    found
}

/// A path that stays in the project, without its detours.
fn within(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The text that a configuration gives a setting: as JavaScript, TOML, YAML or JSON write it, and not in a comment.
fn setting(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with(['#', '*']));
    lines.find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let at = lower.match_indices(&name.to_ascii_lowercase()).find_map(|(at, word)| {
            let before = lower[..at].chars().next_back();
            let is_word = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '$'));
            is_word.then_some(at + word.len())
        })?;
        let rest = line.get(at..)?.trim_start_matches(['"', '\'']).trim_start();
        let value = rest.strip_prefix([':', '='])?.trim();
        // The first text of the rest of the line, as in `outDir: path.resolve(__dirname, 'build')`.
        if let Some(start) = value.find(['"', '\'', '`']) {
            let quote = value[start..].chars().next()?;
            let inner = &value[start + 1..];
            return Some(inner[..inner.find(quote)?].to_owned());
        }
        let is_yaml = rest.starts_with(": ") && !value.contains(['(', '{', ';']) && !value.ends_with(',');
        let bare = value.split(" #").next().unwrap_or_default().trim();
        (is_yaml && !bare.is_empty()).then(|| bare.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_as_each_language_writes_it() {
        for (text, expected) in [
            ("export default { build: { outDir: 'build/web' } }", Some("build/web")),
            ("  outDir: \"www\",", Some("www")),
            ("outDir: path.resolve(__dirname, `site`),", Some("site")),
            ("// outDir: 'no'\n", None),
            ("myOutDir: 'no'", None),
            ("outDir,", None),
            ("outdir = \"toml\"", Some("toml")),
            ("outDir: yaml # a comment", Some("yaml")),
            ("\"outDir\": \"json\",", Some("json")),
            ("outDir: process.env.OUT,", None),
        ] {
            assert_eq!(setting(text, "outDir").as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_path_out_of_the_project_is_none() {
        assert_eq!(within("src/../dist/./web/").as_deref(), Some("dist/web"));
        assert_eq!(within("../dist"), None);
        assert_eq!(within("/srv/www"), None);
        assert_eq!(within("."), None);
    }
}
