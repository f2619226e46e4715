//! Each policy that shipfront provides grants what its entry points need, action by action, and nothing else.

use crate::world::command::{binary, clean, repository};
use shipfront::aws::permission::{EntryPoint, Resource, Setup, needed};
use std::collections::BTreeSet;
use walkdir::WalkDir;
use yaml_serde::Value;

/// What a role of a template is for.
struct Role {
    template: &'static str,
    name: &'static str,
    /// The entry points of shipfront that run under it.
    entry_points: &'static [EntryPoint],
    /// What the AWS service that runs them, or the service itself, needs in addition.
    service: &'static [[&'static str; 2]],
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html>
const WRITE_LOG: [[&str; 2]; 2] = [["logs:CreateLogStream", "${Logs.Arn}"], ["logs:PutLogEvents", "${Logs.Arn}"]];

/// The group of the reports of the example's buildspec.
const REPORT_GROUP: &str = "arn:${AWS::Partition}:codebuild:${AWS::Region}:${AWS::AccountId}:report-group/*-shipfront";

/// Every role of the examples.
const ROLES: [Role; 10] = [
    Role {
        template: "codebuild/template.yaml",
        name: "Role",
        entry_points: &[EntryPoint::Deploy],
        // <https://docs.aws.amazon.com/codebuild/latest/userguide/connections-github-app.html>
        service: &[
            WRITE_LOG[0],
            WRITE_LOG[1],
            ["codeconnections:GetConnection", "${ConnectionArn}"],
            ["codeconnections:GetConnectionToken", "${ConnectionArn}"],
            ["s3:GetObject", "arn:${AWS::Partition}:s3:::${CodeBucket}/${CodeKey}"],
            // <https://docs.aws.amazon.com/codebuild/latest/userguide/test-permissions.html>
            ["codebuild:BatchPutTestCases", REPORT_GROUP],
            ["codebuild:CreateReport", REPORT_GROUP],
            ["codebuild:CreateReportGroup", REPORT_GROUP],
            ["codebuild:UpdateReport", REPORT_GROUP],
        ],
    },
    Role { template: "github/template.yaml", name: "Role", entry_points: &[EntryPoint::Deploy], service: &[] },
    Role {
        template: "previews/template.yaml",
        name: "PreviewRole",
        entry_points: &[EntryPoint::Preview],
        service: &[],
    },
    Role {
        template: "previews/template.yaml",
        name: "PromoteRole",
        entry_points: &[EntryPoint::Promote],
        service: &[],
    },
    Role {
        template: "tools/template.yaml",
        name: "Role",
        entry_points: &[],
        // <https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html>
        service: &[
            WRITE_LOG[0],
            WRITE_LOG[1],
            ["s3:GetBucketAcl", "${Bucket.Arn}"],
            ["s3:GetBucketLocation", "${Bucket.Arn}"],
            ["s3:GetObject", "${Bucket.Arn}/source.zip"],
            ["s3:GetObjectVersion", "${Bucket.Arn}/source.zip"],
            ["s3:PutObject", "${Bucket.Arn}/shipfront-*"],
        ],
    },
    Role {
        template: "codepipeline-action/template.yaml",
        name: "FunctionRole",
        entry_points: &[EntryPoint::Deploy, EntryPoint::PipelineJob],
        service: &WRITE_LOG,
    },
    Role { template: "codepipeline-action/template.yaml", name: "PipelineRole", entry_points: &[], service: &PIPELINE },
    Role {
        template: "codepipeline-action/invalidate-only.yaml",
        name: "FunctionRole",
        entry_points: &[EntryPoint::Invalidate, EntryPoint::PipelineJob],
        service: &WRITE_LOG,
    },
    Role {
        template: "codepipeline-action/invalidate-only.yaml",
        name: "PipelineRole",
        entry_points: &[],
        service: &[
            PIPELINE[0],
            PIPELINE[1],
            PIPELINE[2],
            PIPELINE[3],
            PIPELINE[4],
            PIPELINE[5],
            PIPELINE[6],
            PIPELINE[7],
            // CodePipeline's own action that copies the site.
            ["s3:PutObject", "arn:${AWS::Partition}:s3:::${BucketName}/*"],
        ],
    },
    Role {
        template: "s3-events/template.yaml",
        name: "Role",
        entry_points: &[EntryPoint::ObjectEvents],
        // <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
        service: &[
            WRITE_LOG[0],
            WRITE_LOG[1],
            ["sqs:DeleteMessage", "${Queue.Arn}"],
            ["sqs:GetQueueAttributes", "${Queue.Arn}"],
            ["sqs:ReceiveMessage", "${Queue.Arn}"],
        ],
    },
];

