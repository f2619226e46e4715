//! Writes the headers of a `_headers` file that S3 does not store as CloudFront response headers policies in a
//! CloudFormation template.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudfront-responseheaderspolicy.html>

use crate::Warning;
use crate::headers_file::HeaderBlock;
use crate::url_pattern::{Piece, UrlPattern};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// A template, and what it does not cover.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyTemplate {
    /// The CloudFormation template.
    pub template: Value,
    /// Messages for the user.
    pub warnings: Vec<Warning>,
}

impl fmt::Display for PolicyTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.template)
    }
}

/// Maximum number of custom headers in a policy and, below, maximum length of a Content-Security-Policy
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>).
const MOST_CUSTOM_HEADERS: usize = 10;
const MAX_SECURITY_POLICY: usize = 1783;
/// Maximum number of policies in an account, unless its quota was raised.
const MOST_POLICIES: usize = 20;

/// What does all that a policy cannot.
const FUNCTION: &str = "'shipfront headers' without --policy prints one function that does it";

fn no_such_value(line: usize, name: &str) -> Warning {
    Warning::new(format_args!("line {line} is left out: a policy has no such value of {name}"), "correct its value")
}

/// One policy for each path of the file, because a behavior of a distribution has one policy.
pub fn template(blocks: &[HeaderBlock]) -> PolicyTemplate {
    let mut warnings: Vec<Warning> = Vec::new();
    let mut paths: Vec<&UrlPattern> = Vec::new();
    for block in blocks {
        if let (Some(_), Some(header)) = (&block.host, block.headers.first()) {
            let notice = format!(
                "the path of line {} is left out: it is for one host, but a policy applies to all",
                header.line
            );
            warnings.push(Warning::new(notice, FUNCTION));
        } else if !paths.contains(&&block.path) {
            paths.push(&block.path);
        }
    }
    let mut resources = Map::new();
    for path in paths {
        // Headers of broader paths apply here as well: behaviors do not add up.
        let about = |block: &&HeaderBlock| {
            block.host.is_none() && (block.path == *path || block.path.matches(&path.to_string()))
        };
        let mut headers: Vec<(&str, &str, usize)> = Vec::new();
        for header in blocks.iter().filter(about).flat_map(|block| &block.headers) {
            headers.retain(|(name, ..)| !name.eq_ignore_ascii_case(&header.name));
            match (header.exact(), &header.value) {
                (Some(value), _) => headers.push((header.name.as_str(), value, header.line)),
                (None, Some(_)) => {
                    let notice = format!(
                        "line {} is left out: a policy's {} is the same for every URL",
                        header.line, header.name
                    );
                    warnings.push(Warning::new(notice, FUNCTION));
                }
                (None, None) => {}
            }
        }
        if headers.is_empty() {
            continue;
        }
        let number = resources.len() + 1;
        let mut config = policy(&headers, path, &mut warnings);
        if config.is_empty() {
            continue;
        }
        config.insert("Name".to_owned(), json!({"Fn::Sub": format!("${{AWS::StackName}}-{number}")}));
        config.insert("Comment".to_owned(), comment(path).into());
        let properties = json!({"ResponseHeadersPolicyConfig": config});
        let resource = json!({"Type": "AWS::CloudFront::ResponseHeadersPolicy", "Properties": properties});
        resources.insert(format!("Headers{number}"), resource);
    }
    if resources.len() > MOST_POLICIES {
        let count = resources.len();
        let notice =
            format!("this takes {count} response headers policies, and an account has a quota of {MOST_POLICIES}");
        warnings.push(Warning::new(notice, FUNCTION));
    }
    let mut said = BTreeSet::new();
    warnings.retain(|warning| said.insert(warning.clone()));
    let description = "Headers of a _headers file that S3 does not keep, written by 'shipfront headers'";
    let template =
        json!({"AWSTemplateFormatVersion": "2010-09-09", "Description": description, "Resources": resources});
    PolicyTemplate { template, warnings }
}

