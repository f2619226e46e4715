//! `shipfront init`: a commented `shipfront.toml` for the project that is seen.

use crate::cli::InitArgs;
use crate::config::file::FILE_NAME;
use crate::error::{Error, Result};
use crate::escape::Shown;
use crate::exit::Exit;
use crate::terminal::Terminal;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Eight digits of a digest, as they are in names of files.
macro_rules! digest {
    () => {
        "[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]"
    };
}

/// A site generator: what its projects look like, and what it writes.
#[derive(Debug)]
struct Generator {
    name: &'static str,
    /// Files of which a project has one.
    projects: &'static [&'static str],
    /// What one of them says, where the name alone says too little.
    word: Option<&'static str>,
    /// Where it writes the site, the usual place first.
    outputs: &'static [&'static str],
    /// Files that have a digest of their content in their names.
    hashed: &'static [&'static str],
    /// What is to be known about those.
    note: &'static str,
}

/// The more particular first: Astro's projects may have a configuration of Vite, too.
const GENERATORS: [Generator; 8] = [
    Generator {
        name: "Next.js",
        projects: &["next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs"],
        word: None,
        outputs: &["out"],
        hashed: &["/_next/static/**"],
        note: "Next.js writes a site with output: 'export' in its configuration.",
    },
    Generator {
        name: "Astro",
        projects: &["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts", "astro.config.cjs"],
        word: None,
        outputs: &["dist"],
        hashed: &["/_astro/**"],
        note: "",
    },
    Generator {
        name: "Docusaurus",
        projects: &["docusaurus.config.js", "docusaurus.config.ts", "docusaurus.config.mjs", "docusaurus.config.cjs"],
        word: None,
        outputs: &["build"],
        hashed: &[
            concat!("/assets/{js,css}/*.", digest!(), ".{js,css}"),
            concat!("/assets/{images,files,medias}/*-", digest!(), "*"),
        ],
        note: "",
    },
    Generator {
        name: "Vite",
        projects: &[
            "vite.config.js",
            "vite.config.ts",
            "vite.config.mjs",
            "vite.config.mts",
            "vite.config.cjs",
            "vite.config.cts",
        ],
        word: None,
        outputs: &["dist"],
        hashed: &["/assets/*-????????.*"],
        note: "Keep files of your own in another folder than public/assets: their names could look like these.",
    },
    Generator {
        name: "Hugo",
        projects: &["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"],
        word: None,
        outputs: &["public"],
        hashed: HUGO,
        note: "",
    },
    Generator {
        name: "Hugo",
        projects: &["config.toml", "config.yaml", "config.yml", "config.json", "config/_default/hugo.toml"],
        word: Some("baseURL"),
        outputs: &["public"],
        hashed: HUGO,
        note: "",
    },
    Generator {
        name: "mdBook",
        projects: &["book.toml"],
        word: None,
        outputs: &["book", "book/html"],
        hashed: &[concat!("*-", digest!(), ".{js,css,svg,woff2,png,ico}")],
        note: "mdBook puts digests into names since 0.5.",
    },
    Generator {
        name: "Jekyll",
        projects: &["_config.yml", "_config.yaml", "_config.toml"],
        word: None,
        outputs: &["_site"],
        hashed: &[],
        note: "",
    },
];

const HUGO: &[&str] =
    &[concat!("*.", digest!(), "*.{js,css}"), "*_hu_[0-9a-f][0-9a-f][0-9a-f][0-9a-f]*.{jpg,jpeg,png,webp,gif,avif}"];

/// Sphinx has its own way: the configuration lies in one of several folders, the output in another.
const SPHINX: Generator = Generator {
    name: "Sphinx",
    projects: &["conf.py", "docs/conf.py", "doc/conf.py", "source/conf.py", "docs/source/conf.py"],
    word: Some("extensions"),
    outputs: &["docs/_build/html", "docs/build/html", "doc/_build/html", "_build/html", "build/html"],
    hashed: &[],
    note: "",
};

/// Where generators that are not known may have written.
const OTHER_OUTPUTS: [&str; 8] = ["public", "dist", "build", "out", "_site", "site", "book", "_build/html"];