/// <https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html>
const PIPELINE: [[&str; 2]; 8] = [
    ["codeconnections:UseConnection", "${ConnectionArn}"],
    ["lambda:InvokeFunction", "${Function.Arn}"],
    ["s3:GetBucketAcl", "${Artifacts.Arn}"],
    ["s3:GetBucketLocation", "${Artifacts.Arn}"],
    ["s3:GetBucketVersioning", "${Artifacts.Arn}"],
    ["s3:GetObject", "${Artifacts.Arn}/*"],
    ["s3:GetObjectVersion", "${Artifacts.Arn}/*"],
    ["s3:PutObject", "${Artifacts.Arn}/*"],
];

/// An action and the resource it is granted on.
type Grant = (String, String);

/// A string of a template in the notation of `!Sub`, however it is written.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Tagged(tagged) if tagged.tag == "!Sub" => text(&tagged.value),
        Value::Tagged(tagged) if tagged.tag == "!Ref" || tagged.tag == "!GetAtt" => {
            format!("${{{}}}", text(&tagged.value))
        }
        other => panic!("neither a string nor !Sub, !Ref or !GetAtt: {other:?}"),
    }
}

fn one_or_many(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(values) => values.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

/// What a policy document allows. It must be written plainly: a `NotAction` would be missed here, and fails.
fn grants(document: &Value) -> BTreeSet<Grant> {
    let mut found = BTreeSet::new();
    for statement in document["Statement"].as_sequence().unwrap() {
        let fields: Vec<&str> = statement.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap()).collect();
        assert!(fields.iter().all(|field| ["Sid", "Effect", "Action", "Resource"].contains(field)), "{fields:?}");
        assert_eq!(text(&statement["Effect"]), "Allow");
        for action in one_or_many(&statement["Action"]) {
            for resource in one_or_many(&statement["Resource"]) {
                assert!(found.insert((action.clone(), resource.clone())), "{action} on {resource} is granted twice");
            }
        }
    }
    found
}

/// What the entry points need, on resources as a policy names them.
fn expected(entry_points: &[EntryPoint], setups: &[Setup], named: impl Fn(&str) -> String) -> BTreeSet<Grant> {
    let grant = |(action, resource): (&str, Resource)| (action.to_owned(), named(&resource.to_string()));
    needed(entry_points, setups).into_iter().map(grant).collect()
}

fn as_in_templates(role: &Role, resource: &str) -> String {
    // The bucket that is written, and the source of copies.
    let (bucket, source, distribution) = match role.name {
        "PreviewRole" => ("${Bucket}", "${ProductionBucketName}", "distribution/${ProductionDistributionId}"),
        "PromoteRole" => ("${ProductionBucketName}", "${Bucket}", "distribution/${ProductionDistributionId}"),
        _ => ("${BucketName}", "", "distribution/${DistributionId}"),
    };
    let names = [
        ("arn:aws:", "arn:${AWS::Partition}:"),
        ("ACCOUNT", "${AWS::AccountId}"),
        ("BUCKET", bucket),
        ("SOURCE", source),
        ("PREFIX", ""),
        ("distribution/ID", distribution),
        ("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:function/FUNCTION", "${RulesFunctionArns}"),
        ("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:key-value-store/STORE", "${RulesStoreArn}"),
    ];
    names.into_iter().fold(resource.to_owned(), |resource, (from, to)| resource.replace(from, to))
}

