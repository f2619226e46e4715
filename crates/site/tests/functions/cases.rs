//! Reads `tests/rules/`: `_redirects` files in the shapes that public sites have.
//!
//! Comments in a file say how it is read (`#!`), list the keys of the site (`#+`), and say who gets what (`#>`).

use shipfront_site::headers_file::HeadersFile;
use shipfront_site::platform::{Finding, Platform, RuleOptions, check};
use shipfront_site::redirects_file;
use shipfront_site::url_pattern::paths_of;
use shipfront_site::viewer_rules::{Request, Rules};
use std::path::Path;

/// A file, its site, and what it should do.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) rules: Rules,
    #[allow(dead_code, reason = "not every test looks at it")]
    pub(crate) findings: Vec<Finding>,
    keys: Vec<String>,
    pub(crate) expected: Vec<(Request, String)>,
}

fn marked<'t>(text: &'t str, mark: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(mark)).map(str::trim).collect()
}

impl Case {
    fn read(path: &Path) -> Case {
        let text = std::fs::read_to_string(path).unwrap();
        let mut options = RuleOptions::default();
        let mut directory_index = false;
        for word in marked(&text, "#!").join(" ").split_whitespace() {
            match word {
                "cloudflare" => options.platform = Platform::Cloudflare,
                "directory-index" => directory_index = true,
                word => options.may_be_public.push(word.strip_prefix("public=").unwrap().to_owned()),
            }
        }
        let keys: Vec<String> = marked(&text, "#+").join(" ").split_whitespace().map(str::to_owned).collect();
        let expected = marked(&text, "#>").into_iter().map(|line| {
            let (asked, answer) = line.rsplit_once(" = ").unwrap();
            let mut words = asked.split(' ');
            let url = words.next().unwrap();
            let url = if url.starts_with('/') { format!("https://www.site.example{url}") } else { url.to_owned() };
            let mut request = Request::of(&url);
            for word in words {
                match word.split_once('=').unwrap() {
                    ("lang", languages) => request.languages = Some(languages.to_owned()),
                    (_, country) => request.country = Some(country.to_owned()),
                }
            }
            (request, answer.to_owned())
        });
        let file = redirects_file::parse(&text, &options);
        let (rules, findings) =
            Rules::new(file, HeadersFile::default(), keys.iter().map(String::as_str), directory_index, &options);
        check(&findings, &options).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Case { name, expected: expected.collect(), rules, findings, keys }
    }

    /// The expected requests, the paths of every key, and the rules' own paths.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let hosts = ["www.site.example", "site.example", "blog.site.example", "a.example", "x.preview.site.example"];
        let mut paths: Vec<String> = self.keys.iter().flat_map(|key| paths_of(key)).collect();
        for rule in &self.rules.redirects {
            let path = rule.from.to_string();
            for open in ["x", "x/y", "", "index.html"] {
                let path = path.replace('*', open);
                paths.extend([path.trim_end_matches('/').to_owned(), format!("{path}/"), path]);
            }
        }
        paths.retain(|path| path.starts_with('/') && path.is_ascii());
        paths.sort();
        paths.dedup();
        let all = paths.iter().take(1500).enumerate();
        let mut requests: Vec<Request> = all
            .flat_map(|(at, path)| {
                let query = ["", "?a=1", "?id=7&kind=book&2=x&1=y"][at % 3];
                hosts.map(|host| Request::of(&format!("https://{host}{path}{query}")))
            })
            .collect();
        for (at, request) in requests.iter_mut().enumerate() {
            request.country =
                ["AU", "CH", ""].get(at % 4).map(|country| (*country).to_owned()).filter(|c| !c.is_empty());
            request.languages = ["de-CH,de;q=0.8", "fr", "en-US"].get(at % 5).map(|languages| (*languages).to_owned());
        }
        requests.extend(self.expected.iter().map(|(request, _)| request.clone()));
        requests
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../site/tests/rules");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| Case::read(path)).collect()
}
