//! Private keys, credentials and state files, recognized by their names or their first bytes.

mod content;

use content::{begins_with_secret, holds_private_key, holds_secret, is_der_key};

/// The kind of a file that must not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// A private key.
    PrivateKey,
    /// A state file of an infrastructure tool, which contains secrets in plain text.
    State,
    /// Credentials.
    Credentials,
}

impl Secret {
    /// A description of the kind.
    pub fn words(self) -> &'static str {
        match self {
            Secret::PrivateKey => "a private key",
            Secret::State => "a state file of Terraform, which holds secrets",
            Secret::Credentials => "a file of credentials",
        }
    }
}

/// What a file's name indicates about whether it may be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing.
    None,
    /// It must not be published.
    Certain(Secret),
    /// It must not be published if it contains a private key.
    IfPrivateKey,
    /// It must not be published unless its beginning is that of a certificate, a public key, or something else that
    /// may be public.
    UnlessPublic,
    /// It must not be published if a secret is anywhere in its beginning: nothing indicates what else the file
    /// could be.
    IfItHolds,
    /// It must not be published if it begins with a secret: further on, texts and data may show examples.
    IfItBegins,
}

/// Names of SSH keys.
const SSH_KEYS: [&str; 6] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"];
/// Words in a name that indicate that its values are not real.
const EXAMPLES: [&str; 6] = ["example", "sample", "template", "dist", "defaults", "schema"];

/// Endings of pages and of what pages are made from: they may show a key, so their contents are not checked.
const PARTS_OF_SITES: [&str; 82] = [
    "html", "htm", "xhtml", "shtml", "css", "scss", "less", "js", "mjs", "cjs", "map", "wasm", "vue", "svelte", "avif",
    "bmp", "cur", "gif", "heic", "ico", "jp2", "jpeg", "jpg", "jxl", "png", "psd", "svg", "svgz", "tif", "tiff",
    "webp", "eot", "otf", "ttf", "ttc", "woff", "woff2", "aac", "avi", "flac", "m3u8", "m4a", "m4s", "m4v", "mid",
    "mkv", "mov", "mp3", "mp4", "mpd", "mpg", "oga", "ogg", "ogv", "opus", "ts", "wav", "webm", "glb", "pdf", "epub",
    "docx", "pptx", "xlsx", "odt", "7z", "br", "bz2", "deb", "dmg", "exe", "gz", "iso", "jar", "rar", "rpm", "tar",
    "tgz", "xz", "zip", "zst", "pbf",
];
/// Endings of texts, data and code.
const TEXTS: [&str; 62] = [
    "txt",
    "text",
    "md",
    "mdx",
    "markdown",
    "rst",
    "adoc",
    "asciidoc",
    "org",
    "tex",
    "xml",
    "rss",
    "atom",
    "xsl",
    "json",
    "jsonld",
    "json5",
    "geojson",
    "topojson",
    "ndjson",
    "jsonl",
    "ipynb",
    "webmanifest",
    "csv",
    "tsv",
    "vtt",
    "srt",
    "log",
    "po",
    "ics",
    "bib",
    "diff",
    "patch",
    "py",
    "pyi",
    "rb",
    "go",
    "rs",
    "java",
    "kt",
    "c",
    "h",
    "cc",
    "cpp",
    "hpp",
    "cs",
    "swift",
    "sh",
    "bash",
    "ps1",
    "bat",
    "pl",
    "php",
    "lua",
    "sql",
    "tsx",
    "jsx",
    "mts",
    "graphql",
    "proto",
    "r",
    "jl",
];

/// Whether a key is that of a page, or of what pages are made from, by its ending.
pub fn is_part_of_site(key: &str) -> bool {
    let extension = key.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| PARTS_OF_SITES.contains(&extension.as_str()))
}

/// What the name of a key indicates; otherwise, what its ending leaves open.
pub fn suspicion(key: &str) -> Suspicion {
    let named = suspicion_of_name(key);
    if named != Suspicion::None {
        return named;
    }
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, extension)) if PARTS_OF_SITES.contains(&extension) => Suspicion::None,
        Some((_, extension)) if TEXTS.contains(&extension) => Suspicion::IfItBegins,
        _ => Suspicion::IfItHolds,
    }
}

