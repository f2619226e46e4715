//! The terminal's way to the local edge: `--local` and `preview`.
//!
//! The recipe is the same as for AWS, and so are the requests; only where they go differs. One
//! process at a time serves the data; another one's deploys go through it.

mod watch;

use crate::aws::{Aws, AwsOptions};
use crate::cli::doctor::DoctorArgs;
use crate::cli::{DeployArgs, PreviewArgs, SiteOptions};
use crate::config;
use crate::deploy::{Deploy, Settings};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::report::{Report, file};
use crate::terminal::Terminal;
use shipfront_edge::{Data, Edge, EdgeError, EdgeOptions};
use shipfront_invalidation::Coverage;
use shipfront_site::Target;
use shipfront_site::etag::{hex, md5};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// Where the local edge keeps its data, if not in the user's data directory.
pub const DIRECTORY_VARIABLE: &str = "SHIPFRONT_EDGE_DIRECTORY";

/// `deploy --local`.
pub async fn deploy(args: &DeployArgs, terminal: &Terminal, stop: CancellationToken) -> Result<Exit> {
    let source = config::source(args.source.as_deref())?;
    let local = Local::attach(0, terminal).await?;
    let (settings, aws) = local.prepare(&source, args.target.as_deref(), &args.options).await?;
    let outcome = Deploy::new(&settings, &aws, terminal, stop).run().await.map(|run| Report::new(run, terminal));
    file::write(&args.reports.report, &outcome, &source, Some(&settings.target.to_string()), terminal);
    let report = outcome?;
    terminal.report(&report, &report.warnings, &report.errors);
    match &local.edge {
        Some(_) => {
            terminal.say(format_args!("  look at it: shipfront preview {}", shell_word(&source)));
            terminal.say(format_args!("  kept in {}", local.directory.display()));
        }
        None => terminal.say(format_args!("  look at it: {}", local.site_url(&settings.target))),
    }
    local.stop().await;
    Ok(report.outcome.exit())
}

/// `plan --local`.
pub async fn plan(args: &DeployArgs, terminal: &Terminal, stop: CancellationToken) -> Result<Report> {
    let source = config::source(args.source.as_deref())?;
    let local = Local::attach(0, terminal).await?;
    let (settings, aws) = local.prepare(&source, args.target.as_deref(), &args.options).await?;
    let report = Report::new(Deploy::new(&settings, &aws, terminal, stop).plan().await?, terminal);
    local.stop().await;
    Ok(report)
}

/// `doctor --local`.
pub async fn doctor(args: &DoctorArgs, terminal: &Terminal) -> Result<crate::commands::doctor::Report> {
    let local = Local::attach(0, terminal).await?;
    let target = match (args.target.as_deref(), &args.source) {
        (Some(url), _) if url.starts_with("s3://") => Target::parse(url)?,
        (Some(source), _) => Target::parse(&format!("s3://{}", bucket_for(Path::new(source))))?,
        (None, source) => Target::parse(&format!("s3://{}", bucket_for(&config::source(source.as_deref())?)))?,
    };
    let aws = local.aws(None).await;
    let report = config::doctor(args, target)?.examine(&aws).await;
    local.stop().await;
    Ok(report)
}

