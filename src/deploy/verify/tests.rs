use crate::deploy::verify::*;
use proptest::prelude::*;

const NEW: &str = "900150983cd24fb0d6963f7d28e17f72";
const OLD: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn check(expected: Expected) -> Check {
    Check {
        key: "about/index.html".to_owned(),
        path: "/about/index.html".to_owned(),
        others: vec!["/about/index.html".to_owned(), "/about/".to_owned(), "/about".to_owned()],
        expected,
        before: vec![Etag::parse(OLD)],
        keeps_headers: true,
    }
}

fn page() -> Check {
    let etag = Etag::parse(NEW);
    let headers = Headers { content_type: "text/html; charset=utf-8".to_owned(), ..Headers::default() };
    check(Expected::Object { size: 3, content: etag.clone(), etag, headers: Box::new(headers) })
}

/// The page, stored with other headers.
fn stored(change: impl FnOnce(&mut Headers)) -> Check {
    let mut check = page();
    if let Expected::Object { headers, .. } = &mut check.expected {
        change(headers);
    }
    check
}

fn named(name: &str, value: Option<&str>, answer: Answer) -> Answer {
    let mut answer = answer;
    answer.headers[COMPARED.iter().position(|compared| *compared == name).unwrap()] = value.map(str::to_owned);
    answer
}

/// The difference, if it is bad enough to end the run.
fn different(check: &Check, answer: &Answer) -> Option<String> {
    match check.difference(&"https://www.example.com".parse().unwrap(), answer) {
        Some(Wrong::Different(found)) => Some(found),
        Some(Wrong::Overridden(found) | Wrong::Unanswered(found)) => panic!("{found} is no difference"),
        None => None,
    }
}

fn fresh() -> Answer {
    let plain = Answer {
        status: 200,
        content_length: Some(3),
        etag: Some(NEW.to_owned()),
        bytes_match: Some(true),
        ..Answer::default()
    };
    named("Content-Type", Some("text/html;charset=UTF-8"), plain)
}

#[test]
fn an_answer_that_is_the_object_is_no_difference_and_all_else_is_named() {
    assert_eq!(different(&page(), &fresh()), None);
    let text = |text: &str| Some(text.to_owned());
    for (answer, said) in [
        (Answer { status: 403, ..fresh() }, "answers 403"),
        (Answer { status: 301, location: text("/x"), ..fresh() }, "redirects to /x"),
        (Answer { bytes_match: Some(false), ..fresh() }, "other content"),
        (Answer { bytes_match: Some(false), etag: text(OLD), ..fresh() }, "was there before"),
        (named("Content-Type", Some("text/plain"), fresh()), "Content-Type text/plain, not"),
        (named("Content-Type", None, fresh()), "Content-Type none"),
        (named("Content-Encoding", Some("br"), fresh()), "Content-Encoding br, not none"),
        (named("Cache-Control", Some("no-cache"), fresh()), "Cache-Control no-cache, not none"),
        (named("Content-Disposition", Some("attachment"), fresh()), "Content-Disposition attachment, not none"),
        (named("Content-Language", Some("cy"), fresh()), "Content-Language cy, not none"),
        (Answer { bytes_match: None, content_length: Some(4), ..fresh() }, "another object"),
        (Answer { bytes_match: None, etag: text("\"x\""), ..fresh() }, "another object"),
    ] {
        let found = different(&page(), &answer).unwrap_or_else(|| panic!("{said}"));
        assert!(found.contains(said), "{found} without {said}");
    }
    let unread = Answer { bytes_match: None, etag: None, content_length: None, ..fresh() };
    assert_eq!(different(&page(), &unread), None, "a large object behind a function that drops headers");
}

#[test]
fn headers_are_those_that_were_stored_however_they_are_spaced() {
    let headed = |headers: &mut Headers| {
        headers.cache_control = Some("max-age=0, s-maxage=60".to_owned());
        headers.content_disposition = Some("attachment".to_owned());
        headers.content_language = Some("cy".to_owned());
    };
    let whole = named("Content-Disposition", Some("attachment"), named("Content-Language", Some("CY"), fresh()));
    let whole = named("Cache-Control", Some("max-age=0,s-maxage=60"), whole);
    assert_eq!(different(&stored(headed), &whole), None);
    for name in ["Cache-Control", "Content-Disposition", "Content-Language"] {
        let found = different(&stored(headed), &named(name, None, whole.clone())).unwrap();
        assert!(found.contains(&format!("the {name} none, not ")), "{found}");
    }
}

