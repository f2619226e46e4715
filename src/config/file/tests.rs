//! Tests settings as they would be typed, and the errors about invalid ones.

use super::*;
use crate::exit::Exit;
use proptest::prelude::*;

fn values(text: &str, environment: Option<&str>, option: &str) -> Vec<String> {
    read(FILE_NAME, text, environment).unwrap().values(option).unwrap_or_default().to_vec()
}

fn problem(text: &str) -> (String, String) {
    let error = read(FILE_NAME, text, None).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    (error.to_string(), error.hint_text().to_owned())
}

#[test]
fn settings_are_as_they_would_be_typed() {
    let text = "max-paths = 0x10\nclean-urls = true\ndistribution = [\"E1\", \"E2\"]\nexclude = \"*.map\"\nprune-after = \"never\"";
    let settings = read(FILE_NAME, text, None).unwrap();
    assert_eq!(settings.values("max-paths").unwrap(), ["16"]);
    assert_eq!(settings.values("clean-urls").unwrap(), ["true"]);
    assert_eq!(settings.values("distribution").unwrap(), ["E1", "E2"]);
    assert_eq!(settings.values("exclude").unwrap(), ["*.map"]);
    assert_eq!(settings.values("prune-after").unwrap(), ["never"]);
    assert_eq!(settings.values("target"), None);
}

#[test]
fn a_section_overrides_the_rest_value_by_value() {
    let text = "target = \"s3://www\"\nmax-paths = 5\nexclude = [\"a\", \"b\"]\n[[headers]]\nfiles = \"*\"\n\
                [env.staging]\ntarget = \"s3://staging\"\nexclude = [\"c\"]\n[[env.bare.headers]]\nfiles = \"x\"\n";
    assert_eq!(values(text, None, "target"), ["s3://www"]);
    assert_eq!(values(text, Some("staging"), "target"), ["s3://staging"]);
    assert_eq!(values(text, Some("staging"), "max-paths"), ["5"]);
    assert_eq!(values(text, Some("staging"), "exclude"), ["c"], "a list is one value");
    let rules = |environment| read(FILE_NAME, text, environment).unwrap().headers()[0].files.0[0].to_string();
    assert_eq!((rules(Some("staging")), rules(Some("bare"))), ("*".to_owned(), "x".to_owned()));
    let error = read(FILE_NAME, text, Some("stagin")).unwrap_err();
    assert!(error.to_string().contains("[env.stagin]") && error.hint_text().contains("\"staging\""));
}

#[test]
fn an_unknown_key_is_reported_with_its_place_and_the_nearest_known_one() {
    for (text, place, near) in [
        ("source = \"public\"\n  max_paths = 5", "shipfront.toml:2:3: unknown key \"max_paths\"", "\"max-paths\""),
        ("distributions = []", "shipfront.toml:1:1:", "\"distribution\""),
        ("[env.staging]\ntraget = \"s3://x\"", "shipfront.toml:2:1:", "\"target\""),
        ("[[headers]]\nfiles = \"*\"\ncache-contol = \"x\"", "shipfront.toml:3:1:", "\"cache-control\""),
        ("[[header]]\nfiles = \"*\"", "shipfront.toml:1:3:", "\"headers\""),
        ("zzzzzzzz = 1", "shipfront.toml:1:1:", "known are source, "),
        ("[env.x.env.y]\ntarget = \"s3://bucket\"", "unknown key \"env\"", ""),
        ("shard = \"1/2\"", "a single run", "SHIPFRONT_SHARD"),
    ] {
        let (reported, hint) = problem(text);
        assert!(reported.contains(place) && hint.contains(near), "{text}: {reported}; {hint}");
    }
}

#[test]
fn a_wrong_value_is_reported_with_its_place() {
    for (text, reported) in [
        ("max-paths = 0", "1:13: max-paths: write 'auto', or a number from 1"),
        ("max-paths = \"many\"", "1:13: max-paths: write 'auto', or a number from 1"),
        ("max-paths = true", "1:13: max-paths: expected a number or \"auto\", not"),
        ("max-wildcards = \"5\"", "1:17: max-wildcards: expected a number, not a string"),
        ("max-paths = -1", "max-paths: "),
        ("max-paths = 1.5", "not a fraction"),
        ("max-paths = 99999999999999999999", "max-paths: "),
        ("clean-urls = \"yes\"", "1:14: clean-urls: expected true or false"),
        ("strategy = \"best\"", "\"best\" is not one of cover, exact, all"),
        ("target = \"www.example.com\"", "1:10: target: \"www.example.com\" is not an s3:// URL"),
        ("target = \"\"", "empty"),
        ("\nprune-after = \"5\"", "2:15: prune-after: "),
        ("exclude = [\"a\",\n \"b[\"]", "2:2: exclude: "),
        ("exclude = [1]", "1:12: exclude: expected a string"),
        ("distribution = \"E 1\"", "1:16: distribution: "),
        ("record = \"s3://bucket\"", "1:10: record: "),
        ("no-record = true\nadopt = true", "cannot be used with"),
        ("headers = 1", "1:11: headers: "),
        ("[[headers]]\ncache-control = \"x\"", "headers: missing field \"files\""),
        ("[[headers]]\nfiles = \"a[\"", "2:9: headers: "),
        ("[[headers]]\nfiles = \"*\"\nacl = \"all\"", "3:7: headers: "),
        ("env = 1", "1:7: env: "),
        ("[env]\nstaging = 1", "2:11: env.staging: "),
        ("source = ", "shipfront.toml:1:"),
        ("a = 1\na = 2", "shipfront.toml:2:1: duplicate key"),
        ("é = \"x", "shipfront.toml:1:"),
    ] {
        let (problem, _) = problem(text);
        assert!(problem.contains(reported), "{text}: {problem}");
    }
}

proptest! {
    #[test]
    fn whatever_the_text_it_is_read_or_refused(text in "[a-z\\[\\]{}=\"'#.,*\\\\0-9é\n -]{0,60}") {
        let _ = read(FILE_NAME, &text, Some("a"));
        let _ = read(FILE_NAME, &format!("exclude = [\"{text}\"]"), None);
    }
}
