//! Settings as meant: the result of flags, environment and `shipfront.toml`.

mod field_names;
pub mod file;
pub mod history;
pub(crate) mod locate;
pub mod merge;
pub mod previews;
pub mod schema;
pub mod variables;

use crate::aws::AwsOptions;
use crate::cli::choice::ChoiceArgs;
use crate::cli::history::HistoryArg;
use crate::cli::invalidate::WaitArgs;
use crate::cli::{AwsArgs, OrphanArgs, SiteOptions};
use crate::cloudfront::lookup::Which;
use crate::cloudfront::send::Patience;
use crate::deploy::diff::PruneAfter;
use crate::deploy::walk::{WalkRules, WrittenPatterns};
use crate::deploy::{PublishRules, Settings};
use crate::error::{Error, Result};
use crate::open_files;
use crate::record::{Build, Place};
use globset::GlobSet;
use jiff::{Span, SpanRelativeTo, Unit};
use shipfront_invalidation::Policy;
use shipfront_invalidation::allowance::Allowance;
use shipfront_invalidation::viewer::ViewerOptions;
use shipfront_site::ObjectKinds;
use shipfront_site::Target;
use shipfront_site::glob::{self, Glob};
use shipfront_site::key::key_of;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long CloudFront may be too busy to accept an invalidation before that counts as a failure: crates.io, which
/// sends many, waits up to 15 minutes between attempts.
const BUSY_LIMIT: Duration = Duration::from_secs(15 * 60);

/// However short the wait for CloudFront to finish, this is how long it may take to respond: one request and its
/// repetition.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// The source, which must be named somewhere.
pub fn source(source: Option<&Path>) -> Result<PathBuf> {
    if let Some(url) = source.and_then(Path::to_str).filter(|source| source.starts_with("s3://")) {
        return Err(Error::usage(format!("the source {url} is not a directory of this machine"))
            .hint("name the directory first, then the target: 'shipfront deploy DIRECTORY s3://BUCKET'"));
    }
    source.map(Path::to_owned).ok_or_else(|| {
        Error::usage("no source: name the directory of the built site").hint(
            "pass the directory that your site generator writes, such as public, or run 'shipfront init' to find it",
        )
    })
}

/// The target, which must be named somewhere.
pub fn target(target: Option<&str>) -> Result<Target> {
    let target = target.ok_or_else(|| {
        Error::usage("no target: name the bucket of the site")
            .hint("pass s3://BUCKET or s3://BUCKET/PREFIX, set SHIPFRONT_TARGET or target in shipfront.toml, or try it with --local")
    });
    Ok(Target::parse(target?)?)
}

/// The settings of a deploy of `source` to `target`.
pub fn settings(
    source: PathBuf,
    target: Target,
    options: &SiteOptions,
    expected_owner: Option<&str>,
) -> Result<Settings> {
    guard_no_record(options)?;
    let record = place(options.record.record.as_deref(), options.record.no_record)?;
    if let Place::At(folder) = &record
        && folder.bucket() == target.bucket()
        && target.prefix().starts_with(folder.prefix())
    {
        return Err(Error::usage(format!("--record {folder} is the site's own folder, or one above it"))
            .hint("keep the record beside the site, or in another bucket"));
    }
    Ok(Settings {
        walk: WalkRules {
            excluded: excluded(&source, options)?,
            included_hidden: glob::set(&options.include_hidden).map_err(too_many_patterns)?,
            follow_links: options.follow_links,
            written: WrittenPatterns {
                exclude: options.exclude.clone(),
                include_hidden: options.include_hidden.clone(),
                pages: options.orphans.pages.clone(),
                assets: options.orphans.assets.clone(),
            },
        },
        allow_project: options.allow_project,
        kinds: kinds(&options.orphans)?,
        source,
        target,
        distributions: Which::parse(&options.choice.distribution, &options.choice.distribution_tenant)?,
        any_origin: options.choice.any_origin,
        headers: options.file.headers.clone(),
        redirect_objects: options.redirect_objects,
        rules: options.rules.options(),
        publish_rules: if options.publish_rules { PublishRules::Always } else { PublishRules::Never },
        policy: policy(&options.choice),
        patience: patience(&options.wait)?,
        prune_after: prune_after(&options.orphans, !options.record.no_record)?,
        max_delete: options.max_delete,
        allow_removals: options.allow_removals,
        keep_going: options.keep_going,
        concurrency: open_files::at_once(usize::from(options.concurrency), false),
        expected_owner: expected_owner.map(str::to_owned),
        record,
        adopt: options.adopt,
        lock_timeout: duration("--lock-timeout", &options.record.lock_timeout)?,
        build: build(options.record.build_number, |name| std::env::var(name).ok()),
        commit: history::commit(|name| std::env::var(name).ok()),
        keep_deploys: options.record.history.keep_deploys,
        keep_copies: options.record.history.history == HistoryArg::Copies,
        force: options.record.force,
        verify: options.verify.verify.clone(),
        shard: options.shard,
        preview: None,
    })
}

