use crate::commands::import::*;
use crate::config::file::FileSettings;
use crate::exit::Exit;
use shipfront_site::rules::HeaderRules;

fn imported(name: &str, text: &str) -> (Imported, FileSettings) {
    let imported = import_text(name, text).unwrap();
    let settings =
        file::read("imported", &imported.toml, None).unwrap_or_else(|error| panic!("{error}: {}", imported.toml));
    (imported, settings)
}

fn cache_control(settings: &FileSettings, key: &str) -> Option<String> {
    HeaderRules::new(settings.headers().to_vec()).unwrap().headers(key).cache_control
}

const S3DEPLOY: &str = r#"
bucket: www.example.com
path: blog/
distribution-id: [E1, E2]
max-delete: 7
workers: 4
key: AKIDEXAMPLE
strip-index-html: true
ignore: ^drafts/
routes:
  - route: ^special/.+\.js$
    headers: {Cache-Control: "max-age=1", X-Frame-Options: DENY}
  - route: ^.+\.(js|css)$
    headers:
      Cache-Control: "max-age=31536000"
      x-amz-meta-Owner: web
    gzip: true
  - route: ^.+\.(png|jpg)$
    headers: {cache-control: "max-age=60"}
  - route: ^private/
    ignore: true
  - route: (?i)\.PDF$
    headers: {Cache-Control: "max-age=5"}
"#;

#[test]
fn s3deploys_routes_become_rules_of_the_same_meaning() {
    let (imported, settings) = imported(".s3deploy.yml", S3DEPLOY);
    assert_eq!(settings.values("target").unwrap(), ["s3://www.example.com/blog"]);
    assert_eq!(settings.values("distribution").unwrap(), ["E1", "E2"]);
    assert_eq!(settings.values("max-delete").unwrap(), ["7"]);
    assert_eq!(settings.values("exclude").unwrap(), ["/drafts/**", "/private/**"]);
    assert_eq!(cache_control(&settings, "a/b.css").as_deref(), Some("max-age=31536000"));
    assert_eq!(cache_control(&settings, "b.png").as_deref(), Some("max-age=60"));
    assert_eq!(cache_control(&settings, "index.html"), None);
    // Only the first one that matches applies: nothing of the second one does.
    let rules = HeaderRules::new(settings.headers().to_vec()).unwrap();
    let special = rules.headers("special/x.js");
    assert_eq!(special.cache_control.as_deref(), Some("max-age=1"));
    assert!(special.metadata.is_empty() && special.compress.is_empty(), "{special:?}");
    let script = rules.headers("app.js");
    assert_eq!((script.metadata["owner"].as_str(), script.compress.len()), ("web", 1));
    let left = imported.not_carried_over.join("\n");
    for reported in ["workers", "key", "strip-index-html", "x-frame-options", "(?i)"] {
        assert!(left.contains(reported) && imported.toml.contains(reported), "{reported}: {left}");
    }
    assert!(!imported.toml.contains("AKIDEXAMPLE") && !left.contains("AKIDEXAMPLE"));
}

#[test]
fn what_s3deploy_reads_from_the_environment_is_named() {
    let (imported, settings) =
        imported(".s3deploy.yml", "bucket: ${BUCKET}\ndistribution-id: ${ID}\nroutes: []\nacl: public-read\n");
    assert_eq!(settings.values("target"), None);
    assert!(imported.toml.contains("SHIPFRONT_TARGET") && imported.toml.contains("SHIPFRONT_DISTRIBUTION"));
    assert!(HeaderRules::new(settings.headers().to_vec()).unwrap().headers("x").acl.is_some());
}

const HUGO: &str = r#"
baseURL = "https://www.example.com/"
publishDir = "out"
[deployment]
order = [".jpg$", ".gif$"]
maxDeletes = 9
[[deployment.targets]]
name = "production"
URL = "s3://www-bucket?region=eu-west-1&prefix=a/b/&awssdk=v2&acl=x"
cloudFrontDistributionID = "E1"
exclude = "**.{heic,psd}"
[[deployment.targets]]
name = "staging"
URL = "s3://staging-bucket"
include = "**.html"
[[deployment.targets]]
name = "google"
URL = "gs://bucket"
[[deployment.matchers]]
pattern = "^.+\\.(js|css)$"
cacheControl = "max-age=31536000"
gzip = true
[[deployment.matchers]]
pattern = "^.+\\.wasm$"
contentType = "application/wasm"
force = true
"#;

