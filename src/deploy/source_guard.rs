//! Refuses a source that is not a built site: a project's own directory, private keys, state files.

use crate::deploy::entry::Entry;
use crate::deploy::walk::{Walk, WalkRules};
use crate::error::{Error, Result};
use crate::open_files;
use rayon::prelude::*;
use shipfront_site::Key;
use shipfront_site::Warning;
use shipfront_site::key::legible;
use shipfront_site::project::secrets::{Secret, suspicion, suspicion_of_name};
use shipfront_site::project::template::{HEAD, is_template};
use shipfront_site::project::{
    BUILT_FOLDERS, ENVIRONMENT_FOLDERS, ENVIRONMENT_MARKER, GENERATOR_CONFIGURATIONS, GENERATOR_FOLDERS,
    INSTALLED_MARKERS, Sign, are_project, names_base_address, project_sign,
};
use std::io::Read;
use std::path::Path;

/// Number of signs to name before the rest is only counted.
const NAMED: usize = 5;
/// The front page of a site.
const FRONT_PAGE: &str = "index.html";
/// Folders that generators write to, and that hardly any site has as a section.
const WITHIN: [&str; 8] = ["dist", "_site", "out", "build", "public", "storybook-static", "htdocs", "build/html"];
/// Number of bytes of a generator's configuration to read.
const CONFIGURATION: u64 = 64 * 1024;
/// Number of files that one core checks before another may take some: most are not even opened.
const AT_ONCE: usize = 64;

/// Refuses the directory of a project, before it is walked completely.
pub(super) fn guard_project(source: &Path, rules: &WalkRules) -> Result<()> {
    // The walk refuses what cannot be read.
    let Ok(entries) = open_files::patiently(|| std::fs::read_dir(source)) else { return Ok(()) };
    let built = BUILT_FOLDERS.iter().find(|folder| source.join(folder).join(FRONT_PAGE).is_file());
    let mut signs: Vec<(Sign, String)> = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_folder = entry.path().is_dir();
        let key = if is_folder { format!("{name}/_") } else { name.clone() };
        // A repository of plain pages is both a project and a site, unless a folder is more likely to be the site.
        let is_repository = name == ".git" && is_folder && (built.is_some() || !source.join(FRONT_PAGE).is_file());
        let sign = project_sign(&name, is_folder).filter(|sign| *sign == Sign::Strong);
        let is_strong = is_repository || is_environment(source, &name) || is_generator(source, &name);
        let sign = sign.or(is_strong.then_some(Sign::Strong)).or_else(|| project_sign(&name, is_folder));
        if let Some(sign) = sign
            && !rules.excluded.is_match(&key)
        {
            signs.push((sign, legible(&name).into_owned()));
        }
    }
    let page = source.join(FRONT_PAGE);
    let has_framework = || source.join("_framework").is_dir();
    if !rules.excluded.is_match(FRONT_PAGE)
        && beginning(&page, HEAD).is_some_and(|head| is_template(&head, has_framework))
    {
        signs.push((Sign::Strong, format!("{FRONT_PAGE} that is a template")));
    }
    if !are_project(signs.iter().map(|(sign, _)| *sign)) {
        return Ok(());
    }
    refuse_project(source, signs.into_iter().map(|(_, name)| name).collect(), built.copied())
}

/// Whether a folder is a Python environment.
fn is_environment(source: &Path, name: &str) -> bool {
    ENVIRONMENT_FOLDERS.contains(&name) && source.join(name).join(ENVIRONMENT_MARKER).is_file()
}

/// Whether an entry is the configuration of a generator whose file name other programs use as well.
fn is_generator(source: &Path, name: &str) -> bool {
    if name == "config" {
        return source.join("config/_default").is_dir();
    }
    if !GENERATOR_CONFIGURATIONS.contains(&name) || !GENERATOR_FOLDERS.iter().any(|folder| source.join(folder).is_dir())
    {
        return false;
    }
    beginning(&source.join(name), CONFIGURATION).is_some_and(|bytes| names_base_address(&bytes))
}

