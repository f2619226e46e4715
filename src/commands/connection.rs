//! Decides where the requests of a command go: to AWS, or with `--local` to the local edge. Nothing else decides
//! it.

use crate::aws::{Aws, AwsOptions};
use crate::cli::{ConnectionArgs, SiteArgs};
use crate::config;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "edge")]
use crate::local::{Local, bucket_for, shell_word};
#[cfg(feature = "edge")]
use crate::s3::Bucket;
use crate::terminal::Terminal;
use shipfront_site::Target;
use std::path::Path;
#[cfg(feature = "edge")]
use std::path::PathBuf;
#[cfg(feature = "edge")]
use std::sync::{Mutex, PoisonError};

/// What to do about a bucket that the local edge does not have.
#[cfg(feature = "edge")]
const NOT_DEPLOYED: &str =
    "the local edge has no such site: deploy it first, with 'shipfront deploy DIRECTORY --local'";

/// AWS, or the local edge instead, for a command.
pub(super) struct Connection {
    /// The AWS configuration for requests.
    pub(super) aws: Aws,
    /// The account that must own the bucket; buckets of the local edge have no owner.
    pub(super) expected_owner: Option<String>,
    #[cfg(feature = "edge")]
    local: Option<Local>,
    /// The last site of the local edge that was named by its source, with that.
    #[cfg(feature = "edge")]
    named: Mutex<Option<(Target, PathBuf)>>,
}

impl Connection {
    /// Connects according to the arguments. `concurrency` is the maximum number of S3 requests in flight, if the
    /// command has such an option.
    pub(super) async fn open(
        args: &ConnectionArgs,
        concurrency: Option<u16>,
        terminal: &Terminal,
    ) -> Result<Connection> {
        #[cfg(feature = "edge")]
        if args.local {
            // Nobody needs to know the port: `preview` is for browsing.
            return Connection::to_local_edge(0, concurrency, terminal).await;
        }
        #[cfg(not(feature = "edge"))]
        let _ = terminal;
        let options = AwsOptions { concurrency, ..config::aws_options(&args.aws) };
        Ok(Connection {
            aws: Aws::load(&options).await?,
            expected_owner: args.aws.expected_bucket_owner.clone(),
            #[cfg(feature = "edge")]
            local: None,
            #[cfg(feature = "edge")]
            named: Mutex::default(),
        })
    }

    /// Starts the local edge, or joins the running one; viewers reach it at `viewer_port`.
    #[cfg(feature = "edge")]
    pub(super) async fn to_local_edge(
        viewer_port: u16,
        concurrency: Option<u16>,
        terminal: &Terminal,
    ) -> Result<Connection> {
        let local = Local::attach(viewer_port, terminal).await?;
        let aws = local.aws(concurrency).await?;
        Ok(Connection { aws, expected_owner: None, local: Some(local), named: Mutex::default() })
    }

    /// The local edge, if requests go there.
    #[cfg(feature = "edge")]
    pub(super) fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    /// Whether requests go to the local edge.
    pub(super) fn is_local(&self) -> bool {
        #[cfg(feature = "edge")]
        return self.local.is_some();
        #[cfg(not(feature = "edge"))]
        return false;
    }

    /// The location of a site: its target, or without one, the bucket of its source on the local edge.
    pub(super) fn target(&self, target: Option<&str>, source: Option<&Path>) -> Result<Target> {
        #[cfg(feature = "edge")]
        if self.is_local() && target.is_none() {
            let source = config::source(source)?;
            let target = Target::parse(&format!("s3://{}", bucket_for(&source)))?;
            *self.named.lock().unwrap_or_else(PoisonError::into_inner) = Some((target.clone(), source));
            return Ok(target);
        }
        #[cfg(not(feature = "edge"))]
        let _ = source;
        config::target(target)
    }

