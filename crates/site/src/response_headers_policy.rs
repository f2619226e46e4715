//! What S3 does not keep of a `_headers` file, as response headers policies of CloudFront in a
//! CloudFormation template.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudfront-responseheaderspolicy.html>

use crate::headers_file::OtherHeader;
use crate::url_pattern::{Piece, UrlPattern};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt;

/// A template, and what it does not do.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyTemplate {
    /// CloudFormation.
    pub template: Value,
    /// What the person should know.
    pub warnings: Vec<String>,
}

impl fmt::Display for PolicyTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.template)
    }
}

/// One policy for each path of the file: a behavior of a distribution has one policy.
pub fn template(others: &[OtherHeader]) -> PolicyTemplate {
    let mut paths: Vec<&UrlPattern> = Vec::new();
    others.iter().for_each(|other| {
        if !paths.contains(&&other.path) {
            paths.push(&other.path);
        }
    });
    let mut warnings = Vec::new();
    let mut resources = Map::new();
    for path in paths {
        // What is said of broader paths holds here, too: behaviors do not add up.
        let about = |other: &&OtherHeader| other.path == *path || other.path.matches(&path.to_string());
        let mut headers: Vec<(&str, &str, usize)> = Vec::new();
        for other in others.iter().filter(about) {
            headers.retain(|(name, ..)| !name.eq_ignore_ascii_case(&other.name));
            headers.extend(other.value.as_deref().map(|value| (other.name.as_str(), value, other.line)));
        }
        if headers.is_empty() {
            continue;
        }
        let number = resources.len() + 1;
        let mut config = policy(&headers, &mut warnings);
        config.insert("Name".to_owned(), json!({"Fn::Sub": format!("${{AWS::StackName}}-{number}")}));
        config.insert("Comment".to_owned(), comment(path).into());
        let properties = json!({"ResponseHeadersPolicyConfig": config});
        let resource = json!({"Type": "AWS::CloudFront::ResponseHeadersPolicy", "Properties": properties});
        resources.insert(format!("Headers{number}"), resource);
    }
    warnings.sort();
    warnings.dedup();
    let description = "Headers of a _headers file that S3 does not keep, written by 'shipfront headers'";
    let template =
        json!({"AWSTemplateFormatVersion": "2010-09-09", "Description": description, "Resources": resources});
    PolicyTemplate { template, warnings }
}

/// For which behavior a policy is. A comment has at most 128 characters.
fn comment(path: &UrlPattern) -> String {
    let pattern: String =
        path.pieces().iter().map(|piece| if let Piece::Text(text) = piece { text.as_str() } else { "*" }).collect();
    let comment = match pattern.as_str() {
        "/*" => "For the default behavior".to_owned(),
        pattern => format!("For a behavior with the path pattern {pattern}"),
    };
    comment.chars().take(128).collect()
}