/// The first bytes of a file, if it can be read: one that cannot is refused when it is deployed.
fn beginning(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open_files::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A warning if a folder of the source is more likely to be the site: one that generators write to has the front
/// page, and the source has none.
pub(super) fn built_within(source: &Path, walk: &Walk) -> Option<Warning> {
    let is_page = |folder: &&&str| walk.entry(&format!("{folder}/{FRONT_PAGE}")).is_some();
    let folder = WITHIN.iter().find(is_page).filter(|_| walk.entry(FRONT_PAGE).is_none())?;
    Some(Warning::new(
        format_args!(
            "{} has no {FRONT_PAGE}, but {folder}/ in it has one, which viewers find at /{folder}/",
            source.display()
        ),
        format_args!(
            "if that folder is the site, deploy {}; otherwise --allow-project ends this warning",
            source.join(folder).display()
        ),
    ))
}

/// Refuses packages that package managers have installed anywhere in a source.
pub(super) fn guard_packages(source: &Path, walk: &Walk) -> Result<()> {
    let mut signs: Vec<String> = Vec::new();
    for entry in &walk.entries {
        let Some((at, _)) = entry
            .key
            .match_indices("node_modules/")
            .find(|(at, _)| *at == 0 || entry.key.as_bytes().get(at - 1) == Some(&b'/'))
        else {
            continue;
        };
        let folder = &entry.key[..at + "node_modules".len()];
        let is_known = signs.iter().any(|sign| sign == folder);
        // What a page loads comes without its package's description.
        let is_installed = || {
            entry.key.ends_with("/package.json")
                || INSTALLED_MARKERS.iter().any(|marker| source.join(folder).join(marker).exists())
        };
        if !is_known && is_installed() {
            signs.push(folder.to_owned());
        }
        if signs.len() > NAMED {
            break;
        }
    }
    refuse_project(source, signs, None)
}

fn refuse_project(source: &Path, mut signs: Vec<String>, built: Option<&str>) -> Result<()> {
    if signs.is_empty() {
        return Ok(());
    }
    signs.sort();
    let more = signs.len().saturating_sub(NAMED);
    signs.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "this looks like a project, not a built site: {} contains {}{more}; nothing was changed",
        source.display(),
        signs.join(", ")
    );
    let otherwise = "if it is the site, exclude those files with --exclude, or pass --allow-project";
    Err(Error::refused(message).hint(match built {
        Some(folder) => format!("deploy the built site: {}; {otherwise}", source.join(folder).display()),
        None => format!("build the site first, and deploy the directory that the generator writes; {otherwise}"),
    }))
}

/// Refuses private keys and state files, wherever they are in a source.
pub(super) fn guard_secrets(walk: &Walk) -> Result<()> {
    let secret = |entry: &Entry| secret(walk, entry).map(|secret| (entry.key.clone(), secret));
    let found: Vec<(Key, Secret)> = walk.entries.par_iter().with_min_len(AT_ONCE).filter_map(secret).collect();
    let Some((key, secret)) = found.first() else { return Ok(()) };
    let more = match found.len() {
        0 | 1 => String::new(),
        2 => " (and 1 more file like it)".to_owned(),
        count => format!(" (and {} more files like it)", count - 1),
    };
    let message = format!("{} is {}{more}; nothing was changed", legible(key), secret.words());
    Err(Error::refused(message)
        .hint("remove it from the build, or exclude it with --exclude; if it was ever public, replace the secret"))
}