/// What was written.
#[derive(Debug, Serialize)]
struct Initialised {
    file: PathBuf,
    generator: Option<&'static str>,
    source: Option<String>,
}

/// `init`.
pub fn run(args: &InitArgs, terminal: &Terminal) -> Result<Exit> {
    terminal.report(&init(&args.directory, args.force)?, &[], &[])?;
    Ok(Exit::Done)
}

/// Writes the file for the project in a directory.
fn init(directory: &Path, force: bool) -> Result<Initialised> {
    if !directory.is_dir() {
        return Err(Error::usage(format!("{} is no directory", directory.display()))
            .hint("name the directory of the project, in which the site generator's configuration is"));
    }
    let file = directory.join(FILE_NAME);
    let generator = GENERATORS.iter().chain([&SPHINX]).find(|generator| generator.made(directory));
    let source = source(directory, generator);
    let text = text(directory, generator, source);
    let mut options = OpenOptions::new();
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let written = options.write(true).open(&file).and_then(|mut open| open.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(Initialised {
            file,
            generator: generator.map(|generator| generator.name),
            source: source.map(str::to_owned),
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::refused(format!("{} is there already; nothing was changed", file.display()))
                .hint("pass --force to write it anew"))
        }
        Err(error) => Err(Error::failed(format!("cannot write {}: {error}", file.display()))),
    }
}

impl Generator {
    fn made(&self, directory: &Path) -> bool {
        self.projects.iter().map(|name| directory.join(name)).any(|path| match self.word {
            None => path.is_file(),
            Some(word) => std::fs::read_to_string(path).is_ok_and(|text| text.contains(word)),
        })
    }
}

