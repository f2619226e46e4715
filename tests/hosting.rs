//! The hosting example: its distribution and bucket policy, as the local edge interprets them.

use crate::world::aws::s3;
use crate::world::command::repository;
use crate::world::http::{Answer, request};
use crate::world::site::{BUCKET, World};
use shipfront_edge::{
    CacheBehavior, CachePolicy, CacheSettings, Distribution, ErrorResponse, Function, FunctionAssociation, QueryStrings,
};
use std::time::Duration;
use yaml_serde::Value;

const SITE: [(&str, &str); 4] =
    [("404.html", "nothing here"), ("about/index.html", "about"), ("index.html", "welcome"), ("logo.svg", "<svg/>")];
const MINUTE: Duration = Duration::from_secs(60);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The resource that `!GetAtt` names, without its attribute.
fn name(value: &Value) -> &str {
    let Value::Tagged(tagged) = value else { panic!("no !GetAtt: {value:?}") };
    tagged.value.as_str().unwrap().split('.').next().unwrap()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn behavior(pattern: &str, from: &Value, origin: &str) -> CacheBehavior {
    let mut behavior = CacheBehavior::new(pattern, origin);
    behavior.cache = CacheSettings::Policy(name(&from["CachePolicyId"]).to_owned());
    for function in from["FunctionAssociations"].as_sequence().into_iter().flatten() {
        let arn = format!("arn:aws:cloudfront::000000000000:function/{}", name(&function["FunctionARN"]));
        behavior.functions.push(FunctionAssociation { event_type: string(&function["EventType"]), arn });
    }
    behavior
}

fn distribution(config: &Value, before: Distribution) -> Distribution {
    let origin = before.origins[0].id.clone();
    let behaviors = config["CacheBehaviors"].as_sequence().unwrap();
    let errors = config["CustomErrorResponses"].as_sequence().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    Distribution {
        default_root_object: string(&config["DefaultRootObject"]),
        default_behavior: behavior("*", &config["DefaultCacheBehavior"], &origin),
        behaviors: behaviors
            .iter()
            .map(|from| behavior(from["PathPattern"].as_str().unwrap(), from, &origin))
            .collect(),
        error_responses: errors
            .iter()
            .map(|error| ErrorResponse {
                error_code: number(&error["ErrorCode"]) as u16,
                page_path: Some(string(&error["ResponsePagePath"])),
                response_code: Some(number(&error["ResponseCode"]) as u16),
                error_caching_min_ttl: number(&error["ErrorCachingMinTTL"]),
            })
            .collect(),
        cache_tag_header: Some(string(&config["CacheTagConfig"]["HeaderName"])),
        ..before
    }
}

/// The value as JSON, with the names of this world for what CloudFormation would fill in.
fn filled_in(value: &Value) -> serde_json::Value {
    match value {
        Value::Tagged(tagged) => filled_in(&tagged.value),
        Value::Sequence(values) => values.iter().map(filled_in).collect(),
        Value::Mapping(fields) => {
            fields.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), filled_in(value))).collect()
        }
        Value::String(text) => text.replace("${Bucket.Arn}", &format!("arn:aws:s3:::{BUCKET}")).into(),
        other => panic!("{other:?} in a policy"),
    }
}

