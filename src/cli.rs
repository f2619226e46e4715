//! Flags as typed. What they mean is in `config.rs`.

pub mod choice;
pub mod conformance;
pub mod doctor;
pub mod documents;
pub mod headers_and_redirects;
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

const EXAMPLES: &str = "\
Examples:
  shipfront deploy public --local
      try it, with no AWS account
  shipfront plan public s3://www.example.com
      see what a deploy would do
  shipfront deploy public s3://www.example.com
      deploy and invalidate what changed
  shipfront invalidate /blog/ '/img/*'
      something is stale: evict it
  shipfront doctor s3://www.example.com
      is everything set up as it should be?
  shipfront init
      write shipfront.toml; then 'shipfront deploy' will do

Exit codes:
   0  done, or nothing to do
   1  failed, nothing changed
   2  usage
   3  some files failed; what landed is live and invalidated
   4  live but stale: an invalidation failed
   5  locked, or superseded by a newer build
   6  refused by a guard, nothing changed
   7  live, but --verify saw a difference, or no answer
  10  plan --detailed-exit-code: there are changes
 130  interrupted; what had landed was invalidated

Settings come from flags, then from the environment (SHIPFRONT_MAX_PATHS for --max-paths, and so on), then from
shipfront.toml beside or above the source; 'shipfront init' writes one. CONFIGURATION.md lists them all.
Credentials, regions and profiles are found as the AWS command line finds them.";

const DEPLOY_EXAMPLES: &str = "\
Examples:
  shipfront deploy public s3://www.example.com
  shipfront deploy dist s3://example-sites/blog --distribution E2QWRUHAPOMQZL
  shipfront deploy public s3://www.example.com --prune-after never --json > report.json
  shipfront deploy public --local";

