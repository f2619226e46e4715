//! `_redirects` files in the shapes that public sites have: `tests/rules/`.
//!
//! Comments of a file say how it is read (`#!`), the keys of the site (`#+`), and who gets what (`#>`).

use crate::node::Node;
use shipfront_site::headers_file::HeadersFile;
use shipfront_site::platform::{Finding, FindingKind, Platform, RuleOptions, check};
use shipfront_site::redirect_function::{Table, code, generate};
use shipfront_site::redirects_file;
use shipfront_site::url_pattern::paths_of;
use shipfront_site::viewer_rules::{Answer, Request, Rules};
use std::path::Path;

struct Case {
    name: String,
    rules: Rules,
    findings: Vec<Finding>,
    keys: Vec<String>,
    expected: Vec<(Request, String)>,
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

    /// What is asked for, the paths of every key, and what the rules' own paths are.
    fn requests(&self) -> Vec<Request> {
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

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| Case::read(path)).collect()
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Redirect { status, location } => format!("{status} {location}"),
        Answer::Origin(uri) => uri.clone(),
    }
}

#[test]
fn every_file_means_what_its_platform_says() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    for case in cases {
        assert!(!case.expected.is_empty(), "{}", case.name);
        for (request, expected) in &case.expected {
            let answer = shown(&case.rules.answer(request));
            assert_eq!(answer, *expected, "{}: {request:?}", case.name);
        }
    }
}

#[test]
fn the_code_of_every_file_answers_as_its_rules_do_however_its_table_is_kept() {
    let mut node = Node::new();
    for case in cases() {
        let requests = case.requests();
        let expected: Vec<Answer> = requests.iter().map(|request| case.rules.answer(request)).collect();
        for table in [Table::Plain, Table::Packed, Table::Store] {
            let Some(answers) = node.answers(&case.rules, table, &requests) else {
                assert_eq!(table, Table::Packed, "{}", case.name);
                continue;
            };
            for ((request, expected), answer) in requests.iter().zip(&expected).zip(&answers) {
                assert_eq!(answer, expected, "{} {table:?}: {request:?}", case.name);
            }
        }
    }
}

#[test]
fn no_url_of_any_file_leads_round_in_a_circle() {
    for case in cases() {
        for request in case.requests() {
            let mut at = request.clone();
            for hops in 0.. {
                let Answer::Redirect { location, .. } = case.rules.answer(&at) else { break };
                assert!(hops <= 10, "{}: {request:?}", case.name);
                let url = match location.starts_with("//") {
                    true => format!("https:{location}"),
                    false if location.starts_with('/') => format!("https://{}{location}", at.host),
                    false => location,
                };
                let next = Request::of(url.split('#').next().unwrap());
                assert_ne!((&next.host, &next.uri, &next.query), (&at.host, &at.uri, &at.query), "{}", case.name);
                at = Request { country: at.country, languages: at.languages, ..next };
            }
        }
    }
}

fn lines(name: &str, kind: FindingKind) -> Vec<usize> {
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    let of_kind = case.findings.iter().filter(|finding| finding.kind == kind);
    of_kind.map(|finding| finding.line).collect()
}

#[test]
fn what_cannot_be_done_makes_no_sense_or_leads_in_a_circle_is_named_by_its_line() {
    assert_eq!(lines("spa-with-api", FindingKind::CannotBeDone), [3]);
    assert_eq!(lines("http-to-https", FindingKind::CannotBeDone), [3, 4]);
    assert_eq!(lines("custom-pages", FindingKind::CannotBeDone), [3, 4, 5]);
    assert_eq!(lines("circle-of-two", FindingKind::Circle), [2, 3, 4, 5]);
    assert_eq!(lines("circle-that-grows", FindingKind::Circle), [3]);
    assert_eq!(lines("circle-by-host", FindingKind::Circle), [2, 3]);
    assert_eq!(lines("canonical-host", FindingKind::Circle), [0; 0]);
    assert_eq!(lines("directory-and-slash", FindingKind::Circle), [3]);
    assert_eq!(lines("sloppy", FindingKind::Senseless), [1, 4, 5, 6, 7]);
    assert_eq!(lines("sloppy-elsewhere", FindingKind::Senseless), [1, 2, 4, 7]);
    assert_eq!(lines("shadowed-lines", FindingKind::NoEffect), [3, 5, 7]);
    assert_eq!(lines("files-first", FindingKind::NoEffect), [2, 5]);
    assert_eq!(lines("countries", FindingKind::Needs), [2, 3]);
    assert_eq!(lines("cloudflare-names", FindingKind::Senseless), [5, 6, 7]);
    assert_eq!(lines("open-redirect", FindingKind::Senseless), [4]);
    assert_eq!(lines("own-pages", FindingKind::NoEffect), [8, 9]);
    assert_eq!(lines("own-pages", FindingKind::Doubtful), [11]);
    assert_eq!(lines("own-pages", FindingKind::Circle), [0; 0]);
}

#[test]
fn the_smallest_table_that_fits_is_taken() {
    let cases = cases();
    let placed = |name: &str, store| {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        generate(&case.rules, store).map(|function| function.placement.table)
    };
    let rules = &cases.iter().find(|case| case.name == "exact-450").unwrap().rules;
    let bytes = |table| code(rules, table).unwrap().len();
    eprintln!("exact-450: {} bytes plain, {} packed", bytes(Table::Plain), bytes(Table::Packed));
    assert!(bytes(Table::Plain) > 4 * 10 * 1024 && bytes(Table::Packed) <= 10 * 1024);
    assert_eq!(placed("docs-versions", true), Ok(Table::Plain));
    assert_eq!(placed("exact-450", true), Ok(Table::Packed));
}
