//! Arranges the help: commands in groups, `-h` with the options that people use, `--help` with all of them.
//!
//! Only the display is arranged here; parsing, completions and the manual follow the declarations.

use clap::{Arg, Command};

/// The commands by purpose.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Start", &["init", "import", "preview", "doctor"]),
    ("Deploy", &["deploy", "plan", "status", "history", "rollback", "previews", "promote", "unlock"]),
    ("CloudFront", &["invalidate", "headers", "redirects", "rules", "tags"]),
    ("Set up", &["policy", "conformance"]),
    ("Shell", &["completions", "man", "schema", "help"]),
];

/// Options that only `--help` shows, by their IDs.
const ADVANCED: [&str; 46] = [
    "adopt",
    "allow_project",
    "allow_removals",
    "any_origin",
    "assets",
    "build_number",
    "cache_tags",
    "check",
    "clean_urls",
    "concurrency",
    "config",
    "distribution_tenant",
    "endpoint_url",
    "error_page",
    "evidence",
    "expected_bucket_owner",
    "expires",
    "follow_links",
    "force",
    "free_paths",
    "history",
    "include_hidden",
    "index_alias",
    "keep_deploys",
    "keep_going",
    "lock_timeout",
    "max_delete",
    "max_paths",
    "max_wildcards",
    "may_be_public",
    "name",
    "no_record",
    "overwrite_foreign",
    "pages",
    "patience",
    "previews_target",
    "previews_url",
    "quiet",
    "record",
    "redirect_objects",
    "region",
    "rules",
    "shard",
    "strategy",
    "strict_rules",
    "wait_timeout",
];

/// Options of a deploy that the help of `plan` and `preview` lists as well; for the others, it refers to the help
/// of `deploy`.
const OF_EVERY_DEPLOY: [&str; 5] = ["source", "target", "distribution", "prune_after", "exclude"];

/// Arranges the help of the program.
pub fn arrange(program: Command) -> Command {
    let deploy: Vec<String> = program
        .find_subcommand("deploy")
        .map(|deploy| deploy.get_arguments().map(|arg| arg.get_id().to_string()).collect())
        .unwrap_or_default();
    let template = template(&program);
    // The template lists the commands.
    program
        .help_template(template)
        .override_usage("shipfront [OPTIONS] <COMMAND>")
        .mut_subcommands(|command| {
            let name = command.get_name().to_owned();
            let refers = matches!(name.as_str(), "plan" | "preview");
            let is_left_out = |arg: &Arg| {
                let id = arg.get_id().as_str();
                refers && deploy.iter().any(|known| known == id) && !OF_EVERY_DEPLOY.contains(&id) && !is_where(id)
            };
            let command = command.mut_args(|arg| if is_left_out(&arg) { arg.hide(true) } else { shorten(arg) });
            command.hide(GROUPS.iter().any(|(_, names)| names.contains(&name.as_str())))
        })
        .mut_args(shorten)
}

/// Options that say where requests go.
fn is_where(id: &str) -> bool {
    matches!(id, "local" | "profile")
}

fn shorten(arg: Arg) -> Arg {
    if ADVANCED.contains(&arg.get_id().as_str()) { arg.hide_short_help(true) } else { arg }
}

/// The help of the program, with its commands in groups. The placeholders in braces are clap's.
fn template(program: &Command) -> String {
    let about = |name: &str| match program.find_subcommand(name) {
        Some(command) => command.get_about().map(ToString::to_string).unwrap_or_default(),
        // clap adds it later.
        None => "Print this message, or the help of a command".to_owned(),
    };
    let is_there = |name: &&&str| **name == "help" || program.find_subcommand(name).is_some();
    let groups = GROUPS.map(|(title, names)| {
        let lines = names.iter().filter(is_there).map(|name| format!("  {name:11}  {}\n", about(name)));
        format!("{title}:\n{}", lines.collect::<String>())
    });
    format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\n{{all-args}}{{after-help}}", groups.join("\n"))
}

/// What does here what an option of another tool does there.
pub fn option_of_other_tools(option: &str) -> Option<&'static str> {
    Some(match option {
        "--dry-run" | "--dryrun" | "-n" | "--check" | "--what-if" => {
            "'shipfront plan' shows what a deploy would do, and writes nothing"
        }
        "--delete" | "--delete-removed" | "--delete-after" | "--prune" => {
            "no option is needed: removed pages leave the bucket at once, and removed assets after --prune-after (7d)"
        }
        "--size-only" | "--exact-timestamps" | "--checksum" => {
            "no option is needed: shipfront compares sizes and digests"
        }
        _ => return None,
    })
}

