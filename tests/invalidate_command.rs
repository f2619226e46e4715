//! `shipfront invalidate`: sends keys, URLs, paths and wildcards directly to CloudFront.

mod which;

use crate::world::aws::{self, s3};
use crate::world::command::{Run, run, run_with_input, shipfront};
use crate::world::http;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;
use shipfront_edge::{Edge, Fault, Progress, Rule};

/// An account with one distribution, in front of the bucket `site`.
struct Account {
    edge: Edge,
    id: String,
}

impl Account {
    async fn new() -> Account {
        let edge = aws::edge().await;
        let id = edge.ensure_site("site").unwrap();
        Account { edge, id }
    }

    /// `shipfront invalidate ARGUMENTS`.
    fn invalidate(&self, arguments: &[&str]) -> Run {
        run(shipfront(&self.edge, &["invalidate"]).args(arguments))
    }

    fn invalidate_lines(&self, arguments: &[&str], lines: &str) -> Run {
        run_with_input(shipfront(&self.edge, &["invalidate"]).args(arguments), lines)
    }

    /// The items of each invalidation that CloudFront accepted, in order.
    fn sent(&self) -> Vec<Vec<String>> {
        self.edge.invalidations(&self.id).into_iter().map(|invalidation| invalidation.items).collect()
    }

    fn requests(&self, operation: &str) -> usize {
        self.edge.requests().iter().filter(|request| request.operation == operation).count()
    }

