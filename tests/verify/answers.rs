//! Objects whose response depends on more than their bytes: with headers, compressed, as redirects.

use super::{differences, looked_at, verify};
use crate::world::http::get;
use crate::world::site::{BUCKET, EXACT, Run, World};
use shipfront_edge::{Distribution, Fault, FunctionAssociation, OriginKind};
use std::fs;

fn configure(world: &World, change: impl FnOnce(&mut Distribution)) {
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    change(&mut distribution);
    world.edge.put_distribution(distribution).unwrap();
}

fn keep_copies(world: &World) {
    world.fault("CreateInvalidation", 0, 1, Fault::KeepCopies);
}

fn overridden(run: &Run) -> usize {
    run.json["verified"]["overridden"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_keeps_an_old_header_is_a_difference_although_its_bytes_are_right() {
    let world = looked_at().await;
    world.write("_headers", "/app.css\n  Cache-Control: max-age=60\n  Content-Language: cy\n");
    keep_copies(&world);
    let found = differences(&verify(&world, &EXACT).expect(7));
    assert!(found[0].starts_with("/app.css has the Cache-Control none, not max-age=60 (Hit"), "{found:?}");
    let next = verify(&world, &EXACT).expect(0);
    assert_eq!((next.json["recovered"]["keys"].as_u64(), overridden(&next)), (Some(1), 0));
    assert_eq!(get(&world.edge.viewer_url(), "/app.css").await.header("cache-control"), Some("max-age=60"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_cloudfront_is_configured_to_set_is_reported_and_no_difference() {
    for by_policy in [true, false] {
        let world = looked_at().await;
        configure(&world, |distribution| match by_policy {
            true => distribution.default_behavior.response_headers = vec![("cache-control".into(), "no-cache".into())],
            false => {
                let (event_type, arn) =
                    ("viewer-response".to_owned(), "arn:aws:lambda:::function:headers:1".to_owned());
                distribution.default_behavior.lambda_functions = vec![FunctionAssociation { event_type, arn }];
            }
        });
        world.write("index.html", "an edit");
        world.write("_headers", "/app.css\n  Cache-Control: max-age=60\n");
        // The old copy represents what the function makes of it.
        world.fault("CreateInvalidation", 0, u64::from(!by_policy), Fault::KeepCopies);
        let site = world.edge.viewer_url();
        let run = verify(&world, &["--strategy", "exact", "--exclude", "index.html"]).expect(0);
        assert_eq!((run.outcome(), overridden(&run)), ("deployed", 1), "{}", run.stdout);
        assert_eq!(run.json["verified"]["overridden"][0]["url"], format!("{site}/app.css"));
        assert_eq!(
            verify(&world, &["--exclude", "index.html"]).expect(0).outcome(),
            "nothing-to-do",
            "nothing is left"
        );
        if by_policy {
            let source = world.source().to_str().unwrap();
            let text = world.run(&["deploy", source, "s3://www.example.com", "--verify", &site]).expect(0).stdout;
            assert!(text.contains("/ has the Cache-Control no-cache, not none, and 1 more like it"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_differs_still_after_it_was_evicted_for_that_ends_no_more_runs() {
    let world = looked_at().await;
    world.write("_headers", "/app.css\n  Cache-Control: max-age=60\n");
    // As if something in front of CloudFront set the header, which no configuration shows.
    keep_copies(&world);
    verify(&world, &EXACT).expect(7);
    keep_copies(&world);
    let next = verify(&world, &EXACT).expect(0);
    assert_eq!((next.outcome(), overridden(&next)), ("deployed", 1), "{}", next.stdout);
    assert_eq!(verify(&world, &EXACT).expect(0).outcome(), "nothing-to-do");
    // Different bytes are a different matter, however often.
    world.write("index.html", "an edit");
    for _ in 0..2 {
        keep_copies(&world);
        verify(&world, &EXACT).expect(7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_compressed_is_compared_as_it_is_stored() {
    let world = looked_at().await;
    let rules = "[[headers]]\nfiles = \"*.dat\"\ncompress = [\"br\", \"gzip\"]\n";
    fs::write(world.outside().join("shipfront.toml"), rules).unwrap();
    world.write("small.dat", "x");
    world.write("large.dat", "what repeats itself ".repeat(500));
    let run = verify(&world, &EXACT).expect(0);
    assert_eq!((differences(&run).len(), overridden(&run)), (0, 0), "{}", run.stdout);
    let answer = get(&world.edge.viewer_url(), "/large.dat").await;
    assert_eq!(answer.header("content-encoding"), Some("br"));
    // The same size, compressed: only the bytes show the difference.
    world.write("large.dat", "what repeats itself ".repeat(499) + "What repeats itself ");
    keep_copies(&world);
    let found = differences(&verify(&world, &EXACT).expect(7));
    assert!(found[0].starts_with("/large.dat serves what was there before"), "{found:?}");
    verify(&world, &EXACT).expect(0);
    // No longer compressed: the copy has the old encoding.
    fs::remove_file(world.outside().join("shipfront.toml")).unwrap();
    keep_copies(&world);
    assert!(differences(&verify(&world, &EXACT).expect(7))[0].starts_with("/large.dat serves what was there before"));
    verify(&world, &EXACT).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cloudfront_compresses_for_browsers_is_asked_for_as_it_is_stored() {
    let world = looked_at().await;
    configure(&world, |distribution| distribution.default_behavior.compress = true);
    world.write("index.html", "what repeats itself ".repeat(500));
    let run = verify(&world, &EXACT).expect(0);
    assert_eq!((run.json["verified"]["checked"].as_u64(), overridden(&run)), (Some(2), 0), "{}", run.stdout);
    world.write("index.html", "What repeats itself ".repeat(500));
    keep_copies(&world);
    assert_eq!(differences(&verify(&world, &EXACT).expect(7)).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_object_is_verified_as_its_endpoint_answers() {
    let world = looked_at().await;
    // The REST endpoint serves the object itself.
    world.write("_redirects", "/old /new\n");
    let run = verify(&world, &["--redirect-objects", "always"]).expect(0);
    assert_eq!((run.json["verified"]["checked"].as_u64(), differences(&run).len()), (Some(2), 0), "{}", run.stdout);

    configure(&world, |distribution| {
        distribution.origins[0].domain_name = format!("{BUCKET}.s3-website-us-east-1.amazonaws.com");
        distribution.origins[0].kind = OriginKind::Website;
    });
    world.write("_redirects", "/old https://other.example/\n/older /new\n");
    verify(&world, &EXACT).expect(0);
    let answer = get(&world.edge.viewer_url(), "/old").await;
    assert_eq!((answer.status, answer.header("location")), (301, Some("https://other.example/")));
    world.write("_redirects", "/old /newer\n/older /new\n");
    keep_copies(&world);
    let found = differences(&verify(&world, &EXACT).expect(7));
    assert!(found[0].starts_with("/old redirects to https://other.example/, not to /newer"), "{found:?}");
    verify(&world, &EXACT).expect(0);
}
