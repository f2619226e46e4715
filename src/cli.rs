//! Options as typed. `config.rs` interprets them.

pub mod choice;
pub mod conformance;
pub mod doctor;
pub mod documents;
mod examples;
pub mod headers_and_redirects;
pub mod help;
pub mod history;
pub mod invalidate;
pub mod previews;
pub mod record;
pub mod rules;
pub mod tags;
pub mod verify;

use crate::aws::MOST_IN_FLIGHT;
use crate::cli::invalidate::{InvalidateArgs, WaitArgs};
use crate::deploy::headers_and_redirects::RedirectObjects;
use crate::deploy::shard::Shard;
use crate::report::file::ReportFile;
use clap::{Args, Parser, Subcommand, ValueEnum};
use shipfront_invalidation::viewer::{ErrorPagePolicy, IndexAlias};
use shipfront_site::glob::Glob;
use shipfront_site::rules::HeaderRule;
use std::path::PathBuf;

/// Upload a built static site to Amazon S3 and invalidate what changed in CloudFront.
///
/// shipfront uploads only what changed, assets before the pages that use them, and invalidates as few CloudFront paths
/// as it takes for viewers to see no stale page.
#[derive(Debug, Parser)]
#[command(version, after_help = examples::EXAMPLES, after_long_help = examples::LONG_HELP, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print one JSON object on stdout
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print only errors and warnings
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// List every file, request, and cost
    #[arg(long, short, global = true, help_heading = "Output")]
    pub verbose: bool,
    /// Settings file, instead of shipfront.toml beside or above the source
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Section [env.NAME] of the settings file to apply
    #[arg(long, value_name = "NAME", global = true, help_heading = "Settings")]
    pub env: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload a built site and invalidate what changed
    ///
    /// Compares files by size and MD5, never by time. New and changed assets go first, then pages, then removals; then
    /// CloudFront is asked to invalidate what changed. The next deploy finishes one that was interrupted.
    #[command(after_help = examples::DEPLOY_EXAMPLES)]
    Deploy(DeployArgs),
    /// Show what a deploy would do, and write nothing
    ///
    /// Compares as a deploy does and stops before the first write. Shows each change with its reason, the paths that
    /// would be invalidated, and what they cost.
    #[command(after_help = examples::PLAN_EXAMPLES)]
    Plan(PlanArgs),
    /// Evict paths from CloudFront
    ///
    /// Encodes paths as CloudFront expects them, sends each one once, at the rate that CloudFront accepts, and waits
    /// until the invalidation is complete.
    #[command(after_help = examples::INVALIDATE_EXAMPLES)]
    Invalidate(InvalidateArgs),
    /// Show the last deploy, the lock, and files due for removal
    #[command(after_help = examples::STATUS_EXAMPLES)]
    Status(record::StatusArgs),
    /// List the deploys that can be restored
    ///
    /// The newest comes first, each with its build, commit, author, and number of changes, and whether all of it can
    /// still be restored.
    #[command(after_help = examples::HISTORY_EXAMPLES)]
    History(history::HistoryCommandArgs),
    /// Roll back to an earlier deploy
    ///
    /// Copies each object that differs from its earlier version inside S3, in the order of a deploy, and invalidates
    /// what changed. Checks every version before the first write: if one is gone, or others wrote in between, nothing
    /// changes.
    #[command(after_help = history::EXAMPLES)]
    Rollback(history::RollbackArgs),
    /// List previews, or remove those that are no longer needed
    ///
    /// 'deploy --preview NAME' makes a preview. Removing one deletes all objects that its deploys wrote; objects that
    /// others wrote stay, and are listed.
    #[command(after_help = previews::PREVIEWS_EXAMPLES)]
    Previews(previews::PreviewsCommandArgs),
    /// Make production identical to a preview
    ///
    /// Copies each object that differs inside S3, in the order of a deploy, and invalidates what changed. If the preview
    /// is deployed again meanwhile, the promotion stops or changes nothing.
    #[command(after_help = previews::PROMOTE_EXAMPLES)]
    Promote(previews::PromoteArgs),
    /// Release the lock of a deploy that died
    #[command(after_help = examples::UNLOCK_EXAMPLES)]
    Unlock(record::UnlockArgs),
    /// Check credentials, bucket, distribution, and permissions
    ///
    /// Changes nothing, and says how to fix what it finds. Exits with 1 if a deploy would fail or viewers get errors.
    #[command(after_help = examples::DOCTOR_EXAMPLES)]
    Doctor(doctor::DoctorArgs),
    /// Test a store and CloudFront for what shipfront relies on
    ///
    /// Each check names the statement of SEMANTICS.md that relies on it. A run costs less than a cent, or up to $0.60
    /// with --distribution if the month's free paths are used up. It asks first, works in a folder of its own, and removes
    /// what it wrote. It changes nothing else, and no distribution's configuration. Exits
    /// with 7 if a check fails.
    #[command(after_help = conformance::EXAMPLES)]
    Conformance(conformance::ConformanceArgs),
    /// Print the IAM policy that a role needs, or the bucket policy
    ///
    /// The policy allows what shipfront calls and nothing else. Placeholders are in capitals.
    #[command(after_help = examples::POLICY_EXAMPLES)]
    Policy(doctor::PolicyArgs),
    /// Print shell completions
    #[command(after_help = examples::COMPLETIONS_EXAMPLES)]
    Completions(documents::CompletionsArgs),
    /// Show the manual page of shipfront, or of a command
    ///
    /// At a terminal, opens the page; otherwise prints it in roff.
    #[command(after_help = examples::MAN_EXAMPLES)]
    Man(documents::ManArgs),
    /// Print a CloudFront Function for the headers that S3 does not keep
    ///
    /// S3 stores Cache-Control and the Content- headers with an object. CloudFront adds the others of the source's
    /// _headers file, such as Content-Security-Policy: by a function (runtime cloudfront-js-2.0, event viewer-response),
    /// which works on every plan for responses below 400, or with --policy by response headers policies, one for each
    /// path of the file.
    #[command(after_help = headers_and_redirects::HEADERS_EXAMPLES)]
    Headers(headers_and_redirects::HeadersArgs),
    /// Print a CloudFront Function for the redirects of _redirects
    ///
    /// Where an S3 website endpoint is the origin, a deploy creates redirect objects for permanent redirects from one
    /// path to another. All others need a function: runtime cloudfront-js-2.0, event viewer-request. A file of the site
    /// takes precedence over a rule, unless its status ends in '!'. No URL redirects in a loop. Lines that cannot be
    /// done are listed; URLs that match them pass through unchanged.
    #[command(after_help = headers_and_redirects::REDIRECTS_EXAMPLES)]
    Redirects(headers_and_redirects::RedirectsArgs),
    /// Show the live redirect and header rules, and how to publish them
    ///
    /// With publish-rules = true, or --publish-rules, a deploy publishes _redirects and the headers that S3 does not
    /// keep to two CloudFront Functions of the distribution, after the pages and before the invalidation. It changes
    /// only functions whose comment names the site, and never the distribution: --attach prints what to change there.
    #[command(after_help = rules::EXAMPLES)]
    Rules(rules::RulesArgs),
    /// Set up cache tags
    ///
    /// CloudFront can evict by cache tags, which it reads from a header of the origin. Where a distribution reads them
    /// from a header that S3 can send, deploys tag what they upload and invalidate tags where those evict less than
    /// paths. You need --enable and --backfill only once.
    #[command(after_help = tags::EXAMPLES)]
    Tags(tags::TagsArgs),
    /// Serve the site on this machine, with a dashboard of its cache
    ///
    /// The dashboard shows every URL with its hits, its age and whether it is stale, and what the last invalidation
    /// evicted and why, while you deploy.
    #[cfg(feature = "edge")]
    #[command(after_help = examples::PREVIEW_EXAMPLES)]
    Preview(PreviewArgs),
    /// Write a shipfront.toml for a project
    ///
    /// Looks for the directory that holds the front page and for the project files of Hugo, Vite, Next.js, Astro,
    /// SvelteKit, Nuxt, VitePress, Gatsby, Angular, Create React App, Docusaurus, Jekyll, Eleventy, MkDocs, mdBook,
    /// Sphinx, Storybook, and others, and writes a commented file with the source and the cache rules that suit them.
    /// Where a _headers file sets cache lifetimes, the rules stay comments.
    #[command(after_help = examples::INIT_EXAMPLES)]
    Init(InitArgs),
    /// Convert the settings of another tool to a shipfront.toml
    ///
    /// Reads the .s3deploy.yml of bep/s3deploy, and the deployment section of a Hugo site's configuration, in
    /// TOML, YAML, or JSON. Lists what has no counterpart.
    #[command(after_help = examples::IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Print the JSON schema of shipfront.toml, for editors
    Schema,
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Project directory
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// Where the site is: s3://BUCKET or s3://BUCKET/PREFIX; may be the only argument
    pub target: Option<String>,
    /// Overwrite an existing shipfront.toml
    #[arg(long)]
    pub force: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Settings file of the other tool, such as .s3deploy.yml or hugo.toml
    pub file: PathBuf,
}

