//! What is meant about previews: where one goes, how it is called, how long it stays, and what is kept of a list.

use crate::cli::previews::{DeployPreviewArgs, PreviewsCommandArgs, PromoteArgs};
use crate::config::history::without_source;
use crate::config::{build, duration};
use crate::deploy::Settings;
use crate::deploy::settings::Preview;
use crate::error::{Error, Result};
use crate::record::Place;
use crate::record::preview::NewPreview;
use shipfront_site::Target;
use shipfront_site::host_label::host_label;
use std::collections::HashSet;

/// What stands in the URL of previews for the label of one.
const NAME: &str = "{name}";

/// Where the preview of a name is, below that of all previews.
pub fn target_of(previews: &Target, name: &str) -> Result<Target> {
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

/// Makes the settings of a deploy those of a preview. `production` is the site that it may become, if it is known.
pub fn of_deploy(
    settings: Settings,
    (args, name): (&DeployPreviewArgs, &str),
    previews: &Target,
    production: Option<Target>,
) -> Result<Settings> {
    if settings.record == Place::Nowhere {
        return Err(Error::usage(
            "--preview cannot be used with --no-record, because the record holds the expiration date of a preview",
        ));
    }
    if settings.shard.is_some() {
        return Err(Error::usage("--preview cannot be used with --shard"));
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
        // Beside its own folder, wherever that of production is.
        record: Place::Beside,
        keep_deploys: 1,
        keep_copies: false,
        verify: None,
        preview: Some(Preview { new, production }),
        ..settings
    })
}

/// Whether one of two places holds the other.
fn overlap(one: &Target, other: &Target) -> bool {
    let holds = |one: &Target, other: &Target| other.prefix().starts_with(one.prefix());
    one.bucket() == other.bucket() && (holds(one, other) || holds(other, one))
}

/// The settings by which a preview is removed.
pub fn removal_settings(args: &PreviewsCommandArgs, target: Target, expected_owner: Option<&str>) -> Result<Settings> {
    let lock_timeout = duration("--lock-timeout", &args.lock_timeout)?;
    Ok(Settings { lock_timeout, ..Settings::of_nothing(target, expected_owner) })
}

/// The settings of a promotion: those of a deploy that has no source.
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

/// The labels of the names in a list, one a line: names, references such as `refs/heads/main`, or lines of
/// `git ls-remote`, whose last column they are.
pub fn kept(list: &str) -> Result<HashSet<String>> {
    let name = |line: &str| {
        let name = line.rsplit('\t').next().unwrap_or(line).trim();
        let name = name.strip_prefix("refs/heads/").unwrap_or(name);
        (!name.is_empty()).then(|| host_label(name))
    };
    let labels: HashSet<String> = list.lines().filter_map(name).collect();
    if labels.is_empty() {
        return Err(Error::refused(
            "the list of --keep-from is empty, which would remove every preview; nothing was changed",
        )
        .hint("check the command that wrote the list; 'previews --remove NAME' removes a single preview"));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_list_are_names_however_git_writes_them() {
        let list = "main\n  feature/search \r\nrefs/heads/fix\n0123abcd\trefs/heads/tab\n\n";
        let expected = ["main", "feature/search", "fix", "tab"].map(host_label);
        assert_eq!(kept(list).unwrap(), expected.into());
        for empty in ["", "\n \n", "refs/heads/\n"] {
            assert_eq!(kept(empty).unwrap_err().exit(), crate::exit::Exit::Refused, "{empty:?}");
        }
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
