//! Tests the tags that objects carry, and their form in a header.

use crate::tags::*;
use proptest::prelude::*;

fn tagger() -> Tagger {
    Tagger::new("s3://www.example.com")
}

fn upload<'a>(key: &'a str, references: &'a [String], deploy: &'a str, bytes: Bytes<'a>) -> Upload<'a> {
    Upload { key, references, deploy, bytes }
}

fn new(key: &str, deploy: &str) -> Tags {
    tagger().tags(&upload(key, &[], deploy, Bytes::New))
}

fn changed(key: &str, deploy: &str, previous: &Tags) -> Tags {
    tagger().tags(&upload(key, &[], deploy, Bytes::Changed { previous }))
}

fn shared(left: &Tags, right: &Tags) -> String {
    left.0.iter().filter(|tag| right.0.contains(tag)).map(|tag| char::from(tag.0[0])).collect()
}

#[test]
fn the_header_is_what_cloudfront_and_s3_take_however_much_there_is_to_say() {
    let references: Vec<String> = (0..200).map(|number| format!("js/{number}.js")).collect();
    let key = format!("{}the-{}.html", "deep/".repeat(60), "word-".repeat(60).replace("word", "wörd"));
    let mut tags = Tags::NONE;
    for deploy in 0..30 {
        let previous = tags;
        let bytes = Bytes::Changed { previous: &previous };
        tags = tagger().tags(&upload(&key, &references, &deploy.to_string(), bytes));
    }
    assert_eq!(tags.0.len(), MAX_TAGS);
    let header = tags.to_string();
    assert!(header.len() < 512, "{}", header.len());
    assert!(header.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b','));
    assert_eq!(tags.0[0], tagger().key(&key));
    assert!(tags.of(Family::Reference).count() >= 10, "{header}");
}

#[test]
fn an_item_is_the_tag_behind_a_hash_sign() {
    let tag = tagger().key("a");
    assert_eq!(tag.item(), format!("#{tag}"));
    assert_eq!(Tag::parse(&tag.to_string()), Some(tag));
}

#[test]
fn two_sites_behind_a_distribution_share_no_tag() {
    let other = Tagger::new("s3://www.example.com/staging");
    let same = upload("a/index.html", &[], "d1", Bytes::New);
    assert_eq!(shared(&tagger().tags(&same), &other.tags(&same)), "");
}

#[test]
fn what_changed_together_shares_its_deploys_and_what_that_added_only_the_last() {
    let (old, older) = (new("a.html", "d1"), new("b.css", "d1"));
    let (old, older) = (changed("a.html", "d2", &old), changed("b.css", "d2", &older));
    let (old, older) = (changed("a.html", "d3", &old), changed("b.css", "d3", &older));
    let added = new("x/c.png", "d3");
    assert_eq!(shared(&old, &older), "vnuu");
    assert_eq!(shared(&old, &added), "v");
    let again = changed("a.html", "d4", &old);
    assert_eq!(shared(&again, &older), "uu", "the deploys before stay with it");
}

#[test]
fn an_object_remembers_its_last_deploys() {
    let mut tags = new("a.html", "d0");
    for deploy in 1..=40 {
        tags = changed("a.html", &format!("d{deploy}"), &tags);
    }
    let remembered: Vec<Tag> = tags.of(Family::Update).collect();
    let newest: Vec<Tag> =
        (29..=40).rev().map(|deploy| tagger().tag(Family::Update, &[&format!("d{deploy}")])).collect();
    assert_eq!(remembered, newest);
}

#[test]
fn an_upload_of_the_same_bytes_keeps_what_the_object_remembers() {
    let before = changed("a.html", "d2", &new("a.html", "d1"));
    let references = ["site.css".to_owned()];
    let after = tagger().tags(&upload("a.html", &references, "d3", Bytes::Same { previous: &before }));
    assert_eq!(shared(&before, &after).len(), before.0.len());
    assert_eq!(after.0.len(), before.0.len() + 1);
    let unknown = tagger().tags(&upload("a.html", &[], "d3", Bytes::Same { previous: &Tags::NONE }));
    assert_eq!((unknown.of(Family::Cohort).count(), unknown.of(Family::Update).count()), (0, 0));
}