#[test]
fn hugos_targets_become_sections_and_its_matchers_rules() {
    let (imported, settings) = imported("hugo.toml", HUGO);
    assert_eq!(settings.values("source").unwrap(), ["out"]);
    assert_eq!(settings.values("target"), None, "one is to be chosen");
    assert!(imported.toml.contains("--env production"), "Hugo takes the first");
    let production = file::read("imported", &imported.toml, Some("production")).unwrap();
    assert_eq!(production.values("target").unwrap(), ["s3://www-bucket/a/b"]);
    assert_eq!(production.values("region").unwrap(), ["eu-west-1"]);
    assert_eq!(production.values("distribution").unwrap(), ["E1"]);
    assert_eq!(production.values("exclude").unwrap(), ["*.{heic,psd}"]);
    assert_eq!(settings.values("max-delete").unwrap(), ["9"]);
    let staging = file::read("imported", &imported.toml, Some("staging")).unwrap();
    assert_eq!(staging.values("target").unwrap(), ["s3://staging-bucket"]);
    assert_eq!(staging.values("distribution").unwrap(), ["none"], "Hugo invalidates nothing that is not named");
    assert_eq!(cache_control(&settings, "x/app.js").as_deref(), Some("max-age=31536000"));
    let rules = HeaderRules::new(settings.headers().to_vec()).unwrap();
    assert_eq!(rules.headers("app.wasm").content_type, "application/wasm");
    let left = imported.not_carried_over.join("\n");
    for reported in ["order", "acl", "include", "gs://bucket", "force"] {
        assert!(left.contains(reported), "{reported}: {left}");
    }
}

#[test]
fn a_section_takes_no_setting_of_another_target() {
    let (imported, _) = imported("hugo.toml", HUGO);
    let staging = file::read("imported", &imported.toml, Some("staging")).unwrap();
    assert_eq!(staging.values("region"), None, "{}", imported.toml);
    assert_eq!(staging.values("exclude"), None, "{}", imported.toml);
}

#[test]
fn hugos_configuration_is_read_in_all_its_languages() {
    let yaml = "deployment:\n  targets:\n    - name: x\n      url: s3://bucket\n";
    let json = r#"{"Deployment": {"targets": [{"name": "x", "url": "s3://bucket"}], "invalidateCDN": false}}"#;
    let part = "[[targets]]\nname = \"x\"\nURL = \"s3://bucket\"\n";
    for (name, text) in [("hugo.yaml", yaml), ("config.json", json), ("config/_default/deployment.toml", part)] {
        assert_eq!(imported(name, text).1.values("target").unwrap(), ["s3://bucket"], "{name}");
    }
}

#[test]
fn bad_input_is_refused_with_its_place() {
    for (name, text, reported) in [
        (".s3deploy.yml", "routes:\n  - route: [\n", ".s3deploy.yml:"),
        (".s3deploy.yml", "routes: 5\n", "routes"),
        (".s3deploy.yml", "routes:\n  - {headers: {}}\n", "route"),
        (".s3deploy.yml", "", "known tool"),
        ("hugo.toml", "[deployment\n", "hugo.toml:1:"),
        ("hugo.toml", "title = \"x\"\n", "known tool"),
        ("hugo.toml", "[deployment]\ntargets = 1\n", "deployment"),
        ("hugo.json", "{\"a\": 1,\n}", "hugo.json:2:"),
        ("hugo.ini", "a", "hugo.ini"),
        (".s3deploy.yml", "bucket: a b\nroutes: []\n", "cannot be converted"),
    ] {
        let error = import_text(name, text).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains(reported), "{name} {text:?}: {error}");
        assert!(error.own_hint().is_some(), "{error}");
    }
}
