use super::*;
use proptest::prelude::*;

const NEW: &str = "900150983cd24fb0d6963f7d28e17f72";
const OLD: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn check(expected: Expected) -> Check {
    Check {
        key: "about/index.html".to_owned(),
        path: "/about/index.html".to_owned(),
        others: vec!["/about/index.html".to_owned(), "/about/".to_owned(), "/about".to_owned()],
        expected,
        before: Some(Etag::parse(OLD)),
    }
}

fn page() -> Check {
    let etag = Etag::parse(NEW);
    let content_type = "text/html; charset=utf-8".to_owned();
    check(Expected::Object { size: 3, content: etag.clone(), etag, content_type, content_encoding: None })
}

fn fresh() -> Answer {
    Answer {
        status: 200,
        content_type: Some("text/html;charset=UTF-8".to_owned()),
        content_length: Some(3),
        etag: Some(NEW.to_owned()),
        bytes_match: Some(true),
        ..Answer::default()
    }
}

#[test]
fn an_answer_that_is_the_object_is_no_difference_and_all_else_is_named() {
    assert_eq!(page().difference(&fresh()), None);
    let text = |text: &str| Some(text.to_owned());
    for (answer, said) in [
        (Answer { status: 403, ..fresh() }, "answers 403"),
        (Answer { status: 301, location: text("/x"), ..fresh() }, "leads to /x"),
        (Answer { bytes_match: Some(false), ..fresh() }, "other bytes"),
        (Answer { bytes_match: Some(false), etag: text(OLD), ..fresh() }, "was there before"),
        (Answer { content_type: text("text/plain"), ..fresh() }, "Content-Type text/plain, not"),
        (Answer { content_type: None, ..fresh() }, "Content-Type none"),
        (Answer { content_encoding: text("br"), ..fresh() }, "Content-Encoding br, not none"),
        (Answer { bytes_match: None, content_length: Some(4), ..fresh() }, "another object"),
        (Answer { bytes_match: None, etag: text("\"x\""), ..fresh() }, "another object"),
    ] {
        let found = page().difference(&answer).unwrap_or_else(|| panic!("{said}"));
        assert!(found.contains(said), "{found} without {said}");
    }
    let unread = Answer { bytes_match: None, etag: None, content_length: None, ..fresh() };
    assert_eq!(page().difference(&unread), None, "a large object behind a function that drops headers");
}

#[test]
fn where_no_configuration_tells_for_sure_only_the_old_object_is_a_difference() {
    let gone = check(Expected::NotBefore);
    let old = Answer { etag: Some(OLD.to_owned()), cache: Some("Hit, 9 s old".to_owned()), ..fresh() };
    assert_eq!(gone.difference(&old).as_deref(), Some("is what was there before (Hit, 9 s old)"));
    for answer in [fresh(), Answer { status: 404, etag: Some(OLD.to_owned()), ..fresh() }, Answer::default()] {
        assert_eq!(gone.difference(&answer), None, "{answer:?}");
    }
}

#[test]
fn a_redirect_is_followed_only_to_another_url_of_the_same_key() {
    let site: Site = "https://www.example.com".parse().unwrap();
    let own = |location: &str| page().own_path(&site, location);
    assert_eq!(own("/about/").as_deref(), Some("/about/"));
    assert_eq!(own("https://www.example.com/about").as_deref(), Some("/about"));
    for elsewhere in
        ["/other/", "http://www.example.com/about/", "https://example.com/about/", "//x/about/", "/about/?a", ".", ""]
    {
        let found = own(elsewhere);
        assert!(found.is_none() || elsewhere == ".", "{elsewhere}: {found:?}");
    }
}

#[test]
fn a_site_is_a_scheme_and_a_host() {
    for good in ["https://www.example.com", "https://www.example.com/", "http://127.0.0.1:8650"] {
        assert_eq!(good.parse::<Site>().unwrap().to_string(), good.trim_end_matches('/'));
    }
    for bad in [
        "www.example.com",
        "s3://www.example.com",
        "https://x.example/blog",
        "https://u@x.example",
        "https://x.example/?a",
    ] {
        assert!(bad.parse::<Site>().is_err(), "{bad}");
    }
}

#[test]
fn of_several_distributions_the_one_with_the_host_name_is_looked_at() {
    let shape = |hosts: &[&str], readable| DistributionShape {
        aliases: hosts.iter().map(|&host| host.to_owned()).collect(),
        readable,
        ..DistributionShape::default()
    };
    let id = |id: &str| DistributionId::Distribution(id.to_owned());
    let site: Site = "https://www.example.com".parse().unwrap();
    let both = [
        (id("A"), shape(&["staging.example.com"], true)),
        (id("B"), shape(&["*.example.org", "www.example.com"], true)),
    ];
    assert_eq!(site.distribution(&both).unwrap(), id("B"));
    assert_eq!(site.distribution(&both[..1]).unwrap(), id("A"), "the only one, whatever its names");
    assert!(site.distribution(&[]).is_err());
    assert!(site.distribution(&[(id("A"), shape(&[], false))]).is_err());
    let neither = [(id("A"), shape(&[], true)), (id("B"), shape(&[], true))];
    assert!(site.distribution(&neither).is_err());
}

proptest! {
    #[test]
    fn a_sample_is_spread_over_all_and_never_larger_than_allowed(count in 0..2000usize, most in 1..300usize) {
        let chosen = sample((0..count).collect(), most);
        prop_assert_eq!(chosen.len(), count.min(most));
        prop_assert!(chosen.is_sorted());
        if count > 0 {
            prop_assert_eq!(chosen[0], 0);
            let gap = chosen.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            prop_assert!(gap <= count.div_ceil(most));
        }
    }
}
