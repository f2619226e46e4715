//! Finds a project's site: the folder with the front page, even if the generator's defaults differ.

use super::generators::{Generator, OTHER_OUTPUTS, SPHINX};
use serde_json::Value;
use shipfront_site::key::{HEADERS_FILE, key_of};
use shipfront_site::project::template::{HEAD, is_template};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use walkdir::WalkDir;

/// The names of a front page.
const FRONT_PAGES: [&str; 2] = ["index.html", "index.htm"];
/// Folders of a project that contain pages but are not a site.
const NO_SITES: [&str; 14] = [
    "node_modules",
    "src",
    "source",
    "test",
    "tests",
    "examples",
    "vendor",
    "target",
    "coverage",
    "htmlcov",
    "obj",
    "templates",
    "themes",
    "cypress",
];
/// Folders whose files generators copy unchanged: pages there are templates, or parts of the site.
const COPIED: [&str; 3] = ["public", "static", "assets"];
/// Output folders that no site has as a section: a front page next to such a folder is the source of the one
/// inside.
const NO_SECTIONS: [&str; 4] = ["dist", "build", "out", "_site"];
/// Maximum number of folders to read: a project may be large.
const MOST_FOLDERS: usize = 1_000;

/// The site of a project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    /// The folder, relative to the project; `.` if the project is the site.
    pub(super) folder: Option<String>,
    /// The keys of its files, if it is built.
    pub(super) keys: Option<Vec<String>>,
    /// The output folder in the generator's configuration, if that is outside the project.
    pub(super) outside: Option<String>,
}

/// Looks for the site of a project: first where one is, then where one will be.
pub(super) fn find(directory: &Path, generator: Option<&Generator>) -> Output {
    let Configured { inside: configured, perhaps, outside, sources } =
        generator.map(|generator| configured(directory, generator)).unwrap_or_default();
    let usual: Vec<String> = generator.map(|generator| usual(directory, generator)).unwrap_or_default();
    let is_copied = |folder: &str| generator.is_some() && COPIED.contains(&folder);
    let known = OTHER_OUTPUTS.iter().map(|folder| (*folder).to_owned());
    let here = || generator.is_none().then(|| ".".to_owned());
    // A plain site has pages in folders as well; the root of a project with packages is probably not a site.
    let is_plain = !directory.join("package.json").is_file();
    let others = published(directory).into_iter().chain(known).chain(is_plain.then(here).flatten());
    let others = others.chain(below(directory, generator)).chain(here()).chain(folders(directory));
    let others = others.filter(|folder| !is_copied(folder) && !usual.contains(folder) && !sources.contains(folder));
    let places = configured.iter().chain(&perhaps).cloned().chain(usual.iter().cloned()).chain(others);
    let built = places.into_iter().find(|folder| holds_page(&directory.join(folder)));
    let outside = outside.filter(|_| !built.as_ref().is_some_and(|folder| perhaps.contains(folder)));
    let keys = built.as_ref().map(|folder| keys(&directory.join(folder)));
    // The default is wrong if the configuration says otherwise.
    let usual = if outside.is_some() { Vec::new() } else { usual };
    Output { folder: built.or_else(|| configured.into_iter().chain(usual).next()), keys, outside }
}

/// The `_headers` file of a project that sets the lifetime of copies, if it has one: in the site, or where it is
/// copied from.
pub(super) fn cache_headers(directory: &Path, output: &Output) -> Option<PathBuf> {
    let folders = output.folder.iter().map(String::as_str).chain(["."]).chain(COPIED).chain(["src", "site", "docs"]);
    let mut files = folders.map(|folder| directory.join(folder).join(HEADERS_FILE));
    // A comment begins with a number sign, which no header name contains.
    let is_rule =
        |line: &str| line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("cache-control"));
    let says = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(is_rule));
    files.find(says)
}

/// Whether a folder contains a nonempty front page that is not the source of one.
fn holds_page(folder: &Path) -> bool {
    FRONT_PAGES.iter().any(|name| {
        let page = folder.join(name);
        let is_written = std::fs::metadata(&page).is_ok_and(|page| page.is_file() && page.len() > 0);
        is_written && !is_source(&page)
    })
}

