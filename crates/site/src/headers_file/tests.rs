use super::*;
use crate::platform::check;
use crate::rules::HeaderRules;
use proptest::prelude::*;

fn read(text: &str) -> HeadersFile {
    parse(text, &RuleOptions::default())
}

fn cache(text: &str, key: &str) -> Option<String> {
    HeaderRules::new(read(text).rules).unwrap().headers(key).cache_control
}

fn others(file: &HeadersFile) -> Vec<(usize, &str, Option<&str>)> {
    file.blocks
        .iter()
        .flat_map(|block| &block.headers)
        .map(|header| (header.line, header.name.as_str(), header.exact()))
        .collect()
}

#[test]
fn headers_that_s3_keeps_become_rules_in_the_order_of_the_file() {
    let text = "\
# everything
/*
  Cache-Control: max-age=0
  X-Frame-Options: DENY
/assets/*
\tcache-control: public
\tCache-Control: max-age=31536000
/assets/private/*
  ! Cache-Control
  ! X-Frame-Options
";
    assert_eq!(cache(text, "index.html").as_deref(), Some("max-age=0"));
    assert_eq!(cache(text, "assets/a.js").as_deref(), Some("public, max-age=31536000"), "both values of one block");
    assert_eq!(cache(text, "assets/private/a.js"), None, "taken away");
    assert_eq!(others(&read(text)), [(4, "X-Frame-Options", Some("DENY")), (10, "X-Frame-Options", None)]);
}

#[test]
fn lines_need_no_indentation_and_stars_may_be_several() {
    let text = "/*\nX-Frame-Options: DENY\nCache-Control: max-age=1\n/**/*.html\nCache-Control: max-age=2\n";
    assert_eq!(others(&read(text)), [(2, "X-Frame-Options", Some("DENY"))]);
    assert_eq!(cache(text, "index.html").as_deref(), Some("max-age=1"));
    assert_eq!(cache(text, "x/y.html").as_deref(), Some("max-age=2"));
}

#[test]
fn every_header_that_s3_keeps_is_read() {
    let text = "/a\n Content-Type: a/b\n Content-Encoding: gzip\n Content-Disposition: inline\n Content-Language: de\n X-Amz-Meta-Owner: web\n";
    let headers = HeaderRules::new(read(text).rules).unwrap().headers("a");
    assert_eq!(headers.content_type, "a/b");
    let single = [headers.content_encoding, headers.content_disposition, headers.content_language];
    assert_eq!(single.map(Option::unwrap), ["gzip", "inline", "de"]);
    assert_eq!(headers.metadata["owner"], "web");
}

#[test]
fn an_invalid_path_is_skipped_with_its_headers_and_reported() {
    for (text, said) in [
        ("/* X-A: 1\n  X-B: 2\n", "a path and a header on one line"),
        ("/a\tX-A: 1\n  X-B: 2\n", "a path and a header on one line"),
        ("/*:\n  X-B: 2\n", "ends in a colon"),
        ("assets/*\n  X-B: 2\n", "a path begins with a slash"),
        ("*\n  X-B: 2\n", "a path begins with a slash"),
        ("/x\n  X-C: 1\n\"/*\"\n  X-B: 2\n", "a path begins with a slash"),
    ] {
        let file = read(text);
        let said_of: Vec<_> =
            file.findings.iter().map(|finding| (finding.kind, finding.message.contains(said))).collect();
        assert_eq!(said_of, [(FindingKind::Senseless, true)], "{text}: {:?}", file.findings);
        assert!(others(&file).iter().all(|(_, name, _)| *name != "X-B"), "{text}: {file:?}");
    }
    let continued = read("/*\n  Content-Security-Policy: default-src 'self';\n    img-src *;\n  X-B: 2\n");
    assert_eq!(others(&continued).len(), 2, "{continued:?}");
    let spaced = read("/a b/*\n  X-A: 1\n");
    assert_eq!((spaced.findings.len(), others(&spaced).len()), (0, 1), "a path may have blanks");
}

