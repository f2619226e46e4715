//! Recognizes what never belongs to a built site: the files of a project, private keys, and the state of
//! infrastructure tools.

pub mod secrets;
pub mod template;

/// Folders to which generators write a site, the most certain first.
pub const BUILT_FOLDERS: [&str; 19] = [
    "dist",
    "_site",
    "out",
    "build",
    ".output/public",
    "build/html",
    "_build/html",
    "docs/_build/html",
    "docs/build/html",
    "docs/.vitepress/dist",
    "storybook-static",
    "public",
    "site",
    "book",
    "www",
    "output",
    "target/site",
    "htdocs",
    "docs",
];

/// Files at the top of a project that no generator copies into its output.
const PROJECT_FILES: &[&str] = &[
    ".eleventy.js",
    "antora-playbook.yml",
    "antora-playbook.yaml",
    "biome.json",
    "biome.jsonc",
    "build.sbt",
    "config.ru",
    "deps.edn",
    "docfx.json",
    "elm.json",
    "ember-cli-build.js",
    "gleam.toml",
    "makefile.am",
    "npm-shrinkwrap.json",
    "package.yaml",
    "podfile",
    "project.clj",
    "pubspec.yaml",
    "rescript.json",
    "rust-toolchain.toml",
    "stack.yaml",
    "trunk.toml",
    "vagrantfile",
    "angular.json",
    "book.toml",
    "bower.json",
    "build.gradle",
    "build.gradle.kts",
    "bun.lock",
    "bun.lockb",
    "buildspec.yml",
    "cargo.lock",
    "cargo.toml",
    "cdk.json",
    "cmakelists.txt",
    "composer.json",
    "composer.lock",
    "deno.json",
    "deno.jsonc",
    "deno.lock",
    "docker-compose.yml",
    "docker-compose.yaml",
    "dockerfile",
    "flake.nix",
    "gemfile",
    "gemfile.lock",
    "go.mod",
    "go.sum",
    "hugo.json",
    "hugo.toml",
    "hugo.yaml",
    "hugo.yml",
    "lerna.json",
    "manage.py",
    "mix.exs",
    "mkdocs.yml",
    "mkdocs.yaml",
    "module.bazel",
    "nx.json",
    "package-lock.json",
    "package.json",
    "pipfile",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "poetry.lock",
    "pom.xml",
    "pyproject.toml",
    "setup.py",
    "turbo.json",
    "tsconfig.json",
    "uv.lock",
    "workspace",
    "yarn.lock",
    "_config.yml",
    "_config.yaml",
    "_quarto.yml",
    "_quarto.yaml",
    "gruntfile.js",
    "gruntfile.coffee",
    "gruntfile.ts",
    "justfile",
    "next-env.d.ts",
    "pulumi.yaml",
    "pulumi.yml",
    "pyvenv.cfg",
    "rakefile",
    "samconfig.toml",
    "serverless.yml",
    "serverless.yaml",
    "serverless.ts",
    "settings.gradle",
    "settings.gradle.kts",
    "setup.cfg",
    "taskfile.yml",
    "taskfile.yaml",
    "tox.ini",
    "wp-config.php",
    "wp-load.php",
    "wp-settings.php",
    "wrangler.toml",
    "zola.toml",
];

/// Endings of files at the top of a project.
const PROJECT_ENDINGS: [&str; 8] =
    [".tf", ".tf.json", ".tofu", ".csproj", ".sln", ".gemspec", ".cabal", ".lektorproject"];

/// Files that a site may have as well, with what they indicate about the project: two that indicate different
/// things make a project.
const WEAK_FILES: [(&str, &str); 11] = [
    ("amplify.yml", "platform"),
    ("conf.py", "sphinx"),
    ("firebase.json", "platform"),
    ("index.php", "php"),
    ("index.rst", "sources"),
    ("main.go", "go"),
    ("makefile", "make"),
    ("netlify.toml", "platform"),
    ("requirements.txt", "dependencies"),
    ("vercel.json", "platform"),
    ("wp-login.php", "wordpress"),
];