#[test]
fn where_headers_may_be_set_on_the_way_another_one_ends_no_run_and_other_bytes_do() {
    let check = Check { keeps_headers: false, ..page() };
    let site = "https://www.example.com".parse().unwrap();
    let other = named("Cache-Control", Some("no-cache"), fresh());
    let found = check.difference(&site, &other).unwrap();
    assert_eq!(found, Wrong::Overridden("has the Cache-Control no-cache, not none".to_owned()));
    let bytes = Answer { bytes_match: Some(false), ..other };
    assert!(different(&check, &bytes).unwrap().contains("other content"));
}

#[test]
fn what_is_encoded_or_decoded_on_the_way_is_known_by_its_etag() {
    let gzip = named("Content-Encoding", Some("gzip"), Answer { bytes_match: Some(false), ..fresh() });
    assert!(different(&page(), &gzip).unwrap().contains("Content-Encoding gzip, not none"));
    let tolerant = Check { keeps_headers: false, ..page() };
    let site = "https://www.example.com".parse().unwrap();
    for length in [None, Some(2)] {
        let gzip = Answer { content_length: length, ..gzip.clone() };
        assert!(matches!(tolerant.difference(&site, &gzip), Some(Wrong::Overridden(_))), "{length:?}");
    }
    let old = Answer { etag: Some(OLD.to_owned()), ..gzip.clone() };
    assert!(different(&tolerant, &old).unwrap().contains("was there before"));
    let other = Answer { etag: Some("\"x\"".to_owned()), ..gzip };
    assert!(different(&tolerant, &other).unwrap().contains("another object"));
    // Stored compressed, and served as it is.
    let brotli = stored(|headers| headers.content_encoding = Some("br".to_owned()));
    assert_eq!(different(&brotli, &named("Content-Encoding", Some("br"), fresh())), None);
    let wrong = named("Content-Encoding", Some("br"), Answer { bytes_match: Some(false), ..fresh() });
    assert!(different(&brotli, &wrong).unwrap().contains("other content"));
}

#[test]
fn a_redirect_object_answers_with_its_redirect_or_as_an_object() {
    let redirect = |to: &str| stored(|headers| headers.website_redirect = Some(to.to_owned()));
    let moved = |to: &str| Answer { status: 301, location: Some(to.to_owned()), ..Answer::default() };
    for (to, location) in [
        ("/new/", "/new/"),
        ("/new/", "http://www.example.com.s3-website.eu-west-1.amazonaws.com/new/"),
        ("/new page/", "/new%20page/"),
        ("https://other.example/x", "https://other.example/x"),
    ] {
        assert_eq!(different(&redirect(to), &moved(location)), None, "{to} {location}");
    }
    assert_eq!(different(&redirect("/new/"), &fresh()), None, "a REST endpoint");
    for (to, location) in [("/new/", "/old/"), ("/new/", "/new/?x"), ("https://other.example/x", "/x")] {
        assert!(different(&redirect(to), &moved(location)).unwrap().contains("not to"), "{to} {location}");
    }
    let gone = Answer { status: 404, ..Answer::default() };
    assert_eq!(different(&redirect("/new/"), &gone).as_deref(), Some("answers 404"));
    // This does not lead to another URL of the same key.
    let site = "https://www.example.com".parse().unwrap();
    assert_eq!(redirect("/about/").own_path(&site, "/about/"), None);
}

#[test]
fn where_no_configuration_tells_for_sure_only_the_old_object_is_a_difference() {
    let gone = check(Expected::NotBefore);
    let old = Answer { etag: Some(OLD.to_owned()), cache: Some("Hit, 9 s old".to_owned()), ..fresh() };
    assert_eq!(different(&gone, &old).as_deref(), Some("serves what was there before (Hit, 9 s old)"));
    for answer in [fresh(), Answer { status: 404, etag: Some(OLD.to_owned()), ..fresh() }, Answer::default()] {
        assert_eq!(different(&gone, &answer), None, "{answer:?}");
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
        let mut sample = Sample::of(most);
        for at in 0..count {
            sample.add(at);
            prop_assert!(sample.kept.len() <= 2 * most, "what is left out takes no room");
        }
        prop_assert_eq!(sample.seen, count);
        let chosen = sample.chosen();
        prop_assert_eq!(chosen.len(), count.min(most));
        prop_assert!(chosen.is_sorted());
        if count > 0 {
            prop_assert_eq!(chosen[0], 0);
            let gap = chosen.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            let coarser = if count > 2 * most { 2 } else { 1 };
            prop_assert!(gap <= coarser * count.div_ceil(most));
        }
    }
}