/// Where the site is and where it goes.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Built site: the directory that your site generator wrote
    #[arg(env = "SHIPFRONT_SOURCE", hide_env = true)]
    pub source: Option<PathBuf>,
    /// Where the site is: s3://BUCKET or s3://BUCKET/PREFIX
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Whether it is a preview
    #[command(flatten)]
    pub preview: previews::DeployPreviewArgs,
    /// What is deployed, and how
    #[command(flatten)]
    pub options: SiteOptions,
    /// The report in files
    #[command(flatten)]
    pub reports: ReportArgs,
}

/// The report in files.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write a report to a file, even if the deploy fails: FILE.html is a page, FILE.md Markdown for a job summary, FILE.xml JUnit for CodeBuild report groups, FILE.json what --json prints, FILE.env variables for later steps; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Vec<ReportFile>,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// As for a deploy
    #[command(flatten)]
    pub deploy: DeployArgs,
    /// Exit with 10 if there are changes, with 0 if there are none
    #[arg(long)]
    pub detailed_exit_code: bool,
}

/// `preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Built site: the directory that your site generator wrote
    #[arg(env = "SHIPFRONT_SOURCE", hide_env = true)]
    pub source: Option<PathBuf>,
    /// Where the site is on the local edge: s3://BUCKET or s3://BUCKET/PREFIX
    #[arg(env = "SHIPFRONT_TARGET", hide_env = true)]
    pub target: Option<String>,
    /// Port to serve the site on; 0 picks a free one
    #[arg(long, default_value_t = 8650)]
    pub port: u16,
    /// Deploy again after every change of the directory
    #[arg(long)]
    pub watch: bool,
    /// As for a deploy
    #[command(flatten)]
    pub options: SiteOptions,
}

