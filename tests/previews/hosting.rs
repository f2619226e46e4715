//! examples/previews: how its function rewrites a request, and what its distribution caches.

use crate::world::command::repository;
use shipfront_edge::CACHING_DISABLED;
use shipfront_site::host_label::host_label;
use yaml_serde::Value;

fn template() -> Value {
    let text = std::fs::read_to_string(repository("examples/previews/template.yaml")).unwrap();
    yaml_serde::from_str(&text).unwrap()
}

#[test]
fn the_function_maps_the_host_to_its_folder_and_directories_to_their_index() {
    let template = template();
    let code = template["Resources"]["HostToFolder"]["Properties"]["FunctionCode"].as_str().unwrap();
    let label = host_label("feature/search");
    let script = format!(
        "{code}\nconst of = (host, uri) => {{ const made = handler({{request: {{uri, headers: {{host: {{value: host}}}}}}}}); \
         return made.uri || made.statusCode; }};\n\
         const at = uri => of('{label}.preview.example.com', uri);\n\
         console.log([at('/'), at('/docs/'), at('/docs'), at('/a.css'), at('/.well-known/x'), \
         of('MAIN.preview.example.com', '/'), of('42.preview.example.com', '/a/b.js'), \
         of('.shipfront.preview.example.com', '/'), of('-a.example.com', '/'), of('%2e%2e.example.com', '/')].join(' '));"
    );
    let node = std::process::Command::new("node").args(["--use_strict", "-e", &script]).output();
    let output = node.expect("node is needed to run the function");
    let answer = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "/{label}/index.html /{label}/docs/index.html /{label}/docs/index.html /{label}/a.css /{label}/.well-known/x \
         /main/index.html /42/a/b.js 404 404 404"
    );
    assert_eq!(answer.trim(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(code.len() < 10_000 && code.lines().count() <= 18, "a function of some 15 lines");
}

#[test]
fn nothing_of_a_preview_is_kept_or_indexed_and_no_store_is_needed() {
    let template = template();
    let behavior = &template["Resources"]["Distribution"]["Properties"]["DistributionConfig"]["DefaultCacheBehavior"];
    assert_eq!(behavior["CachePolicyId"], CACHING_DISABLED);
    let text = std::fs::read_to_string(repository("examples/previews/template.yaml")).unwrap();
    assert!(!text.contains("AWS::CloudFront::KeyValueStore") && !text.contains("KeyValueStoreAssociations"));
    let headers = &template["Resources"]["NoIndex"]["Properties"]["ResponseHeadersPolicyConfig"]["CustomHeadersConfig"];
    assert_eq!(
        (&headers["Items"][0]["Header"], &headers["Items"][0]["Value"]),
        (&"X-Robots-Tag".into(), &"noindex".into())
    );
}