    fn refuse(&self, operation: &str, status: u16, code: &str) {
        let fault = Fault::Error { status, code: code.to_owned(), message: "because".to_owned() };
        let operation = Some(operation.to_owned());
        self.edge.faults().add(Rule { operation, key: None, skip: 0, count: u64::MAX, fault });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_urls_paths_and_wildcards_go_in_one_request_each_once() {
    let account = Account::new().await;
    let report = account.invalidate(&[
        "--json",
        "--distribution",
        &account.id,
        "blog/index.html",
        "/blog/",
        "https://www.example.com/blog/",
        "/blog/index.html",
        "/img/*",
    ]);
    let report = report.ended_with(0).json();
    assert_eq!(account.sent(), [["/blog/", "/blog/index.html", "/img/*"]]);
    let accepted = &account.edge.invalidations(&account.id)[0];
    let reported = &report["invalidations"][0];
    assert_eq!(report["outcome"], "invalidated");
    assert!(reported.get("viewer_paths").is_none(), "nobody counted what typed paths evict");
    assert_eq!(reported["distribution"], account.id.as_str());
    assert_eq!(reported["id"], accepted.id.as_str());
    assert_eq!(reported["status"], "Completed");
    assert_eq!(reported["items"], Value::from(accepted.items.clone()));
    assert_eq!(report["requests"]["create_invalidation"], 1);
    assert_eq!(report["errors"], Value::Array(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_encoded_as_cloudfront_wants_it_and_never_twice() {
    let account = Account::new().await;
    let typed = [
        ("downloads/press kit.txt", "/downloads/press%20kit.txt"),
        ("/blog/café-menü.html", "/blog/caf%C3%A9-men%C3%BC.html"),
        ("/already/caf%C3%A9 x.html", "/already/caf%C3%A9%20x.html"),
        ("discount-100%.html", "/discount-100%25.html"),
        ("https://www.example.com/page.html#part", "/page.html"),
        ("/search?q=lamp", "/search?q=lamp"),
        ("/logo@2x.png", "/logo@2x.png"),
        ("/notes/{draft}.html", "/notes/%7Bdraft%7D.html"),
    ];
    let mut expected = typed.map(|(_, item)| item);
    expected.sort_unstable();
    let texts = typed.map(|(text, _)| text);
    account.invalidate(&[&["--distribution", &account.id], texts.as_slice()].concat()).ended_with(0);
    assert_eq!(account.sent(), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_come_from_standard_input_too() {
    let account = Account::new().await;
    account.invalidate_lines(&["/typed/", "-"], "/a.html\n\n  b c.html  \r\n/a.html\n/last").ended_with(0);
    assert_eq!(account.sent(), [["/a.html", "/b%20c.html", "/last", "/typed/"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tilde_which_cloudfront_cannot_take_becomes_a_wildcard_with_a_note() {
    let account = Account::new().await;
    let done = account.invalidate(&["/assets/vendors~main.js", "/old/%7Euser/"]).ended_with(0);
    assert_eq!(account.sent(), [["/assets/vendors*", "/old/*"]]);
    done.says("cannot invalidate a path with `~`");
    done.says("/assets/vendors* covers it");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_cloudfront_takes_at_once_goes_in_several_requests() {
    let account = Account::new().await;
    let lines: String = (0..301).map(|number| format!("/{number:03}\n")).collect();
    let report = account.invalidate_lines(&["--json", "-"], &lines).ended_with(0).json();
    let sent = account.sent();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [150, 150, 1]);
    assert_eq!(sent.concat().join("\n"), lines.trim_end());
    assert_eq!(account.requests("CreateInvalidation"), 3);
    assert_eq!(report["invalidations"].as_array().unwrap().len(), 3, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evicted_url_is_fetched_again_and_another_stays_cached() {
    let account = Account::new().await;
    let put = |key: &'static str, body: &'static str| {
        let put = s3(&account.edge).put_object().bucket("site").key(key).content_type("text/html");
        put.body(ByteStream::from_static(body.as_bytes())).send()
    };
    let viewer = account.edge.viewer_url();
    put("caf\u{e9}.html", "old").await.unwrap();
    put("other.html", "old").await.unwrap();
    for path in ["/caf%C3%A9.html", "/other.html"] {
        assert_eq!(http::get(&viewer, path).await.text(), "old");
    }
    put("caf\u{e9}.html", "new").await.unwrap();
    put("other.html", "new").await.unwrap();

    account.invalidate(&["caf\u{e9}.html"]).ended_with(0);
    let evicted = http::get(&viewer, "/caf%C3%A9.html").await;
    let other = http::get(&viewer, "/other.html").await;
    assert_eq!((evicted.text().as_str(), evicted.header("x-cache")), ("new", Some("Miss from shipfront-edge")));
    assert_eq!((other.text().as_str(), other.header("x-cache")), ("old", Some("Hit from shipfront-edge")));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_cloudfront_unless_asked_not_to() {
    let account = Account::new().await;
    account.edge.set_invalidation_progress(Progress::Polls(1));
    let waited = account.invalidate(&["--json", "/a"]).ended_with(0).json();
    assert_eq!(waited["invalidations"][0]["status"], "Completed");

    account.edge.clear_requests();
    let left = account.invalidate(&["--json", "--no-wait", "/b"]).ended_with(0).json();
    assert_eq!(left["invalidations"][0]["status"], "InProgress");
    assert_eq!(account.requests("GetInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_takes_too_long_is_a_warning_not_a_failure() {
    let account = Account::new().await;
    account.edge.set_invalidation_progress(Progress::Polls(u64::MAX));
    let done = account.invalidate(&["--wait-timeout", "0s", "/a"]).ended_with(0);
    done.says("warning: CloudFront accepted the invalidation but did not complete it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_and_the_exit_code_says_stale() {
    let account = Account::new().await;
    account.refuse("CreateInvalidation", 403, "AccessDenied");
    let refused = account.invalidate(&["--json", "/a"]).ended_with(4);
    refused.says("cloudfront:CreateInvalidation");
    let report = refused.json();
    assert_eq!(report["outcome"], "stale");
    assert_eq!(report["invalidations"][0]["status"], "failed");
    assert_eq!(report["invalidations"][0]["id"], Value::Null);
    assert!(report["errors"][0]["hint"].as_str().unwrap().contains("cloudfront:CreateInvalidation"), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cloudfront_would_refuse_or_ignore_is_never_sent() {
    let account = Account::new().await;
    for (arguments, said) in [
        (&[][..], "PATH"),
        (&["", "  "], "no path to invalidate"),
        (&["#two words"], "not a cache tag"),
        (&["/a%2A"], "%2A"),
        (&["s3://site/a"], "not the address of a web page"),
        (&["--wait-timeout", "soon", "/a"], "is not a duration"),
    ] {
        account.invalidate(arguments).ended_with(2).says(said);
    }
    account.invalidate_lines(&["-"], "\n\n").ended_with(2).says("no path to invalidate");
    account.invalidate(&[&format!("/{}", "x".repeat(4000))]).ended_with(2).says("4001 characters");
    assert_eq!(account.requests("CreateInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_whatever_they_are_wrapped_are_the_paths_that_viewers_ask_for() {
    let account = Account::new().await;
    let lines = "\u{feff}./blog/index.html\r\n\"caf\\303\\251.html\"\n'/a b.html'\n</news/>\n\n/%7Bx%7D\0z.html\0";
    account.invalidate_lines(&["-", "--distribution", &account.id], lines).ended_with(0);
    let expected = ["/%7Bx%7D", "/a%20b.html", "/blog/index.html", "/caf%C3%A9.html", "/news/", "/z.html"];
    assert_eq!(account.sent(), [expected]);
    // A page may link to either case: both are sent.
    account.invalidate(&["/caf%c3%a9.html", "--distribution", &account.id]).ended_with(0);
    assert_eq!(account.sent()[1], ["/caf%C3%A9.html", "/caf%c3%a9.html"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_path_is_refused_by_name_and_nothing_is_sent() {
    let account = Account::new().await;
    for text in [
        "M\tindex.html",
        "\"/a",
        "[blog]",
        "blog\\index.html",
        "../index.html",
        "www.example.com/a",
        "//www.example.com/a",
        "/a, /b",
        "a\u{1b}.html",
    ] {
        let run = account.invalidate(&["/right/", text, "--distribution", &account.id]).ended_with(2);
        run.says(&format!("cannot invalidate {text:?}"));
        run.says("hint:");
    }
    assert!(account.sent().is_empty());
}