/// The exclusions: the user's, and the settings file itself.
fn excluded(source: &Path, options: &SiteOptions) -> Result<GlobSet> {
    let mut patterns = options.exclude.clone();
    if let (Some(file), Ok(source)) = (&options.file.path, source.canonicalize())
        && let Ok(file) = file.canonicalize()
        && let Some(key) = file.strip_prefix(&source).ok().and_then(key_of)
    {
        patterns.extend(format!("/{}", globset::escape(&key)).parse::<Glob>().ok());
    }
    glob::set(&patterns).map_err(too_many_patterns)
}

/// Each pattern by itself was read before: together they are too large.
fn too_many_patterns(problem: String) -> Error {
    Error::usage(problem).hint("use fewer or shorter patterns")
}

/// Refuses options that need a record if none is kept.
fn guard_no_record(options: &SiteOptions) -> Result<()> {
    let record = &options.record;
    let needing = [
        ("--record", record.record.is_some()),
        ("--adopt", options.adopt),
        ("--build-number", record.build_number.is_some()),
        ("--force", record.force),
        ("--publish-rules", options.publish_rules),
    ];
    match needing.iter().find(|(_, is_set)| *is_set && record.no_record) {
        Some((option, _)) => Err(Error::usage(format!("{option} cannot be used with --no-record"))
            .hint("remove one of them; both may also come from the environment or shipfront.toml")),
        None => Ok(()),
    }
}

/// The user's decisions about invalidations.
pub fn policy(options: &ChoiceArgs) -> Policy {
    Policy {
        strategy: options.strategy,
        max_paths: options.max_paths,
        allowance: Allowance { free: options.free_paths, used: None },
        max_wildcards: options.max_wildcards as usize,
        viewer: ViewerOptions {
            index_alias: options.index_alias.into(),
            clean_urls: options.clean_urls,
            error_pages: options.error_page.into(),
        },
        cache_tags: options.cache_tags,
    }
}

/// The location of the deploy record.
pub fn place(record: Option<&str>, none: bool) -> Result<Place> {
    match record {
        _ if none => Ok(Place::Nowhere),
        Some(url) => match Target::parse_folder(url)? {
            place if place.prefix().is_empty() => Err(Error::usage(format!("--record {url} names a whole bucket"))
                .hint("name a folder of it, one for each site: s3://BUCKET/FOLDER")),
            place => Ok(Place::At(place)),
        },
        None => Ok(Place::SiteFolder),
    }
}

/// The build: CodeBuild numbers the builds of a project
/// (<https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html>).
fn build(number: Option<u64>, variable: impl Fn(&str) -> Option<String>) -> Option<Build> {
    let project = variable("CODEBUILD_BUILD_ID").and_then(|id| Some(id.split_once(':')?.0.to_owned()));
    let number = number.or_else(|| variable("CODEBUILD_BUILD_NUMBER")?.parse().ok())?;
    Some(Build::new(project.unwrap_or_default(), number))
}

