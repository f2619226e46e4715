
use super::*;
use crate::headers_file::parse;
use crate::platform::RuleOptions;

fn of(text: &str) -> PolicyTemplate {
    template(&parse(text, &RuleOptions::default()).blocks)
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
    let age = json!({"AccessControlMaxAgeSec": 63072000, "IncludeSubdomains": true, "Preload": true, "Override": true});
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
    let template = of("/*\n  X-Frame-Options: ALLOW-FROM https://a.example\n  Access-Control-Request-Method: GET\n");
    assert_eq!(template.warnings.len(), 2);
    assert!(template.warnings[0].contains("line 2") && template.warnings[1].contains("line 3"));
}
