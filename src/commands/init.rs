//! `shipfront init`: writes a commented `shipfront.toml` for the project that it finds.

mod generators;
mod output;
mod text;

use crate::cli::InitArgs;
use crate::config::file::FILE_NAME;
use crate::error::{Error, Result};
use crate::escape::Shown;
use crate::exit::Exit;
use crate::terminal::Terminal;
use generators::{GENERATORS, Generator, SPHINX};
use serde::Serialize;
use shipfront_site::Target;
use std::fmt::{self, Display, Formatter};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Debug, Serialize)]
struct Initialised {
    file: PathBuf,
    generator: Option<&'static str>,
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// `init`.
pub fn run(args: &InitArgs, terminal: &Terminal) -> Result<Exit> {
    // Either may be omitted.
    let is_target = |text: &Path| text.to_str().is_some_and(|text| text.starts_with("s3://"));
    let (directory, target) = match &args.target {
        None if is_target(&args.directory) => (Path::new("."), args.directory.to_str()),
        Some(directory) if is_target(&args.directory) => (Path::new(directory), args.directory.to_str()),
        target => (&*args.directory, target.as_deref()),
    };
    let target = target.map(Target::parse).transpose()?;
    terminal.report(&init(directory, target.as_ref(), args.force)?, &[], &[])?;
    Ok(Exit::Done)
}

/// Writes the file for the project in a directory.
fn init(directory: &Path, target: Option<&Target>, force: bool) -> Result<Initialised> {
    if !directory.is_dir() {
        return Err(Error::usage(format!("{} is not a directory", directory.display()))
            .hint("name the directory of the project, which has the site generator's configuration"));
    }
    let file = directory.join(FILE_NAME);
    let generator = GENERATORS.iter().chain([&SPHINX]).find(|generator| generator.made(directory));
    let output = output::find(directory, generator);
    let text = text::text(directory, generator, &output, target);
    let mut options = OpenOptions::new();
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let written = options.write(true).open(&file).and_then(|mut open| open.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(Initialised {
            file,
            generator: generator.map(|generator| generator.name),
            source: output.folder,
            target: target.map(ToString::to_string),
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::refused(format!("{} already exists; nothing was changed", file.display()))
                .hint("pass --force to overwrite it"))
        }
        Err(error) => Err(Error::failed(format!("cannot write {}: {error}", file.display()))
            .hint("run the command in a folder that you can write to")),
    }
}

impl Generator {
    fn made(&self, directory: &Path) -> bool {
        self.files(directory).iter().any(|file| match self.word {
            None => true,
            Some(word) => std::fs::read_to_string(directory.join(file)).is_ok_and(|text| text.contains(word)),
        })
    }

