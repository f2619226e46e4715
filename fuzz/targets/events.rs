//! Events of the Lambda entry points: a change has a bucket and a key, and a problem has a message, both directly
//! and in a queue.

use serde_json::{Value, json};
use shipfront::lambda::read;

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A job's parameters are a separate text.
    let job = json!({"id": "1", "accountId": "1", "data": {
        "actionConfiguration": {"configuration": {"FunctionName": "f", "UserParameters": text}},
        "inputArtifacts": [], "outputArtifacts": [],
        "artifactCredentials": {"accessKeyId": "", "secretAccessKey": "", "sessionToken": ""}
    }});
    let _ = read(&json!({"CodePipeline.job": job}));
    let Ok(event) = serde_json::from_str::<Value>(text) else { return };
    let alone = read(&event);
    match &alone {
        Ok(changes) => assert!(changes.iter().all(|(bucket, key)| !bucket.is_empty() && !key.is_empty())),
        Err(problem) => assert!(!problem.is_empty()),
    }
    // A queue's message has the same result.
    let is_queue = |record: &Value| record.get("eventSource") == Some(&json!("aws:sqs"));
    let records = event.get("Records").and_then(Value::as_array);
    if event.get("CodePipeline.job").is_none() && !records.is_some_and(|records| records.iter().any(is_queue)) {
        let queued = json!({"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": text}]});
        assert_eq!(read(&queued), alone);
    }
}