/// `preview`: deploys and keeps serving until a signal.
pub async fn preview(args: &PreviewArgs, terminal: &Terminal, stop: CancellationToken) -> Result<Exit> {
    let source = config::source(args.source.as_deref())?;
    let local = Local::attach(args.port, terminal).await?;
    // Begun before the first deploy: what changes meanwhile is not missed.
    let watch = if args.watch { Some(Watch::begin(&source)?) } else { None };
    let (settings, aws) = local.prepare(&source, args.target.as_deref(), &args.options).await?;
    let report = Report::new(Deploy::new(&settings, &aws, terminal, stop.clone()).run().await?, terminal);
    terminal.report(&report, &report.warnings, &report.errors);
    local.explain(&settings.target, &report);
    let url = local.site_url(&settings.target);
    if local.edge.is_none() {
        terminal.say(format_args!("  look at it: {url} (another shipfront serves it)"));
        if watch.is_none() {
            return Ok(report.outcome.exit());
        }
    } else {
        terminal.say(format_args!("  look at it: {url} (Ctrl-C ends it)"));
    }
    terminal.say(format_args!("  what is at the edge, and why: {}", local.dashboard_url()));
    terminal.say(format_args!("  S3 and CloudFront for other tools: {}, any credentials", local.api_url));
    let shown = shell_word(&source);
    match watch {
        None => {
            let target = args.target.as_deref().map(|target| format!(" {target}")).unwrap_or_default();
            terminal.say(format_args!("  after a change: shipfront deploy {shown}{target} --local"));
            stop.cancelled().await;
        }
        Some(watch) => {
            terminal.say(format_args!("  watching {shown}: what changes is deployed"));
            local.keep_deploying(&source, args, watch, terminal, &stop).await?;
        }
    }
    local.stop().await;
    Ok(Exit::Done)
}

/// The local edge, in this process or in another one.
struct Local {
    edge: Option<Edge>,
    api_url: String,
    viewer_url: String,
    directory: PathBuf,
}

impl Local {
    /// Starts the local edge, or joins the one that has the data open.
    async fn attach(viewer_port: u16, terminal: &Terminal) -> Result<Local> {
        let directory = match std::env::var_os(DIRECTORY_VARIABLE) {
            Some(directory) => PathBuf::from(directory),
            None => Edge::default_directory().map_err(|error| edge_error(&error))?,
        };
        let data = Data::Directory(directory.clone());
        let options = EdgeOptions { data, api_port: 0, viewer_port, latency: Duration::ZERO };
        match Edge::start(options).await {
            Ok(edge) => {
                // Site generators link to directories, and most distributions have a function for that.
                edge.rewrite_indexes();
                let (api_url, viewer_url) = (edge.api_url(), edge.viewer_url());
                Ok(Local { edge: Some(edge), api_url, viewer_url, directory })
            }
            Err(error @ EdgeError::DirectoryInUse(_)) => {
                let running = Edge::running(&directory).ok_or_else(|| edge_error(&error))?;
                terminal.say(format_args!("going through the local edge that runs at {}", running.viewer_url));
                Ok(Local { edge: None, api_url: running.api_url, viewer_url: running.viewer_url, directory })
            }
            Err(error) => Err(edge_error(&error)),
        }
    }

    /// The settings for this site, whose bucket is made where it is missing.
    async fn prepare(&self, source: &Path, target: Option<&str>, options: &SiteOptions) -> Result<(Settings, Aws)> {
        let target = match target {
            Some(target) => Target::parse(target)?,
            None => Target::parse(&format!("s3://{}", bucket_for(source)))?,
        };
        let aws = self.aws(Some(options.concurrency)).await;
        let settings = config::settings(source.to_owned(), target, options, None)?;
        // What is no directory is refused by the deploy, and leaves no bucket behind.
        if source.is_dir() {
            crate::s3::create(&aws, settings.target.bucket()).await?;
        }
        Ok((settings, aws))
    }

    /// The edge in AWS's place.
    async fn aws(&self, concurrency: Option<u16>) -> Aws {
        let endpoint_url = Some(self.api_url.clone());
        Aws::load(&AwsOptions { endpoint_url, local: true, concurrency, ..AwsOptions::default() }).await
    }

    /// Deploys after each change, until a signal.
    async fn keep_deploying(
        &self,
        source: &Path,
        args: &PreviewArgs,
        mut watch: Watch,
        terminal: &Terminal,
        stop: &CancellationToken,
    ) -> Result<()> {
        loop {
            tokio::select! {
                changed = watch.change() => changed?,
                () = stop.cancelled() => return Ok(()),
            }
            let (settings, aws) = self.prepare(source, args.target.as_deref(), &args.options).await?;
            let deploy = Deploy::new(&settings, &aws, terminal, stop.clone());
            let said = match deploy.run().await.map(|run| Report::new(run, terminal)) {
                // Touched, or written back as it was.
                Ok(report) if report.outcome == Outcome::NothingToDo => continue,
                Ok(report) => {
                    terminal.report(&report, &report.warnings, &report.errors);
                    self.explain(&settings.target, &report);
                    let objects = &report.objects;
                    format!("deployed: {} uploaded, {} deleted", objects.uploaded, objects.pruned)
                }
                // Half a build, say: the next change is another chance.
                Err(error) => {
                    terminal.fail(&error);
                    format!("not deployed: {error}")
                }
            };
            if let Some(edge) = &self.edge {
                edge.note(&said);
            }
        }
    }

