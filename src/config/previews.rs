//! Interprets settings about previews: where one goes, what it is called, how long it lasts, and which of a list
//! are kept.

use crate::cli::previews::{DeployPreviewArgs, PreviewsCommandArgs, PromoteArgs};
use crate::config::history::without_source;
use crate::config::{build, duration};
use crate::deploy::Settings;
use crate::deploy::settings::Preview;
use crate::error::{Error, Result};
use crate::record::Place;
use crate::record::preview::{NewPreview, overlap};
use shipfront_site::Target;
use shipfront_site::host_label::host_label;
use std::collections::HashSet;

/// The placeholder for a preview's label in the URL of previews.
const NAME: &str = "{name}";

/// The location of the preview of a name, below that of all previews.
pub fn target_of(previews: &Target, name: &str) -> Result<Target> {
    // An empty variable of a shell or a workflow is not a name.
    if name.trim().is_empty() {
        return Err(Error::usage("the name of a preview is empty")
            .hint("name it after a branch, or the number of a pull request"));
    }
    let label = host_label(name);
    Ok(Target::parse(&format!("{}/{label}", previews.to_string().trim_end_matches('/')))?)
}

/// The URL of a preview.
pub fn url_of(template: &str, name: &str) -> Result<String> {
    let is_one = template.starts_with("https://") || template.starts_with("http://");
    if !is_one || !template.contains(NAME) {
        return Err(Error::usage(format!("--previews-url {template:?} is not a URL with {NAME} in it"))
            .hint("write it as https://{name}.preview.example.com"));
    }
    let url = template.replace(NAME, &host_label(name));
    Ok(if url.ends_with('/') { url } else { format!("{url}/") })
}

/// Changes the settings of a deploy to those of a preview. `production` is the site that it may become, if known.
pub fn of_deploy(
    settings: Settings,
    (args, name): (&DeployPreviewArgs, &str),
    previews: &Target,
    production: Option<Target>,
) -> Result<Settings> {
    if settings.record == Place::Nowhere {
        return Err(Error::usage(
            "--preview cannot be used with --no-record, because the record holds the expiration date of a preview",
        )
        .hint("deploy the preview without --no-record"));
    }
    if settings.shard.is_some() {
        return Err(Error::usage("--preview cannot be used with --shard").hint("deploy the preview without --shard"));
    }
    if let Some(production) = production.as_ref().filter(|production| overlap(production, previews)) {
        return Err(Error::usage(format!("previews at {previews} and production at {production} overlap"))
            .hint("give previews a bucket of their own, or a folder beside that of production"));
    }
    let lasts = duration("--expires", &args.expires)?;
    let new = NewPreview { name: name.to_owned(), lasts, production: production.as_ref().map(Target::to_string) };
    let production = production.map(|production| (production, settings.record.clone()));
    Ok(Settings {
        target: target_of(previews, name)?,
        // Next to its own folder, wherever that of production is.
        record: Place::SiteFolder,
        keep_deploys: 1,
        keep_copies: false,
        verify: None,
        preview: Some(Preview { new, production }),
        ..settings
    })
}

/// The settings for removing a preview.
pub fn removal_settings(args: &PreviewsCommandArgs, target: Target, expected_owner: Option<&str>) -> Result<Settings> {
    let lock_timeout = duration("--lock-timeout", &args.lock_timeout)?;
    Ok(Settings { lock_timeout, ..Settings::of_nothing(target, expected_owner) })
}

/// The settings of a promotion: those of a deploy without a source.
pub fn promote_settings(args: &PromoteArgs, target: Target, expected_owner: Option<&str>) -> Result<Settings> {
    let settings = without_source(&args.options, (target, args.site.record.as_deref()), expected_owner)?;
    Ok(Settings {
        max_delete: args.max_delete,
        allow_removals: args.allow_removals,
        build: build(args.build_number, |name| std::env::var(name).ok()),
        force: args.force,
        ..settings
    })
}

/// The labels of the names in a list, one per line: names, references such as `refs/heads/main`, or lines of `git
/// ls-remote`, whose last column contains references. A line that is certainly not a name is refused, because the
/// preview that it means would be removed.
pub fn kept(list: &str) -> Result<HashSet<String>> {
    let mut labels = HashSet::new();
    for (at, line) in list.trim_start_matches('\u{feff}').lines().enumerate() {
        let name = name_in(line.trim()).map_err(|line| {
            Error::refused(format!("line {} of --keep-from is no name: {line:?}; nothing was changed", at + 1))
                .hint("write one name a line, such as 'git ls-remote --heads origin' does")
        })?;
        labels.extend(name.map(host_label));
    }
    if labels.is_empty() {
        return Err(Error::refused(
            "the list of --keep-from is empty, which would remove every preview; nothing was changed",
        )
        .hint("check the command that wrote the list; 'previews --remove NAME' removes a single preview"));
    }
    Ok(labels)
}

