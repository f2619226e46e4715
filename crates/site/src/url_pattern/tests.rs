use super::*;
use proptest::prelude::*;

#[test]
fn a_pattern_matches_what_its_platforms_say_it_does() {
    let cases: [(&str, &[&str], &[&str]); 12] = [
        ("/*", &["/", "/a", "/a/b.html"], &[]),
        ("/secure/page", &["/secure/page", "/secure/page/"], &["/secure/pages"]),
        ("/secure/page/", &["/secure/page", "/secure/page/"], &["/secure/pages"]),
        ("/blog/*", &["/blog", "/blog/", "/blog/a/b"], &["/blogs/a"]),
        ("/blog*", &["/blog", "/blogs/a"], &["/blo"]),
        ("/*.js", &["/a.js", "/x/y/a.js"], &["/a.json"]),
        ("/**/*.html", &["/x/a.html", "/x/y/a.html"], &["/a.html", "/x/a.css"]),
        ("/*/payload.json", &["/payload.json", "/x/y/payload.json"], &["/xpayload.json"]),
        ("/:year/:slug", &["/2026/hello", "/2026/hello/"], &["/2026", "/2026/", "/2026/a/b"]),
        ("/movies/:title.json", &["/movies/x.json", "/movies/a.b.json"], &["/movies/.json", "/movies/a/b.json"]),
        ("/at/12:30", &["/at/12:30"], &["/at/12x"]),
        ("/caf\u{e9}", &["/caf%C3%A9"], &["/caf"]),
    ];
    for (pattern, matching, others) in cases {
        let pattern = UrlPattern::parse(pattern).unwrap();
        for path in matching {
            assert!(pattern.matches(path), "{pattern} matches {path}");
        }
        assert!(!others.iter().any(|path| pattern.matches(path)), "{pattern} matches none of {others:?}");
    }
}

#[test]
fn for_cloudflare_a_slash_counts_and_a_name_is_anywhere() {
    let pattern = |text| UrlPattern::parse_as(text, Platform::Cloudflare).unwrap();
    assert!(!pattern("/a").matches("/a/") && !pattern("/a/*").matches("/a") && pattern("/a/*").matches("/a/"));
    assert_eq!(pattern("/x-:id.html").captures("/x-7.html"), Some(vec!["7"]));
    assert!(pattern("/at/12:30").matches("/at/12:30"));
}

#[test]
fn what_is_captured_is_as_long_as_it_can_be() {
    let captures = |pattern: &str, path| UrlPattern::parse(pattern).unwrap().captures(path);
    assert_eq!(captures("/a/*", "/a"), Some(vec![""]));
    assert_eq!(captures("/a/*", "/a/b/c/"), Some(vec!["b/c/"]));
    assert_eq!(captures("/*/b/:x", "/b/b/b/c"), Some(vec!["b/b", "c"]));
    assert_eq!(captures("/a*-*", "/ab-c-d"), Some(vec!["b-c", "d"]));
}

#[test]
fn what_is_no_pattern_says_why() {
    for (text, why) in [("a", "slash"), ("/*********", "more than 8"), ("/:a/:a", "more than once"), ("/a?b", "query")]
    {
        assert!(UrlPattern::parse(text).unwrap_err().contains(why), "{text}");
    }
}

#[test]
fn triplets_are_the_same_in_either_case() {
    assert_eq!(as_sent("/caf%c3%a9 \u{e9}%zz%"), "/caf%C3%A9%20%C3%A9%zz%");
    assert!(UrlPattern::parse("/caf%c3%a9").unwrap().matches(&as_sent("/caf%C3%a9")));
}

#[test]
fn a_page_is_found_by_every_url_that_shows_it() {
    let paths = |key: &str| paths_of(key).collect::<Vec<_>>();
    assert_eq!(paths("blog/index.html"), ["/blog/index.html", "/blog/", "/blog"]);
    assert_eq!(paths("index.html"), ["/index.html", "/"]);
    assert_eq!(paths("about.html"), ["/about.html", "/about"]);
    assert_eq!(paths("myindex.html"), ["/myindex.html", "/myindex"]);
    assert_eq!(paths("a b%.css"), ["/a%20b%25.css"]);
}

#[test]
fn a_pattern_of_many_names_and_stars_is_decided_at_once() {
    let names: String = (0..40).map(|at| format!("/:n{at}")).collect();
    let pattern = UrlPattern::parse(&format!("/*{names}/z")).unwrap();
    assert!(!pattern.matches(&"/a".repeat(1000)));
    assert!(pattern.matches(&format!("{}/z", "/a".repeat(1000))));
    let pattern = UrlPattern::parse("/*a*a*a*a*a*a*b").unwrap();
    assert!(!pattern.matches(&format!("/{}", "a".repeat(300))));
}

proptest! {
    #[test]
    fn reading_and_matching_never_break_down(text in "[/:*a-cé?.%]{0,12}", path in "[/a-cé.%]{0,12}") {
        for platform in [Platform::Netlify, Platform::Cloudflare] {
            if let Ok(pattern) = UrlPattern::parse_as(&text, platform) {
                if let Some(captures) = pattern.captures(&path) {
                    prop_assert_eq!(captures.len(), pattern.captured().count());
                }
                prop_assert_eq!(UrlPattern::parse_as(&pattern.to_string(), platform), Ok(pattern));
            }
        }
    }
}