    /// Where `conformance` works: at its target, or on the local edge in the bucket of a source, or in one of its own.
    pub(super) fn trial(&self, target: Option<&str>) -> Result<Target> {
        match target {
            None if self.is_local() => Ok(Target::parse("s3://conformance")?),
            Some(source) if self.is_local() && !source.starts_with("s3://") => {
                self.target(None, Some(Path::new(source)))
            }
            target => self.target(target, None),
        }
    }

    /// The location of the site of a command that accepts only a target: on the local edge, the source may replace
    /// it.
    pub(super) fn site(&self, args: &SiteArgs) -> Result<Target> {
        match args.target.as_deref() {
            Some(source) if self.is_local() && !source.starts_with("s3://") => {
                self.target(None, Some(Path::new(source)))
            }
            target => self.target(target, args.source.as_deref()),
        }
    }

    /// The location of a site's previews: as given, or on the local edge, next to the bucket of its source, which
    /// may replace a target.
    pub(super) fn previews(&self, target: Option<&str>, source: Option<&Path>) -> Result<Target> {
        #[cfg(feature = "edge")]
        if self.is_local() && target.is_none_or(|target| !target.starts_with("s3://")) {
            let source = config::source(target.map(Path::new).or(source))?;
            return Ok(Target::parse(&format!("s3://{}", crate::local::previews_bucket_for(&source)))?);
        }
        #[cfg(not(feature = "edge"))]
        let _ = source;
        let target = target.ok_or_else(|| {
            Error::usage("no target for previews").hint(
                "name a separate bucket with --previews-target, or in shipfront.toml: [previews] target = \"s3://BUCKET\"",
            )
        });
        Ok(Target::parse(target?)?)
    }

    /// The URL of a preview, if known: from the settings, or that of the local edge if another process serves it.
    pub(super) fn preview_url(&self, template: Option<&str>, name: &str) -> Result<Option<String>> {
        #[cfg(feature = "edge")]
        if let Some(local) = &self.local {
            return Ok((!local.is_ours()).then(|| local.preview_url(name)));
        }
        template.map(|template| config::previews::url_of(template, name)).transpose()
    }

    /// Creates the bucket of a site if it does not exist on the local edge. Buckets on AWS are created manually.
    pub(super) async fn make_bucket(&self, target: &Target) -> Result<()> {
        #[cfg(feature = "edge")]
        if self.is_local() {
            return crate::s3::create(&self.aws, target.bucket()).await;
        }
        #[cfg(not(feature = "edge"))]
        let _ = target;
        Ok(())
    }

    /// Closes the connection once the work is done, however it ended.
    pub(super) async fn close<T>(self, outcome: Result<T>) -> Result<T> {
        let outcome = match outcome {
            Err(error) if self.is_local() && error.kind() == ErrorKind::NoSuchResource => {
                Err(self.in_local_terms(error).await)
            }
            outcome => outcome,
        };
        #[cfg(feature = "edge")]
        if let Some(local) = self.local {
            local.stop().await;
        }
        outcome
    }

    /// A bucket of the local edge is made by the first deploy to it, not by hand as one of AWS, and its name is not one
    /// that a person gave it.
    #[cfg(feature = "edge")]
    async fn in_local_terms(&self, error: Error) -> Error {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((target, source)) = named else { return error.hint(NOT_DEPLOYED) };
        let is_there = Bucket::open(&self.aws, &target, None, async |_| Ok(())).await;
        if !is_there.is_err_and(|error| error.kind() == ErrorKind::NoSuchResource) {
            return error;
        }
        let hint = match source.is_dir() {
            true => format!("deploy it first, with 'shipfront deploy {} --local'", shell_word(&source)),
            false => "there is no such directory: name one that was deployed with --local".to_owned(),
        };
        error.saying(format!("{} has not been deployed to the local edge", source.display())).hint(hint)
    }

    #[cfg(not(feature = "edge"))]
    async fn in_local_terms(&self, error: Error) -> Error {
        error
    }
}
