//! `rules --attach`: what the user changes once so that deploys can publish rules. Nothing is changed here: a
//! distribution's configuration that another version of the SDK sends back loses the fields that it does not know.

use crate::cli::rules::AttachFor;
use serde::Serialize;
use shipfront_invalidation::viewer::ViewerEvent;
use shipfront_invalidation::{DistributionId, Viewers};
use shipfront_site::Target;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// Maximum length of a function's name
/// (<https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateFunction.html>).
const LONGEST_NAME: usize = 64;

/// A behavior that serves the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Place {
    distribution: String,
    path_pattern: String,
    /// What it already calls, by event.
    has: Vec<(&'static str, String)>,
}

/// Two functions, and the behaviors that should call them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Attachment {
    target: String,
    /// The comment by which deploys recognize the functions.
    comment: String,
    /// The names of the functions, by event.
    functions: Vec<(&'static str, String)>,
    /// A name for the key-value store, which is only needed for rules that do not fit into a function.
    store: String,
    behaviors: Vec<Place>,
    #[serde(skip)]
    form: Option<AttachFor>,
}

impl Attachment {
    pub(super) fn new(target: &Target, viewers: &Viewers) -> Attachment {
        let place = |(id, path_pattern, functions): (&DistributionId, String, &[_])| {
            let has = |function: &shipfront_invalidation::viewer::ViewerFunction| {
                (function.event.word(), function.name().unwrap_or(&function.arn).to_owned())
            };
            Place { distribution: id.as_str().to_owned(), path_pattern, has: functions.iter().map(has).collect() }
        };
        Attachment {
            target: target.to_string(),
            comment: target.function_comment(),
            functions: ViewerEvent::ALL.map(|event| (event.word(), name(target, event))).to_vec(),
            store: named(target, "-rules"),
            behaviors: viewers.functions().map(place).collect(),
            form: None,
        }
    }

    pub(super) fn of_form(self, form: AttachFor) -> Attachment {
        Attachment { form: Some(form), ..self }
    }

    /// The distributions, or the placeholder for an unknown one.
    fn distributions(&self) -> BTreeSet<&str> {
        let found: BTreeSet<&str> = self.behaviors.iter().map(|place| place.distribution.as_str()).collect();
        if found.is_empty() { BTreeSet::from(["ID"]) } else { found }
    }

    fn write_cli(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let comment = &self.comment;
        writeln!(out, "# Do this once, so that deploys can publish the rules of {}.\n", self.target)?;
        writeln!(
            out,
            "# 1. Create two functions that do nothing yet. Their comment allows deploys to replace the code."
        )?;
        for (event, name) in &self.functions {
            writeln!(out, "printf '%s' '{}' > {event}.js", code(event))?;
            writeln!(out, "aws cloudfront create-function --name {name} --function-code fileb://{event}.js \\")?;
            writeln!(out, "  --function-config '{{\"Comment\":\"{comment}\",\"Runtime\":\"cloudfront-js-2.0\"}}'")?;
            writeln!(out, "aws cloudfront publish-function --name {name} \\")?;
            writeln!(
                out,
                "  --if-match \"$(aws cloudfront describe-function --name {name} --query ETag --output text)\""
            )?;
        }
        writeln!(
            out,
            "\n# 2. Attach them to the distribution. Use a current AWS CLI: an old one drops settings that it does not know."
        )?;
        self.write_places(out)?;
        for id in self.distributions() {
            writeln!(out, "aws cloudfront get-distribution-config --id {id} > {id}.json")?;
            let arn = |name: &str| {
                format!(
                    "\"$(aws cloudfront describe-function --name {name} --query FunctionSummary.FunctionMetadata.FunctionARN --output text)\""
                )
            };
            writeln!(out, "jq --arg request {} \\", arn(&self.functions[0].1))?;
            writeln!(out, "  --arg response {} \\", arn(&self.functions[1].1))?;
            writeln!(
                out,
                "  '.DistributionConfig | .DefaultCacheBehavior.FunctionAssociations = {{Quantity: 2, Items: [\n    \
                 {{EventType: \"viewer-request\", FunctionARN: $request}},\n    \
                 {{EventType: \"viewer-response\", FunctionARN: $response}}]}}' {id}.json > {id}-changed.json"
            )?;
            writeln!(
                out,
                "aws cloudfront update-distribution --id {id} --distribution-config file://{id}-changed.json \\"
            )?;
            writeln!(out, "  --if-match \"$(jq -r .ETag {id}.json)\"")?;
        }
        self.write_rest(out)
    }

    /// What the behaviors call now; each accepts one function per event.
    fn write_places(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for place in &self.behaviors {
            let Place { distribution, path_pattern, has } = place;
            for (event, name) in has.iter().filter(|(event, name)| !self.functions.contains(&(event, name.clone()))) {
                writeln!(
                    out,
                    "# This replaces {name} on the behavior {path_pattern} of {distribution}, because a behavior has one function for {event}. \
                     The new functions also serve /dir/index.html at /dir/."
                )?;
            }
        }
        let others = self.behaviors.iter().filter(|place| place.path_pattern != "*");
        for Place { distribution, path_pattern, .. } in others {
            writeln!(
                out,
                "# The behavior {path_pattern} of {distribution} also shows the site: change it as well if rules should apply there."
            )?;
        }
        Ok(())
    }

