use crate::rules::*;

fn rule(json: &str) -> HeaderRule {
    serde_json::from_str(json).unwrap()
}

fn rules(tables: &[&str]) -> HeaderRules {
    HeaderRules::new(tables.iter().map(|json| rule(json)).collect()).unwrap()
}

#[test]
fn all_matching_rules_apply_and_the_last_word_on_each_header_holds() {
    let rules = rules(&[
        r#"{"files": "**", "cache-control": "max-age=0", "content-language": "en"}"#,
        r#"{"files": ["*.js", "*.css"], "cache-control": "max-age=60"}"#,
        r#"{"files": "/assets/", "cache-control": "max-age=31536000, immutable"}"#,
        r#"{"files": "/assets/sw.js", "cache-control": "", "content-type": "text/x-script"}"#,
    ]);
    let cache = |key: &str| rules.headers(key).cache_control.unwrap_or_default();
    assert_eq!(cache("index.html"), "max-age=0");
    assert_eq!(cache("x/app.js"), "max-age=60");
    assert_eq!(cache("assets/app.js"), "max-age=31536000, immutable");
    assert_eq!(cache("assets/sw.js"), "", "an empty value takes it away");
    let worker = rules.headers("assets/sw.js");
    assert_eq!((worker.content_language.as_deref(), &*worker.content_type), (Some("en"), "text/x-script"));
}

#[test]
fn rules_by_url_path_match_the_page_behind_it() {
    let by_path = |path: &str, value: &str| HeaderRule {
        paths: vec![UrlPattern::parse(path).unwrap()],
        cache_control: Some(value.parse().unwrap()),
        ..HeaderRule::default()
    };
    let rules = HeaderRules::new(vec![by_path("/*", "a"), by_path("/blog/", "b"), by_path("/about", "c")]).unwrap();
    let cache = |key: &str| rules.headers(key).cache_control.unwrap();
    assert_eq!([cache("x.css"), cache("blog/index.html"), cache("about.html")], ["a", "b", "c"]);
}

#[test]
fn without_a_rule_headers_are_what_they_were_before_there_were_rules() {
    let digests = ["index.html", "app.js", "x"].map(|key| HeaderRules::default().headers(key).digest().to_string());
    assert_eq!(digests, ["f9a88eacd1275a4e", "7240c80b8b929e33", "c858f3c79275ca4d"]);
}

#[test]
fn each_header_changes_the_digest() {
    let tables = [
        r#"{"files": "a"}"#,
        r#"{"files": "a", "cache-control": "x"}"#,
        r#"{"files": "a", "content-type": "x"}"#,
        r#"{"files": "a", "content-encoding": "x"}"#,
        r#"{"files": "a", "content-disposition": "x"}"#,
        r#"{"files": "a", "content-language": "x"}"#,
        r#"{"files": "a", "storage-class": "standard_ia"}"#,
        r#"{"files": "a", "website-redirect": "/x"}"#,
        r#"{"files": "a", "metadata": {"x": "y"}}"#,
        r#"{"files": "a", "metadata": {"x": "z"}}"#,
        r#"{"files": "a", "acl": "public-read"}"#,
    ];
    let digests: std::collections::BTreeSet<_> =
        tables.iter().map(|table| rules(&[table]).headers("a").digest().to_string()).collect();
    assert_eq!(digests.len(), tables.len());
    assert!(digests.contains(&Headers::of("a").digest().to_string()));
}

#[test]
fn nonsense_is_refused_where_it_is_read() {
    for (json, why) in [
        (r#"{"files": "a", "cache-controll": "x"}"#, "unknown field"),
        (r#"{"cache-control": "x"}"#, "missing field `files`"),
        (r#"{"files": "a", "cache-control": "x\ny"}"#, "control character"),
        (r#"{"files": "a", "content-disposition": "é"}"#, "filename*"),
        (r#"{"files": "a", "storage-class": "DEEP_ARCHIVE"}"#, "viewers cannot read"),
        (r#"{"files": "a", "website-redirect": "other.html"}"#, "must begin with /"),
        (r#"{"files": "a", "metadata": {"a b": "x"}}"#, "name of metadata"),
        (r#"{"files": "a", "acl": "public-read-write"}"#, "canned ACL"),
        (r#"{"files": "a", "compress": ["zip"]}"#, "unknown variant"),
    ] {
        let error = serde_json::from_str::<HeaderRule>(json).unwrap_err().to_string();
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn more_metadata_than_s3_takes_is_refused_for_the_key_that_would_get_it() {
    let long = "x".repeat(1500);
    let table = |files: &str, name: &str| format!(r#"{{"files": "{files}", "metadata": {{"{name}": "{long}"}}}}"#);
    let rules = rules(&[&table("*.js", "a"), &table("/x/", "b")]);
    assert!(rules.check(["a.js", "x/b.css"].into_iter()).is_ok(), "neither is too much alone");
    let error = rules.check(["a.js", "x/b.js"].into_iter()).unwrap_err();
    assert!(error.to_string().contains("x/b.js 3002 bytes"), "{error}");
    assert!(error.hint_text().unwrap().contains("2048"));
}

#[test]
fn what_is_compressed_already_is_not_compressed() {
    let rules = rules(&[r#"{"files": "**", "compress": ["br"]}"#, r#"{"files": "*.gz", "content-encoding": "gzip"}"#]);
    assert_eq!(rules.headers("a.bin").compress, [Encoding::Br]);
    assert_eq!(rules.headers("a.gz").compress, []);
}