/// Names whose middle varies: the start of each, and the tools that they configure.
const CONFIGURED_TOOLS: [&str; 37] = [
    "astro",
    "babel",
    "commitlint",
    "cypress",
    "docusaurus",
    "eleventy",
    "esbuild",
    "eslint",
    "farm",
    "gatsby",
    "gridsome",
    "gulpfile",
    "jest",
    "lint-staged",
    "metro",
    "next",
    "nuxt",
    "playwright",
    "postcss",
    "prettier",
    "quasar",
    "react-router",
    "remix",
    "rollup",
    "rsbuild",
    "rspack",
    "rspress",
    "snowpack",
    "stencil",
    "svelte",
    "tailwind",
    "tsup",
    "unocss",
    "vite",
    "vitest",
    "vue",
    "webpack",
];

/// Folders at the top of a project.
const PROJECT_FOLDERS: [&str; 12] = [
    "node_modules",
    "bower_components",
    "__pycache__",
    ".storybook",
    ".terraform",
    ".vitepress",
    ".vuepress",
    "_drafts",
    "_layouts",
    "_posts",
    "_sass",
    "cdk.out",
];

/// Folders that a static copy of the site has as well.
const WEAK_FOLDERS: [(&str, &str); 4] =
    [("wp-content", "wordpress"), ("archetypes", "hugo"), ("layouts", "templates"), ("_includes", "includes")];

/// Usual folders of Python environments.
pub const ENVIRONMENT_FOLDERS: [&str; 5] = ["venv", ".venv", "env", ".env", "virtualenv"];
/// The file that identifies a Python environment.
pub const ENVIRONMENT_MARKER: &str = "pyvenv.cfg";

/// Files that configure a generator if they name the site's address and are next to [`GENERATOR_FOLDERS`]: other
/// programs have files with such names.
pub const GENERATOR_CONFIGURATIONS: [&str; 4] = ["config.toml", "config.yaml", "config.yml", "config.json"];
/// The folders with the pages and templates of Hugo and Zola.
pub const GENERATOR_FOLDERS: [&str; 5] = ["content", "layouts", "archetypes", "templates", "themes"];

/// What only package managers leave in `node_modules`, wherever that is.
pub const INSTALLED_MARKERS: [&str; 4] = [".bin", ".package-lock.json", ".yarn-integrity", ".modules.yaml"];

/// How certainly an entry at the top of a directory belongs to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// No built site has it.
    Strong,
    /// Sites have it as well, but hardly together with one that indicates something else.
    Weak(&'static str),
}

/// Whether an entry at the top of a directory indicates a project rather than its output.
pub fn project_sign(name: &str, is_folder: bool) -> Option<Sign> {
    let name = name.to_ascii_lowercase();
    let weak = |known: &[(&str, &'static str)]| {
        known.iter().find(|(known, _)| *known == name).map(|(_, says)| Sign::Weak(says))
    };
    if is_folder {
        return if PROJECT_FOLDERS.contains(&name.as_str()) { Some(Sign::Strong) } else { weak(&WEAK_FOLDERS) };
    }
    if PROJECT_FILES.contains(&name.as_str()) || PROJECT_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return Some(Sign::Strong);
    }
    if let Some(sign) = weak(&WEAK_FILES) {
        return Some(sign);
    }
    let (stem, extension) = name.rsplit_once('.')?;
    // TypeScript and Jekyll have one for each part of the project.
    let is_part = |start: &str, endings: &[&str]| name.starts_with(start) && endings.contains(&extension);
    if is_part("tsconfig.", &["json"]) || is_part("_config.", &["yml", "yaml"]) {
        return Some(Sign::Strong);
    }
    if extension == "py" {
        return Some(Sign::Weak("python"));
    }
    let code = ["js", "mjs", "cjs", "ts", "mts", "cts"].contains(&extension);
    let tool = stem.strip_suffix(".config").or_else(|| stem.strip_suffix("-config")).unwrap_or(stem);
    let is_configuration = CONFIGURED_TOOLS.contains(&tool) && (tool != stem || tool == "gulpfile");
    // No browser loads a configuration in TypeScript, whatever tool it belongs to.
    let is_typed = tool != stem && ["ts", "mts", "cts"].contains(&extension);
    (code && is_configuration || is_typed).then_some(Sign::Strong)
}