fn templates() -> Vec<(String, Value)> {
    let examples = repository("examples");
    let files = WalkDir::new(&examples).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: &std::path::Path| {
        let name = path.strip_prefix(&examples).unwrap().to_str().unwrap().to_owned();
        (name, yaml_serde::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    files.map(|file| read(file.path())).collect()
}

#[test]
fn each_role_of_the_examples_is_allowed_what_its_entry_points_need_and_nothing_else() {
    let mut seen = Vec::new();
    for (template, value) in templates() {
        for (name, resource) in value["Resources"].as_mapping().unwrap() {
            let (name, kind) = (name.as_str().unwrap(), resource["Type"].as_str().unwrap());
            // An identity provider gets no permissions: a role that trusts it does.
            if !kind.starts_with("AWS::IAM::") || kind == "AWS::IAM::OIDCProvider" {
                continue;
            }
            let place = format!("{name} of examples/{template}");
            assert_eq!(kind, "AWS::IAM::Role", "{place}: this test reads roles only");
            let role = ROLES.iter().find(|role| role.template == template && role.name == name);
            let role = role.unwrap_or_else(|| panic!("{place} is not in ROLES: what is it for?"));
            let properties = resource["Properties"].as_mapping().unwrap();
            assert!(!properties.contains_key("ManagedPolicyArns"), "{place}: nobody knows what AWS adds to those");
            let policies = resource["Properties"]["Policies"].as_sequence().unwrap();
            let granted: BTreeSet<Grant> =
                policies.iter().filter_map(in_any_case).flat_map(|policy| grants(&policy["PolicyDocument"])).collect();
            let named = |resource: &str| as_in_templates(role, resource);
            let mut wanted = expected(role.entry_points, &[], named);
            for (condition, setup) in [("PublishesRules", Setup::PublishedRules), ("HasRulesStore", Setup::RulesStore)]
            {
                let in_some = policies.iter().filter_map(|policy| only_if(condition, policy));
                let in_some: BTreeSet<Grant> = in_some.flat_map(|policy| grants(&policy["PolicyDocument"])).collect();
                let more = expected(role.entry_points, &[setup], named).difference(&wanted).cloned().collect();
                assert_eq!(in_some, more, "{place}, {condition}");
            }
            wanted.extend(role.service.iter().map(|[action, resource]| ((*action).to_owned(), (*resource).to_owned())));
            assert_eq!(granted, wanted, "{place}");
            seen.push((template.clone(), name.to_owned()));
        }
    }
    assert_eq!(seen.len(), ROLES.len(), "a role of ROLES is in no template: {seen:?}");
}

/// A policy that a role has whatever the parameters are.
fn in_any_case(policy: &Value) -> Option<&Value> {
    (!matches!(policy, Value::Tagged(_))).then_some(policy)
}

/// A policy that a role has under a condition.
fn only_if<'v>(condition: &str, policy: &'v Value) -> Option<&'v Value> {
    let Value::Tagged(tagged) = policy else { return None };
    let [of, policy, nothing] = tagged.value.as_sequence()?.as_slice() else { return None };
    assert_eq!(text(nothing).as_str(), "${AWS::NoValue}");
    assert!(["PublishesRules", "HasRulesStore"].contains(&text(of).as_str()), "{of:?}");
    (text(of) == condition).then_some(policy)
}

/// The first policy with `Effect: Allow` among a document's blocks of JSON.
fn policy_in(document: &str) -> Value {
    let text = std::fs::read_to_string(repository(document)).unwrap();
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let policy = blocks.into_iter().find(|block| block.contains("\"Allow\"") && block.contains("Statement"));
    yaml_serde::from_str(policy.expect(document)).unwrap()
}

