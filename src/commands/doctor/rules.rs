//! Rules: whether the functions to which deploys publish are attached.

use crate::cloudfront::Distributions;
use crate::commands::doctor::{Finding, State};
use crate::error::ErrorKind;
use shipfront_invalidation::Viewers;
use shipfront_invalidation::viewer::ViewerEvent;
use shipfront_site::Target;
use std::collections::BTreeSet;

/// The findings about the functions of the site's behaviors. If deploys publish no rules, the functions are the
/// user's own.
pub(super) async fn findings(
    publishes: bool,
    viewers: &Viewers,
    target: &Target,
    distributions: &Distributions,
) -> Vec<Finding> {
    let has_behaviors = viewers.functions().next().is_some();
    let mut findings = Vec::new();
    for event in ViewerEvent::ALL {
        let check = format!("rules ({})", event.word());
        let functions = viewers.functions().flat_map(|(_, _, functions)| functions);
        let attached: BTreeSet<(&str, Option<&str>)> = functions
            .filter(|function| function.event == event)
            .map(|function| (function.arn.as_str(), function.name()))
            .collect();
        if attached.is_empty() && publishes && has_behaviors {
            let found = "no function is attached, so deploys cannot publish rules";
            findings.push(Finding::new(&check, State::Warning, found).fix(attach(target)));
        }
        for (arn, name) in attached {
            findings.push(match name {
                _ if !publishes => {
                    let found = format!(
                        "{} is attached, but publish-rules is off, so deploys publish no rules",
                        name.unwrap_or(arn)
                    );
                    Finding::new(&check, State::NotChecked, found)
                }
                Some(name) => of_function(&check, name, target, distributions).await,
                None => foreign(&check, arn, target),
            });
        }
    }
    findings
}

async fn of_function(check: &str, name: &str, target: &Target, distributions: &Distributions) -> Finding {
    match distributions.function(name).await {
        Ok(Some(function)) if function.comment.trim() == target.function_comment() => {
            let found = format!("{name} is attached, and shipfront's for {target}");
            match function.key_value_store() {
                Some(arn) => with_store(check, &found, arn, distributions).await,
                None => Finding::new(check, State::Ok, found),
            }
        }
        Ok(_) => foreign(check, name, target),
        Err(error) if error.kind() == ErrorKind::AccessDenied => Finding::unanswered(check, &error),
        Err(error) => Finding::of_error(check, &error),
    }
}

/// A function that may read a key-value store, which matters for rules that do not fit into its code.
async fn with_store(check: &str, found: &str, arn: &str, distributions: &Distributions) -> Finding {
    match distributions.store_state(arn).await {
        Ok((_, keys)) => {
            let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
            Finding::new(check, State::Ok, format!("{found}; {keys} in its key-value store"))
        }
        Err(error) => {
            let found = format!("{found}; its key-value store cannot be read: {error}");
            let fix = "'shipfront policy --publish-rules --key-value-store ID' prints what a deploy needs, where its rules do not \
                       fit into the function";
            Finding::new(check, State::Warning, found).fix(fix)
        }
    }
}

fn foreign(check: &str, name: &str, target: &Target) -> Finding {
    let found =
        format!("{name} is attached, but does not belong to shipfront for {target}: deploys with rules are refused");
    let comment = target.function_comment();
    let fix = format!("to let shipfront replace its code, give it the comment \"{comment}\"; else {}", attach(target));
    Finding::new(check, State::Error, found).fix(fix)
}

fn attach(target: &Target) -> String {
    format!("'shipfront rules --attach {target}' prints what to change once")
}
