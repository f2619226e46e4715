//! The section `deployment` of a Hugo site's configuration (<https://gohugo.io/configuration/deployment/>), with
//! all names in lowercase.

use crate::commands::import::{Import, Rule, Settings, known, pattern};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::Url;

#[derive(Deserialize)]
struct Deployment {
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    matchers: Vec<Matcher>,
    #[serde(default)]
    order: Vec<String>,
    target: Option<String>,
    invalidatecdn: Option<bool>,
    maxdeletes: Option<i64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    name: String,
    #[serde(default)]
    url: String,
    cloudfrontdistributionid: Option<String>,
    exclude: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct Matcher {
    pattern: String,
    cachecontrol: Option<String>,
    contenttype: Option<String>,
    contentencoding: Option<String>,
    #[serde(default)]
    gzip: bool,
    #[serde(flatten)]
    others: Map<String, Value>,
}

const BECAUSE: [(&str, &str); 8] = [
    ("workers", "shipfront adapts to what S3 accepts; see concurrency"),
    ("confirm", "'shipfront plan' shows what a deploy would do"),
    ("dryrun", "'shipfront plan' shows what a deploy would do"),
    ("force", "unchanged files are never uploaded again; a changed rule uploads the files that it changes"),
    ("include", "use exclude for the rest"),
    ("stripindexhtml", "objects keep their names; use a CloudFront Function to show /dir/index.html at /dir/"),
    ("googlecloudcdnorigin", "shipfront is for CloudFront"),
    ("s3forcepathstyle", "shipfront chooses the addressing style of the endpoint"),
];

impl Import {
    pub(super) fn hugo(&mut self, section: Value, publish: Option<&str>) -> Result<()> {
        let hint = "see https://gohugo.io/configuration/deployment/ for what it can say";
        let section: Deployment = known(&format!("{}: deployment", self.name), section, hint)?;
        self.settings.push(("source", publish.unwrap_or("public").into()));
        if let Some(most @ 0..) = section.maxdeletes {
            self.settings.push(("max-delete", most.into()));
        }
        if !section.order.is_empty() {
            self.note("order: shipfront uploads assets before pages by itself; see pages and assets");
        }
        self.note_left("", &section.others, &BECAUSE);

        let invalidates = section.invalidatecdn.unwrap_or(true);
        let mut targets = Vec::new();
        for target in section.targets {
            let name = if target.name.is_empty() { "target".to_owned() } else { target.name.clone() };
            if let Some(settings) = self.target(target, invalidates) {
                targets.push((name, settings));
            }
        }
        match targets.as_mut_slice() {
            [] => self.note("targets: none is an S3 bucket that can be carried over; name the target"),
            [(_, only)] => self.settings.append(only),
            // The settings of one must not be used for another.
            [(first, _), ..] => {
                // Without a name, Hugo uses the first one.
                let usual = section.target.filter(|wanted| !wanted.is_empty()).unwrap_or_else(|| first.clone());
                self.note(format!("the choice of a target: pass --env {usual}, or set SHIPFRONT_ENV={usual}"));
                self.sections = targets;
            }
        }
        for matcher in section.matchers {
            self.matcher(matcher);
        }
        Ok(())
    }

    fn target(&mut self, target: Target, invalidates: bool) -> Option<Settings> {
        let place = format!("target {:?}: ", target.name);
        let url = Url::parse(&target.url).ok().filter(|url| url.scheme() == "s3");
        let Some((url, bucket)) = url.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
            self.note(format!("{place}url {:?}: shipfront deploys to s3:// only", target.url));
            return None;
        };
        let mut settings = Settings::new();
        let (mut prefix, mut others) = (url.path().trim_matches('/').to_owned(), Map::new());
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "prefix" => prefix = value.trim_matches('/').to_owned(),
                "region" => settings.push(("region", value.as_ref().into())),
                "endpoint" if value.contains("://") => settings.push(("endpoint-url", value.as_ref().into())),
                "endpoint" => settings.push(("endpoint-url", format!("https://{value}").into())),
                "profile" => settings.push(("profile", value.as_ref().into())),
                "awssdk" => {}
                _ => {
                    others.insert(format!("url: {name}"), Value::String(value.into_owned()));
                }
            }
        }
        let to = format!("s3://{bucket}/{prefix}");
        settings.insert(0, ("target", to.trim_end_matches('/').into()));
        match target.cloudfrontdistributionid.filter(|id| !id.is_empty()) {
            Some(id) if invalidates => settings.push(("distribution", id.into())),
            Some(id) => {
                settings.push(("distribution", "none".into()));
                self.note(format!("{place}{id} is not invalidated, as invalidateCDN = false wants it"));
            }
            // Hugo invalidates only what is named.
            None => settings.push(("distribution", "none".into())),
        }
        if let Some(glob) = target.exclude.filter(|glob| !glob.is_empty()) {
            match pattern::of_glob(&glob) {
                Some(globs) => settings.push(("exclude", globs.into())),
                None => self.note(format!("{place}exclude {glob:?}: no glob is equivalent; write one by hand")),
            }
        }
        self.note_left(&place, &others, &BECAUSE);
        self.note_left(&place, &target.others, &BECAUSE);
        Some(settings)
    }

    fn matcher(&mut self, matcher: Matcher) {
        let files = self.globs("matcher", &matcher.pattern);
        if files.is_empty() {
            return;
        }
        self.note_left(&format!("matcher {:?}: ", matcher.pattern), &matcher.others, &BECAUSE);
        let mut headers: BTreeMap<String, toml::Value> = BTreeMap::new();
        let texts = [
            ("cache-control", matcher.cachecontrol),
            ("content-type", matcher.contenttype),
            ("content-encoding", matcher.contentencoding),
        ];
        for (name, text) in texts {
            headers.extend(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text.into())));
        }
        if matcher.gzip {
            headers.insert("compress".to_owned(), vec!["gzip"].into());
        }
        self.rules.push(Rule { pattern: matcher.pattern, files, headers });
    }
}
