//! The site generators that `init` knows: what their projects look like, where they write, and which of their files have a
//! digest of their content in their names. As found in their documentation and outputs.

/// Eight digits of a digest, as they are in names of files.
macro_rules! digest {
    () => {
        "[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]"
    };
}

/// A site generator: what its projects look like, and what it writes.
#[derive(Debug)]
pub(super) struct Generator {
    pub(super) name: &'static str,
    /// Files of which a project has one.
    pub(super) projects: &'static [&'static str],
    /// What one of them says, where the name alone says too little.
    pub(super) word: Option<&'static str>,
    /// The settings that say where it writes the site.
    pub(super) settings: &'static [&'static str],
    /// Where it writes the site, the usual place first.
    pub(super) outputs: &'static [&'static str],
    /// Files that have a digest of their content in their names.
    pub(super) hashed: &'static [&'static str],
    /// What is to be known about those.
    pub(super) note: &'static str,
}

/// The more particular first: Astro's projects may have a configuration of Vite, too.
pub(super) const GENERATORS: [Generator; 22] = [
    Generator {
        name: "Next.js",
        projects: &["next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs"],
        word: None,
        settings: &["distDir"],
        outputs: &["out"],
        hashed: &["/_next/static/**"],
        note: "Next.js writes a site with output: 'export' in its configuration.",
    },
    Generator {
        name: "Astro",
        projects: &["astro.config.mjs", "astro.config.ts", "astro.config.js", "astro.config.mts", "astro.config.cjs"],
        word: None,
        settings: &["outDir"],
        outputs: &["dist"],
        hashed: &["/_astro/**"],
        note: "",
    },
    Generator {
        name: "Docusaurus",
        projects: &["docusaurus.config.js", "docusaurus.config.ts", "docusaurus.config.mjs", "docusaurus.config.cjs"],
        word: None,
        settings: &[],
        outputs: &["build"],
        hashed: &[
            concat!("/assets/{js,css}/*.", digest!(), ".{js,css}"),
            concat!("/assets/{images,files,medias}/*-", digest!(), "*"),
        ],
        note: "",
    },
    Generator {
        name: "SvelteKit",
        projects: &["svelte.config.js", "svelte.config.ts", "svelte.config.mjs"],
        word: Some("kit"),
        settings: &["pages"],
        outputs: &["build"],
        hashed: &["/_app/immutable/**"],
        note: "SvelteKit writes a site with @sveltejs/adapter-static.",
    },
    Generator {
        name: "Nuxt",
        projects: &["nuxt.config.ts", "nuxt.config.js", "nuxt.config.mjs"],
        word: None,
        settings: &["publicDir"],
        outputs: &[".output/public", "dist"],
        // Not below it: builds/latest.json keeps its name.
        hashed: &["/_nuxt/*"],
        note: "Nuxt writes a site with 'nuxt generate'.",
    },
    Generator {
        name: "VitePress",
        projects: &[
            ".vitepress/config.mts",
            ".vitepress/config.ts",
            ".vitepress/config.js",
            ".vitepress/config.mjs",
            "docs/.vitepress/config.mts",
            "docs/.vitepress/config.ts",
            "docs/.vitepress/config.js",
            "docs/.vitepress/config.mjs",
        ],
        word: None,
        settings: &["outDir"],
        outputs: &["docs/.vitepress/dist", ".vitepress/dist"],
        hashed: &["/assets/**/*.????????.*"],
        note: "Keep files of your own in another folder than public/assets: their names could look like these.",
    },
    Generator {
        name: "Gatsby",
        projects: &["gatsby-config.js", "gatsby-config.ts", "gatsby-config.mjs"],
        word: None,
        settings: &[],
        outputs: &["public"],
        hashed: &[
            concat!("/*-", digest!(), "*.js"),
            concat!("/styles.", digest!(), "*.css"),
            concat!("/static/*-", digest!(), digest!(), "*"),
        ],
        note: "",
    },
    Generator {
        name: "Angular",
        projects: &["angular.json"],
        word: None,
        settings: &["outputPath", "base"],
        outputs: &[],
        hashed: &[
            "/{main,chunk,polyfills,styles,scripts}-????????.{js,css}",
            "/media/*-????????.*",
            concat!("/{main,polyfills,runtime,styles,scripts}.", digest!(), "*.{js,css}"),
        ],
        note: "",
    },
    Generator {
        name: "Vue CLI",
        projects: &["vue.config.js", "vue.config.ts"],
        word: None,
        settings: &["outputDir"],
        outputs: &["dist"],
        hashed: &[concat!("/{js,css,img,fonts}/*.", digest!(), ".*")],
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
        settings: &["outDir"],
        outputs: &["dist"],
        hashed: &["/assets/*-????????.*"],
        note: "Keep files of your own in another folder than public/assets: their names could look like these.",
    },
    Generator {
        name: "Hugo",
        projects: &["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"],
        word: None,
        settings: &["publishDir"],
        outputs: &["public"],
        hashed: HUGO,
        note: "",
    },
    Generator {
        name: "Hugo",
        projects: &["config.toml", "config.yaml", "config.yml", "config.json", "config/_default/hugo.toml"],
        word: Some("baseURL"),
        settings: &["publishDir"],
        outputs: &["public"],
        hashed: HUGO,
        note: "",
    },
    Generator {
        name: "mdBook",
        projects: &["book.toml"],
        word: None,
        settings: &["build-dir"],
        outputs: &["book", "book/html"],
        hashed: &[concat!("*-", digest!(), ".{js,css,svg,woff2,png,ico}")],
        note: "mdBook puts digests into names since 0.5.",
    },
    Generator {
        name: "Jekyll",
        projects: &["_config.yml", "_config.yaml", "_config.toml"],
        word: None,
        settings: &["destination"],
        outputs: &["_site"],
        hashed: &[],
        note: "",
    },
    Generator {
        name: "Create React App",
        projects: &["package.json"],
        word: Some("\"react-scripts\""),
        settings: &[],
        outputs: &["build"],
        hashed: &[concat!("/static/{js,css}/*.", digest!(), "*.{js,css}"), concat!("/static/media/*.", digest!(), "*")],
        note: "",
    },
    Generator {
        name: "Eleventy",
        projects: &[
            ".eleventy.js",
            "eleventy.config.js",
            "eleventy.config.mjs",
            "eleventy.config.cjs",
            "eleventy.config.ts",
        ],
        word: None,
        settings: &["output"],
        outputs: &["_site"],
        hashed: &[],
        note: "",
    },
    Generator {
        name: "MkDocs",
        projects: &["mkdocs.yml", "mkdocs.yaml"],
        word: None,
        settings: &["site_dir"],
        outputs: &["site"],
        hashed: &[concat!("/assets/{javascripts,stylesheets}/**/*.", digest!(), ".min.{js,css}")],
        note: "These are the files of the theme Material.",
    },
    Generator {
        name: "Zensical",
        projects: &["zensical.toml"],
        word: None,
        settings: &["site_dir"],
        outputs: &["site"],
        hashed: &[concat!("/assets/{javascripts,stylesheets}/**/*.", digest!(), ".min.{js,css}")],
        note: "",
    },
    Generator {
        name: "Zola",
        projects: &["zola.toml"],
        word: None,
        settings: &["output_dir"],
        outputs: &["public"],
        hashed: &[],
        note: "",
    },
    Generator {
        name: "Zola",
        projects: &["config.toml"],
        word: Some("base_url"),
        settings: &["output_dir"],
        outputs: &["public"],
        hashed: &[],
        note: "",
    },
    Generator {
        name: "Storybook",
        projects: &[".storybook/main.js", ".storybook/main.ts", ".storybook/main.mjs", ".storybook/main.cjs"],
        word: None,
        settings: &[],
        outputs: &["storybook-static"],
        hashed: &["/assets/*-????????.*"],
        note: "",
    },
    Generator {
        name: "Quarto",
        projects: &["_quarto.yml", "_quarto.yaml"],
        word: None,
        settings: &["output-dir"],
        outputs: &["_site", "_book", "docs"],
        hashed: &[],
        note: "",
    },
];

const HUGO: &[&str] =
    &[concat!("*.", digest!(), "*.{js,css}"), "*_hu_[0-9a-f][0-9a-f][0-9a-f][0-9a-f]*.{jpg,jpeg,png,webp,gif,avif}"];

/// Sphinx has its own way: the configuration lies in one of several folders, the output in another.
pub(super) const SPHINX: Generator = Generator {
    name: "Sphinx",
    projects: &["conf.py", "docs/conf.py", "doc/conf.py", "source/conf.py", "docs/source/conf.py"],
    word: Some("extensions"),
    settings: &[],
    outputs: &["docs/_build/html", "docs/build/html", "doc/_build/html", "_build/html", "build/html"],
    hashed: &[],
    note: "",
};

/// Where generators that are not known may have written.
pub(super) const OTHER_OUTPUTS: [&str; 13] = [
    "public",
    "dist",
    "build",
    "out",
    "_site",
    "site",
    "book",
    "_build/html",
    "docs/_build/html",
    "storybook-static",
    ".output/public",
    ".vitepress/dist",
    "docs/.vitepress/dist",
];