#[test]
fn the_policies_in_the_documents_allow_what_their_entry_points_need_and_nothing_else() {
    let named = |resource: &str| resource.replace("BUCKET", "www.example.com").replace("PREFIX", "");
    let anywhere = [Setup::AnyDistribution];
    assert_eq!(grants(&policy_in("docs/permissions.md")), expected(&[EntryPoint::Deploy], &anywhere, named));
    assert_eq!(grants(&policy_in("examples/shell/README.md")), expected(&[EntryPoint::Invalidate], &anywhere, named));
}

/// What `shipfront policy ARGUMENTS` prints.
fn printed(arguments: &[&str]) -> Value {
    let output = clean(binary()).arg("policy").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    yaml_serde::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_policies_in_the_documents_are_those_that_the_program_prints() {
    let site = ["--bucket", "www.example.com"];
    assert_eq!(grants(&printed(&site)), grants(&policy_in("docs/permissions.md")));
    let invalidate = [site[0], site[1], "--for", "invalidate"];
    assert_eq!(grants(&printed(&invalidate)), grants(&policy_in("examples/shell/README.md")));
}

#[test]
fn the_bucket_policy_that_the_program_prints_is_that_of_the_hosting_template() {
    let (_, template) = templates().into_iter().find(|(name, _)| name == "hosting/template.yaml").unwrap();
    let wanted = &template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"];
    let named = |value: &Value| {
        let text = text(value).replace("${Bucket.Arn}", "arn:aws:s3:::b-1").replace("${AWS::Partition}", "aws");
        text.replace("${AWS::AccountId}", "123456789012").replace("${Distribution}", "E1")
    };
    let arguments = ["--bucket-policy", "--bucket", "b-1", "--distribution", "E1", "--account", "123456789012"];
    let found = printed(&arguments);
    let (wanted, found) = (wanted["Statement"].as_sequence().unwrap(), found["Statement"].as_sequence().unwrap());
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        for field in ["Effect", "Action", "Resource"] {
            assert_eq!(text(&found[field]), named(&wanted[field]));
        }
        assert_eq!(found["Principal"], wanted["Principal"]);
        let source = |statement: &Value| statement["Condition"]["StringEquals"]["aws:SourceArn"].clone();
        let wanted = Some(source(wanted)).filter(|arn| !arn.is_null()).map(|arn| vec![named(&arn)]);
        assert_eq!(Some(source(found)).filter(|arn| !arn.is_null()).map(|arn| one_or_many(&arn)), wanted);
    }
}

/// The roles for GitHub trust what `shipfront policy --trust` prints.
#[test]
fn the_trust_policy_that_the_program_prints_is_that_of_the_templates_for_github() {
    let templates = templates();
    let statement = |of: &str, role: &str| {
        let (_, template) = templates.iter().find(|(name, _)| name == of).unwrap();
        template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0].clone()
    };
    let (_, template) = templates.iter().find(|(name, _)| name == "github/template.yaml").unwrap();
    let wanted = &statement("github/template.yaml", "Role");
    for (role, environment) in [("PreviewRole", "${PreviewEnvironment}"), ("PromoteRole", "${PromoteEnvironment}")] {
        let found = &statement("previews/template.yaml", role);
        let subject = "token.actions.githubusercontent.com:sub";
        let conditions = |statement: &Value| statement["Condition"]["StringEquals"].clone();
        let (here, there) = (text(&conditions(found)[subject]), text(&conditions(wanted)[subject]));
        assert_eq!(here, there.replace("${Environment}", environment), "{role}");
        let client = "token.actions.githubusercontent.com:aud";
        assert_eq!(conditions(found)[client], conditions(wanted)[client], "{role}");
        assert_eq!(conditions(found).as_mapping().unwrap().len(), 2, "{role}");
        assert_eq!(found["Condition"].as_mapping().unwrap().len(), 1, "{role}");
        assert_eq!((&found["Effect"], &found["Action"]), (&wanted["Effect"], &wanted["Action"]), "{role}");
        assert_eq!(text(&found["Principal"]["Federated"]), "${ProviderArn}", "{role}");
    }
    let found = printed(&["--trust", "github:example/www:production", "--account", "123456789012"]);
    let found = &found["Statement"][0];
    assert_eq!((&found["Effect"], &found["Action"]), (&wanted["Effect"], &wanted["Action"]));
    let provider =
        template["Resources"]["Provider"]["Properties"]["Url"].as_str().unwrap().trim_start_matches("https://");
    let arn = format!("arn:aws:iam::123456789012:oidc-provider/{provider}");
    assert_eq!(found["Principal"]["Federated"].as_str(), Some(arn.as_str()));
    let tests = |statement: &Value| -> BTreeSet<(String, String, String)> {
        let conditions = statement["Condition"].as_mapping().unwrap().iter();
        let keys = conditions.flat_map(|(test, keys)| {
            let test = text(test);
            keys.as_mapping().unwrap().iter().flat_map(move |(key, values)| {
                let (test, key) = (test.clone(), text(key));
                one_or_many(values).into_iter().map(move |value| (test.clone(), key.clone(), value))
            })
        });
        let named = |text: String| text.replace("${Repository}", "example/www").replace("${Environment}", "production");
        keys.map(|(test, key, value)| (test, key, named(value))).collect()
    };
    assert_eq!(tests(found), tests(wanted));
    let clients = template["Resources"]["Provider"]["Properties"]["ClientIdList"].as_sequence().unwrap();
    assert_eq!(found["Condition"]["StringEquals"][format!("{provider}:aud")].as_sequence().unwrap(), clients);
}