/// What to deploy, and how.
#[derive(Debug, Args)]
pub struct SiteOptions {
    /// What CloudFront is asked to invalidate
    #[command(flatten)]
    pub choice: choice::ChoiceArgs,
    /// The wait for CloudFront
    #[command(flatten)]
    pub wait: WaitArgs,
    /// The look at the site afterwards
    #[command(flatten)]
    pub verify: verify::VerifyArgs,
    /// When orphans go
    #[command(flatten)]
    pub orphans: OrphanArgs,
    /// Refuse to run if more objects than this are no longer in the source
    #[arg(long, value_name = "N", default_value_t = 500, help_heading = "Removals")]
    pub max_delete: u64,
    /// Deploy even if most pages, or the front page, are no longer in the source; for this run only
    #[arg(long, help_heading = "Removals")]
    pub allow_removals: bool,
    /// Take ownership of objects in the bucket that are not in the source, so that they are removed
    #[arg(long, help_heading = "Removals")]
    pub adopt: bool,
    /// The deploy record
    #[command(flatten)]
    pub record: RecordArgs,
    /// Ignore files that match, in the source and in the bucket, as in .gitignore: '*.map', '/drafts/'; repeatable
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub exclude: Vec<Glob>,
    /// Also deploy hidden files that match, such as .htaccess; repeatable. Files in .well-known are always deployed
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub include_hidden: Vec<Glob>,
    /// Follow symbolic links that point outside the source, as those of Bazel and Nix do
    #[arg(long, help_heading = "Uploads")]
    pub follow_links: bool,
    /// Deploy a directory even if it looks like a project rather than a built site
    #[arg(long, help_heading = "Uploads")]
    pub allow_project: bool,
    /// Upload only the assets of part I of N, as in 2/4, while other machines upload the others; a deploy without --shard does the rest
    #[arg(long, value_name = "I/N", help_heading = "Uploads")]
    pub shard: Option<Shard>,
    /// Whether redirects of _redirects become redirect objects, which S3 website endpoints follow
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = RedirectObjects::Auto, help_heading = "Uploads")]
    pub redirect_objects: RedirectObjects,
    /// How _headers and _redirects are read
    #[command(flatten)]
    pub rules: headers_and_redirects::RuleArgs,
    /// Publish _redirects, and the headers that S3 does not keep, to the distribution's CloudFront Functions; see 'shipfront rules --attach'
    #[arg(long, help_heading = "Uploads")]
    pub publish_rules: bool,
    /// Deploy the rest if some files cannot be read, and exit with 3
    #[arg(long, help_heading = "Uploads")]
    pub keep_going: bool,
    /// Maximum concurrent S3 requests; starts at 64 and adapts to throttling
    #[arg(long, value_name = "N", default_value_t = MOST_IN_FLIGHT, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Uploads")]
    pub concurrency: u16,
    /// Settings that only the file has
    #[arg(skip)]
    pub file: FileRules,
}