fn policy(headers: &[(&str, &str, usize)], warnings: &mut Vec<String>) -> Map<String, Value> {
    let (mut security, mut cors, mut custom) = (Map::new(), Map::new(), Vec::new());
    for &(name, value, line) in headers {
        let lower = name.to_ascii_lowercase();
        // CloudFront takes these by their own fields, and by no other way.
        if lower.starts_with("access-control-") {
            match cors_field(&lower, value) {
                Some((field, value)) => drop(cors.insert(field.to_owned(), value)),
                None => warnings.push(format!("line {line} is left out: CloudFront has no {name}: {value}")),
            }
            continue;
        }
        match security_field(&lower, value) {
            None => custom.push(json!({"Header": name, "Value": value, "Override": true})),
            Some(Some((field, value))) => drop(security.insert(field.to_owned(), value)),
            Some(None) => warnings.push(format!("line {line} is left out: CloudFront has no {name}: {value}")),
        }
    }
    let mut config = Map::new();
    if !security.is_empty() {
        config.insert("SecurityHeadersConfig".to_owned(), security.into());
    }
    if !cors.is_empty() {
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

/// The field of a header that counts as one of security, `None` if it is no such header, `Some(None)` if
/// CloudFront does not take this value.
fn security_field(name: &str, value: &str) -> Option<Option<(&'static str, Value)>> {
    let directives: Vec<String> = value.split(';').map(|part| part.trim().to_ascii_lowercase()).collect();
    let has = |directive: &str| directives.iter().any(|known| known == directive);
    Some(match name {
        "content-security-policy" => {
            Some(("ContentSecurityPolicy", json!({"ContentSecurityPolicy": value, "Override": true})))
        }
        "x-content-type-options" => has("nosniff").then(|| ("ContentTypeOptions", json!({"Override": true}))),
        "x-frame-options" => (has("deny") || has("sameorigin"))
            .then(|| ("FrameOptions", json!({"FrameOption": value.trim().to_ascii_uppercase(), "Override": true}))),
        "referrer-policy" => (!value.contains(','))
            .then(|| ("ReferrerPolicy", json!({"ReferrerPolicy": value.to_ascii_lowercase(), "Override": true}))),
        "strict-transport-security" => {
            let age = directives.iter().find_map(|part| part.strip_prefix("max-age="));
            age.and_then(|age| age.trim_matches('"').parse::<u32>().ok()).map(|age| {
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
    let list = || json!({"Items": value.split(',').map(str::trim).collect::<Vec<_>>()});
    Some(match name {
        "access-control-allow-origin" => ("AccessControlAllowOrigins", list()),
        "access-control-allow-methods" => ("AccessControlAllowMethods", list()),
        "access-control-allow-headers" => ("AccessControlAllowHeaders", list()),
        "access-control-expose-headers" => ("AccessControlExposeHeaders", list()),
        "access-control-allow-credentials" => {
            ("AccessControlAllowCredentials", json!(value.eq_ignore_ascii_case("true")))
        }
        "access-control-max-age" => ("AccessControlMaxAgeSec", json!(value.parse::<u32>().ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers_file::parse;

    fn of(text: &str) -> PolicyTemplate {
        template(&parse(text).unwrap().others)
    }

    fn config(template: &PolicyTemplate, number: usize) -> &Value {
        &template.template["Resources"][format!("Headers{number}")]["Properties"]["ResponseHeadersPolicyConfig"]
    }

    #[test]
    fn each_header_is_put_where_cloudfront_takes_it() {
        let template = of("/*
  Content-Security-Policy: default-src 'self'
  Strict-Transport-Security: max-age=63072000; includeSubDomains; preload
  X-Content-Type-Options: nosniff
  X-Frame-Options: deny
  Referrer-Policy: same-origin
  X-XSS-Protection: 1; mode=block
  Access-Control-Allow-Origin: https://a.example, https://b.example
  Access-Control-Max-Age: 60
  X-Robots-Tag: noindex
");
        let config = config(&template, 1);
        let security = &config["SecurityHeadersConfig"];
        let age =
            json!({"AccessControlMaxAgeSec": 63072000, "IncludeSubdomains": true, "Preload": true, "Override": true});
        assert_eq!(security["StrictTransportSecurity"], age);
        assert_eq!(security["FrameOptions"]["FrameOption"], "DENY");
        assert_eq!(security["XSSProtection"], json!({"Protection": true, "ModeBlock": true, "Override": true}));
        assert_eq!(security.as_object().unwrap().len(), 6);
        let origins = json!({"Items": ["https://a.example", "https://b.example"]});
        assert_eq!(
            (&config["CorsConfig"]["AccessControlAllowOrigins"], &config["CorsConfig"]["AccessControlMaxAgeSec"]),
            (&origins, &json!(60))
        );
        assert_eq!(
            config["CustomHeadersConfig"]["Items"],
            json!([{"Header": "X-Robots-Tag", "Value": "noindex", "Override": true}])
        );
        assert_eq!((config["Comment"].as_str(), template.warnings.len()), (Some("For the default behavior"), 0));
    }

    #[test]
    fn a_narrower_path_has_what_the_broader_ones_say_but_for_what_it_takes_back() {
        let template = of("/*\n  X-A: 1\n  X-B: 1\n/blog/*\n  X-B: 2\n  ! X-A\n/:any/x\n  X-C: 3\n");
        let items = |number| {
            config(&template, number)["CustomHeadersConfig"]["Items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| format!("{} {}", item["Header"], item["Value"]))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(items(2), r#""X-B" "2""#);
        assert_eq!(items(3), r#""X-A" "1", "X-B" "1", "X-C" "3""#);
        assert_eq!(config(&template, 3)["Comment"], "For a behavior with the path pattern /*/x");
    }

    #[test]
    fn what_cloudfront_does_not_take_is_told_with_its_line() {
        let template =
            of("/*\n  X-Frame-Options: ALLOW-FROM https://a.example\n  Access-Control-Request-Method: GET\n");
        assert_eq!(template.warnings.len(), 2);
        assert!(template.warnings[0].contains("line 2") && template.warnings[1].contains("line 3"));
    }
}
