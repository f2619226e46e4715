use super::*;
use crate::platform::check;
use proptest::prelude::*;

fn read(text: &str) -> RedirectsFile {
    parse(text, &RuleOptions::default())
}

fn cloudflare(text: &str) -> RedirectsFile {
    parse(text, &RuleOptions { platform: Platform::Cloudflare, ..RuleOptions::default() })
}

fn one(line: &str) -> RedirectRule {
    read(line).rules.remove(0)
}

/// A rule, written out in full.
fn written(rule: &RedirectRule) -> String {
    let force = if rule.force { "!" } else { "" };
    match &rule.action {
        Action::Redirect(status, to) => format!("{} {} -> {to} {status}{force}", rule.line, rule.from),
        Action::Rewrite(to) => format!("{} {} shows {to}{force}", rule.line, rule.from),
        Action::PassThrough => format!("{} {} passes{force}", rule.line, rule.from),
    }
}

fn found(file: &RedirectsFile) -> Vec<(usize, FindingKind)> {
    file.findings.iter().map(|finding| (finding.line, finding.kind)).collect()
}

#[test]
fn lines_are_read_as_their_platforms_write_them() {
    let file = read("# all\n\n/old /new\n/temp  /x  302 # for now\n/a/* https://b.example/:splat 308!\n/s/* /i 200!\n");
    let rules: Vec<String> = file.rules.iter().map(written).collect();
    assert_eq!(
        rules,
        ["3 /old -> /new 301", "4 /temp -> /x 302", "5 /a/* -> https://b.example/:splat 308!", "6 /s/* shows /i!"]
    );
    let by_query = one("/store id=:id kind=book /b/:id 301");
    let named = QueryValue::Named("id".to_owned());
    assert_eq!(by_query.query, [("id".to_owned(), named), ("kind".to_owned(), QueryValue::Is("book".to_owned()))]);
    assert_eq!(one("/a https://b.example:8080/c").redirect().unwrap().1.exact(), Some("https://b.example:8080/c"));
    assert_eq!(file.findings, []);
}

#[test]
fn scheme_and_host_are_no_part_of_the_path() {
    let by_host = one("https://Old.example.com:443/* https://www.example.com/:splat");
    assert_eq!(
        (by_host.host, by_host.from.to_string()),
        (Some(Host::Is("old.example.com".to_owned())), "/*".to_owned())
    );
    let any = one("https://*.example.com/a /b").host.unwrap();
    assert!(any.matches("x.example.com") && any.matches("x.y.example.com") && !any.matches("example.com"));
    assert_eq!(one("https://:branch.x.example /b").host, Some(Host::EndsWith(".x.example".to_owned())));
}

#[test]
fn a_line_about_http_matches_no_request_that_a_function_sees() {
    let file = read(
        "http://www.example.com/* https://www.example.com/:splat 301!\nhttp://a.example/* https://b.example/:splat",
    );
    assert_eq!(
        (file.rules.len(), found(&file)),
        (0, vec![(1, FindingKind::CannotBeDone), (2, FindingKind::CannotBeDone)])
    );
    assert!(file.findings[0].hint.contains("redirect-to-https"));
    assert!(file.findings[1].hint.contains("https://"));
}

#[test]
fn a_slash_at_the_end_does_not_count_but_for_cloudflare() {
    assert!(one("/a /b").matches("/a/") && one("/a/ /b").matches("/a") && one("/a/* /b").matches("/a"));
    assert!(!one("/a /b").matches("/ab") && !one("/a/* /b").matches("/ab"));
    assert!(one("/ /b").matches("/"));
    assert!(!cloudflare("/a /b").rules[0].matches("/a/"));
}

#[test]
fn without_a_status_netlify_means_301_and_cloudflare_302() {
    assert_eq!(written(&one("/a /b")), "1 /a -> /b 301");
    assert_eq!(written(&cloudflare("/a /b").rules[0]), "1 /a -> /b 302!");
}

#[test]
fn what_cannot_be_done_keeps_its_place_and_passes_through() {
    for (line, why) in [
        ("/a https://b.example/ 200", "shows content of https://b.example/"),
        ("/a /b 404", "status 404"),
        ("/a //b.example/c 200", "shows content of //b.example/c"),
        ("/api/* /.netlify/functions/:splat 200", "only Netlify has"),
        ("/a /b 302 Cookie=x", "depends on Cookie"),
    ] {
        let file = read(line);
        assert!(file.rules[0].action == Action::PassThrough, "{line}: {file:?}");
        let finding = &file.findings[0];
        assert!(finding.kind == FindingKind::CannotBeDone && finding.message.contains(why), "{line}: {finding:?}");
        assert!(!finding.hint.is_empty());
    }
}

