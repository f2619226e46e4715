//! Uploads whose bytes arrive otherwise than they were sent, and stores that do not know the checksum that S3 verifies.

use super::SITE;
use crate::world::site::{ALWAYS, BUCKET, World, denied};
use shipfront_edge::{Alteration, Fault};
use std::collections::BTreeMap;

const CHECKSUM: &str = "x-amz-checksum-crc64nvme";

/// Makes the upload of a page arrive with this checksum, or with none, and its answer have this ETag, if there is one.
fn alter(world: &World, checksum: Option<&str>, etag: Option<&str>) {
    let request_headers = vec![(CHECKSUM.to_owned(), checksum.map(str::to_owned))];
    let answer_headers = etag.map(|etag| ("etag".to_owned(), Some(etag.to_owned()))).into_iter().collect();
    let alteration = Alteration { request_headers, answer_headers, ..Alteration::default() };
    world.fault_of("PutObject", "about.html", 0, ALWAYS, Fault::Alter(Box::new(alteration)));
}

/// The headers of the uploads of a key.
fn uploads(world: &World, key: &str) -> Vec<BTreeMap<String, String>> {
    let requests = world.edge.requests().into_iter();
    let of_key = requests.filter(|request| request.operation == "PutObject" && request.key.as_deref() == Some(key));
    of_key.map(|request| request.headers).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_upload_has_its_checksum_and_is_signed_without_its_bytes() {
    let world = World::new(&SITE).await;
    world.deploy(&[]).expect(0);
    for (key, _) in SITE {
        let uploads = uploads(&world, key);
        assert_eq!(uploads.len(), 1, "{key}");
        assert!(uploads[0].contains_key(CHECKSUM) && !uploads[0].contains_key("content-md5"), "{uploads:?}");
        assert_eq!(uploads[0]["x-amz-content-sha256"], "UNSIGNED-PAYLOAD", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_etag_says_nothing_either_an_upload_is_sent_again_with_an_md5() {
    let world = World::new(&SITE).await;
    world.edge.set_opaque_etags(BUCKET, true).unwrap();
    alter(&world, None, None);
    world.deploy(&["--concurrency", "1"]).expect(0);
    let uploads = uploads(&world, "about.html");
    assert!(uploads.len() == 2 && uploads[1].contains_key("content-md5"), "{uploads:?}");
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_without_a_proof_is_invalidated_even_if_it_cannot_be_sent_again() {
    let world = World::deployed(&SITE).await;
    world.write("about.html", "edited");
    let alteration = Alteration { request_headers: vec![(CHECKSUM.to_owned(), None)], ..Alteration::default() };
    world.fault_of("PutObject", "about.html", 0, 1, Fault::Alter(Box::new(alteration)));
    world.fault_of("PutObject", "about.html", 1, 1, denied());
    let run = world.deploy(&[]);
    assert!(run.exit != 0, "{}", run.stdout);
    let invalidated = world.writes().into_iter().filter(|write| write.starts_with("INVALIDATE")).count();
    assert_eq!(invalidated, 1, "{:?}", world.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_arrive_as_they_were_sent_are_not_stored() {
    let world = World::new(&SITE).await;
    // As if the bytes were others.
    alter(&world, Some("AAAAAAAAAAA="), None);
    let run = world.deploy(&[]);
    assert!(run.exit != 0 && run.stderr.contains("about.html changed while it was sent"), "{}", run.stderr);
    assert!(!world.keys().contains(&"about.html".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_verifies_the_checksum_the_etag_is_compared() {
    let world = World::new(&SITE).await;
    alter(&world, None, None);
    let run = world.deploy(&[]).expect(0);
    assert_eq!((run.outcome(), run.objects("uploaded")), ("deployed", SITE.len() as u64));

    world.write("about.html", "edited");
    world.edge.faults().clear();
    alter(&world, None, Some("\"00000000000000000000000000000000\""));
    let run = world.deploy(&[]);
    assert!(run.exit != 0 && run.stderr.contains("S3 stored other bytes than were sent"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_the_checksum_gets_an_md5() {
    let world = World::new(&SITE).await;
    world.edge.set_refuses_checksums(BUCKET, true).unwrap();
    let run = world.deploy(&["--concurrency", "1"]).expect(0);
    assert_eq!((run.outcome(), run.objects("uploaded")), ("deployed", SITE.len() as u64));
    assert_eq!(world.count("PutObject"), SITE.len() + 1, "only the first is refused");
    assert_eq!(world.deploy(&[]).expect(0).outcome(), "nothing-to-do");
}