/// Ships a built static site to Amazon S3 and keeps CloudFront exactly fresh.
///
/// shipfront uploads what changed, assets before the pages that need them, and invalidates the
/// fewest CloudFront paths that leave no visitor with a stale page.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print one JSON object on stdout, for machines
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print errors and warnings only
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Name every file and every step
    #[arg(long, short, global = true, help_heading = "Output")]
    pub verbose: bool,
    /// The file of settings, rather than shipfront.toml beside or above the source
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// The [env.NAME] section of the file to use over the rest of it
    #[arg(long, value_name = "NAME", global = true, help_heading = "Settings")]
    pub env: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload a built site and invalidate what changed
    ///
    /// Files are compared by size and MD5, never by time. New and changed assets go up first, then
    /// pages, then what left the source is removed; then what changed is invalidated. A deploy
    /// that is interrupted is finished by the next one.
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(DeployArgs),
    /// Show what a deploy would do; write nothing
    ///
    /// The same comparison as a deploy's, stopped before the first write: each change with its reason,
    /// the items that would be invalidated, and what they cost.
    Plan(PlanArgs),
    /// Evict paths from CloudFront
    ///
    /// Encodes what is typed as CloudFront wants it, sends each path once, in as many requests as
    /// CloudFront takes at its pace, and waits until the edges are clean.
    Invalidate(InvalidateArgs),
    /// Show the last deploy, who deploys now, what is pending and which orphans go when
    Status(record::StatusArgs),
    /// List the deploys that can be brought back
    ///
    /// The newest first, with what is known of each: build, commit, by whom, how much it changed, and whether all of it
    /// can still be restored.
    History(history::HistoryCommandArgs),
    /// Bring back the site of an earlier deploy
    ///
    /// Each object that differs is copied inside S3 from its earlier version, in the same order as in a deploy, and what
    /// changed is invalidated. Everything is looked at before the first write: if a version is gone, or others wrote
    /// in between, nothing is changed.
    #[command(after_help = history::EXAMPLES)]
    Rollback(history::RollbackArgs),
    /// List the previews, or remove those that are no longer needed
    ///
    /// A preview is what 'deploy --preview NAME' makes. Of one that is removed, all objects go that its own deploys wrote;
    /// those of others stay and are named.
    #[command(after_help = previews::PREVIEWS_EXAMPLES)]
    Previews(previews::PreviewsCommandArgs),
    /// Make production exactly what a preview is
    ///
    /// Each object that differs is copied inside S3, in the same order as in a deploy, and what changed is invalidated.
    /// If the preview is deployed again or changes meanwhile, nothing is changed or the promotion stops.
    #[command(after_help = previews::PROMOTE_EXAMPLES)]
    Promote(previews::PromoteArgs),
    /// Take the lock away from a deploy that is dead
    Unlock(record::UnlockArgs),
    /// Look at credentials, bucket, distribution and permissions, and say what to repair
    ///
    /// Changes nothing. What cannot be seen from here is reported as not checked. Exits with 1 if anything
    /// would make a deploy fail, or viewers get errors.
    Doctor(doctor::DoctorArgs),
    /// Try what shipfront believes of a store and of CloudFront, in a folder of its own
    ///
    /// Each belief is a check with the statement of SEMANTICS.md that rests on it. It costs a few cents, says so first,
    /// and removes what it wrote. Nothing outside of its folder is touched, nor a distribution's configuration. Exits
    /// with 7 where something is otherwise.
    #[command(after_help = conformance::EXAMPLES)]
    Conformance(conformance::ConformanceArgs),
    /// Print the IAM policy that a role needs, or the bucket policy
    ///
    /// The policy allows what shipfront calls and nothing else. What it cannot know stands in capitals.
    Policy(doctor::PolicyArgs),
    /// Print the completions of a shell
    Completions(documents::CompletionsArgs),
    /// Print the manual page of shipfront, or of a command
    Man(documents::ManArgs),
    /// Print the code of a CloudFront Function that adds what S3 does not keep of the source's _headers
    ///
    /// S3 keeps Cache-Control and the Content- headers with an object. Others, such as
    /// Content-Security-Policy, are added by CloudFront: by a function (runtime cloudfront-js-2.0, event
    /// viewer-response), which works on every plan for answers below 400, or with --policy by response headers
    /// policies, one for each path of the file, to be named in the distribution's behavior for that path.
    #[command(after_help = headers_and_redirects::HEADERS_EXAMPLES)]
    Headers(headers_and_redirects::HeadersArgs),
    /// Print the code of a CloudFront Function that follows the source's _redirects
    ///
    /// A deploy creates redirect objects where an S3 website endpoint follows them, for redirects that are
    /// permanent and lead from one path to one other. All else takes a function: runtime cloudfront-js-2.0,
    /// event viewer-request. A file of the site comes before a rule, unless its status ends in '!'. No URL leads
    /// round in a circle, and lines that cannot be done are named: what they match passes through untouched.
    #[command(after_help = headers_and_redirects::REDIRECTS_EXAMPLES)]
    Redirects(headers_and_redirects::RedirectsArgs),
    /// Show the rules that viewers meet, or print what to change once so that deploys publish them
    ///
    /// With publish-rules = true, or --publish-rules, a deploy publishes _redirects and the headers that S3 does not
    /// keep to two CloudFront Functions of the distribution, after the pages and before the invalidation. It touches
    /// only functions whose comment names the site, and never the distribution: --attach prints what to change there.
    #[command(after_help = rules::EXAMPLES)]
    Rules(rules::RulesArgs),
    /// Turn cache tags on: print what to change in the distribution, or tag what is in the bucket already
    ///
    /// CloudFront can evict by cache tags, which it reads from a header of the origin. Where a distribution reads
    /// them from a header that S3 can send, deploys tag what they upload and send tags where those evict less
    /// than paths. Both flags are for once; every deploy after them needs none.
    #[command(after_help = tags::EXAMPLES)]
    Tags(tags::TagsArgs),
    /// Deploy to the local edge and keep it serving, to look at the site in a browser
    ///
    /// A page of its own shows every URL with its hits, its age and whether it is stale, and what the last
    /// invalidation evicted and why, while you deploy.
    #[cfg(feature = "edge")]
    Preview(PreviewArgs),
    /// Write a shipfront.toml for the project in a directory
    ///
    /// Looks for the folder that holds the front page and for the project files of Hugo, Vite, Next.js, Astro,
    /// SvelteKit, Nuxt, VitePress, Gatsby, Angular, Create React App, Docusaurus, Jekyll, Eleventy, MkDocs, mdBook,
    /// Sphinx, Storybook and others, and writes a commented file with the source and the cache rules that suit them.
    /// Where a _headers file says how long copies live, the rules stay comments.
    Init(InitArgs),
    /// Print the settings of another tool as a shipfront.toml
    ///
    /// Reads the .s3deploy.yml of bep/s3deploy, and the deployment section of a Hugo site's configuration, in
    /// TOML, YAML or JSON. What cannot be carried over is named.
    Import(ImportArgs),
    /// Print the JSON schema of shipfront.toml, for editors
    Schema,
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The project
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// Where the site goes: s3://BUCKET or s3://BUCKET/PREFIX; it may stand alone
    pub target: Option<String>,
    /// Overwrite a shipfront.toml that is there
    #[arg(long)]
    pub force: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The other tool's file, such as .s3deploy.yml or hugo.toml
    pub file: PathBuf,
}