/// Where the site is: where there is one, else where the generator usually writes it.
fn source(directory: &Path, generator: Option<&'static Generator>) -> Option<&'static str> {
    let outputs = generator.map_or(&OTHER_OUTPUTS[..], |generator| generator.outputs);
    let built = outputs.iter().find(|output| directory.join(output).join("index.html").is_file());
    let usual = generator.and_then(|generator| {
        if generator.name != SPHINX.name {
            return generator.outputs.first();
        }
        // Beside its configuration.
        let folder = generator.projects.iter().find(|project| directory.join(project).is_file())?;
        let folder = folder.trim_end_matches("conf.py").trim_end_matches("source/");
        let separate = generator.projects.iter().any(|project| {
            project.ends_with("source/conf.py") && project.starts_with(folder) && directory.join(project).is_file()
        });
        let output = format!("{folder}{}", if separate { "build/html" } else { "_build/html" });
        generator.outputs.iter().find(|known| **known == output)
    });
    built.or(usual).copied()
}

/// The text of the file.
fn text(directory: &Path, generator: Option<&Generator>, source: Option<&str>) -> String {
    let site = generator.map_or("a site", |generator| generator.name);
    let source = match source {
        Some(source) => format!("source = \"{source}\""),
        None => "# source = \"public\"".to_owned(),
    };
    let others: String = other_settings(directory)
        .map(|file| {
            format!("# {file} has settings of another tool: 'shipfront import {file}' shows them as they are here.\n")
        })
        .collect();
    let mut text = format!(
        "# How shipfront deploys {site}. 'shipfront plan' shows what a deploy would do.\n\
         # Every option of 'shipfront deploy --help' can stand here, without its hyphens; flags and the\n\
         # environment (SHIPFRONT_MAX_PATHS for max-paths) go over it.\n{others}\n\
         # The directory with the finished site, as seen from this file.\n{source}\n\n\
         # Where it goes: s3://BUCKET or s3://BUCKET/PREFIX.\n# target = \"s3://www.example.com\"\n\n\
         # The CloudFront distributions that show it. By default, those whose origin is the bucket.\n\
         # distribution = [\"E2QWRUHAPOMQZL\"]\n\n\
         # The first 1,000 paths of a month are free for an account. This site's share of them:\n\
         # free-paths = 1000\n\n\
         # How long assets that left the site stay for open tabs; \"0s\" or \"never\".\n\
         # prune-after = \"7d\"\n\n\
         # Files that are left alone, here and in the bucket.\n# exclude = [\"*.map\", \"/drafts/\"]\n\n\
         # Header rules: all that match a file apply, in this order, and the last word holds.\n\
         # What has no name of its own for each content stays at the edge for a year, because a deploy\n\
         # invalidates exactly what changed, and browsers ask each time.\n\
         [[headers]]\nfiles = \"*\"\ncache-control = \"max-age=0, s-maxage=31536000, must-revalidate\"\n\n\
         # CloudFront serves an error page under any URL: copies that are short-lived need no invalidation of\n\
         # everything when it changes.\n\
         [[headers]]\nfiles = \"/404.html\"\ncache-control = \"max-age=0, s-maxage=60, must-revalidate\"\n\n"
    );
    match generator.filter(|generator| !generator.hashed.is_empty()) {
        Some(Generator { hashed, note, .. }) => {
            let patterns: Vec<String> = hashed.iter().map(|pattern| format!("\"{pattern}\"")).collect();
            text.push_str(
                "# Files with a digest of their content in their names never change: a year in browsers, too.\n",
            );
            if !note.is_empty() {
                text.push_str(&format!("# {note}\n"));
            }
            text.push_str(&format!(
                "[[headers]]\nfiles = [{}]\ncache-control = \"max-age=31536000, immutable\"\n",
                patterns.join(", ")
            ));
        }
        None => text.push_str(
            "# Files with a digest of their content in their names never change: a year in browsers, too.\n\
             # [[headers]]\n# files = [\"/assets/**\"]\n# cache-control = \"max-age=31536000, immutable\"\n",
        ),
    }
    text.push_str(
        "\n# Settings over these, chosen with --env staging or SHIPFRONT_ENV=staging.\n\
         # [env.staging]\n# target = \"s3://staging.example.com\"\n",
    );
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

impl Display for Initialised {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "wrote {}{}",
            Shown(self.file.display()),
            self.generator.map(|name| format!(" for {name}")).unwrap_or_default()
        )?;
        match &self.source {
            Some(source) => writeln!(out, "  source: {}", Shown(source))?,
            None => writeln!(out, "  no site generator was recognised: name the source in the file")?,
        }
        writeln!(
            out,
            "  next: name the target in it, then 'shipfront plan'; or try 'shipfront preview', with no AWS account"
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

    /// What is written for a project of these files, and how it reads.
    fn written(files: &[(&str, &str)]) -> (String, file::FileSettings) {
        let project = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = project.path().join(name);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, content).unwrap();
        }
        init(project.path(), false).unwrap();
        let text = read_to_string(project.path().join(FILE_NAME)).unwrap();
        let settings = file::read(FILE_NAME, &text, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // What is proposed must be as right as what is written.
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
            ("_config.yml", "Jekyll", "_site", "", "assets/main.css"),
            ("book.toml", "mdBook", "book", "book-0123abcd.js", "searchindex.js"),
            ("docs/conf.py", "Sphinx", "docs/_build/html", "", "_static/pygments.css"),
            ("docs/source/conf.py", "Sphinx", "docs/build/html", "", "_static/pygments.css"),
        ] {
            let content = "baseURL = 'https://www.example.com/'\nextensions = []\n";
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
        assert_eq!(written(&[("config.toml", "base_url = 'x'")]).1.values("source"), None, "not Hugo's");
        let both = [("astro.config.mjs", ""), ("vite.config.ts", "")];
        assert!(written(&both).0.contains("Astro"));
    }

    #[test]
    fn a_file_that_is_there_is_overwritten_only_by_force() {
        let project = tempfile::tempdir().unwrap();
        let file = project.path().join(FILE_NAME);
        write(&file, "# mine").unwrap();
        assert_eq!(init(project.path(), false).unwrap_err().exit(), Exit::Refused);
        assert_eq!(read_to_string(&file).unwrap(), "# mine");
        init(project.path(), true).unwrap();
        assert!(read_to_string(&file).unwrap().contains("[[headers]]"));
        assert_eq!(init(&project.path().join("nowhere"), false).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn settings_of_other_tools_are_pointed_out() {
        assert!(written(&[(".s3deploy.yml", "routes: []")]).0.contains("shipfront import .s3deploy.yml"));
        assert!(written(&[("hugo.toml", "[deployment]")]).0.contains("shipfront import hugo.toml"));
    }
}