/// Whether the signs together make a project.
pub fn are_project(signs: impl IntoIterator<Item = Sign>) -> bool {
    let mut first = None;
    signs.into_iter().any(|sign| match sign {
        Sign::Strong => true,
        Sign::Weak(says) => *first.get_or_insert(says) != says,
    })
}

/// Whether one of [`GENERATOR_CONFIGURATIONS`] names the site's address.
pub fn names_base_address(configuration: &[u8]) -> bool {
    let is_named = |line: &[u8]| {
        let line = line.trim_ascii_start();
        let line = line.strip_prefix(b"\"").unwrap_or(line);
        [&b"baseurl"[..], b"base_url"]
            .iter()
            .any(|name| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
    };
    configuration.split(|byte| matches!(byte, b'\n' | b'{' | b',')).any(is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_project_are_distinguished_from_those_of_a_site() {
        for (name, is_folder) in [
            ("node_modules", true),
            ("package.json", false),
            ("Cargo.toml", false),
            ("main.tf", false),
            ("main.tf.json", false),
            ("main.tofu", false),
            ("vite.config.ts", false),
            ("gatsby-config.js", false),
            ("gulpfile.js", false),
            ("Gruntfile.js", false),
            ("_config.yml", false),
            ("_config.yaml", false),
            ("Rakefile", false),
            ("blog.gemspec", false),
            ("Site.sln", false),
            ("Pulumi.yaml", false),
            ("next-env.d.ts", false),
            ("wp-config.php", false),
            (".eleventy.js", false),
            ("pubspec.yaml", false),
            ("babel.config.js", false),
            ("jest.config.js", false),
            ("nobodys.config.ts", false),
            ("tsconfig.app.json", false),
            ("_config.dev.yml", false),
            ("blog.lektorproject", false),
            (".storybook", true),
            (".terraform", true),
            ("_layouts", true),
            ("_posts", true),
            ("cdk.out", true),
        ] {
            assert_eq!(project_sign(name, is_folder), Some(Sign::Strong), "{name}");
        }
        for (name, is_folder) in [
            ("index.html", false),
            ("node_modules", false),
            ("package.json", true),
            ("vite.js", false),
            ("next.config.html", false),
            ("README.md", false),
            ("LICENSE", false),
            ("src", true),
            ("manifest.json", false),
            ("wp-includes", true),
            ("app.config.js", false),
            ("a.ts", false),
            ("_static", true),
            ("_app", true),
            (".well-known", true),
            ("tsconfig.html", false),
        ] {
            assert_eq!(project_sign(name, is_folder), None, "{name}");
        }
    }

    #[test]
    fn what_sites_have_as_well_makes_a_project_only_together() {
        let are = |names: &[&str]| are_project(names.iter().filter_map(|name| project_sign(name, false)));
        for alone in
            [&["Makefile"][..], &["requirements.txt"], &["netlify.toml", "vercel.json"], &["a.py", "b.py"], &[]]
        {
            assert!(!are(alone), "{alone:?}");
        }
        for together in [
            &["conf.py", "index.rst"][..],
            &["firebase.json", "main.go"],
            &["requirements.txt", "app.py"],
            &["Makefile", "netlify.toml"],
        ] {
            assert!(are(together), "{together:?}");
        }
        let static_copy = [project_sign("wp-content", true), project_sign("wp-includes", true)];
        assert!(!are_project(static_copy.into_iter().flatten()));
    }

    #[test]
    fn the_configuration_of_a_generator_names_the_address_of_the_site() {
        for text in ["title = 'x'\nbaseURL = 'https://example.com/'", "base_url = 'x'", "{\"baseURL\": \"x\"}"] {
            assert!(names_base_address(text.as_bytes()), "{text}");
        }
        assert!(!names_base_address(b"title = 'x'\n# the baseURL"));
    }
}
