//! The template of response headers policies passes cfn-lint and the constraints of the service's own model.

use shipfront_site::headers_file::parse;
use shipfront_site::platform::RuleOptions;
use shipfront_site::response_headers_policy::template;
use std::io::Write;
use std::process::{Command, Stdio};

/// Everything that a `_headers` file may contain, within and beyond CloudFront's limits.
fn files() -> Vec<String> {
    let custom: String = (0..15).map(|at| format!("  X-{at}: a\n")).collect();
    vec![
        "/*\n  Content-Security-Policy: default-src 'self'\n  Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\n  X-Content-Type-Options: nosniff\n  X-Frame-Options: sameorigin\n  Referrer-Policy: Same-Origin\n  X-XSS-Protection: 1; mode=block\n".to_owned(),
        "/*\n  Access-Control-Allow-Credentials: true\n  Access-Control-Allow-Origin: https://a.example, https://b.example\n  Access-Control-Allow-Headers: *\n  Access-Control-Allow-Methods: *\n  Access-Control-Expose-Headers: *\n  Access-Control-Max-Age: 600\n".to_owned(),
        "/*\n  Access-Control-Allow-Origin: *\n/fonts/*\n  Access-Control-Allow-Methods: get, HEAD\n  Access-Control-Allow-Credentials: true\n/x/:y\n  ! Access-Control-Allow-Origin\n  Link: </a>\n  Link: </b>\n".to_owned(),
        format!("/*\n{custom}  Content-Security-Policy: {}\n  Referrer-Policy: never\n  X-Frame-Options: ALLOW-FROM x\n  Strict-Transport-Security: max-age=99999999999\n", "x".repeat(3000)),
    ]
}

/// Fails on the first problem that the service's model has with a policy.
const MODEL: &str = r#"
import json, sys
try:
    import botocore.session, botocore.validate
except ImportError:
    sys.exit(77)
model = botocore.session.get_session().get_service_model('cloudfront')
config = model.shape_for('ResponseHeadersPolicyConfig')

def counted(shape, value):
    """CloudFormation leaves out the counts of lists, which the service wants."""
    if shape.type_name == 'structure':
        value = {name: counted(shape.members[name], inner) for name, inner in value.items()}
        return {'Quantity': len(value['Items']), **value} if 'Quantity' in shape.members else value
    return [counted(shape.member, inner) for inner in value] if shape.type_name == 'list' else value

def enumerated(shape, value):
    if shape.type_name == 'structure':
        for name, inner in value.items():
            enumerated(shape.members[name], inner)
    elif shape.type_name == 'list':
        for inner in value:
            enumerated(shape.member, inner)
    elif getattr(shape, 'enum', None):
        assert value in shape.enum, (shape.name, value)
    elif shape.type_name == 'integer':
        assert -2**31 <= value < 2**31, (shape.name, value)

for resource in json.load(sys.stdin)['Resources'].values():
    assert resource['Type'] == 'AWS::CloudFront::ResponseHeadersPolicy'
    policy = resource['Properties']['ResponseHeadersPolicyConfig']
    policy = counted(config, {**policy, 'Name': 'name'})
    report = botocore.validate.ParamValidator().validate(policy, config)
    assert not report.has_errors(), report.generate_report()
    enumerated(config, policy)
    assert len(policy.get('CustomHeadersConfig', {'Items': []})['Items']) <= 10
    security = policy.get('SecurityHeadersConfig', {}).get('ContentSecurityPolicy', {}).get('ContentSecurityPolicy', '')
    assert len(security) <= 1783 and len(policy['Comment']) <= 128
    cors = policy.get('CorsConfig')
    assert not cors or not cors['AccessControlAllowCredentials'] or '*' not in json.dumps(cors), cors
"#;

/// Whether a test must not be skipped.
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

#[test]
fn templates_satisfy_the_model_of_the_service() {
    for text in files() {
        let template = template(&parse(&text, &RuleOptions::default()).blocks).template;
        let mut python = Command::new("python3");
        let child = python.args(["-c", MODEL]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            assert!(!in_ci(), "python3 is needed");
            return;
        };
        let written = child.stdin.take().unwrap().write_all(template.to_string().as_bytes());
        let output = child.wait_with_output().unwrap();
        if output.status.code() == Some(77) {
            assert!(!in_ci(), "botocore is needed: pip install -r .ci/requirements.txt");
            eprintln!("skipped: no botocore");
            return;
        }
        written.unwrap();
        assert!(output.status.success(), "{}\n{template:#}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn templates_pass_cfn_lint() {
    let folder = tempfile::tempdir().unwrap();
    let mut lint = Command::new("cfn-lint");
    for (at, text) in files().iter().enumerate() {
        let path = folder.path().join(format!("{at}.json"));
        let template = template(&parse(text, &RuleOptions::default()).blocks).template;
        std::fs::write(&path, template.to_string()).unwrap();
        lint.arg(path);
    }
    let Ok(output) = lint.output() else {
        assert!(!in_ci(), "cfn-lint is needed: pip install -r .ci/requirements.txt");
        eprintln!("skipped: no cfn-lint");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
