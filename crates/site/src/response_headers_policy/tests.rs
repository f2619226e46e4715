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
fn what_cloudfront_does_not_take_is_reported_with_its_line() {
    let template = of("/*\n  X-Frame-Options: ALLOW-FROM https://a.example\n  Access-Control-Request-Method: GET\n");
    assert_eq!(template.warnings.len(), 2);
    assert!(template.warnings[0].to_string().contains("line 2") && template.warnings[1].to_string().contains("line 3"));
}

#[test]
fn what_is_over_a_limit_is_left_out_and_named() {
    let custom: String = (0..15).map(|at| format!("  X-{at}: a\n")).collect();
    let template = of(&format!("/*\n{custom}  Content-Security-Policy: {}\n", "x".repeat(1784)));
    assert_eq!(config(&template, 1)["CustomHeadersConfig"]["Items"].as_array().unwrap().len(), 10);
    assert!(config(&template, 1).get("SecurityHeadersConfig").is_none());
    assert_eq!(
        template.warnings.iter().filter(|warning| warning.to_string().contains("at most 10 custom headers")).count(),
        5
    );
    assert!(
        template
            .warnings
            .iter()
            .any(|warning| warning.to_string().contains("at most 1783 characters, and this one has 1784"))
    );
    let longest = of(&format!("/*\n  Content-Security-Policy: {}\n", "x".repeat(1783)));
    assert_eq!(longest.warnings, []);
    let many: String = (0..26).map(|at| format!("/{at}\n  X-A: a\n")).collect();
    assert!(
        of(&many).warnings[0].to_string().contains("26 response headers policies, and an account has a quota of 20")
    );
}

#[test]
fn with_credentials_nothing_is_a_star() {
    let template = of(
        "/*\n  Access-Control-Allow-Credentials: true\n  Access-Control-Allow-Origin: https://a.example\n  Access-Control-Expose-Headers: *\n",
    );
    let cors = &config(&template, 1)["CorsConfig"];
    assert_eq!(cors["AccessControlAllowCredentials"], true);
    assert_eq!(cors["AccessControlAllowHeaders"], json!({"Items": ["Authorization", "Content-Type"]}));
    assert!(cors.get("AccessControlExposeHeaders").is_none() && !cors.to_string().contains('*'));
    assert_eq!(template.warnings.len(), 3, "{:?}", template.warnings);
    // No browser accepts credentials with every origin.
    let template = of("/*\n  Access-Control-Allow-Credentials: true\n  Access-Control-Allow-Origin: *\n");
    assert_eq!(config(&template, 1)["CorsConfig"]["AccessControlAllowCredentials"], false);
    assert!(template.warnings[0].to_string().contains("Access-Control-Allow-Credentials"));
}

#[test]
fn values_are_those_that_cloudfront_knows() {
    let template = of(
        "/*\n  Access-Control-Allow-Methods: get, *\n  Referrer-Policy: never\n  X-Frame-Options: DENY; x\n  Access-Control-Max-Age: soon\n",
    );
    assert_eq!(config(&template, 1)["CorsConfig"]["AccessControlAllowMethods"], json!({"Items": ["GET", "ALL"]}));
    assert_eq!(template.warnings.len(), 3, "{:?}", template.warnings);
}

#[test]
fn two_lines_of_one_name_are_one_header() {
    let template = of("/*\n  Link: </a>\n  Link: </b>\n");
    let items = &config(&template, 1)["CustomHeadersConfig"]["Items"];
    assert_eq!(*items, json!([{"Header": "Link", "Value": "</a>, </b>", "Override": true}]));
}
