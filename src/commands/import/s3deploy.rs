//! `.s3deploy.yml` of bep/s3deploy (<https://github.com/bep/s3deploy>): routes, and flags by their names.

use crate::commands::import::{Import, Rule, is_of_environment, known};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    routes: Vec<Route>,
    bucket: Option<String>,
    path: Option<String>,
    source: Option<String>,
    region: Option<String>,
    endpoint_url: Option<String>,
    #[serde(default)]
    distribution_id: Texts,
    max_delete: Option<u64>,
    acl: Option<String>,
    #[serde(default)]
    public_access: bool,
    #[serde(default)]
    ignore: Texts,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct Route {
    route: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    gzip: bool,
    #[serde(default)]
    ignore: bool,
    acl: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A flag that may occur several times.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Default for Texts {
    fn default() -> Texts {
        Texts::Many(Vec::new())
    }
}

impl Texts {
    fn into_list(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        }
    }
}

const BECAUSE: [(&str, &str); 10] = [
    ("key", "shipfront finds credentials as the AWS CLI does; keep them out of the repository"),
    ("secret", "shipfront finds credentials as the AWS CLI does; keep them out of the repository"),
    ("strip-index-html", "objects keep their names; use a CloudFront Function to show /dir/index.html at /dir/"),
    ("workers", "shipfront adapts to what S3 accepts; see concurrency"),
    ("force", "unchanged files are never uploaded again"),
    ("try", "'shipfront plan' shows what a deploy would do"),
    ("quiet", "pass --quiet"),
    ("v", "pass --verbose"),
    ("skip-local-files", "hidden files are skipped anyway; exclude also protects matching objects in the bucket"),
    ("skip-local-dirs", "hidden folders are skipped anyway; exclude also protects matching objects in the bucket"),
];

impl Import {
    pub(super) fn s3deploy(&mut self, value: Value) -> Result<()> {
        let file: File = known(&self.name, value, "see s3deploy's README for what the file can say")?;
        if let Some(bucket) = file.bucket {
            let path = file.path.unwrap_or_default();
            let url = format!("s3://{bucket}/{}", path.trim_matches('/'));
            self.text("target", url.trim_end_matches('/'), "bucket");
        }
        for (name, text) in [("source", file.source), ("region", file.region), ("endpoint-url", file.endpoint_url)] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.text(name, &text, name);
            }
        }
        let (of_environment, ids): (Vec<_>, Vec<_>) =
            file.distribution_id.into_list().into_iter().partition(|id| is_of_environment(id));
        for id in of_environment {
            self.note(format!("distribution-id {id}: it comes from the environment; set SHIPFRONT_DISTRIBUTION"));
        }
        if !ids.is_empty() {
            self.settings.push(("distribution", ids.into()));
        }
        if let Some(most) = file.max_delete.and_then(|most| i64::try_from(most).ok()) {
            self.settings.push(("max-delete", most.into()));
        }
        let mut exclude: Vec<String> = Vec::new();
        for regex in file.ignore.into_list() {
            exclude.extend(self.globs("ignore", &regex));
        }
        let acl = file.acl.or(file.public_access.then(|| "public-read".to_owned()));
        self.of_all = acl.filter(|acl| !acl.is_empty()).map(|acl| Rule {
            files: vec!["*".to_owned()],
            headers: BTreeMap::from([("acl".to_owned(), acl.into())]),
            ..Rule::default()
        });
        for route in file.routes {
            self.note_left(&format!("route {:?}: ", route.route), &route.others, &[]);
            let files = self.globs("route", &route.route);
            if files.is_empty() {
                continue;
            }
            if route.ignore {
                exclude.extend(files);
                continue;
            }
            let mut headers = self.headers(&route.route, route.headers);
            if let Some(acl) = route.acl.filter(|acl| !acl.is_empty()) {
                headers.insert("acl".to_owned(), acl.into());
            }
            if route.gzip {
                headers.insert("compress".to_owned(), vec!["gzip"].into());
            }
            self.rules.push(Rule { pattern: route.route, files, headers });
        }
        if !exclude.is_empty() {
            self.settings.push(("exclude", exclude.into()));
        }
        self.note_left("", &file.others, &BECAUSE);
        Ok(())
    }

    /// A setting, or a note that it comes from the environment.
    fn text(&mut self, name: &'static str, text: &str, from: &str) {
        if is_of_environment(text) {
            let variable = crate::config::merge::variable(name);
            self.note(format!("{from} {text}: it comes from the environment; set {variable}"));
        } else {
            self.settings.push((name, text.into()));
        }
    }

    fn headers(&mut self, route: &str, headers: BTreeMap<String, String>) -> BTreeMap<String, toml::Value> {
        let mut all = BTreeMap::new();
        for (name, value) in headers {
            let known = match name.as_str() {
                "cache-control" | "content-type" | "content-encoding" | "content-disposition" | "content-language" => {
                    name.clone()
                }
                "x-amz-website-redirect-location" => "website-redirect".to_owned(),
                "x-amz-storage-class" => "storage-class".to_owned(),
                other => match other.strip_prefix("x-amz-meta-") {
                    Some(name) => format!("metadata.{name}"),
                    None => {
                        self.note(format!(
                            "route {route:?}: header {name}: S3 does not keep it; use a response headers policy of CloudFront"
                        ));
                        continue;
                    }
                },
            };
            all.insert(known, value.into());
        }
        all
    }
}