/// What a name alone indicates, such as that of a symlink's target: in a content-addressed store, a missing ending
/// indicates nothing.
pub fn suspicion_of_name(path: &str) -> Suspicion {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    // A page about such a file has its name.
    if PARTS_OF_SITES.contains(&extension) {
        return Suspicion::None;
    }
    if is_of_credentials(&path, name, stem, extension) {
        return Suspicion::Certain(Secret::Credentials);
    }
    match (name, extension) {
        _ if SSH_KEYS.contains(&name) => Suspicion::Certain(Secret::PrivateKey),
        (_, "ppk" | "p12" | "pfx" | "jks" | "keystore") => Suspicion::Certain(Secret::PrivateKey),
        (_, "tfstate" | "tfvars" | "tfplan") => Suspicion::Certain(Secret::State),
        (_, "json") if stem.ends_with(".tfvars") || stem.ends_with(".tfstate") => Suspicion::Certain(Secret::State),
        (_, "backup") if stem.contains(".tfstate") => Suspicion::Certain(Secret::State),
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

fn is_of_credentials(path: &str, name: &str, stem: &str, extension: &str) -> bool {
    let is_example = name.split(['.', '-', '_']).any(|word| EXAMPLES.contains(&word));
    let is_environment = matches!(name, ".env" | ".envrc")
        || extension == "env"
        || [".env.", ".env-", ".env_"].iter().any(|start| name.starts_with(start));
    let is_kubernetes = name == "kubeconfig"
        || extension == "kubeconfig"
        || stem == "kubeconfig" && matches!(extension, "yaml" | "yml" | "json" | "conf" | "bak")
        || path == ".kube/config"
        || path.ends_with("/.kube/config");
    let is_wordpress = name.starts_with("wp-config.php") && !matches!(extension, "md" | "txt")
        || name == "wp-config.php.txt"
        || stem == "wp-config" && matches!(extension, "bak" | "old" | "orig" | "save");
    is_environment && !is_example
        || is_kubernetes
        || is_wordpress
        || matches!(extension, "kdbx" | "kdb")
        || matches!(name, ".npmrc" | ".netrc" | ".pypirc" | ".git-credentials" | ".pgpass" | ".htpasswd")
        || matches!(name, "rootkey.csv" | "accesskeys.csv")
        || name.ends_with("_accesskeys.csv")
        || path == ".aws/credentials"
        || path.ends_with("/.aws/credentials")
}

/// Number of bytes of a file to check: a chain of certificates may precede the key.
const LOOKED_AT: usize = 64 * 1024;
/// Number of bytes to check of a text, of which there may be many.
const BEGINNING: usize = 4 * 1024;

impl Suspicion {
    /// How many bytes of the file's beginning are needed to decide.
    pub fn looks_at(self) -> usize {
        match self {
            Suspicion::None | Suspicion::Certain(_) => 0,
            Suspicion::IfItBegins => BEGINNING,
            Suspicion::IfPrivateKey | Suspicion::UnlessPublic | Suspicion::IfItHolds => LOOKED_AT,
        }
    }

    /// Decides from the file's beginning what it is.
    pub fn decide(self, beginning: &[u8]) -> Option<Secret> {
        let text = content::plain(beginning);
        let is_key = || is_der_key(beginning) || holds_private_key(&text);
        match self {
            Suspicion::None => None,
            Suspicion::Certain(secret) => Some(secret),
            // The contents may be secret even if the name does not say so.
            Suspicion::IfPrivateKey if is_key() => Some(Secret::PrivateKey),
            Suspicion::IfPrivateKey => begins_with_secret(&text),
            Suspicion::UnlessPublic => {
                let is_public = content::contains(&text, b"-----BEGIN ") && !is_key();
                (!is_public).then_some(Secret::PrivateKey)
            }
            Suspicion::IfItHolds if is_der_key(beginning) => Some(Secret::PrivateKey),
            Suspicion::IfItHolds => holds_secret(&text),
            Suspicion::IfItBegins => begins_with_secret(&text),
        }
    }
}

#[cfg(test)]
mod tests;