#[test]
fn a_password_behind_the_path_protects_it_all_the_same() {
    for text in ["/private/* Basic-Auth: alice:s3cret", "/private/*\tbasic-auth alice:s3cret"] {
        let file = read(text);
        let [finding] = file.findings.as_slice() else { panic!("{file:?}") };
        assert_eq!((finding.kind, finding.message.contains("/private/* requires")), (FindingKind::Protects, true));
        assert!(!format!("{file:?}").contains("s3cret"), "{file:?}");
        let options = RuleOptions { may_be_public: vec!["/private/*".to_owned()], ..RuleOptions::default() };
        assert_eq!(parse(text, &options).findings, []);
    }
}

#[test]
fn two_lines_of_one_name_are_joined() {
    let file = read("/m/:title\n  Link: </a>; rel=preload\n  link: </:title>\n");
    let [header] = file.blocks[0].headers.as_slice() else { panic!("{file:?}") };
    let text = |text: &str| TargetPiece::Text(text.to_owned());
    let joined = [text("</a>; rel=preload, </"), TargetPiece::Name("title".to_owned()), text(">")];
    assert_eq!(header.value.as_deref(), Some(joined.as_slice()));
}

#[test]
fn what_cannot_be_done_is_named() {
    let file = read(
        "https://x.example/*\n  X-Robots-Tag: noindex\n  Cache-Control: no-store\n/m/:title\n  Content-Language: :title\n  Set-Cookie: a=b\n",
    );
    let found: Vec<_> = file.findings.iter().map(|finding| (finding.line, finding.kind)).collect();
    assert_eq!(found, [3, 5, 6].map(|line| (line, FindingKind::CannotBeDone)));
    assert_eq!((file.rules.len(), file.blocks.len()), (0, 1));
    assert_eq!(file.blocks[0].host, Some(Host::Is("x.example".to_owned())));
}

#[test]
fn what_makes_no_sense_is_skipped_with_its_line_and_never_repeated() {
    for (text, line, why) in [
        ("  A: hunter2", 1, "before the first path"),
        ("/a\n\n  Cache-Control hunter2", 3, "no colon"),
        ("/a\n  Ca che hunter2: x", 2, "cannot be a header name"),
        ("/a\n  A: hunter2\u{e9}", 2, "plain ASCII"),
        ("/a?hunter\n  A: b", 1, "query string"),
    ] {
        let file = read(&format!("{text}\n/b\n  X-B: b\n"));
        let finding = &file.findings[0];
        assert!(finding.line == line && finding.message.contains(why), "{text:?}: {finding:?}");
        assert!(finding.kind == FindingKind::Senseless && !finding.hint.is_empty());
        assert!(!format!("{file:?}").contains("hunter2"), "{file:?}");
        assert_eq!(others(&file).last().map(|(_, name, _)| *name), Some("X-B"), "the rest is read");
        let strict = RuleOptions { strict: true, ..RuleOptions::default() };
        assert_eq!(check(&file.findings, &strict).unwrap_err().kind(), crate::ErrorKind::Invalid);
    }
}

#[test]
fn a_password_is_refused_and_kept_nowhere() {
    for line in
        ["  Basic-Auth: alice:s3cret", "basic-auth: alice:s3cret", "  Basic-Auth alice:s3cret", "  Basic-Auth = s3cret"]
    {
        let text = format!("/private/*\n{line}\n  X-A: b\n");
        let file = read(&text);
        assert!(!format!("{file:?}").contains("s3cret"), "{file:?}");
        let error = check(&file.findings, &RuleOptions::default()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Refused);
        assert!(error.to_string().starts_with("_headers:2: /private/*") && !format!("{error:?}").contains("s3cret"));
        let options = RuleOptions { may_be_public: vec!["/private/*".to_owned()], ..RuleOptions::default() };
        let file = parse(&text, &options);
        assert_eq!((others(&file), file.findings.len()), (vec![(3, "X-A", Some("b"))], 0));
        assert!(!format!("{file:?}").contains("s3cret"), "{file:?}");
    }
}

#[test]
fn lines_end_as_they_do_on_any_system() {
    assert_eq!(cache("\u{feff}/a\r\n  Cache-Control: no-store\r\n", "a").as_deref(), Some("no-store"));
}

proptest! {
    #[test]
    fn no_text_breaks_the_reading(text in "([/ !:*#\\t\\r\\na-cA-Cé\u{feff}]|Cache-Control: |https://|Basic-Auth: ){0,40}") {
        let lines = text.lines().count();
        prop_assert!(read(&text).findings.iter().all(|finding| (1..=lines).contains(&finding.line)));
    }
}