/// How long to wait for CloudFront.
pub fn patience(wait: &WaitArgs) -> Result<Patience> {
    let limit = duration("--wait-timeout", &wait.wait_timeout)?;
    let silence = limit.max(SILENCE_LIMIT);
    Ok(Patience { busy: BUSY_LIMIT, silence, until: None, completion: (!wait.no_wait).then_some(limit) })
}

/// How AWS is called, and with which credentials.
pub fn aws_options(args: &AwsArgs) -> AwsOptions {
    AwsOptions {
        profile: args.profile.clone(),
        region: args.region.clone(),
        endpoint_url: args.endpoint_url.clone(),
        ..AwsOptions::default()
    }
}

/// Refuses to deploy the output of a failed CodeBuild build.
///
/// CodeBuild runs `post_build` even after a failed build
/// (<https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html>).
pub fn guard_build(succeeding: Option<&str>) -> Result<()> {
    match succeeding {
        Some("0") => Err(Error::refused("the build failed (CODEBUILD_BUILD_SUCCEEDING is 0); nothing was deployed")
            .hint("CodeBuild runs post_build even after a failed build; see the build phase for what went wrong")),
        _ => Ok(()),
    }
}

/// The patterns of pages and assets.
pub fn kinds(orphans: &OrphanArgs) -> Result<ObjectKinds> {
    ObjectKinds::new(&orphans.pages, &orphans.assets).map_err(too_many_patterns)
}

/// When orphans are removed: after a week, so that open tabs keep finding their old chunks. Without a record, it is
/// not known what shipfront owns, and nothing is removed unless requested.
pub fn prune_after(orphans: &OrphanArgs, recorded: bool) -> Result<PruneAfter> {
    const WEEK: i64 = 7 * 86_400;
    match orphans.prune_after.as_deref() {
        None if recorded => Ok(PruneAfter::Seconds(WEEK)),
        None | Some("never") => Ok(PruneAfter::Never),
        Some(text) => match duration("--prune-after", text)?.as_secs() {
            age if age > 0 && !recorded => {
                Err(Error::usage("without a deploy record, the age of removed files is unknown")
                    .hint("use '--prune-after 0s' or 'never' with --no-record"))
            }
            age => Ok(PruneAfter::Seconds(i64::try_from(age).unwrap_or(i64::MAX))),
        },
    }
}

/// Parses `90s`, `10m`, `7d`.
fn duration(flag: &str, text: &str) -> Result<Duration> {
    let wrong = || Error::usage(format!("{flag} {text:?} is not a duration")).hint("write it as 90s, 10m, 2h or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let seconds = span.total((Unit::Second, SpanRelativeTo::days_are_24_hours())).map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604_800), ("0s", 0), ("1h30m", 5400)] {
            assert_eq!(duration("--x", text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "5", "never", "-1s", "1 fortnight"] {
            assert_eq!(duration("--x", text).unwrap_err().exit(), crate::exit::Exit::Usage, "{text}");
        }
    }

    #[test]
    fn a_build_is_numbered_by_its_project() {
        let codebuild = |name: &str| match name {
            "CODEBUILD_BUILD_ID" => Some("site:1f-2e".to_owned()),
            "CODEBUILD_BUILD_NUMBER" => Some("7".to_owned()),
            _ => None,
        };
        let expected = |project: &str, number| Some(Build::new(project, number));
        assert_eq!(build(None, codebuild), expected("site", 7));
        assert_eq!(build(Some(9), codebuild), expected("site", 9));
        assert_eq!(build(Some(9), |_| None), expected("", 9));
        assert_eq!(build(None, |_| None), None);
    }

    #[test]
    fn a_failed_build_is_not_deployed() {
        assert_eq!(guard_build(Some("0")).unwrap_err().exit(), crate::exit::Exit::Refused);
        assert!(guard_build(Some("1")).is_ok() && guard_build(None).is_ok());
    }
}