/// The site, deployed to what the template creates.
async fn hosted() -> World {
    let template = std::fs::read_to_string(repository("examples/hosting/template.yaml")).unwrap();
    let template: Value = yaml_serde::from_str(&template).unwrap();
    let resources = &template["Resources"];
    let world = World::new(&SITE).await;
    for id in ["LongAtTheEdge", "AMinuteAtTheEdge"] {
        let config = &resources[id]["Properties"]["CachePolicyConfig"];
        let seconds = |field: &str| config[field].as_u64().unwrap();
        let strings = &config["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]["QueryStringBehavior"];
        assert_eq!(strings, "none");
        world.edge.put_cache_policy(CachePolicy {
            id: id.to_owned(),
            name: id.to_owned(),
            min_ttl: seconds("MinTTL"),
            default_ttl: seconds("DefaultTTL"),
            max_ttl: seconds("MaxTTL"),
            query_strings: QueryStrings::None,
        });
    }
    for name in ["RequestRules", "ResponseRules"] {
        let function = &resources[name]["Properties"];
        let Value::Tagged(comment) = &function["FunctionConfig"]["Comment"] else { panic!("no !Sub") };
        let put = world.edge.put_function(&Function {
            name: name.to_owned(),
            comment: string(&comment.value).replace("${Bucket}", BUCKET),
            runtime: string(&function["FunctionConfig"]["Runtime"]),
            code: string(&function["FunctionCode"]),
            key_value_store: None,
        });
        put.unwrap();
    }
    let config = &resources["Distribution"]["Properties"]["DistributionConfig"];
    let before = world.edge.distribution(&world.distribution).unwrap();
    world.edge.put_distribution(distribution(config, before)).unwrap();
    // CloudFront may not list the bucket.
    world.edge.set_missing_forbidden(BUCKET, true).unwrap();
    let policy = filled_in(&resources["BucketPolicy"]["Properties"]["PolicyDocument"]).to_string();
    s3(&world.edge).put_bucket_policy().bucket(BUCKET).policy(policy).send().await.unwrap();
    world
}

#[test]
fn the_query_goes_along_from_a_directory_to_its_slash() {
    let template = std::fs::read_to_string(repository("examples/hosting/template.yaml")).unwrap();
    let template: Value = yaml_serde::from_str(&template).unwrap();
    let code = template["Resources"]["RequestRules"]["Properties"]["FunctionCode"].as_str().unwrap();
    let script = format!(
        "{code}\nconst querystring = {{utm_source: {{value: 'x'}}, a: {{value: '1', multiValue: [{{value: '1'}}, {{value: ''}}]}}}};\n\
         const of = uri => handler({{request: {{uri, querystring, headers: {{host: {{value: 'www.example.com'}}}}}}}});\n\
         console.log(of('/blog').headers.location.value, of('/blog/').uri, of('/a.css').uri);"
    );
    let node = std::process::Command::new("node").args(["--use_strict", "-e", &script]).output();
    let answer = String::from_utf8(node.expect("node is needed to run the function").stdout).unwrap();
    assert_eq!(answer.trim(), "https://www.example.com/blog/?utm_source=x&a=1&a /blog/index.html /a.css");
}

async fn view(world: &World, path: &str) -> Answer {
    let host = format!("{}.localhost", world.distribution);
    request(&world.edge.viewer_url(), "GET", path, &[("host", &host)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_to_the_hosting_example_has_nothing_to_warn_of_and_keeps_its_record_to_itself() {
    let world = hosted().await;
    let first = world.deploy(&[]).expect(0).warnings();
    assert!(first.contains("serves it for 403") && first.lines().count() == 1, "said once: {first}");
    assert_eq!(world.deploy(&[]).expect(0).warnings(), "");
    let led = view(&world, "/about?utm_source=x").await;
    let location = format!("http://{}.localhost/about/?utm_source=x", world.distribution);
    assert_eq!((led.status, led.header("location")), (301, Some(location.as_str())));
    for (path, status, text) in [
        ("/", 200, "welcome"),
        ("/about/", 200, "about"),
        ("/missing.html", 404, "nothing here"),
        ("/.shipfront/state.json", 404, "nothing here"),
    ] {
        let answer = view(&world, path).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_hosting_example_a_page_stays_at_the_edge_until_it_changes() {
    let world = hosted().await;
    world.deploy(&[]).expect(0);
    view(&world, "/about/").await;
    world.edge.advance_clock(MONTH);
    assert!(view(&world, "/about/").await.header("age").is_some(), "a month is no reason to ask the bucket");
    world.write("about/index.html", "about, edited");
    world.deploy(&[]).expect(0);
    assert_eq!(view(&world, "/about/").await.text(), "about, edited");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_hosting_example_a_new_error_page_does_not_cost_the_whole_cache() {
    let world = hosted().await;
    world.deploy(&[]).expect(0);
    view(&world, "/logo.svg").await;
    view(&world, "/missing.html").await;
    world.write("404.html", "nothing here, and prettier");
    assert_eq!(world.deploy(&[]).expect(0).warnings(), "");
    assert!(view(&world, "/logo.svg").await.header("age").is_some(), "the logo was evicted");
    world.edge.advance_clock(MINUTE);
    assert_eq!(view(&world, "/missing.html").await.text(), "nothing here, and prettier");
}

#[test]
fn the_bucket_keeps_versions_for_a_rollback_and_not_for_good() {
    let text = std::fs::read_to_string(repository("examples/hosting/template.yaml")).unwrap();
    let template: Value = yaml_serde::from_str(&text).unwrap();
    let bucket = &template["Resources"]["Bucket"]["Properties"];
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    let rules = bucket["LifecycleConfiguration"]["Rules"].as_sequence().unwrap();
    let days = |rule: &Value| rule["NoncurrentVersionExpiration"]["NoncurrentDays"].as_u64();
    let days: Vec<u64> = rules.iter().filter(|rule| rule["Status"] == "Enabled").filter_map(days).collect();
    // As doctor requires: not removed within a week, and not kept forever.
    assert!(matches!(days[..], [7..=90]), "{days:?}");
}