#[test]
fn languages_and_countries_are_read() {
    let rule = one("/ /x 302 Language=DE,fr Country=ch,At");
    let texts = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    assert_eq!(rule.visitors, [Visitors::Language(texts(["de", "fr"])), Visitors::Country(texts(["CH", "AT"]))]);
    let file = read("/ /x 302 Country=ch");
    assert!(file.findings[0].hint.contains("CloudFront-Viewer-Country"), "{file:?}");
}

#[test]
fn what_protects_is_refused_unless_the_path_may_be_public() {
    for line in ["/admin/* /admin/:splat 200! Role=admin", "/admin/* 200! Role=admin", "/admin/* /login 401!"] {
        let file = read(line);
        let error = check(&file.findings, &RuleOptions::default()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Refused, "{line}");
        assert!(error.hint_text().unwrap().contains("--may-be-public '/admin/*'"));
        let options = RuleOptions { may_be_public: vec!["/admin/*".to_owned()], ..RuleOptions::default() };
        let file = parse(line, &options);
        assert!(check(&file.findings, &options).is_ok() && file.rules[0].action == Action::PassThrough, "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_skipped_and_named_with_what_to_write() {
    for (text, line, why) in [
        ("/a", 1, "leads nowhere"),
        ("\n/a /b 3o1", 2, "not a status"),
        ("/a /b 999", 1, "not a status"),
        ("a /b", 1, "begins with a slash"),
        ("/a b", 1, "neither a path nor a query parameter"),
        ("/a /b/:splat", 1, "uses :splat"),
        ("/a/:x /b/:y", 1, "uses :y"),
        ("/a /b 301 /c", 1, "unexpected"),
        ("/*/* /b", 1, "more than one *"),
        ("/* https://x:splat/ 301", 1, "takes the host from the URL"),
        ("/* //:splat/ 301", 1, "takes the host from the URL"),
        ("<!-- x -->", 1, "begins with a slash"),
    ] {
        let file = read(&format!("{text}\n/good /line"));
        let finding = &file.findings[0];
        assert!(finding.line == line && finding.message.contains(why), "{text:?}: {finding:?}");
        assert!(finding.hint.contains("/from /to") && finding.kind == FindingKind::Senseless);
        assert_eq!(file.rules.len(), 1, "the other line is read: {text:?}");
        assert!(check(&file.findings, &RuleOptions::default()).is_ok());
        let strict = RuleOptions { strict: true, ..RuleOptions::default() };
        let error = check(&file.findings, &strict).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    }
}

#[test]
fn a_line_without_a_target_shows_what_is_there() {
    assert_eq!(written(&one("/* 200")), "1 /* passes");
    assert_eq!(found(&cloudflare("/* 200")), [(1, FindingKind::Senseless)]);
}

#[test]
fn two_slashes_are_a_host_under_any_scheme() {
    let rule = one("//Old.example/* //new.example/:splat");
    assert_eq!(rule.host, Some(Host::Is("old.example".to_owned())));
    assert_eq!(written(&rule), "1 /* -> //new.example/:splat 301");
    assert!(rule.redirect().unwrap().1.is_other_host());
    let more = one("/a ///evil.example/x");
    assert!(!more.redirect().unwrap().1.is_other_host());
    assert_eq!(written(&more), "1 /a -> /evil.example/x 301");
}

#[test]
fn regular_expressions_are_named_and_read_as_they_are_written() {
    for line in ["/old/(.*) /new/$1", "/blog/[0-9]+ /b", "/a/\\d+ /b", "/x/[^/]+/y /z", "/a$ /b", "/a/* /b/$1"] {
        let file = read(line);
        assert_eq!((file.rules.len(), found(&file)), (1, vec![(1, FindingKind::Doubtful)]), "{line}: {file:?}");
        assert!(file.findings[0].hint.contains("/old/* /new/:splat"));
    }
    for line in ["^/old/(.*)$ /new/$1", "/a/(.*)/(.*) /b/$1/$2", "/a/(?:b) /c"] {
        let file = read(line);
        assert_eq!((file.rules.len(), found(&file)), (0, vec![(1, FindingKind::Senseless)]), "{line}: {file:?}");
        assert!(file.findings[0].hint.contains("/old/* /new/:splat"));
    }
    for line in ["/wiki/Foo_(bar) /b", "/img/photo.* /b", "/post/* /post/[id].html 200", "/a+b /c", "/price-$100 /x"] {
        assert_eq!(read(line).findings, [], "{line}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_reading(text in "([/ :*!#=\\t\\r\\na-c3é\u{feff}]|https://|:splat|301|Role=a){0,40}") {
        let lines = text.lines().count();
        for file in [read(&text), cloudflare(&text)] {
            prop_assert!(file.findings.iter().all(|finding| (1..=lines).contains(&finding.line)));
            prop_assert!(file.rules.iter().all(|rule| (1..=lines).contains(&rule.line)));
        }
    }
}