fn secret(walk: &Walk, entry: &Entry) -> Option<Secret> {
    let path = entry.path(&walk.root);
    let mut suspicions = vec![suspicion(&entry.key)];
    // A file that is linked to keeps its own name.
    if walk.has_symlinks
        && path.is_symlink()
        && let Ok(target) = path.canonicalize()
    {
        suspicions.push(suspicion_of_name(&target.to_string_lossy()));
    }
    let looked_at = suspicions.iter().map(|suspicion| suspicion.looks_at()).max().unwrap_or_default();
    let bytes = if looked_at > 0 { beginning(&path, looked_at as u64) } else { Some(Vec::new()) };
    match bytes {
        Some(bytes) => suspicions.into_iter().find_map(|suspicion| suspicion.decide(&bytes)),
        // Its name may be enough.
        None => suspicions.into_iter().filter(|suspicion| suspicion.looks_at() == 0).find_map(|name| name.decide(&[])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    fn refusal(files: &[&str]) -> Option<(String, String)> {
        let source = tempfile::tempdir().unwrap();
        for name in files {
            let path = source.path().join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, name).unwrap();
        }
        let rules = WalkRules::default();
        let walk = crate::deploy::walk::walk(source.path(), "", &rules).unwrap();
        let refused = guard_project(source.path(), &rules).and_then(|()| guard_packages(source.path(), &walk));
        refused.err().map(|error| (error.to_string(), error.hint_text().to_owned()))
    }

    #[test]
    fn the_directory_of_a_project_is_distinguished_from_a_site() {
        let (message, hint) =
            refusal(&["index.html", "package.json", "node_modules/a/b.js", "dist/index.html"]).unwrap();
        assert!(message.contains("contains node_modules, package.json"), "{message}");
        assert!(hint.contains("/dist;"), "{hint}");
        let (message, _) = refusal(&["package.json.html", "index.html", ".eleventy.js"]).unwrap();
        assert!(message.contains("contains .eleventy.js"), "{message}");
        let (_, hint) = refusal(&["Cargo.toml", "src/main.rs"]).unwrap();
        assert!(hint.contains("build the site first"), "{hint}");
        assert!(refusal(&[".git/config", "src/a.md", "public/index.html"]).is_some());
        assert!(refusal(&["index.html", "app/node_modules/a/b.js", "app/node_modules/.bin/c"]).is_some());
        assert!(refusal(&["index.html", "app/node_modules/a/package.json"]).is_some());
        assert!(refusal(&["index.html", "venv/pyvenv.cfg"]).is_some(), "an environment of Python");
        assert!(refusal(&["conf.py", "index.rst", "index.html"]).is_some(), "Sphinx");
        assert!(refusal(&["config/_default/a.toml", "index.html"]).is_some(), "Hugo");
        for alone in ["Makefile", "requirements.txt", "netlify.toml", "vercel.json", "config.toml", "wp-content/a.css"]
        {
            assert_eq!(refusal(&["index.html", alone]), None, "{alone} is part of sites, too");
        }
        assert_eq!(refusal(&["index.html", "README.md", ".git/config"]), None, "a repository of plain pages");
        assert_eq!(refusal(&["index.html", ".git"]), None, "a work tree of its own");
        assert_eq!(refusal(&["index.html", "vendor/node_modules/a/b.js"]), None, "a part that a page loads");
    }

    #[test]
    fn a_configuration_with_a_common_name_is_one_of_a_generator_beside_its_folders() {
        let source = tempfile::tempdir().unwrap();
        write(source.path().join("config.toml"), "baseURL = 'https://example.com/'").unwrap();
        let rules = WalkRules::default();
        assert!(guard_project(source.path(), &rules).is_ok());
        create_dir_all(source.path().join("content")).unwrap();
        let refused = guard_project(source.path(), &rules).unwrap_err().to_string();
        assert!(refused.contains("contains config.toml"), "{refused}");
        write(source.path().join("config.toml"), "[server]").unwrap();
        assert!(guard_project(source.path(), &rules).is_ok());
    }

    #[test]
    fn a_front_page_that_is_a_template_is_one_of_a_project() {
        let source = tempfile::tempdir().unwrap();
        let rules = WalkRules::default();
        for (page, is_refused) in
            [("---\nlayout: home\n---\n", true), ("<script src=/src/main.ts></script>", true), ("<p>home", false)]
        {
            write(source.path().join(FRONT_PAGE), page).unwrap();
            let refused = guard_project(source.path(), &rules).err().map(|error| error.to_string());
            assert_eq!(refused.is_some(), is_refused, "{page}");
            assert!(refused.is_none_or(|message| message.contains("index.html that is a template")));
        }
    }

    #[test]
    fn a_site_in_a_folder_of_the_source_is_pointed_out() {
        for (files, folder) in [
            (&["dist/index.html", "README.md"][..], Some("dist/")),
            (&["out/index.html", "out/a.css"], Some("out/")),
            (&["index.html", "dist/index.html"], None),
            (&["en/index.html"], None),
            (&["dist/app.js"], None),
        ] {
            let source = tempfile::tempdir().unwrap();
            for name in files {
                let path = source.path().join(name);
                create_dir_all(path.parent().unwrap()).unwrap();
                write(path, name).unwrap();
            }
            let walk = crate::deploy::walk::walk(source.path(), "", &WalkRules::default()).unwrap();
            let warning = built_within(source.path(), &walk);
            assert_eq!(warning.is_some(), folder.is_some(), "{files:?}");
            assert!(folder.is_none_or(|folder| warning.unwrap().to_string().contains(folder)));
        }
    }

    #[test]
    fn more_keys_than_one_are_counted_as_people_count() {
        let source = tempfile::tempdir().unwrap();
        let refused = || {
            let walk = crate::deploy::walk::walk(source.path(), "", &WalkRules::default()).unwrap();
            guard_secrets(&walk).unwrap_err().to_string()
        };
        for (name, more) in [
            ("id_rsa", ""),
            ("id_rsa2/id_rsa", " (and 1 more file like it)"),
            ("x/id_rsa", " (and 2 more files like it)"),
        ] {
            let path = source.path().join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, "whatever it holds").unwrap();
            assert!(refused().contains(&format!("id_rsa is a private key{more}; ")), "{}", refused());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_checked_by_what_it_leads_to() {
        let place = tempfile::tempdir().unwrap();
        let source = place.path().join("public");
        create_dir_all(&source).unwrap();
        write(place.path().join("id_rsa"), "whatever it holds").unwrap();
        write(source.join("index.html"), "page").unwrap();
        let rules = WalkRules { follow_links: true, ..WalkRules::default() };
        let refused = |link: &str| {
            std::os::unix::fs::symlink("../id_rsa", source.join(link)).unwrap();
            let walk = crate::deploy::walk::walk(&source, "", &rules).unwrap();
            let refused = guard_secrets(&walk).err().map(|error| error.to_string());
            std::fs::remove_file(source.join(link)).unwrap();
            refused
        };
        for link in ["k.txt", "k.html"] {
            assert!(refused(link).is_some_and(|message| message.contains("a private key")), "{link}");
        }
        assert!(guard_secrets(&crate::deploy::walk::walk(&source, "", &rules).unwrap()).is_ok());
    }
}