/// The name in a line; `None` if it names no branch, and the line itself as an error if it does not belong in a
/// list of names.
fn name_in(line: &str) -> Result<Option<&str>, &str> {
    // `git branch` marks the current one, and says where HEAD leads; JSON is a list of another kind.
    let is_shown_for_people = line.starts_with(['*', '+', '[', '{']) || line.contains(" -> ");
    let reference = match line.rsplit_once('\t') {
        // Only from Git: the columns of other tools contain other things.
        Some((_, last)) if last.starts_with("refs/") || last == "HEAD" => last,
        Some(_) => return Err(line),
        None if is_shown_for_people => return Err(line),
        None if line.starts_with("refs/") => line,
        None => return Ok(Some(line).filter(|line| !line.is_empty())),
    };
    let remote = reference.strip_prefix("refs/remotes/").and_then(|rest| Some(rest.split_once('/')?.1));
    let name = reference.strip_prefix("refs/heads/").or(remote);
    Ok(name.filter(|name| !name.is_empty() && *name != "HEAD"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_list_are_names_however_git_writes_them() {
        let list = "main\n  feature/search \r\nrefs/heads/fix\n0123abcd\trefs/heads/tab\n\n";
        let expected = ["main", "feature/search", "fix", "tab"].map(host_label);
        assert_eq!(kept(list).unwrap(), expected.into());
        let all = "\u{feff}main\n01ab\tHEAD\n01ab\trefs/tags/v1\n01ab\trefs/pull/1/head\n01ab commit\trefs/remotes/origin/a/b\n";
        assert_eq!(kept(all).unwrap(), ["main", "a/b"].map(host_label).into());
        for empty in ["", "\n \n", "refs/heads/\n", "01ab\trefs/tags/v1\n", "\u{feff}"] {
            assert_eq!(kept(empty).unwrap_err().exit(), crate::exit::Exit::Refused, "{empty:?}");
        }
    }

    /// Common mistakes of people and scripts: every preview that such a line means would be removed.
    #[test]
    fn a_line_that_is_no_name_is_refused_with_its_number() {
        for line in [
            "* main",
            "+ other",
            "  origin/HEAD -> origin/main",
            "42\tAdd a search\tfeature/search\tOPEN\t2026-11-26",
            "[{\"number\":42}]",
            "{\"number\":42}",
        ] {
            let error = kept(&format!("main\n{line}\n")).unwrap_err();
            assert_eq!(error.exit(), crate::exit::Exit::Refused, "{line:?}");
            assert!(error.to_string().starts_with("line 2 of --keep-from is no name"), "{error}");
        }
    }

    #[test]
    fn a_name_that_is_empty_is_none() {
        let previews = Target::parse("s3://previews").unwrap();
        for empty in ["", " ", "\t"] {
            assert_eq!(target_of(&previews, empty).unwrap_err().exit(), crate::exit::Exit::Usage, "{empty:?}");
        }
        assert_eq!(target_of(&previews, "0").unwrap().to_string(), "s3://previews/0");
    }

    #[test]
    fn the_url_of_a_preview_has_its_label_and_ends_in_a_slash() {
        assert_eq!(url_of("https://{name}.preview.example.com", "42").unwrap(), "https://42.preview.example.com/");
        assert_eq!(url_of("https://p.example.com/{name}/", "main").unwrap(), "https://p.example.com/main/");
        for wrong in ["{name}.example.com", "https://preview.example.com", ""] {
            assert_eq!(url_of(wrong, "a").unwrap_err().exit(), crate::exit::Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_preview_is_never_in_production_nor_around_it() {
        let target = |text| Target::parse(text).unwrap();
        for (one, other, expected) in [
            ("s3://aaa", "s3://bbb", false),
            ("s3://aaa", "s3://aaa", true),
            ("s3://aaa/x", "s3://aaa", true),
            ("s3://aaa/x", "s3://aaa/x/y", true),
            ("s3://aaa/x", "s3://aaa/xy", false),
        ] {
            assert_eq!(overlap(&target(one), &target(other)), expected, "{one} {other}");
            assert_eq!(overlap(&target(other), &target(one)), expected, "{other} {one}");
        }
    }
}
