//! Compares what is sent to AWS, and what the edge answers, with AWS's published service models.

use crate::conformance;
use crate::world::command::{clean, repository, run};
use crate::world::site::{BUCKET, TARGET, World};
use crate::world::{aws, tools};
use shipfront_edge::{CACHING_OPTIMIZED, CacheSettings, Fault};
use std::path::{Path, PathBuf};

/// Larger than what is uploaded in one piece.
const LARGE: usize = 20 << 20;

/// The validator's output for a recording; `None`, with a message, if botocore is missing.
fn validated(recording: &Path) -> Option<crate::world::command::Run> {
    let has_botocore = clean("python3").args(["-c", "import botocore"]).output();
    if !has_botocore.is_ok_and(|output| output.status.success()) {
        tools::skipped("there is no botocore: pip install -r .ci/requirements.txt");
        return None;
    }
    let validator = repository("tests/models/validate.py");
    Some(run(clean("python3").env("PYTHONDONTWRITEBYTECODE", "1").arg(validator).arg(recording)))
}

/// A world whose requests are recorded.
async fn recorded(file: &Path) -> World {
    let world = World::new(&[("404.html", "lost"), ("index.html", "welcome"), ("old.html", "old")]).await;
    let mut distribution = world.edge.distribution(&world.distribution).unwrap();
    distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    distribution.default_behavior.cache = CacheSettings::Policy(CACHING_OPTIMIZED.to_owned());
    world.edge.put_distribution(distribution).unwrap();
    world.edge.record_requests(file).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_answers_are_those_of_awss_models() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("requests.ndjson");
    let world = recorded(&file).await;
    world.write("caf\u{e9} menu.html", "a menu");
    world.write("film.webm", vec![1; LARGE]);
    world.deploy(&[]).expect(0);
    world.deploy(&[]).expect(0);
    world.write("index.html", "welcome again");
    world.remove("old.html");
    world.deploy(&[]).expect(0);
    // Another tool uploads the same again, without tags.
    world.edge.advance_clock(std::time::Duration::from_secs(5));
    let put = aws::s3(&world.edge).put_object().bucket(BUCKET).key("index.html");
    put.body(b"welcome again".to_vec().into()).send().await.unwrap();
    world.run(&["tags", "--backfill", TARGET]).expect(0);
    world.run(&["invalidate", "/a b/", "/img/*", "--json"]).expect(0);
    world.run(&["doctor", TARGET, "--probe", "--json"]).expect(0);
    world.run(&["status", TARGET, "--json"]).expect(0);
    let stored = crate::rules::store::deployed().await;
    stored.edge.record_requests(&file).unwrap();
    stored.write("_redirects", crate::rules::store::lines(400, "two"));
    crate::rules::publish(&stored).expect(0);
    let trial = conformance::trial().await;
    trial.edge.record_requests(&file).unwrap();
    conformance::attempt(&trial, &[]).expect(0);
    #[cfg(feature = "lambda")]
    {
        use crate::world::function::{Function, event};
        let function = Function::start(&world, &[]).await;
        let mut job = event("codepipeline-job");
        let parameters = "/CodePipeline.job/data/actionConfiguration/configuration/UserParameters";
        *job.pointer_mut(parameters).unwrap() = "auto".into();
        function.invoke(&job).await.unwrap();
        function.invoke(&event("s3-object-created-put")).await.unwrap();
    }
    let Some(run) = validated(&file) else { return };
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    for operation in [
        "s3 DeleteObjects",
        "s3 CompleteMultipartUpload",
        "cloudfront CreateInvalidation",
        "s3 CopyObject",
        "cloudfront-keyvaluestore UpdateKeys",
    ] {
        assert!(run.stdout.contains(operation), "{}", run.stdout);
    }
}

/// A recording shows what a fault does, and does not undo it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_does_so_while_it_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests.ndjson");
    let world = recorded(&file).await;
    world.deploy(&[]).expect(0);
    world.edge.clear_requests();
    world.fault("ListObjectsV2", 1, 1, Fault::TruncateBody);
    let run = world.deploy(&["--prune-after", "0s"]).expect(0);
    assert_eq!((run.objects("kept"), run.objects("pruned")), (3, 0));
    assert_eq!(world.writes(), [""; 0]);
    let lines = std::fs::read_to_string(&file).unwrap();
    let broken: Vec<&str> = lines.lines().filter(|line| line.contains("\"answer_broke_off\":true")).collect();
    assert!(broken.len() == 1 && broken[0].contains("ListObjectsV2"), "{broken:#?}");
    let Some(run) = validated(&file) else { return };
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

/// A recording of one request, changed manually.
fn validated_line(change: impl FnOnce(&mut serde_json::Value)) -> Option<crate::world::command::Run> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("requests.ndjson");
    let body = "<InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>1</Quantity><Items>\
        <Path>/a</Path></Items></Paths><CallerReference>one</CallerReference></InvalidationBatch>";
    let answer = "<Invalidation xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>I1</Id><Status>Completed</Status>\
        <CreateTime>2026-01-01T00:00:00Z</CreateTime><InvalidationBatch><Paths><Quantity>0</Quantity></Paths>\
        <CallerReference>one</CallerReference></InvalidationBatch></Invalidation>";
    let mut line = serde_json::json!({
        "service": "cloudfront", "operation": "CreateInvalidation", "method": "POST",
        "uri": "/2020-05-31/distribution/E1/invalidation", "headers": {}, "body": body,
        "status": 201, "answer_headers": {"location": "https://x"}, "answer_body": answer,
    });
    change(&mut line);
    std::fs::write(&file, line.to_string()).unwrap();
    validated(&file)
}

#[test]
fn what_no_model_has_is_found() {
    let replaced = |line: &mut serde_json::Value, field: &str, from: &str, to: &str| {
        let text = line[field].as_str().unwrap().replace(from, to);
        line[field] = text.into();
    };
    let Some(run) = validated_line(|_| {}) else { return };
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    type Change<'a> = Box<dyn FnOnce(&mut serde_json::Value) + 'a>;
    let changes: [(&str, Change<'_>); 7] = [
        ("is no member", Box::new(|line| replaced(line, "body", "CallerReference>", "Reference>"))),
        (
            "is required and not there",
            Box::new(|line| replaced(line, "body", "<CallerReference>one</CallerReference>", "")),
        ),
        ("is no number", Box::new(|line| replaced(line, "body", "<Quantity>1<", "<Quantity>one<"))),
        ("is no parameter", Box::new(|line| replaced(line, "uri", "invalidation", "invalidation?a=b"))),
        ("is not at", Box::new(|line| replaced(line, "uri", "distribution", "distributions"))),
        ("is no header", Box::new(|line| line["headers"]["x-odd"] = "1".into())),
        (
            "answer: Status is required",
            Box::new(|line| replaced(line, "answer_body", "<Status>Completed</Status>", "")),
        ),
    ];
    for (said, change) in changes {
        let run = validated_line(change).unwrap();
        assert!(run.code == Some(1) && run.stdout.contains(said), "{said}: {}{}", run.stdout, run.stderr);
    }
}