/// Names the behavior that a policy is for. A comment has at most 128 characters.
fn comment(path: &UrlPattern) -> String {
    let pattern: String =
        path.pieces().iter().map(|piece| if let Piece::Text(text) = piece { text.as_str() } else { "*" }).collect();
    let comment = match pattern.as_str() {
        "/*" => "For the default behavior".to_owned(),
        pattern => format!("For a behavior with the path pattern {pattern}"),
    };
    comment.chars().take(128).collect()
}

fn policy(headers: &[(&str, &str, usize)], path: &UrlPattern, warnings: &mut Vec<Warning>) -> Map<String, Value> {
    let (mut security, mut cors, mut custom) = (Map::new(), Map::new(), Vec::new());
    for &(name, value, line) in headers {
        let lower = name.to_ascii_lowercase();
        // CloudFront accepts these only in their own fields.
        if lower.starts_with("access-control-") {
            match cors_field(&lower, value) {
                Some((field, value)) => drop(cors.insert(field.to_owned(), value)),
                None => warnings.push(no_such_value(line, name)),
            }
            continue;
        }
        match security_field(&lower, value) {
            None if custom.len() == MOST_CUSTOM_HEADERS => {
                let notice = format!(
                    "line {line} is left out for {path}: a policy has at most {MOST_CUSTOM_HEADERS} custom headers, and this is one more ({name})"
                );
                warnings.push(Warning::new(notice, FUNCTION));
            }
            None => custom.push(json!({"Header": name, "Value": value, "Override": true})),
            Some(Some((field, value))) => drop(security.insert(field.to_owned(), value)),
            Some(None) if lower == "content-security-policy" => {
                let notice = format!(
                    "line {line} is left out: a policy's {name} has at most {MAX_SECURITY_POLICY} characters, and this one has {}",
                    value.chars().count()
                );
                warnings.push(Warning::new(notice, FUNCTION));
            }
            Some(None) => warnings.push(no_such_value(line, name)),
        }
    }
    let mut config = Map::new();
    if !security.is_empty() {
        config.insert("SecurityHeadersConfig".to_owned(), security.into());
    }
    if !cors.is_empty() {
        with_credentials(&mut cors, path, warnings);
        // All of these are required.
        for (field, value) in [
            ("AccessControlAllowCredentials", json!(false)),
            ("AccessControlAllowHeaders", json!({"Items": ["*"]})),
            ("AccessControlAllowMethods", json!({"Items": ["GET", "HEAD", "OPTIONS"]})),
            ("AccessControlAllowOrigins", json!({"Items": ["*"]})),
            ("OriginOverride", json!(true)),
        ] {
            cors.entry(field).or_insert(value);
        }
        config.insert("CorsConfig".to_owned(), cors.into());
    }
    if !custom.is_empty() {
        config.insert("CustomHeadersConfig".to_owned(), json!({"Items": custom}));
    }
    config
}

/// With credentials, CloudFront and browsers do not accept `*`.
fn with_credentials(cors: &mut Map<String, Value>, path: &UrlPattern, warnings: &mut Vec<Warning>) {
    if cors.get("AccessControlAllowCredentials") != Some(&json!(true)) {
        return;
    }
    let any = |items: Option<&Value>| {
        items.is_none_or(|items| {
            items["Items"].as_array().is_some_and(|items| items.iter().any(|item| item == "*" || item == "ALL"))
        })
    };
    if any(cors.get("AccessControlAllowOrigins")) {
        cors.remove("AccessControlAllowCredentials");
        let notice =
            format!("Access-Control-Allow-Credentials of {path} is left out: no browser accepts it with every origin");
        warnings.push(Warning::new(notice, "name the origins in Access-Control-Allow-Origin"));
        return;
    }
    for (field, header, values) in [
        ("AccessControlAllowHeaders", "Access-Control-Allow-Headers", json!(["Authorization", "Content-Type"])),
        ("AccessControlAllowMethods", "Access-Control-Allow-Methods", json!(["GET", "HEAD", "OPTIONS"])),
    ] {
        if any(cors.get(field)) {
            let notice = format!("{header} of {path} cannot be * with credentials: the template has {values}");
            warnings.push(Warning::new(notice, "write the values that the site needs"));
            cors.insert(field.to_owned(), json!({"Items": values}));
        }
    }
    if cors.contains_key("AccessControlExposeHeaders") && any(cors.get("AccessControlExposeHeaders")) {
        cors.remove("AccessControlExposeHeaders");
        let notice = format!("Access-Control-Expose-Headers of {path} cannot be * with credentials and is left out");
        warnings.push(Warning::new(notice, "name the headers in it"));
    }
}