/// Where the site is and where it goes.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The directory that your site generator wrote
    #[arg(env = "SHIPFRONT_SOURCE", hide_env = true)]
    pub source: Option<PathBuf>,
    /// Where the site goes: s3://BUCKET or s3://BUCKET/PREFIX
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
    /// Write the report to a file, also of a deploy that fails: FILE.html is a page to look at, FILE.md Markdown for a job summary, FILE.xml JUnit for CodeBuild's report groups, FILE.json what --json prints, FILE.env variables for later steps; repeat it for several
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Vec<ReportFile>,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// As for a deploy
    #[command(flatten)]
    pub deploy: DeployArgs,
    /// Exit with 10 when there is something to do, 0 when there is not
    #[arg(long)]
    pub detailed_exit_code: bool,
}

/// `preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// The directory that your site generator wrote
    #[arg(env = "SHIPFRONT_SOURCE", hide_env = true)]
    pub source: Option<PathBuf>,
    /// Where the site goes on the local edge
    #[arg(env = "SHIPFRONT_TARGET", hide_env = true)]
    pub target: Option<String>,
    /// The port to serve the site on; 0 takes any free one
    #[arg(long, default_value_t = 8650)]
    pub port: u16,
    /// Deploy again whenever the directory has changed and come to rest
    #[arg(long)]
    pub watch: bool,
    /// As for a deploy
    #[command(flatten)]
    pub options: SiteOptions,
}

/// What is deployed, and how.
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
    /// Refuse to run when more objects than this left the source
    #[arg(long, value_name = "N", default_value_t = 500, help_heading = "Removals")]
    pub max_delete: u64,
    /// Deploy although most of the pages, or the front page, are no longer in the source; for one run
    #[arg(long, help_heading = "Removals")]
    pub allow_removals: bool,
    /// Treat what is in the bucket but not in the source as shipfront's own from now on, so that it is removed
    #[arg(long, help_heading = "Removals")]
    pub adopt: bool,
    /// The deploy record
    #[command(flatten)]
    pub record: RecordArgs,
    /// Leave files of these patterns alone, here and in the bucket; repeat it for several
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub exclude: Vec<Glob>,
    /// Deploy hidden files of these patterns, too, such as .htaccess; repeat it for several. What is in .well-known always is
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub include_hidden: Vec<Glob>,
    /// Follow symbolic links that lead out of the source, as those of Bazel and Nix do
    #[arg(long, help_heading = "Uploads")]
    pub follow_links: bool,
    /// Deploy a directory although it looks like the project rather than the built site
    #[arg(long, help_heading = "Uploads")]
    pub allow_project: bool,
    /// Create only the assets of one of so many parts of the site, as in 2/4, while other machines create the others; a deploy without it does the rest
    #[arg(long, value_name = "I/N", help_heading = "Uploads")]
    pub shard: Option<Shard>,
    /// Whether the redirects of the source's _redirects become objects, which S3 website endpoints follow
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = RedirectObjects::Auto, help_heading = "Uploads")]
    pub redirect_objects: RedirectObjects,
    /// How _headers and _redirects are read
    #[command(flatten)]
    pub rules: headers_and_redirects::RuleArgs,
    /// Publish _redirects and the headers that S3 does not keep to the distribution's CloudFront Functions, with the deploy; see 'shipfront rules --attach'
    #[arg(long, help_heading = "Uploads")]
    pub publish_rules: bool,
    /// Deploy the rest when some files cannot be read, and exit with 3
    #[arg(long, help_heading = "Uploads")]
    pub keep_going: bool,
    /// S3 requests in flight, at most; S3 is asked how many it takes, beginning with 32
    #[arg(long, value_name = "N", default_value_t = MOST_IN_FLIGHT, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Uploads")]
    pub concurrency: u16,
    /// What only the file of settings says
    #[arg(skip)]
    pub file: FileRules,
}

