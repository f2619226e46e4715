//! What never belongs to a built site: the files of a project, private keys, and the state of infrastructure tools.

/// Folders that generators write a site to, the surest first.
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

/// Files that stand at the top of a project, and that no generator puts into what it builds.
const PROJECT_FILES: [&str; 52] = [
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
    "makefile",
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
];

/// Names whose middle varies: what they begin with, and the tools whose configuration they are.
const CONFIGURED_TOOLS: [&str; 14] = [
    "astro",
    "docusaurus",
    "eleventy",
    "gatsby",
    "gulpfile",
    "next",
    "nuxt",
    "postcss",
    "rollup",
    "svelte",
    "tailwind",
    "vite",
    "vue",
    "webpack",
];

/// Folders that stand at the top of a project.
const PROJECT_FOLDERS: [&str; 3] = ["node_modules", "bower_components", "__pycache__"];

/// What only package managers leave in `node_modules`, wherever that is.
pub const INSTALLED_MARKERS: [&str; 4] = [".bin", ".package-lock.json", ".yarn-integrity", ".modules.yaml"];

/// Whether an entry at the top of a directory says that it is a project, not what was built of one.
pub fn is_project_sign(name: &str, is_folder: bool) -> bool {
    let name = name.to_ascii_lowercase();
    if is_folder {
        return PROJECT_FOLDERS.contains(&name.as_str());
    }
    if PROJECT_FILES.contains(&name.as_str()) || name.ends_with(".tf") || name.ends_with(".csproj") {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let code = ["js", "mjs", "cjs", "ts", "mts", "cts"].contains(&extension);
    let tool = stem.strip_suffix(".config").or_else(|| stem.strip_suffix("-config")).unwrap_or(stem);
    code && CONFIGURED_TOOLS.contains(&tool) && (tool != stem || tool == "gulpfile")
}

/// What makes a file one that must not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// A private key.
    PrivateKey,
    /// A state file of an infrastructure tool, which holds secrets as plain text.
    State,
    /// Credentials.
    Credentials,
}

impl Secret {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Secret::PrivateKey => "a private key",
            Secret::State => "a state file of Terraform, which holds secrets",
            Secret::Credentials => "a file of credentials",
        }
    }
}

/// What a file's name says of whether it must not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing.
    None,
    /// It must not be.
    Certain(Secret),
    /// It is if it holds a private key.
    IfPrivateKey,
    /// It is unless its beginning is that of a certificate, a public key, or something else that may be seen.
    UnlessPublic,
}

/// What the name of a key says.
pub fn suspicion(key: &str) -> Suspicion {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
    match (name.as_str(), extension) {
        ("id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" | "id_ecdsa_sk" | "id_ed25519_sk", _)
        | (_, "ppk" | "p12" | "pfx" | "jks" | "keystore") => Suspicion::Certain(Secret::PrivateKey),
        (_, "tfstate" | "tfvars") => Suspicion::Certain(Secret::State),
        (_, "backup") if stem.contains(".tfstate") => Suspicion::Certain(Secret::State),
        (".env" | ".npmrc" | ".netrc" | ".pypirc" | ".git-credentials" | ".pgpass" | ".htpasswd", _)
        | ("rootkey.csv" | "accesskeys.csv", _) => Suspicion::Certain(Secret::Credentials),
        _ if name.starts_with(".env.") && !matches!(extension, "example" | "sample" | "template") => {
            Suspicion::Certain(Secret::Credentials)
        }
        _ if name.ends_with("_accesskeys.csv") => Suspicion::Certain(Secret::Credentials),
        (_, "pem") => Suspicion::UnlessPublic,
        (_, "key" | "p8" | "pk8" | "der" | "crt" | "cer" | "cert" | "asc" | "gpg" | "pgp" | "priv") => {
            Suspicion::IfPrivateKey
        }
        (_, "") if stem.ends_with("_rsa") || stem.ends_with("_ed25519") || stem.contains("private") => {
            Suspicion::IfPrivateKey
        }
        (_, "json")
            if ["service-account", "service_account", "serviceaccount", "adminsdk", "credentials"]
                .iter()
                .any(|word| stem.contains(word)) =>
        {
            Suspicion::IfPrivateKey
        }
        _ => Suspicion::None,
    }
}

