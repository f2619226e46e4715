use super::*;
use crate::viewer::encoding::encode_key;
use proptest::prelude::*;

fn typed(text: &str) -> String {
    path_from_input(text).unwrap_or_else(|error| panic!("{text}: {error}")).path
}

#[test]
fn what_people_type_becomes_the_path_to_send() {
    for (text, path) in [
        ("blog/", "/blog/"),
        ("/img/*", "/img/*"),
        ("*", "/*"),
        ("https://www.example.com/a b?x=1", "/a%20b?x=1"),
        ("HTTP://example.com", "/"),
        ("https://example.com?x=1", "/?x=1"),
        ("https://example.com/a#top", "/a"),
        ("docs/c#.html", "/docs/c%23.html"),
        ("/a%20b", "/a%20b"),
        ("/a%20b c", "/a%20b%20c"),
        ("ü", "/%C3%BC"),
        ("100%", "/100%25"),
        ("50%-off", "/50%25-off"),
        ("/a%2Bb+c", "/a%2Bb+c"),
        ("/go?to=http://example.com/", "/go?to=http://example.com/"),
        ("/find?q=%26a%2fb", "/find?q=%26a%2fb"),
    ] {
        assert_eq!(typed(text), path, "{text}");
    }
}

#[test]
fn what_is_around_a_path_is_no_part_of_it() {
    for text in [
        "./café.html",
        "\u{feff}café.html",
        "\u{200b}/café.html\u{a0}",
        "/./café.html",
        "\"café.html\"",
        "\"caf\\303\\251.html\"",
        "'/café.html'",
        "`/café.html`",
        "“/café.html”",
        "</café.html>",
        "<https://www.example.com/café.html>",
        "(/café.html)",
        "[\"/café.html\"]",
        "  \"/café.html\",",
    ] {
        let found = path_from_input(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((found.path.as_str(), found.others), ("/caf%C3%A9.html", Vec::new()), "{text}");
    }
    assert_eq!(typed("."), "/");
    assert_eq!(typed("blog/."), "/blog/");
}

#[test]
fn names_that_git_quotes_are_the_names_of_files() {
    for (quoted, path) in [
        (r#""caf\303\251 men\303\274.html""#, "/caf%C3%A9%20men%C3%BC.html"),
        (r#""a\"b.html""#, "/a%22b.html"),
        (r#""a\\b.html""#, "/a%5Cb.html"),
        (r#""tab\there""#, "/tab%09here"),
        (r#""bell\007""#, "/bell%07"),
        (r##""#\303\251""##, "/%23%C3%A9"),
        (r#""what?\303\251""#, "/what%3F%C3%A9"),
    ] {
        assert_eq!(typed(quoted), path, "{quoted}");
    }
    for broken in [r#""a\x41""#, r#""a\30""#, r#""a\389""#, r#""\377\376""#, "\"\\"] {
        assert_eq!(path_from_input(broken), Err(PathError::Quotes), "{broken}");
    }
}

#[test]
fn triplets_are_as_browsers_send_them_in_whichever_case_they_are_typed() {
    let found = path_from_input("/caf%c3%a9.html").unwrap();
    assert_eq!((found.path.as_str(), found.others), ("/caf%C3%A9.html", vec!["/caf%c3%a9.html".to_owned()]));
    assert_eq!(path_from_input("/caf%C3%A9.html").unwrap().others, [""; 0]);
    for (text, path) in [
        ("/%61bout.html", "/about.html"),
        ("blog%2Findex.html", "/blog/index.html"),
        ("/a%2Fb", "/a%2Fb"),
        ("https://www.example.com/a%2Fb", "/a%2Fb"),
        ("it%27s%281%29.html", "/it's(1).html"),
        ("/caf%E9.html", "/caf%E9.html"),
        ("/100%25.txt", "/100%25.txt"),
    ] {
        let found = path_from_input(text).unwrap();
        assert_eq!((found.path.as_str(), found.others), (path, Vec::new()), "{text}");
    }
}

#[test]
fn a_name_in_decomposed_characters_is_sent_composed_too() {
    for text in ["cafe\u{301}.html", "/cafe%CC%81.html", r#""cafe\314\201.html""#] {
        let found = path_from_input(text).unwrap();
        assert_eq!((found.path.as_str(), found.others), ("/cafe%CC%81.html", vec!["/caf%C3%A9.html".to_owned()]));
    }
}

#[test]
fn a_typed_tilde_in_any_spelling_becomes_the_longest_wildcard_before_it() {
    for text in ["/js/vendors~a.js", "/js/vendors%7Ea", "js/vendors%7e*"] {
        let found = path_from_input(text).unwrap();
        assert_eq!(found.path, "/js/vendors*", "{text}");
        assert_eq!(found.notes.len(), 1);
    }
    assert_eq!(typed("/~alice/"), "/*");
}

#[test]
fn a_star_in_the_middle_is_kept_and_explained() {
    let found = path_from_input("/img/*/x.png").unwrap();
    assert_eq!(found.path, "/img/*/x.png");
    assert!(found.notes[0].contains("only a `*` at the end"));
    assert!(path_from_input("/img/*").unwrap().notes.is_empty());
}

#[test]
fn text_that_cloudfront_would_refuse_or_ignore_is_refused_with_a_hint() {
    for (text, error) in [
        ("", PathError::Empty),
        ("  ", PathError::Empty),
        ("\"\"", PathError::Empty),
        ("#k-12", PathError::CacheTag),
        ("s3://bucket/key", PathError::NotHttp),
        ("//www.example.com/a", PathError::NoScheme),
        ("www.example.com/a", PathError::NoScheme),
        ("/img/%2A", PathError::EncodedWildcard),
        ("/img/%2a", PathError::EncodedWildcard),
        ("\"/a", PathError::Quotes),
        ("/a'", PathError::Quotes),
        ("[blog]", PathError::Brackets),
        ("[\"/a\", \"/b\"]", PathError::Brackets),
        ("[a page](/a)", PathError::Brackets),
        ("M\tindex.html", PathError::ControlCharacter),
        ("a\u{1b}.html", PathError::ControlCharacter),
        (" M x.html", PathError::GitLine),
        ("M  x.html", PathError::GitLine),
        ("?? x.html", PathError::GitLine),
        ("R  a.html -> b.html", PathError::GitLine),
        ("diff --git a/x b/x", PathError::GitLine),
        ("+++ b/x", PathError::GitLine),
        ("@@ -1 +1 @@", PathError::GitLine),
        ("blog\\index.html", PathError::Backslash),
        ("../index.html", PathError::Above),
        ("/a/%2e%2e/b", PathError::Above),
        ("/a,/b", PathError::Several),
        ("/a, /b", PathError::Several),
        ("/a /b", PathError::Several),
        ("/a,", PathError::Several),
    ] {
        assert_eq!(path_from_input(text), Err(error.clone()), "{text}");
        assert!(!error.hint().is_empty() && !error.to_string().is_empty());
    }
    let long = "ü".repeat(700);
    assert_eq!(path_from_input(&long), Err(PathError::TooLong(4_201)));
    assert_eq!(typed(&"a".repeat(3_999)).len(), MAX_PATH_CHARACTERS);
}

proptest! {
    #[test]
    fn the_path_of_a_key_is_read_as_itself(key in "[a-zäé%& ?#\\[(+*'\"]{0,10}[a-z]") {
        let path = encode_key(&key);
        prop_assume!(!key.contains('*'));
        let found = path_from_input(&path);
        prop_assert_eq!(found.map(|found| found.path), Ok(path));
    }

    #[test]
    fn whatever_the_text_what_is_sent_is_printable_and_comes_back_as_itself(text in any::<String>()) {
        if let Ok(found) = path_from_input(&text) {
            for path in found.others.iter().chain([&found.path]) {
                prop_assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{}", path);
            }
            // Text that is refused only as a precaution, such as a trailing comma, was typed encoded.
            if let Ok(again) = path_from_input(&found.path) {
                prop_assert_eq!(again.path, found.path);
            }
        }
    }
}

#[test]
fn a_control_character_at_an_end_is_one_of_the_name() {
    for text in ["\u{85}.html", "a.html\u{c}", "\u{b}a"] {
        assert_eq!(path_from_input(text), Err(PathError::ControlCharacter), "{text:?}");
    }
    assert_eq!(path_from_input("\ta.html\r\n").unwrap().path, "/a.html");
}

#[test]
fn a_renamed_file_and_two_paths_in_quotation_marks_are_not_one_path() {
    for text in ["old.html -> new.html", "{a => b}/x.html", "\"/a\" \"/b\"", "'/a' '/b'", "a → b"] {
        assert_eq!(path_from_input(text), Err(PathError::Several), "{text}");
    }
    for text in ["a->b.html", "it's a 'b'.html", "a=>b"] {
        assert!(path_from_input(text).is_ok(), "{text}");
    }
}