    /// The files that identify it, as far as a project has them.
    fn files(&self, directory: &Path) -> Vec<String> {
        let named = |name: &&str| match name.strip_prefix('*') {
            Some(ending) => {
                let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
                let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
                names.retain(|name| name.ends_with(ending));
                names.sort();
                names
            }
            None => vec![(*name).to_owned()],
        };
        self.projects.iter().flat_map(named).filter(|name| directory.join(name).is_file()).collect()
    }
}

impl Display for Initialised {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "Wrote {}{}",
            Shown(self.file.display()),
            self.generator.map(|name| format!(" for {name}")).unwrap_or_default()
        )?;
        match &self.source {
            Some(source) => writeln!(out, "  source: {}", Shown(source))?,
            None if self.generator.is_some() => {
                writeln!(out, "  no built site was found: set source in the file")?;
            }
            None => writeln!(out, "  no site generator was recognized: set source in the file")?,
        }
        if let Some(target) = &self.target {
            writeln!(out, "  target: {target}")?;
        }
        writeln!(
            out,
            "  next: {}'shipfront plan', or 'shipfront preview' to try it without an AWS account",
            if self.target.is_some() { "" } else { "set target in it, then " }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use crate::exit::Exit;
    use shipfront_site::rules::HeaderRules;
    use std::fs::{create_dir_all, read_to_string, write};

    const PAGES: &str = "max-age=0, s-maxage=31536000, must-revalidate";
    const HASHED: &str = "max-age=31536000, immutable";

    /// What is written for a project with these files, and how it is parsed.
    fn written(files: &[(&str, &str)]) -> (String, file::FileSettings) {
        let project = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = project.path().join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, content).unwrap();
        }
        init(project.path(), None, false).unwrap();
        let text = read_to_string(project.path().join(FILE_NAME)).unwrap();
        let settings = file::read(FILE_NAME, &text, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // What is proposed must be as correct as what is written.
        let proposed: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = ") || rest.starts_with('['))
                    .filter(|rest| !rest.contains("source ="))
                    .unwrap_or(line)
                    .to_owned()
                    + "\n"
            })
            .collect();
        file::read(FILE_NAME, &proposed, Some("staging")).unwrap_or_else(|error| panic!("{error}\n{proposed}"));
        (text, settings)
    }

    #[test]
    fn each_generator_has_its_output_and_its_hashed_files() {
        for (project, name, source, hashed, plain) in [
            ("hugo.toml", "Hugo", "public", "css/main.min.0123abcd4567.css", "css/main.css"),
            ("config.toml", "Hugo", "public", "img/sunset_hu_3c6d59f7.jpg", "img/sunset_hut.jpg"),
            ("vite.config.ts", "Vite", "dist", "assets/index-B9w_x-1Z.js", "assets/logo.svg"),
            ("next.config.mjs", "Next.js", "out", "_next/static/chunks/main.js", "images/a.png"),
            ("astro.config.mjs", "Astro", "dist", "_astro/index.B4x.css", "favicon.svg"),
            ("docusaurus.config.js", "Docusaurus", "build", "assets/js/main.0123abcd.js", "assets/js/main.js"),
            ("svelte.config.js", "SvelteKit", "build", "_app/immutable/chunks/a.js", "_app/version.json"),
            ("nuxt.config.ts", "Nuxt", ".output/public", "_nuxt/D4xQ8w_1.js", "_nuxt/builds/latest.json"),
            (".vitepress/config.mts", "VitePress", ".vitepress/dist", "assets/app.DEKfSKWO.js", "hashmap.json"),
            (
                "docs/.vitepress/config.ts",
                "VitePress",
                "docs/.vitepress/dist",
                "assets/index.md.DHYPl-Ga.lean.js",
                "a.js",
            ),
            ("gatsby-config.js", "Gatsby", "public", "app-0123abcd0123abcd0123.js", "page-data/app-data.json"),
            ("package.json", "Create React App", "build", "static/js/main.0123abcd.js", "static/js/own.js"),
            (
                "mkdocs.yml",
                "MkDocs",
                "site",
                "assets/javascripts/workers/search.a7633da7.min.js",
                "search/search_index.json",
            ),
            ("vue.config.js", "Vue CLI", "dist", "js/app.0123abcd.js", "js/own.js"),
            ("eleventy.config.js", "Eleventy", "_site", "", "style.css"),
            (".storybook/main.ts", "Storybook", "storybook-static", "assets/iframe-B9w_x-1Z.js", "index.json"),
            ("_config.yml", "Jekyll", "_site", "", "assets/main.css"),
            ("book.toml", "mdBook", "book", "book-0123abcd.js", "searchindex.js"),
            ("docs/conf.py", "Sphinx", "docs/_build/html", "", "_static/pygments.css"),
            ("docs/source/conf.py", "Sphinx", "docs/build/html", "", "_static/pygments.css"),
            ("doc/source/conf.py", "Sphinx", "doc/build/html", "", "_static/pygments.css"),
            ("config/_default/config.toml", "Hugo", "public", "css/main.min.0123abcd4567.css", "css/main.css"),
            ("react-router.config.ts", "React Router", "build/client", "assets/root-B9w_x-1Z.js", "assets/logo.svg"),
            ("Trunk.toml", "Trunk", "dist", "app-0123abcd0123abcd_bg.wasm", "app.js"),
            ("elm.json", "Elm", "dist", "", "elm.js"),
            ("antora-playbook.yml", "Antora", "build/site", "", "_/css/site.css"),
            ("docs/.vuepress/config.ts", "VuePress", "docs/.vuepress/dist", "", "a.js"),
        ] {
            let content = "baseURL = 'https://www.example.com/'\nextensions = []\nkit \"react-scripts\"\n";
            let (text, settings) = written(&[(project, content)]);
            assert!(text.contains(name), "{project}: {text}");
            assert_eq!(settings.values("source").unwrap(), [source], "{project}");
            let rules = HeaderRules::new(settings.headers().to_vec()).unwrap();
            let cache_control = |key: &str| rules.headers(key).cache_control.unwrap();
            if !hashed.is_empty() {
                assert_eq!(cache_control(hashed), HASHED, "{project}");
            }
            assert_eq!(cache_control(plain), PAGES, "{project}");
            assert_eq!(cache_control("blog/index.html"), PAGES, "{project}");
            assert!(cache_control("404.html").contains("s-maxage=60"), "{project}");
        }
    }

    #[test]
    fn what_was_built_goes_before_what_is_usual() {
        let built = [("conf.py", "extensions = []"), ("build/html/index.html", "x")];
        assert_eq!(written(&built).1.values("source").unwrap(), ["build/html"]);
        assert_eq!(written(&[("dist/index.html", "x")]).1.values("source").unwrap(), ["dist"], "of no known generator");
        assert_eq!(written(&[("config.toml", "title = 'x'")]).1.values("source"), None, "nobody's");
        let both = [("astro.config.mjs", ""), ("vite.config.ts", "")];
        assert!(written(&both).0.contains("Astro"));
    }

    #[test]
    fn the_folder_that_holds_the_front_page_wins_over_what_is_usual() {
        let page = |folder: &'static str| (folder, "<p>home");
        for (files, expected) in [
            // From the configuration, built or not.
            (vec![("astro.config.mjs", "export default {\n  outDir: './www',\n}")], "www"),
            (vec![("vite.config.ts", "build: { outDir: '../site' },\nroot: 'app',")], "site"),
            (vec![("next.config.mjs", "export default { output: 'export', distDir: 'build' }")], "build"),
            (vec![("hugo.toml", "publishDir = \"htdocs\"")], "htdocs"),
            (vec![("hugo.yaml", "publishDir: htdocs")], "htdocs"),
            (vec![("mkdocs.yml", "site_dir: html\n")], "html"),
            (vec![("svelte.config.js", "kit: { adapter: adapter({ pages: 'web' }) }")], "web"),
            (vec![("angular.json", r#"{"projects": {"shop": {}}}"#)], "dist/shop/browser"),
            // From what exists, whatever the configuration says.
            (vec![("astro.config.mjs", "outDir: process.env.OUT"), page("htdocs/index.html")], "htdocs"),
            (vec![("vite.config.ts", "outDir: 'www'"), page("dist/index.html")], "dist"),
            (vec![("nuxt.config.ts", ""), page("dist/index.html")], "dist"),
            (vec![("svelte.config.js", "kit"), ("vite.config.js", ""), page("build/index.html")], "build"),
            (vec![("angular.json", r#"{"projects": {"shop": {}}}"#), page("dist/shop/index.html")], "dist/shop"),
            (
                vec![(
                    "angular.json",
                    r#"{"projects": {"a": {"architect": {"build": {"options": {"outputPath": {"base": "www"}}}}}}}"#,
                )],
                "www/browser",
            ),
            (vec![("docs/conf.py", "extensions = []"), page("docs/build/html/index.html")], "docs/build/html"),
            (vec![("conf.py", "extensions = []"), page("docs/_build/html/index.html")], "docs/_build/html"),
            (vec![("vite.config.ts", ""), page("storybook-static/index.html")], "storybook-static"),
            (vec![page("index.html"), ("style.css", "a {}")], "."),
            (vec![page("website/index.html")], "website"),
            // A page that is a template is not a site, nor is an empty one.
            (vec![("package.json", "\"react-scripts\""), page("public/index.html")], "build"),
            (vec![("vite.config.ts", ""), page("index.html")], "dist"),
            (vec![("vite.config.ts", "outDir: 'www'"), ("dist/index.html", "")], "www"),
        ] {
            assert_eq!(written(&files).1.values("source").unwrap(), [expected], "{files:?}");
        }
    }

    #[test]
    fn a_source_is_no_site_and_the_folder_that_is_built_is() {
        let page = |folder: &'static str| (folder, "<p>home");
        let hexo = ("_config.yml", "title: x\npublic_dir: public\n");
        let vite = ("vite.config.ts", "export default { root:'web', build: { outDir:'../release' } }");
        let source = ("web/index.html", "<script type=module src=/src/main.ts></script>");
        let blazor = ("shop.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.BlazorWebAssembly\">");
        let published = "bin/Release/net8.0/publish/wwwroot/index.html";
        for (files, expected) in [
            (vec![hexo, ("package.json", "{\"hexo\": {}}"), page("public/index.html")], "public"),
            (vec![hexo], "public"),
            (vec![("pubspec.yaml", "flutter:"), page("web/index.html"), page("build/web/index.html")], "build/web"),
            (vec![("pubspec.yaml", "flutter:"), page("web/index.html")], "build/web"),
            (vec![blazor, page("wwwroot/index.html"), page(published)], "bin/Release/net8.0/publish/wwwroot"),
            (vec![page("wwwroot/index.html"), page(published)], "bin/Release/net8.0/publish/wwwroot"),
            (vec![("Trunk.toml", "[build]\ndist = \"www-dist\"\n")], "www-dist"),
            (vec![("Trunk.toml", "[build]\ndist = \"www-dist\"\n"), page("dist/index.html")], "dist"),
            (vec![("elm.json", "{}"), page("index.html"), page("dist/index.html")], "dist"),
            (vec![("elm.json", "{}"), page("index.html")], "dist"),
            (vec![vite, source], "release"),
            (vec![vite, source, page("release/index.html")], "release"),
            (vec![("vite.config.ts", "root: 'web'"), page("web/index.html")], "web/dist"),
            (vec![("vite.config.ts", ""), page("build/client/index.html")], "build/client"),
            (vec![page("build/site/index.html")], "build/site"),
            (vec![page("docs/.vuepress/dist/index.html")], "docs/.vuepress/dist"),
            (vec![("package.json", "{}"), page("apps/web/dist/index.html")], "apps/web/dist"),
            (vec![source, page("web/dist/index.html")], "web/dist"),
            (vec![page("docs/site/index.html")], "docs/site"),
            (vec![page("public_html/index.htm")], "public_html"),
            (vec![page("web/html/index.html")], "web/html"),
            (vec![(".vitepress/config.mts", "outDir:'../public',"), page("public/index.html")], "public"),
            (vec![("docs/.vitepress/config.mts", "outDir:'../public',")], "public"),
            // A plain site has pages in folders as well.
            (vec![page("index.html"), page("about/index.html"), page("blog/site/index.html")], "."),
            (vec![page("website/index.html"), page("website/book/index.html")], "website"),
        ] {
            assert_eq!(written(&files).1.values("source").unwrap(), [expected], "{files:?}");
        }
        assert_eq!(written(&[source]).1.values("source"), None);
        assert!(written(&[hexo]).0.contains("Hexo"));
    }

    #[test]
    fn a_generator_that_writes_outside_of_the_project_is_reported() {
        for (file, content, path) in [
            ("hugo.yaml", "publishDir: ../out\n", "../out"),
            ("mkdocs.yml", "site_dir: ../www\n", "../www"),
            (".vitepress/config.mts", "outDir: '../public',\n", "../public"),
        ] {
            let (text, settings) = written(&[(file, content)]);
            assert!(text.contains(&format!("writes outside the project: to {path}\n")), "{text}");
            assert_eq!(settings.values("source"), None, "{text}");
        }
    }

    #[test]
    fn of_a_site_that_is_built_only_the_rules_that_match_a_file_are_written() {
        let files = [("vite.config.ts", ""), ("dist/index.html", "x"), ("dist/a.js", "x")];
        assert_eq!(written(&files).1.headers().len(), 2, "no hashed files, and one page, which answers for errors");
        let files = [&files[..], &[("dist/about.html", "x")]].concat();
        assert_eq!(written(&files).1.headers().len(), 1, "neither an error page nor hashed files");
        let files = [
            ("vite.config.ts", ""),
            ("dist/index.html", "x"),
            ("dist/404.html", "x"),
            ("dist/assets/a-B9w_x-1Z.js", "x"),
        ];
        assert_eq!(written(&files).1.headers().len(), 3);
    }

    #[test]
    fn where_a_headers_file_says_how_long_copies_live_no_rule_overrides_it() {
        for file in ["public/_headers", "_headers", "dist/_headers"] {
            let files = [("vite.config.ts", ""), (file, "/*\n  Cache-Control: max-age=60\n"), ("dist/index.html", "x")];
            let (text, settings) = written(&files);
            assert!(settings.headers().is_empty() && text.contains("_headers sets cache lifetimes"), "{file}: {text}");
        }
        let spaced = [("vite.config.ts", ""), ("public/_headers", "/*\n  cache-control : max-age=5\n")];
        assert!(written(&spaced).1.headers().is_empty());
        for rules in ["/*\n  X-Frame-Options: DENY\n", "# Cache-Control: none\n/*\n  # Cache-Control: none\n"] {
            assert!(!written(&[("vite.config.ts", ""), ("public/_headers", rules)]).1.headers().is_empty(), "{rules}");
        }
    }

    #[test]
    fn a_target_is_written_too() {
        let project = tempfile::tempdir().unwrap();
        let target = Target::parse("s3://www.example.com/blog").unwrap();
        init(project.path(), Some(&target), false).unwrap();
        let text = read_to_string(project.path().join(FILE_NAME)).unwrap();
        let settings = file::read(FILE_NAME, &text, None).unwrap();
        assert_eq!(settings.values("target").unwrap(), ["s3://www.example.com/blog"]);
    }

    #[test]
    fn a_file_that_is_there_is_overwritten_only_by_force() {
        let project = tempfile::tempdir().unwrap();
        let file = project.path().join(FILE_NAME);
        write(&file, "# mine").unwrap();
        assert_eq!(init(project.path(), None, false).unwrap_err().exit(), Exit::Refused);
        assert_eq!(read_to_string(&file).unwrap(), "# mine");
        init(project.path(), None, true).unwrap();
        assert!(read_to_string(&file).unwrap().contains("[[headers]]"));
        assert_eq!(init(&project.path().join("nowhere"), None, false).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_single_page_is_short_lived_because_it_answers_for_errors() {
        let index = |files: &[(&str, &str)]| {
            let rules = HeaderRules::new(written(files).1.headers().to_vec()).unwrap();
            rules.headers("index.html").cache_control.unwrap()
        };
        let built = ("dist/index.html", "x");
        assert!(index(&[built, ("dist/assets/app.js", "x")]).contains("s-maxage=60"));
        assert!(index(&[("vite.config.ts", "")]).contains("s-maxage=60"), "not built yet");
        assert_eq!(index(&[("vite.config.ts", ""), built, ("dist/about/index.html", "x")]), PAGES);
        assert_eq!(index(&[built, ("dist/404.html", "x")]), PAGES);
        assert_eq!(index(&[("hugo.toml", "")]), PAGES);
    }

    #[test]
    fn settings_of_other_tools_are_pointed_out() {
        assert!(written(&[(".s3deploy.yml", "routes: []")]).0.contains("shipfront import .s3deploy.yml"));
        assert!(written(&[("hugo.toml", "[deployment]")]).0.contains("shipfront import hugo.toml"));
    }
}
