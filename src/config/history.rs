//! What a rollback uses of a deploy's settings, and which commit a deploy belongs to.

use crate::cli::history::{BringBackArgs, HistoryArg, RollbackArgs};
use crate::cloudfront::lookup::Which;
use crate::config::{duration, kinds, patience, place, policy, prune_after};
use crate::deploy::Settings;
use crate::deploy::rollback::{Choice, Rollback};
use crate::error::Result;
use crate::open_files;
use shipfront_site::Target;

/// The variables that contain the commit of a build: CodeBuild, GitHub Actions, GitLab, Bitbucket.
const COMMITS: [&str; 4] = ["CODEBUILD_RESOLVED_SOURCE_VERSION", "GITHUB_SHA", "CI_COMMIT_SHA", "BITBUCKET_COMMIT"];
/// Maximum length of a commit's name, in characters.
const LONGEST_COMMIT: usize = 100;

/// The commit that was built. An invalid name counts as none.
pub(super) fn commit(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is_name =
        |text: &String| !text.is_empty() && text.len() <= LONGEST_COMMIT && text.chars().all(|c| c.is_ascii_graphic());
    COMMITS.iter().find_map(|name| variable(name).filter(is_name))
}

/// What a rollback should do.
pub fn rollback(args: &RollbackArgs) -> Rollback {
    let choice = match (&args.to, args.build) {
        (Some(deploy), _) => Choice::Deploy(deploy.clone()),
        (None, Some(number)) => Choice::Build(number),
        (None, None) => Choice::Before,
    };
    let overwrite_foreign = args.options.overwrite_foreign;
    Rollback { choice, overwrite_foreign, allow_incomplete: args.allow_removals }
}

/// The settings of a rollback: those of a deploy without a source.
pub fn rollback_settings(args: &RollbackArgs, target: Target, expected_owner: Option<&str>) -> Result<Settings> {
    without_source(&args.options, (target, args.site.record.as_deref()), expected_owner)
}

/// The settings of a deploy without a source, to a target with its record at `record`.
pub(super) fn without_source(
    args: &BringBackArgs,
    (target, record): (Target, Option<&str>),
    expected_owner: Option<&str>,
) -> Result<Settings> {
    let choice = &args.choice;
    Ok(Settings {
        kinds: kinds(&args.orphans)?,
        distributions: Which::parse(&choice.distribution, &choice.distribution_tenant)?,
        any_origin: choice.any_origin,
        policy: policy(choice),
        patience: patience(&args.wait)?,
        prune_after: prune_after(&args.orphans, true)?,
        concurrency: open_files::at_once(usize::from(args.concurrency), false),
        record: place(record, false)?,
        lock_timeout: duration("--lock-timeout", &args.lock_timeout)?,
        keep_deploys: args.history.keep_deploys,
        keep_copies: args.history.history == HistoryArg::Copies,
        verify: args.verify.clone(),
        ..Settings::of_nothing(target, expected_owner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_what_the_build_says_unless_it_is_no_name() {
        let of = |name: &'static str, text: &str| commit(|asked| (asked == name).then(|| text.to_owned()));
        for name in COMMITS {
            assert_eq!(of(name, "1a2b3c").as_deref(), Some("1a2b3c"), "{name}");
        }
        for none in ["", "a b", "a\n", "é", &"a".repeat(101)] {
            assert_eq!(of("GITHUB_SHA", none), None, "{none:?}");
        }
    }
}