/// Whether a page is what a generator makes a page from.
fn is_source(page: &Path) -> bool {
    let mut head = Vec::new();
    // A page that cannot be read here is read, and refused, together with the site.
    if std::fs::File::open(page).and_then(|file| file.take(HEAD).read_to_end(&mut head)).is_err() {
        return false;
    }
    is_template(&head, || page.parent().is_some_and(|folder| folder.join("_framework").is_dir()))
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

/// Folders of the project that may contain a site, by name.
fn folders(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.') && !NO_SITES.contains(&name.as_str()));
    names.sort();
    names
}

/// Folders with usual output names inside folders of the project, for projects with several packages.
fn below(directory: &Path, generator: Option<&Generator>) -> Vec<String> {
    let first = folders(directory);
    let inner = first.iter().filter(|folder| !COPIED.contains(&folder.as_str()));
    // Below a front page, everything belongs to its site.
    let inner = inner.filter(|folder| !holds_page(&directory.join(folder)));
    let second = inner
        .flat_map(|folder| folders(&directory.join(folder)).into_iter().map(move |name| format!("{folder}/{name}")));
    let all = first.iter().filter(|folder| !COPIED.contains(&folder.as_str())).cloned().chain(second);
    let mut found = Vec::new();
    for folder in all.take(MOST_FOLDERS) {
        let has_page = holds_page(&directory.join(&folder));
        // A folder of files to copy comes last: an output of the same name is rare there.
        let names = OTHER_OUTPUTS.iter().filter(|name| !COPIED.contains(*name));
        let names = names.chain(generator.is_none().then_some(&"public"));
        let names = names.filter(|name| !has_page || NO_SECTIONS.contains(name));
        found.extend(names.map(|name| format!("{folder}/{name}")));
    }
    found
}

/// Where `dotnet publish` wrote Blazor sites, in the project or in a folder of it, the latest framework first.
fn published(directory: &Path) -> Vec<String> {
    let projects = std::iter::once(String::new()).chain(folders(directory).into_iter().map(|folder| folder + "/"));
    let written = projects.flat_map(|project| {
        let release = format!("{project}bin/Release");
        let mut frameworks = folders(&directory.join(&release));
        // By length first: net10.0 comes after net9.0.
        frameworks.sort_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
        frameworks.into_iter().map(move |framework| format!("{release}/{framework}/publish/wwwroot"))
    });
    written.collect()
}

/// Where a generator writes by default.
fn usual(directory: &Path, generator: &Generator) -> Vec<String> {
    let outputs = || generator.outputs.iter().map(|output| (*output).to_owned());
    let files = generator.files(directory);
    match (generator.name, files.first()) {
        ("Angular", Some(file)) => of_angular(directory.join(file)),
        // Next to their configuration.
        ("VitePress" | "VuePress", Some(file)) if !file.starts_with("docs/") => outputs().rev().collect(),
        ("Blazor", Some(file)) => {
            let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
            let framework = text.split("<TargetFramework>").nth(1).and_then(|rest| rest.split('<').next());
            let first = framework.map(|framework| format!("bin/Release/{}/publish/wwwroot", framework.trim()));
            first.into_iter().chain(published(directory)).collect()
        }
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

/// What the generator's configuration says.
#[derive(Debug, Default)]
struct Configured {
    /// Output folders inside the project.
    inside: Vec<String>,
    /// Output folders if paths are relative to a different folder than its documentation says: only an existing
    /// site counts.
    perhaps: Vec<String>,
    /// An output folder outside the project.
    outside: Option<String>,
    /// Folders of sources.
    sources: Vec<String>,
}

/// Reads the output folders from the generator's configuration.
fn configured(directory: &Path, generator: &Generator) -> Configured {
    let sources = match generator.name {
        "Flutter" => vec!["web".to_owned()],
        "Blazor" => vec!["wwwroot".to_owned()],
        _ => Vec::new(),
    };
    let mut found = Configured { sources, ..Configured::default() };
    if generator.name == "Angular" {
        return found;
    }
    for file in generator.files(directory) {
        let Ok(text) = std::fs::read_to_string(directory.join(&file)) else { continue };
        let root = setting(&text, "root").filter(|_| generator.name != "Trunk");
        // VitePress's paths are relative to its root, the parent of its configuration's folder; people expect the
        // latter.
        let home = file.rsplit_once('/').map(|(home, _)| home).filter(|home| home.ends_with(".vitepress"));
        let above = home.and_then(|home| Path::new(home).parent()?.to_str());
        let others: Vec<&str> = home.into_iter().chain(home.map(|_| "")).collect();
        let bases: Vec<&str> = root.as_deref().into_iter().chain([above.unwrap_or_default()]).collect();
        let mut values: Vec<String> = generator.settings.iter().filter_map(|name| setting(&text, name)).collect();
        if generator.name == "Vite" {
            let root = root.as_deref().and_then(within);
            // Vite writes into its root unless configured otherwise.
            if root.is_some() && values.is_empty() {
                values.push("dist".to_owned());
            }
            found.sources.extend(root);
        }
        if generator.name == "React Router" {
            values.iter_mut().for_each(|value| value.push_str("/client"));
        }
        for value in values {
            let from = |base: &&str| {
                // An absolute path has no base.
                let is_whole = base.is_empty() || value.starts_with('/');
                within(&if is_whole { value.clone() } else { format!("{base}/{value}") })
            };
            let before = found.inside.len();
            found.inside.extend(bases.iter().filter_map(from));
            found.perhaps.extend(others.iter().filter_map(from));
            // A script may use another base, and may contain only a part of the path.
            let is_script = [".js", ".ts", ".mjs", ".mts", ".cjs", ".cts"].iter().any(|ending| file.ends_with(ending));
            let path = Path::new(&value);
            let is_out = matches!(path.components().next_back(), Some(Component::Normal(_)))
                && !(is_script && (path.is_absolute() || text.contains("root")));
            if found.inside.len() == before && is_out {
                found.outside = Some(value);
            }
        }
    }
    found
}

/// A path that stays in the project, normalized.
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

/// The text value of a setting, as written in JavaScript, TOML, YAML or JSON, and not in a comment.
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
        // The first text in the rest of the line, as in `outDir: path.resolve(__dirname, 'build')`.
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