/// Which objects are pages, and when those go that left the source.
#[derive(Debug, Args)]
pub struct OrphanArgs {
    /// When assets that left the source are deleted: an age such as 7d, '0s' or 'never'; pages that left it go at once [default: 7d]
    #[arg(long, value_name = "AGE", help_heading = "Removals")]
    pub prune_after: Option<String>,
    /// Treat files of these patterns as pages, which go up last and are removed at once
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub pages: Vec<Glob>,
    /// Treat files of these patterns as assets, which go up first and are removed late
    #[arg(long, value_name = "GLOB", help_heading = "Uploads")]
    pub assets: Vec<Glob>,
}

/// What the file of settings says and no flag does.
#[derive(Debug, Clone, Default)]
pub struct FileRules {
    /// The file itself, which is no part of the site wherever it is.
    pub path: Option<PathBuf>,
    /// Which objects get which headers.
    pub headers: Vec<HeaderRule>,
}

/// The deploy record: lock, crash recovery, ownership.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Keep the deploy record here rather than in .shipfront/ of the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD", help_heading = "Deploy record")]
    pub record: Option<String>,
    /// Keep no record: no lock, no crash recovery, no ownership, no check of headers
    #[arg(long, help_heading = "Deploy record")]
    pub no_record: bool,
    /// How long to wait for another deploy of the same target
    #[arg(long, value_name = "TIME", default_value = "10m", help_heading = "Deploy record")]
    pub lock_timeout: String,
    /// What stays restorable
    #[command(flatten)]
    pub history: history::HistoryArgs,
    /// Build number; a deploy is refused if a newer build is already live [default: CODEBUILD_BUILD_NUMBER]
    #[arg(long, value_name = "N", env = "SHIPFRONT_BUILD_NUMBER", help_heading = "Deploy record")]
    pub build_number: Option<u64>,
    /// Deploy although a newer build went before
    #[arg(long, help_heading = "Deploy record")]
    pub force: bool,
}

/// A site that was deployed: `status`, `unlock`, `doctor` and `tags`.
#[derive(Debug, Args)]
pub struct SiteArgs {
    /// The site: s3://BUCKET or s3://BUCKET/PREFIX; with --local, its source directory will do
    #[arg(env = "SHIPFRONT_TARGET")]
    pub target: Option<String>,
    /// The source, by which --local finds a site without a target
    #[arg(long, hide = true, env = "SHIPFRONT_SOURCE")]
    pub source: Option<PathBuf>,
    /// Where the deploy record is, if not in .shipfront/ of the bucket
    #[arg(long, value_name = "S3-URL", env = "SHIPFRONT_RECORD")]
    pub record: Option<String>,
    /// Where requests go
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Where requests go: to AWS, and as whom, or to the local edge.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// Use the local edge on this machine instead of AWS; its data is kept for the next run
    #[cfg(feature = "edge")]
    #[arg(long)]
    pub local: bool,
    /// As whom
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// Where and as whom AWS is called.
#[derive(Debug, Args)]
pub struct AwsArgs {
    /// The profile of ~/.aws to use
    #[arg(long, help_heading = "AWS")]
    pub profile: Option<String>,
    /// The region to begin with; the bucket's own is found
    #[arg(long, help_heading = "AWS")]
    pub region: Option<String>,
    /// Another endpoint for every service, such as a store that speaks S3
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,
    /// The account that must own the bucket
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