/// The methods that CloudFront knows, and the word for all of them.
const METHODS: [&str; 8] = ["GET", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "HEAD", "ALL"];
/// The values of Referrer-Policy that CloudFront knows.
const REFERRER_POLICIES: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

/// The field of a security header; `None` if it is not one, `Some(None)` if CloudFront does not accept this value.
fn security_field(name: &str, value: &str) -> Option<Option<(&'static str, Value)>> {
    let directives: Vec<String> = value.split(';').map(|part| part.trim().to_ascii_lowercase()).collect();
    let has = |directive: &str| directives.iter().any(|known| known == directive);
    Some(match name {
        "content-security-policy" => (value.chars().count() <= MAX_SECURITY_POLICY)
            .then(|| ("ContentSecurityPolicy", json!({"ContentSecurityPolicy": value, "Override": true}))),
        "x-content-type-options" => has("nosniff").then(|| ("ContentTypeOptions", json!({"Override": true}))),
        "x-frame-options" => ["deny", "sameorigin"]
            .iter()
            .any(|known| value.trim().eq_ignore_ascii_case(known))
            .then(|| ("FrameOptions", json!({"FrameOption": value.trim().to_ascii_uppercase(), "Override": true}))),
        "referrer-policy" => REFERRER_POLICIES.contains(&value.trim().to_ascii_lowercase().as_str()).then(|| {
            ("ReferrerPolicy", json!({"ReferrerPolicy": value.trim().to_ascii_lowercase(), "Override": true}))
        }),
        "strict-transport-security" => {
            let age = directives.iter().find_map(|part| part.strip_prefix("max-age="));
            age.and_then(|age| age.trim_matches('"').parse::<i32>().ok()).filter(|age| *age >= 0).map(|age| {
                let (sub_domains, preload) = (has("includesubdomains"), has("preload"));
                let fields = json!({"AccessControlMaxAgeSec": age, "IncludeSubdomains": sub_domains, "Preload": preload, "Override": true});
                ("StrictTransportSecurity", fields)
            })
        }
        "x-xss-protection" => {
            let mut fields = json!({"Protection": has("1"), "Override": true});
            if has("mode=block") {
                fields["ModeBlock"] = json!(true);
            }
            (has("0") || has("1")).then_some(("XSSProtection", fields))
        }
        _ => return None,
    })
}

fn cors_field(name: &str, value: &str) -> Option<(&'static str, Value)> {
    let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
    let list = || json!({"Items": items().collect::<Vec<_>>()});
    items().next()?;
    Some(match name {
        "access-control-allow-origin" => ("AccessControlAllowOrigins", list()),
        "access-control-allow-methods" => {
            let upper = |item: &str| if item == "*" { "ALL".to_owned() } else { item.to_ascii_uppercase() };
            let methods: Vec<String> = items().map(upper).collect();
            if !methods.iter().all(|method| METHODS.contains(&method.as_str())) {
                return None;
            }
            ("AccessControlAllowMethods", json!({"Items": methods}))
        }
        "access-control-allow-headers" => ("AccessControlAllowHeaders", list()),
        "access-control-expose-headers" => ("AccessControlExposeHeaders", list()),
        "access-control-allow-credentials" => {
            ("AccessControlAllowCredentials", json!(value.eq_ignore_ascii_case("true")))
        }
        // The service stores seconds as a signed 32-bit integer.
        "access-control-max-age" => {
            ("AccessControlMaxAgeSec", json!(value.parse::<i32>().ok().filter(|age| *age >= 0)?))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