#[test]
fn a_trust_that_is_wider_than_an_environment_says_so() {
    let print = |builds: &str| clean(binary()).args(["policy", "--trust", builds]).output().unwrap();
    let wide = print("github:example/www");
    assert!(wide.status.success() && String::from_utf8_lossy(&wide.stderr).contains("name an environment"), "{wide:?}");
    assert!(print("github:example/www:production").stderr.is_empty());
    assert_eq!(print("github:*").status.code(), Some(2));
}

#[test]
fn a_bucket_policy_for_no_distribution_or_a_policy_for_no_bucket_is_refused() {
    let no_reader: &[&str] = &["--bucket-policy", "--distribution", "none"];
    for wrong in [no_reader, &["--bucket", "x"], &["--for", "everything"]] {
        let output = clean(binary()).arg("policy").args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
}

/// The documented statement with which a bucket's policy keeps others out of the record.
#[test]
fn the_bucket_policy_of_the_documents_lets_only_the_named_roles_write_the_record() {
    let text = std::fs::read_to_string(repository("docs/permissions.md")).unwrap();
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains("OnlyDeploysWriteTheRecord")).unwrap();
    let statement: serde_json::Value = serde_json::from_str(block).unwrap();
    assert_eq!((&statement["Effect"], &statement["Principal"]), (&"Deny".into(), &"*".into()));
    assert_eq!(statement["Resource"], "arn:aws:s3:::www.example.com/.shipfront/*");
    let actions: BTreeSet<&str> =
        statement["Action"].as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect();
    // All actions that can replace or remove an object of the record.
    for action in
        ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateObject", "s3:ReplicateDelete"]
    {
        assert!(actions.contains(action), "{action}");
    }
    // This statement does not concern readers: a wider one would lock the deploys out.
    assert!(actions.iter().all(|action| !action.contains("Get") && !action.contains('*')));
    let condition = statement["Condition"].as_object().unwrap();
    assert_eq!(condition.keys().collect::<Vec<_>>(), ["ArnNotLike"], "a second condition would let others in");
    let named = condition["ArnNotLike"].as_object().unwrap();
    assert_eq!(named.keys().collect::<Vec<_>>(), ["aws:PrincipalArn"]);
    let roles = named["aws:PrincipalArn"].as_array().unwrap();
    assert!(!roles.is_empty());
    for role in roles {
        let role = role.as_str().unwrap();
        assert!(role.starts_with("arn:aws:iam::123456789012:role/") && !role.contains('*'), "{role}");
    }
}