    /// What only rules need that do not fit into a function.
    fn write_store(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (store, name, comment) = (&self.store, &self.functions[0].1, &self.comment);
        writeln!(
            out,
            "\n# 5. Only where the rules do not fit into 10 KB of code (about 1,000 exact lines; every plan but Free): a key-value \
             store.\n#    From then on deploys keep exact lines in it that do not fit into {name}."
        )?;
        writeln!(out, "# aws cloudfront create-key-value-store --name {store}")?;
        writeln!(out, "# aws cloudfront get-function --name {name} {name}.js")?;
        writeln!(out, "# aws cloudfront update-function --name {name} --function-code fileb://{name}.js \\")?;
        writeln!(
            out,
            "#   --if-match \"$(aws cloudfront describe-function --name {name} --query ETag --output text)\" \\"
        )?;
        writeln!(
            out,
            "#   --function-config \"$(aws cloudfront describe-key-value-store --name {store} --output json | jq -c \\\n\
             #     '{{Comment: \"{comment}\", Runtime: \"cloudfront-js-2.0\", KeyValueStoreAssociations:\n\
             #     {{Quantity: 1, Items: [{{KeyValueStoreARN: .KeyValueStore.ARN}}]}}}}')\""
        )?;
        writeln!(
            out,
            "#    Add --key-value-store ID to the policy command above; ID is the last part of the store's ARN."
        )
    }

    fn write_rest(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let functions: Vec<String> = self.functions.iter().map(|(_, name)| format!("--function {name}")).collect();
        writeln!(
            out,
            "\n# 3. Add the permissions that this prints to the role that deploys: shipfront policy {} --publish-rules {}",
            self.target,
            functions.join(" ")
        )?;
        writeln!(out, "# 4. In shipfront.toml: publish-rules = true")?;
        self.write_store(out)
    }

    fn write_cloudformation(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "# Do this once, so that deploys can publish the rules of {}.", self.target)?;
        writeln!(out, "# Add the functions to the template of the distribution, and to DefaultCacheBehavior:")?;
        writeln!(out, "#   FunctionAssociations:")?;
        for (event, _) in &self.functions {
            writeln!(
                out,
                "#     - {{EventType: {event}, FunctionARN: !GetAtt {}.FunctionMetadata.FunctionARN}}",
                logical(event)
            )?;
        }
        self.write_places(out)?;
        writeln!(
            out,
            "# The code in the template is only the initial one. A stack that changes FunctionCode later overwrites what a deploy"
        )?;
        writeln!(out, "# published; the next deploy fixes that.")?;
        writeln!(out, "AWSTemplateFormatVersion: \"2010-09-09\"\nResources:")?;
        for (event, name) in &self.functions {
            writeln!(out, "  {}:\n    Type: AWS::CloudFront::Function\n    Properties:", logical(event))?;
            writeln!(out, "      Name: {name}\n      AutoPublish: true\n      FunctionConfig:")?;
            writeln!(out, "        Comment: \"{}\"\n        Runtime: cloudfront-js-2.0", self.comment)?;
            writeln!(out, "      FunctionCode: |\n        {}", code(event))?;
        }
        writeln!(out, "Outputs:")?;
        for (event, _) in &self.functions {
            let name = logical(event);
            writeln!(out, "  {name}Arn:\n    Value: !GetAtt {name}.FunctionMetadata.FunctionARN")?;
        }
        self.write_rest(out)
    }
}

impl Display for Attachment {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.form {
            Some(AttachFor::Cloudformation) => self.write_cloudformation(out),
            _ => self.write_cli(out),
        }
    }
}

/// Code that changes nothing, on one line and without quotes.
fn code(event: &str) -> &'static str {
    match event {
        "viewer-request" => "function handler(event) { return event.request; }",
        _ => "function handler(event) { return event.response; }",
    }
}

/// The name of a function in a template.
fn logical(event: &str) -> &'static str {
    if event == "viewer-request" { "RequestRules" } else { "ResponseRules" }
}

/// A name for a function of a site: its bucket and folder, as far as they fit.
fn name(target: &Target, event: ViewerEvent) -> String {
    let end = match event {
        ViewerEvent::Request => "-request-rules",
        ViewerEvent::Response => "-response-rules",
    };
    named(target, end)
}

/// A name with this suffix.
fn named(target: &Target, end: &str) -> String {
    let text = format!("{}-{}", target.bucket(), target.prefix());
    let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    let most = LONGEST_NAME - end.len();
    format!("{}{end}", plain[..plain.len().min(most)].trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_such_as_cloudfront_takes() {
        let name = |target: &str| name(&Target::parse(target).unwrap(), ViewerEvent::Response);
        assert_eq!(name("s3://www.example.com"), "www-example-com-response-rules");
        assert_eq!(name("s3://example/docs/é"), "example-docs-response-rules");
        let taken = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(name("s3://www.example.com").chars().all(taken));
        let long = name(&format!("s3://{}/{}", "b".repeat(60), "p".repeat(60)));
        assert!(long.len() <= LONGEST_NAME && long.ends_with("b-response-rules"), "{long}");
    }
}