#[test]
fn a_deploy_that_is_repeated_counts_once() {
    let once = changed("a.html", "d2", &new("a.html", "d1"));
    assert_eq!(changed("a.html", "d2", &once), once);
}

#[test]
fn a_topic_is_known_by_its_name_in_all_its_files() {
    let page = new("authors/ada-lovelace.html", "d1");
    assert_eq!(shared(&page, &new("feeds/ada-lovelace.atom.xml", "d2")), "nfww");
    assert_eq!(shared(&page, &new("people/Ada-Lovelace/index.html", "d2")), "ndfww");
    assert_eq!(shared(&page, &new("feeds/ada-byron.rss", "d2")), "nw");
    assert_eq!(shared(&new(".htaccess", "d1"), &new("index.html", "d2")), "n");
}

#[test]
fn a_directory_is_shared_by_files_of_a_kind() {
    let page = new("blog/2026/one.html", "d1");
    assert_eq!(shared(&page, &new("blog/2026/two.HTML", "d2")), "nddd");
    assert_eq!(shared(&page, &new("blog/2026/two.png", "d2")), "n");
    assert_eq!(shared(&page, &new("blog/2025/two.html", "d2")), "ndd");
}

#[test]
fn tags_go_through_a_record_and_what_is_not_ours_is_left_out() {
    let tags = new("a.html", "d1");
    let json = serde_json::to_string(&tags).unwrap();
    assert_eq!(serde_json::from_str::<Tags>(&json).unwrap(), tags);
    assert_eq!(Tags::parse(&format!("someone-elses, {tags} ,,KAAAAAAA,x2345672,k1234567")), tags);
    assert_eq!(Tags::parse("").to_string(), "");
}

#[test]
fn tags_that_would_be_derived_otherwise_are_not_remembered() {
    let tags = new("blog/a.html", "d1");
    assert!(tagger().remember("blog/a.html", &tags).is_some());
    let mut fewer = tags.clone();
    fewer.truncate(tags.0.len() - 1);
    assert!(tagger().remember("blog/a.html", &fewer).is_none());
    assert!(tagger().remember("blog/b.html", &tags).is_none());
    assert!(Tagger::new("s3://other").remember("blog/a.html", &tags).is_none());
}

#[test]
fn the_meaning_of_a_tag_is_reported_in_words() {
    let key = "blog/2026/hello-world.html";
    let tags = tagger().tags(&upload(key, &["a.css".to_owned()], "d1", Bytes::New));
    let meanings: Vec<String> = tags.0.iter().map(|tag| tagger().meaning(*tag, key)).collect();
    for meaning in [
        "all copies of blog/2026/hello-world.html",
        "what one deploy changed last, such as blog/2026/hello-world.html",
        ".html files",
        ".html files below blog/",
        ".html files below blog/2026/",
        "files named hello-world",
        "files with \"hello\" in their name",
        "what refers to a script or style sheet as blog/2026/hello-world.html does",
    ] {
        assert!(meanings.iter().any(|found| found == meaning), "{meaning}: {meanings:?}");
    }
}

proptest! {
    #[test]
    fn any_key_gives_tags_that_are_read_as_they_were_written(
        key in "[a-z/.é%~ -]{1,40}|index\\.html|\\.+|/+",
        references in prop::collection::vec("[a-z/]{0,5}", 0..80),
        most in TAGS_BEFORE_REFERENCES..=MAX_TAGS,
    ) {
        let tags = tagger().tags(&upload(&key, &references, "d", Bytes::New));
        prop_assert!(tags.0.len() <= MAX_TAGS);
        prop_assert_eq!(&Tags::parse(&tags.to_string()), &tags);
        let again = changed(&key, "e", &tags);
        for mut tags in [tags, again] {
            tags.truncate(most);
            let memory = tagger().remember(&key, &tags);
            prop_assert_eq!(tagger().restore(&key, &memory.unwrap()), tags);
        }
    }
}
