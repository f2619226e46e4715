//! Runs the code of `_redirects` files in the shapes that public sites have, in Node.

use crate::cases::cases;
use crate::node::Node;
use shipfront_site::platform::FindingKind;
use shipfront_site::redirect_function::{Table, code, generate};
use shipfront_site::viewer_rules::{Answer, Request};

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
        generate(&case.rules, Some("sf-").filter(|_| store)).map(|function| function.placement.table)
    };
    let rules = &cases.iter().find(|case| case.name == "exact-450").unwrap().rules;
    let bytes = |table| code(rules, table).unwrap().len();
    eprintln!("exact-450: {} bytes plain, {} packed", bytes(Table::Plain), bytes(Table::Packed));
    assert!(bytes(Table::Plain) > 4 * 10 * 1024 && bytes(Table::Packed) <= 10 * 1024);
    assert_eq!(placed("docs-versions", true), Ok(Table::Plain));
    assert_eq!(placed("exact-450", true), Ok(Table::Packed));
}