/// Which objects are pages, and when objects that are no longer in the source are removed.
#[derive(Debug, Args)]
pub struct OrphanArgs {
    /// When to remove assets that are no longer in the source: an age such as 7d, '0s', or 'never'; pages are removed at once [default: 7d]
    #[arg(long, value_name = "AGE", help_heading = "Removals")]
    pub prune_after: Option<String>,
    /// Treat files that match as pages, which are uploaded last and removed at once; repeatable
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub pages: Vec<Glob>,
    /// Treat files that match as assets, which are uploaded first and removed later; repeatable
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub assets: Vec<Glob>,
}

/// Settings of the file that have no option.
#[derive(Debug, Clone, Default)]
pub struct FileRules {
    /// The file itself, which is never part of the site.
    pub path: Option<PathBuf>,
    /// Which objects get which headers.
    pub headers: Vec<HeaderRule>,
}

/// The deploy record: lock, crash recovery, ownership.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where to keep the deploy record, instead of .shipfront/ in the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD", help_heading = "Deploy record")]
    pub record: Option<String>,
    /// Keep no deploy record: no lock, no crash recovery, no rollback, no ownership, no comparison of headers
    #[arg(long, help_heading = "Deploy record")]
    pub no_record: bool,
    /// How long to wait for another deploy of the same target to finish
    #[arg(long, value_name = "TIME", default_value = "10m", help_heading = "Deploy record")]
    pub lock_timeout: String,
    /// What stays restorable
    #[command(flatten)]
    pub history: history::HistoryArgs,
    /// Build number; a deploy is refused if a newer build is already live [default: CODEBUILD_BUILD_NUMBER]
    #[arg(long, value_name = "N", env = "SHIPFRONT_BUILD_NUMBER", help_heading = "Deploy record")]
    pub build_number: Option<u64>,
    /// Deploy even if a newer build is already live
    #[arg(long, help_heading = "Deploy record")]
    pub force: bool,
}

/// A site that was deployed, as `status`, `unlock`, `doctor` and `tags` take it.
#[derive(Debug, Args)]
pub struct SiteArgs {
    /// Where the site is: s3://BUCKET or s3://BUCKET/PREFIX; with --local, its source directory
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// Source by which --local finds a site without a target
    #[arg(long, hide = true, env = "SHIPFRONT_SOURCE")]
    pub source: Option<PathBuf>,
    /// Where the deploy record is, if not in .shipfront/ in the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD")]
    pub record: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Where requests go: to AWS, and with which credentials, or to the local edge.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// Use the local edge on this machine instead of AWS; it keeps its data between runs
    #[cfg(feature = "edge")]
    #[arg(long)]
    pub local: bool,
    /// The credentials
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Where AWS is called, and with which credentials.
#[derive(Debug, Args)]
pub struct AwsArgs {
    /// Profile of the AWS CLI to use
    #[arg(long, help_heading = "AWS")]
    pub profile: Option<String>,
    /// AWS region to start with; shipfront finds the bucket's own
    #[arg(long, help_heading = "AWS")]
    pub region: Option<String>,
    /// Endpoint for all services, such as an S3-compatible store
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,
    /// AWS account that must own the bucket
    #[arg(long, value_name = "ACCOUNT", help_heading = "AWS")]
    pub expected_bucket_owner: Option<String>,
}

/// `--index-alias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IndexAliasArg {
    /// As the distribution's configuration says
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<IndexAliasArg> for IndexAlias {
    fn from(arg: IndexAliasArg) -> IndexAlias {
        match arg {
            IndexAliasArg::Auto => IndexAlias::Auto,
            IndexAliasArg::Always => IndexAlias::Always,
            IndexAliasArg::Never => IndexAlias::Never,
        }
    }
}

/// `--error-page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ErrorPageArg {
    /// Everything if copies may be cached for more than 60 s, else its own URL
    Auto,
    /// Its own URL
    OwnPath,
    /// Everything
    All,
}

impl From<ErrorPageArg> for ErrorPagePolicy {
    fn from(arg: ErrorPageArg) -> ErrorPagePolicy {
        match arg {
            ErrorPageArg::Auto => ErrorPagePolicy::Auto,
            ErrorPageArg::OwnPath => ErrorPagePolicy::OwnPath,
            ErrorPageArg::All => ErrorPagePolicy::All,
        }
    }
}
