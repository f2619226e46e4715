//! The local edge instead of AWS: `--local` and `preview`.
//!
//! The recipe is the same as for AWS, and so are the requests; only their destination differs. One process at a
//! time serves the data; deploys of other processes go through it.

mod history;
pub mod watch;

use crate::aws::{Aws, AwsOptions};
use crate::error::{Error, Result};
use crate::report::Report;
use crate::terminal::Terminal;
use shipfront_edge::evidence::EVIDENCE_VARIABLE;
use shipfront_edge::{Data, Distribution, Edge, EdgeError, EdgeOptions, Evidence, Function};
use shipfront_invalidation::Coverage;
use shipfront_site::etag::{hex, md5};
use shipfront_site::headers_file::HeadersFile;
use shipfront_site::host_label::host_label;
use shipfront_site::platform::RuleOptions;
use shipfront_site::redirects_file::RedirectsFile;
use shipfront_site::viewer_rules::Rules;
use shipfront_site::{Target, header_function, redirect_function};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the local edge keeps its data, if not in the user's data directory.
pub const DIRECTORY_VARIABLE: &str = "SHIPFRONT_EDGE_DIRECTORY";

/// The local edge, in this process or in another one.
pub struct Local {
    edge: Option<Edge>,
    api_url: String,
    viewer_url: String,
    directory: PathBuf,
}

impl Local {
    /// Starts the local edge, or joins the one that has the data open.
    pub async fn attach(viewer_port: u16, terminal: &Terminal) -> Result<Local> {
        let directory = directory()?;
        let data = Data::Directory(directory.clone());
        let options = EdgeOptions { data, api_port: 0, viewer_port, latency: Duration::ZERO };
        match Edge::start(options).await {
            Ok(edge) => {
                edge.host_sites(functions_of).map_err(|error| edge_error(&error))?;
                edge.show_history(history::READER);
                if let Some(path) = std::env::var_os(EVIDENCE_VARIABLE).filter(|path| !path.is_empty()) {
                    edge.follow(&Evidence::read(Path::new(&path)).map_err(|error| edge_error(&error))?);
                }
                let (api_url, viewer_url) = (edge.api_url(), edge.viewer_url());
                Ok(Local { edge: Some(edge), api_url, viewer_url, directory })
            }
            Err(error @ EdgeError::DirectoryInUse(_)) => {
                let running = Edge::running(&directory).ok_or_else(|| edge_error(&error))?;
                terminal.say(format_args!("Using the local edge at {}", running.viewer_url));
                Ok(Local { edge: None, api_url: running.api_url, viewer_url: running.viewer_url, directory })
            }
            Err(error) => Err(edge_error(&error)),
        }
    }

    /// The AWS configuration for the edge, with its own counts of requests.
    pub async fn aws(&self, concurrency: Option<u16>) -> Result<Aws> {
        let endpoint_url = Some(self.api_url.clone());
        Aws::load(&AwsOptions { endpoint_url, local: true, concurrency, ..AwsOptions::default() }).await
    }

    /// Whether this process serves the edge, and not another one.
    pub fn is_ours(&self) -> bool {
        self.edge.is_some()
    }

    /// The directory of the data.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The URL of S3 and CloudFront.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Adds a line to the dashboard's log.
    pub fn note(&self, line: &str) {
        if let Some(edge) = &self.edge {
            edge.note(line);
        }
    }

    /// Adds a deploy's explanations to the dashboard.
    pub fn explain(&self, target: &Target, report: &Report) {
        let Some(edge) = &self.edge else { return };
        let reasons: HashMap<String, &'static str> =
            report.changes.iter().map(|change| (target.full_key(&change.key), change.reason.text())).collect();
        for invalidation in &report.invalidations {
            let Some(id) = &invalidation.id else { continue };
            let effect = |item: &str| {
                let coverage = invalidation.coverage.iter().find(|coverage| coverage.item == item);
                coverage.filter(|coverage| coverage.is_several()).map(Coverage::effect)
            };
            edge.explain(id, effect, |key| reasons.get(key).copied());
        }
    }

    /// The URL of the dashboard.
    pub fn dashboard_url(&self) -> String {
        Edge::dashboard_of(&self.viewer_url)
    }

    /// From now on, `localhost` serves this site, until another one is shown.
    pub fn show(&self, target: &Target) -> Result<()> {
        Edge::show(&self.directory, &distribution_of(target)).map_err(|error| edge_error(&error))
    }

    /// The site's URL: at `localhost`, which every tool resolves, if it is the shown one; otherwise at its own
    /// name, which browsers resolve.
    pub fn site_url(&self, target: &Target) -> String {
        let id = distribution_of(target);
        let is_shown = Edge::shown(&self.directory).is_some_and(|shown| shown == id);
        let host = if is_shown { "localhost".to_owned() } else { format!("{}.localhost", id.to_ascii_lowercase()) };
        format!("{}/{}", self.viewer_url.replace("127.0.0.1", &host), target.prefix())
    }

    /// The URL of a preview.
    pub fn preview_url(&self, name: &str) -> String {
        preview_url(&self.viewer_url, name)
    }

    /// Stops the edge, if this process serves it.
    pub async fn stop(self) {
        if let Some(edge) = self.edge {
            edge.stop().await;
        }
    }
}

