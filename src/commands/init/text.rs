//! The text of the `shipfront.toml` that `init` writes.

use super::generators::Generator;
use super::output::{self, Output};
use crate::escape::Shown;
use shipfront_site::Target;
use shipfront_site::glob::{self, Glob};
use std::path::Path;

/// The text of the file.
pub(super) fn text(
    directory: &Path,
    generator: Option<&Generator>,
    output: &Output,
    target: Option<&Target>,
) -> String {
    let site = generator.map_or("a site", |generator| generator.name);
    let source = match &output.folder {
        Some(source) => format!("source = {}", toml::Value::from(source.as_str())),
        None => {
            let example = output.outside.as_deref().unwrap_or("public");
            format!("# source = {}", toml::Value::from(example))
        }
    };
    let outside = output.outside.as_deref().map_or_else(String::new, |path| {
        // On one line, whatever the configuration contains.
        format!("# According to its configuration, {site} writes outside the project: to {}\n", Shown(path))
    });
    let target = match target {
        Some(target) => format!("target = {}", toml::Value::from(target.to_string())),
        None => "# target = \"s3://www.example.com\"".to_owned(),
    };
    let others: String = other_settings(directory)
        .map(|file| format!("# {file} has settings of another tool: 'shipfront import {file}' converts them.\n"))
        .collect();
    let mut text = format!(
        "# How shipfront deploys {site}. 'shipfront plan' shows what a deploy would do.\n\
         # Every option of 'shipfront deploy --help' can be set here, without its hyphens; options and the\n\
         # environment (SHIPFRONT_MAX_PATHS for max-paths) override it.\n{others}\n\
         # The directory with the built site, relative to this file.\n{outside}{source}\n\n\
         # Where it goes: s3://BUCKET or s3://BUCKET/PREFIX.\n{target}\n\n\
         # The CloudFront distributions that show it. By default, those whose origin is the bucket.\n\
         # distribution = [\"E2QWRUHAPOMQZL\"]\n\n\
         # The first 1,000 paths of a month are free for an account. This site's share of them:\n\
         # free-paths = 1000\n\n\
         # How long assets that left the site stay for open tabs; \"0s\" or \"never\".\n\
         # prune-after = \"7d\"\n\n\
         # Files that are left alone, here and in the bucket.\n# exclude = [\"*.map\", \"/drafts/\"]\n\n"
    );
    if generator.is_some_and(|generator| generator.name == "Next.js") {
        text.push_str(
            "# Beside each page, Next.js writes its data as a .txt, which goes up with the page.\npages = [\"*.txt\"]\n\n",
        );
    }
    text.push_str(&header_rules(directory, generator, output));
    text.push_str(
        "\n# Settings that override these with --env staging or SHIPFRONT_ENV=staging.\n\
         # [env.staging]\n# target = \"s3://staging.example.com\"\n",
    );
    text
}

/// Whether CloudFront should serve `/index.html` for URLs without a file: if the site is built, whether that is its
/// only page; otherwise, whether its generator usually writes such sites.
fn is_single_page(generator: Option<&Generator>, output: &Output) -> bool {
    match &output.keys {
        Some(keys) => keys.iter().filter(|key| key.ends_with(".html") || key.ends_with(".htm")).count() == 1,
        None => {
            generator.is_some_and(|generator| matches!(generator.name, "Vite" | "Flutter" | "Blazor" | "Trunk" | "Elm"))
        }
    }
}

/// The header rules: those that apply to the site, and the others as comments.
fn header_rules(directory: &Path, generator: Option<&Generator>, output: &Output) -> String {
    // A rule without a file would cause a warning in every deploy.
    let holds = |pattern: &str| {
        let set = pattern.parse::<Glob>().ok().and_then(|glob| glob::set([&glob]).ok());
        let keys = output.keys.as_deref();
        set.is_some_and(|set| keys.is_none_or(|keys| keys.iter().any(|key| set.is_match(key))))
    };
    let rule = |is_proposed: bool, files: &str, cache_control: &str| {
        let comment = if is_proposed { "# " } else { "" };
        format!("{comment}[[headers]]\n{comment}files = {files}\n{comment}cache-control = \"{cache_control}\"\n")
    };
    let file = output::cache_headers(directory, output);
    let mut text = match &file {
        Some(file) => format!(
            "# {} sets cache lifetimes, and header rules here would override it. They could be:\n",
            file.strip_prefix(directory).unwrap_or(file).display()
        ),
        None => "# Header rules: all rules that match a file apply, and later ones override earlier ones.\n".to_owned(),
    };
    text.push_str(
        "# Files whose names do not change with their content stay at the edge for a year, because a deploy\n\
         # invalidates exactly what changed, and browsers ask each time.\n",
    );
    text.push_str(&rule(file.is_some(), "\"*\"", "max-age=0, s-maxage=31536000, must-revalidate"));
    let short_lived = "max-age=0, s-maxage=60, must-revalidate";
    if is_single_page(generator, output) {
        text.push_str(
            "\n# A single-page application: CloudFront serves /index.html under any URL. Its copies there are short-lived, so\n\
             # that a change needs no invalidation of everything; deep links may show the previous version for up to 60 s.\n",
        );
        text.push_str(&rule(file.is_some(), "[\"/index.html\", \"/404.html\"]", short_lived));
    } else {
        text.push_str(
            "\n# CloudFront serves an error page under any URL: copies that are short-lived need no invalidation of\n\
             # everything when it changes. A single-page application's error page is \"/index.html\": name it here, too.\n",
        );
        text.push_str(&rule(file.is_some() || !holds("/404.html"), "\"/404.html\"", short_lived));
    }
    text.push_str("\n# Files with a hash in their names never change, so browsers keep them for a year as well.\n");
    let hashed = generator.map_or(&[][..], |generator| generator.hashed);
    let used: Vec<&str> = hashed.iter().copied().filter(|pattern| holds(pattern)).collect();
    let shown = match (used.as_slice(), hashed) {
        ([], []) => &["/assets/**"][..],
        ([], hashed) => hashed,
        (used, _) => used,
    };
    if let Some(generator) = generator.filter(|generator| !generator.note.is_empty()) {
        text.push_str(&format!("# {}\n", generator.note));
    }
    let patterns: Vec<String> = shown.iter().map(|pattern| format!("\"{pattern}\"")).collect();
    let is_proposed = file.is_some() || used.is_empty();
    text.push_str(&rule(is_proposed, &format!("[{}]", patterns.join(", ")), "max-age=31536000, immutable"));
    text
}

/// Files of other tools that can be imported.
fn other_settings(directory: &Path) -> impl Iterator<Item = &'static str> {
    let s3deploy = [".s3deploy.yml"].into_iter().filter(|name| directory.join(name).is_file());
    let hugo = ["hugo.toml", "hugo.yaml", "hugo.json", "config.toml", "config.yaml", "config.json"];
    let deploys =
        |name: &&str| std::fs::read_to_string(directory.join(name)).is_ok_and(|text| text.contains("deployment"));
    s3deploy.chain(hugo.into_iter().filter(deploys))
}