/// The equivalent of another tool's command.
pub fn of_other_tools(command: &str) -> Option<&'static str> {
    Some(match command {
        "sync" | "cp" | "mv" | "rsync" | "upload" | "push" | "publish" | "release" | "ship" | "put" => {
            "'shipfront deploy SOURCE s3://BUCKET' uploads a site and invalidates what changed"
        }
        "ls" | "list" | "info" | "show" => {
            "'shipfront status s3://BUCKET' shows a site, and 'shipfront history s3://BUCKET' its deploys; 'aws s3 ls' \
             lists objects"
        }
        "rm" | "del" | "delete" | "remove" | "prune" | "clean" => {
            "remove the files from the source and run 'shipfront deploy'; 'aws s3 rm' deletes objects"
        }
        "mb" | "create-bucket" | "create" | "bootstrap" | "provision" => {
            "shipfront does not create buckets; create one with 'aws s3 mb s3://BUCKET' and check the setup with \
             'shipfront doctor s3://BUCKET'"
        }
        "rb" | "destroy" | "down" => {
            "shipfront removes no bucket and no site; use 'aws s3 rb' or 'aws s3 rm --recursive'"
        }
        "invalidation" | "invalidations" | "create-invalidation" | "purge" | "evict" | "flush" | "clear" | "cache" => {
            "'shipfront invalidate PATH' evicts paths from CloudFront; a deploy does that by itself"
        }
        "diff" | "dry-run" | "dryrun" | "preflight" | "changes" => {
            "'shipfront plan SOURCE s3://BUCKET' shows what a deploy would do, and writes nothing"
        }
        "serve" | "dev" | "watch" | "start" | "local" => "'shipfront preview SOURCE' serves the site on this machine",
        "undo" | "revert" | "restore" => "'shipfront rollback s3://BUCKET' restores the site of an earlier deploy",
        "log" | "logs" | "releases" | "deploys" | "deployments" => {
            "'shipfront history s3://BUCKET' lists the deploys of a site"
        }
        "check" | "test" | "validate" | "verify" | "lint" => {
            "'shipfront doctor s3://BUCKET' checks the setup, and 'shipfront deploy --verify URL' what viewers get"
        }
        "new" | "setup" | "config" => "'shipfront init' writes shipfront.toml",
        "login" | "configure" | "auth" => {
            "shipfront finds credentials as the AWS CLI does; 'aws configure' or 'aws sso login' sets them up"
        }
        "lock" => "each deploy takes the lock by itself; 'shipfront unlock s3://BUCKET' releases one that was left",
        "iam" | "permissions" | "role" => "'shipfront policy s3://BUCKET' prints the IAM policy that a role needs",
        "version" => "'shipfront --version' prints the version",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_is_in_one_group_and_fits_into_80_columns() {
        let program = Cli::command();
        let known: BTreeSet<&str> = program.get_subcommands().map(Command::get_name).collect();
        let grouped: Vec<&str> =
            GROUPS.iter().flat_map(|(_, names)| *names).copied().filter(|name| *name != "help").collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(grouped.len(), known.len());
        assert!(template(&program).lines().all(|line| line.len() <= 80), "{}", template(&program));
    }

    #[test]
    fn every_option_that_is_left_to_the_long_help_exists() {
        let program = Cli::command();
        let mut known: BTreeSet<&str> = program.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        known.extend(
            program.get_subcommands().flat_map(|command| command.get_arguments().map(|arg| arg.get_id().as_str())),
        );
        assert!(ADVANCED.is_sorted());
        for id in ADVANCED.into_iter().chain(OF_EVERY_DEPLOY) {
            assert!(known.contains(id), "{id}");
        }
    }

    #[test]
    fn the_short_help_has_about_a_dozen_options_and_no_example_is_broken() {
        let mut program = arrange(Cli::command()).term_width(80);
        program.build();
        for command in program.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
            let options = short.lines().filter(|line| line.trim_start().starts_with('-')).count();
            assert!(options <= 19, "{} has {options} options in -h:\n{short}", command.get_name());
            let is_wide = |line: &&str| line.len() > 80 && line.trim_start().starts_with("shipfront");
            assert_eq!(short.lines().chain(long.lines()).find(is_wide), None);
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(examples.contains(&format!("shipfront {name}")) || name == "schema", "{name} has no example");
            for line in examples.lines() {
                assert!(line.len() <= 80, "{line}");
                assert!(short.lines().any(|shown| shown == line), "{name}: {line:?} is broken in\n{short}");
            }
        }
    }
}