    /// Tells the dashboard the deploy's own reasons.
    fn explain(&self, target: &Target, report: &Report) {
        let Some(edge) = &self.edge else { return };
        let reasons: HashMap<String, &'static str> =
            report.changes.iter().map(|change| (target.full_key(&change.key), change.reason.word())).collect();
        for invalidation in &report.invalidations {
            let Some(id) = &invalidation.id else { continue };
            let effect = |item: &str| {
                let coverage = invalidation.coverage.iter().find(|coverage| coverage.item == item);
                coverage.filter(|coverage| coverage.is_several()).map(Coverage::effect)
            };
            edge.explain(id, effect, |key| reasons.get(key).copied());
        }
    }

    /// Where a browser finds the dashboard.
    fn dashboard_url(&self) -> String {
        Edge::dashboard_of(&self.viewer_url)
    }

    /// Where a browser finds the site.
    fn site_url(&self, target: &Target) -> String {
        let id = shipfront_edge::Distribution::for_bucket(target.bucket()).id.to_ascii_lowercase();
        let authority = self.viewer_url.replace("127.0.0.1", &format!("{id}.localhost"));
        format!("{authority}/{}", target.prefix())
    }

    async fn stop(self) {
        if let Some(edge) = self.edge {
            edge.stop().await;
        }
    }
}

/// A bucket for each source directory: its name for people, a digest of its path to tell it apart.
fn bucket_for(source: &Path) -> String {
    let path = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let digest = hex(&md5(path.as_os_str().as_encoded_bytes()));
    let plain = plain.trim_matches('-');
    format!("{}-{}", if plain.is_empty() { "site" } else { plain }, &digest[..8])
}

fn edge_error(error: &EdgeError) -> Error {
    let hint = match error {
        EdgeError::PortTaken { .. } | EdgeError::Listen { .. } => {
            "choose another with --port, or 0 for any free one".to_owned()
        }
        EdgeError::Directory { .. } | EdgeError::NoHome | EdgeError::Write(_) => {
            format!("set {DIRECTORY_VARIABLE} to a directory that can be written and has room")
        }
        EdgeError::Damaged { path, .. } => {
            format!("it holds only the local copy: remove {} and deploy again", path.display())
        }
        EdgeError::DirectoryInUse(_) => "another shipfront is just starting or ending: try again".to_owned(),
        _ => "name another target".to_owned(),
    };
    Error::failed(format!("the local edge: {error}")).hint(hint)
}

/// A path as a person may paste it into a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    // No path holds the one character that it refuses.
    shlex::try_quote(&text).map(Cow::into_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        for path in ["public", "/tmp/My Site/dist", "it's", "a$(b)`c`", "é", "a\"b", "*", "!a", "-a"] {
            assert_eq!(shlex::split(&shell_word(Path::new(path))), Some(vec![path.to_owned()]), "{path}");
        }
        assert_eq!(shell_word(Path::new("../public-2/_site.v1")), "../public-2/_site.v1");
    }

    #[test]
    fn each_source_has_a_bucket_that_s3_would_take() {
        for source in ["public", "/tmp/My Site/dist", "/", "é"] {
            let bucket = bucket_for(Path::new(source));
            assert!(Target::parse(&format!("s3://{bucket}")).is_ok(), "{bucket}");
        }
        assert_ne!(bucket_for(Path::new("/a/dist")), bucket_for(Path::new("/b/dist")));
    }
}