/// How much of a file is looked at: a chain of certificates may come before the key.
pub const LOOKED_AT: usize = 64 * 1024;

impl Suspicion {
    /// Whether the beginning of the file, up to [`LOOKED_AT`] bytes, must be known to decide.
    pub fn needs_bytes(self) -> bool {
        matches!(self, Suspicion::IfPrivateKey | Suspicion::UnlessPublic)
    }

    /// What the file is, given its beginning.
    pub fn decide(self, beginning: &[u8]) -> Option<Secret> {
        match self {
            Suspicion::None => None,
            Suspicion::Certain(secret) => Some(secret),
            Suspicion::IfPrivateKey => holds_private_key(beginning).then_some(Secret::PrivateKey),
            Suspicion::UnlessPublic => {
                let is_public = contains(beginning, b"-----BEGIN ") && !holds_private_key(beginning);
                (!is_public).then_some(Secret::PrivateKey)
            }
        }
    }
}

/// Whether bytes hold a private key in the text form of RFC 7468, OpenSSH or OpenPGP.
fn holds_private_key(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'-').any(|label| {
        label.starts_with(b"BEGIN ") && (label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK"))
    })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_project_are_told_from_those_of_a_site() {
        for (name, is_folder) in [
            ("node_modules", true),
            ("package.json", false),
            ("Cargo.toml", false),
            ("Makefile", false),
            ("main.tf", false),
            ("vite.config.ts", false),
            ("gatsby-config.js", false),
            ("gulpfile.js", false),
            ("_config.yml", false),
        ] {
            assert!(is_project_sign(name, is_folder), "{name}");
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
        ] {
            assert!(!is_project_sign(name, is_folder), "{name}");
        }
    }

    #[test]
    fn private_keys_and_state_files_are_known_by_name_or_by_what_they_hold() {
        let key = b"-----BEGIN EC PRIVATE KEY-----\nx";
        let chain = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nx";
        let certificate = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        let decide = |name: &str, bytes: &[u8]| suspicion(name).decide(bytes);
        for (name, bytes) in [
            ("a/id_rsa", &b""[..]),
            ("server.p12", b"\x30"),
            ("server.pem", key),
            ("fullchain.pem", chain),
            ("server.pem", b"who knows"),
            ("tls/server.key", key),
            ("deploy_rsa", key),
            ("AuthKey_ABC.p8", key),
            ("secret.asc", b"-----BEGIN PGP PRIVATE KEY BLOCK-----"),
            ("my-service-account.json", b"{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nx"),
        ] {
            assert_eq!(decide(name, bytes), Some(Secret::PrivateKey), "{name}");
        }
        for name in
            ["terraform.tfstate", "x/terraform.tfstate.backup", "terraform.tfstate.1700000000.backup", "prod.tfvars"]
        {
            assert_eq!(decide(name, b""), Some(Secret::State), "{name}");
        }
        for name in [".env", ".env.production", ".npmrc", "rootkey.csv"] {
            assert_eq!(decide(name, b""), Some(Secret::Credentials), "{name}");
        }
        for (name, bytes) in [
            ("id_rsa.pub", &b"ssh-rsa x"[..]),
            ("ca.pem", certificate),
            ("ca.crt", certificate),
            ("slides.key", b"PK\x03\x04"),
            ("security.asc", b"-----BEGIN PGP PUBLIC KEY BLOCK-----"),
            ("how-to-make-a.html", key),
            (".env.example", b""),
        ] {
            assert_eq!(decide(name, bytes), None, "{name}");
        }
    }
}