/// The functions of a bucket's distribution before its first deploy, by event: `/dir/` serves `/dir/index.html`,
/// and `/dir` redirects to `/dir/`, as links of site generators expect.
fn functions_of(bucket: &str) -> Vec<(&'static str, Function)> {
    let Ok(target) = Target::parse(&format!("s3://{bucket}")) else { return Vec::new() };
    let (none, options) = (RedirectsFile::default(), RuleOptions::default());
    let (rules, _) = Rules::new(none, HeadersFile::default(), std::iter::empty(), true, &options);
    let codes = [
        ("viewer-request", redirect_function::generate(&rules, None).map(|function| function.code)),
        ("viewer-response", header_function::generate(&rules).map(|function| function.code)),
    ];
    let id = Distribution::for_bucket(bucket).id;
    let functions = codes.map(|(event, code)| {
        let function = Function {
            name: format!("{id}-{event}"),
            comment: target.function_comment(),
            runtime: "cloudfront-js-2.0".to_owned(),
            code: code.ok()?,
            key_value_store: None,
        };
        Some((event, function))
    });
    functions.into_iter().flatten().collect()
}

/// The directory of the local edge's data.
fn directory() -> Result<PathBuf> {
    match std::env::var_os(DIRECTORY_VARIABLE) {
        // An empty variable is not set.
        Some(directory) if !directory.to_string_lossy().trim().is_empty() => Ok(PathBuf::from(directory)),
        _ => Edge::default_directory().map_err(|error| edge_error(&error)),
    }
}

/// Refuses a source that contains the local edge's own data, or is inside it, even before there is any: each deploy
/// would store what the last one had stored, and viewers would get all other sites. The same applies if a link in
/// it leads to them, and links are followed.
pub fn guard_source(source: &Path, follows_links: bool) -> Result<()> {
    let (source, data) = (resolved(source), resolved(&directory()?));
    let overlaps = |place: &Path| data.starts_with(place) || place.starts_with(&data);
    let linked = || {
        let files = walkdir::WalkDir::new(&source).follow_links(true).into_iter().filter_map(Result::ok);
        let mut links = files.filter(walkdir::DirEntry::path_is_symlink).map(|entry| resolved(entry.path()));
        links.find(|place| overlaps(place))
    };
    let place = if overlaps(&source) { Some(source.clone()) } else { follows_links.then(linked).flatten() };
    let Some(place) = place else { return Ok(()) };
    let message = format!("the source {} and the local edge's own data in {} overlap", place.display(), data.display());
    Err(Error::refused(message)
        .hint(format!("name another source, or set {DIRECTORY_VARIABLE} to a directory outside it")))
}

/// A path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing =
        full.ancestors().find_map(|above| Some((above.canonicalize().ok()?, full.strip_prefix(above).ok()?)));
    match existing {
        Some((above, rest)) if rest.as_os_str().is_empty() => above,
        Some((above, rest)) => above.join(rest),
        None => full,
    }
}

/// The ID of the local edge's distribution for a site's bucket.
fn distribution_of(target: &Target) -> String {
    Distribution::for_bucket(target.bucket()).id
}

/// A bucket for each source directory: its name for people, and a digest of its path to make it unique.
pub fn bucket_for(source: &Path) -> String {
    let path = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let digest = hex(&md5(path.as_os_str().as_encoded_bytes()));
    let plain = plain.trim_matches('-');
    format!("{}-{}", if plain.is_empty() { "site" } else { plain }, &digest[..8])
}

/// The bucket for the previews of a source directory.
pub fn previews_bucket_for(source: &Path) -> String {
    format!("{}{}", bucket_for(source), shipfront_edge::PREVIEWS_SUFFIX)
}

/// The URL of a preview at an edge whose viewers use `viewer_url`.
pub fn preview_url(viewer_url: &str, name: &str) -> String {
    format!("{}/", viewer_url.replace("127.0.0.1", &format!("{}.localhost", host_label(name))))
}

fn edge_error(error: &EdgeError) -> Error {
    let hint = match error {
        EdgeError::PortTaken { .. } | EdgeError::Listen { .. } => {
            "choose another with --port, or 0 for any free one".to_owned()
        }
        EdgeError::Directory { .. } | EdgeError::NoHome | EdgeError::Write(_) => {
            format!("set {DIRECTORY_VARIABLE} to a writable directory with enough space")
        }
        EdgeError::Damaged { path, .. } => {
            format!("it holds only the local copy: remove {} and deploy again", path.display())
        }
        EdgeError::Evidence { .. } => {
            format!("set {EVIDENCE_VARIABLE} to a file that 'shipfront conformance --evidence' wrote, or unset it")
        }
        EdgeError::DirectoryInUse(_) => "another shipfront is starting or stopping: try again".to_owned(),
        _ => "name another target".to_owned(),
    };
    Error::failed(format!("the local edge: {error}")).hint(hint)
}

/// A path in a form that can be pasted into a shell.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_a_bucket_that_s3_would_take() {
        for source in ["public", "/tmp/My Site/dist", "/", "é"] {
            let bucket = bucket_for(Path::new(source));
            assert!(Target::parse(&format!("s3://{bucket}")).is_ok(), "{bucket}");
        }
        assert_ne!(bucket_for(Path::new("/a/dist")), bucket_for(Path::new("/b/dist")));
    }
}
