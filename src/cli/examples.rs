//! Examples of the commands, and the end of the program's help: shown as written, at most 80 columns wide.

/// Defines both texts of the program.
macro_rules! examples {
    () => {
        "\
Examples:
  shipfront deploy public --local
      try it without an AWS account
  shipfront doctor s3://www.example.com
      check bucket, distribution and permissions
  shipfront plan public s3://www.example.com
      show what a deploy would do
  shipfront deploy public s3://www.example.com
      deploy, and invalidate what changed
  shipfront rollback s3://www.example.com
      go back to the deploy before"
    };
}

pub(super) const EXAMPLES: &str = examples!();

pub(super) const LONG_HELP: &str = concat!(
    examples!(),
    "

Exit codes:
   0  done, or nothing to do
   1  failed, nothing changed
   2  usage
   3  some files failed; the rest is live and invalidated
   4  live but stale: an invalidation failed
   5  locked, or superseded by a newer build
   6  refused by a guard, nothing changed
   7  live, but --verify found a difference or no answer;
      or a check of conformance failed
  10  plan --detailed-exit-code: there are changes
 130  interrupted; what is live was invalidated

Settings:
  Options override environment variables (SHIPFRONT_MAX_PATHS for --max-paths),
  which override shipfront.toml beside or above the source. 'shipfront init'
  writes one. Credentials, regions, and profiles are found as the AWS CLI does."
);

pub(super) const DEPLOY_EXAMPLES: &str = "\
Examples:
  shipfront deploy public s3://www.example.com
      upload what changed and invalidate it
  shipfront deploy dist s3://sites/blog --distribution E2QWRUHAPOMQZL
      a folder of a bucket, and a distribution by its ID
  shipfront deploy public --preview feature/search
      a preview of a branch, beside production
  shipfront deploy public --local
      to the local edge, without AWS
  shipfront deploy public s3://www.example.com --report report.html
      with a report to look at";

pub(super) const PLAN_EXAMPLES: &str = "\
'shipfront plan' takes all options of 'shipfront deploy': see 'deploy --help'.

Examples:
  shipfront plan public s3://www.example.com
      show changes, paths and cost
  shipfront plan public s3://www.example.com --detailed-exit-code
      exit with 10 if there are changes";

pub(super) const INVALIDATE_EXAMPLES: &str = "\
Examples:
  shipfront invalidate /blog/ '/img/*' --target s3://www.example.com
      the distribution in front of a bucket
  shipfront invalidate https://www.example.com/blog/
      the distribution with this host name
  shipfront invalidate '/*' --distribution E2QWRUHAPOMQZL
      everything, of one distribution";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  shipfront status s3://www.example.com
  shipfront status public --local";

pub(super) const HISTORY_EXAMPLES: &str = "\
Examples:
  shipfront history s3://www.example.com
  shipfront history s3://www.example.com --json";

pub(super) const UNLOCK_EXAMPLES: &str = "\
Examples:
  shipfront unlock s3://www.example.com
      release the lock of a deploy that died";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  shipfront doctor s3://www.example.com
      find the problems before a deploy does
  shipfront doctor s3://www.example.com --probe
      also write and remove one object
  shipfront doctor s3://www.example.com --verbose
      list everything that was checked";

pub(super) const POLICY_EXAMPLES: &str = "\
Examples:
  shipfront policy s3://www.example.com --distribution E2QWRUHAPOMQZL
      the policy of a role that deploys
  shipfront policy s3://www.example.com --bucket-policy
      the policy of the bucket
  shipfront policy --trust github:OWNER/REPO --account 111122223333
      the trust policy for GitHub Actions";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  shipfront completions bash > shipfront.bash
  shipfront completions fish > ~/.config/fish/completions/shipfront.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  shipfront man deploy
      read the manual page of a command
  shipfront man > shipfront.1
      write one to a file";

#[cfg(feature = "edge")]
pub(super) const PREVIEW_EXAMPLES: &str = "\
Most options of 'shipfront deploy' work here as well: see 'deploy --help'.

Examples:
  shipfront preview public
      serve a built site
  shipfront preview public --watch
      and deploy every change";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  shipfront init
      for the project in this directory
  shipfront init . s3://www.example.com
      and for this bucket";

pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  shipfront import .s3deploy.yml > shipfront.toml
  shipfront import hugo.toml > shipfront.toml";
