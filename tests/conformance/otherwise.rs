//! For each check, an edge that violates the assumption.

use crate::world::site::{ALWAYS, BUCKET, error};
use shipfront_edge::{Alteration, Edge, Fault, Rule};

fn rule(edge: &Edge, operation: &str, (skip, count): (u64, u64), fault: Fault) {
    edge.faults().add(Rule { operation: Some(operation.to_owned()), key: None, skip, count, fault });
}

fn alter(edge: &Edge, operation: &str, alteration: Alteration) {
    rule(edge, operation, (0, ALWAYS), Fault::Alter(Box::new(alteration)));
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

/// Makes requests of an operation arrive with this header, or without it.
fn request_header(edge: &Edge, operation: &str, name: &str, value: Option<&str>) {
    let headers = vec![(name.to_owned(), value.map(str::to_owned))];
    alter(edge, operation, Alteration { request_headers: headers, ..Alteration::default() });
}

/// Returns responses to an operation with this header, or without it.
fn answer_header(edge: &Edge, operation: &str, name: &str, value: Option<&str>) {
    let headers = vec![(name.to_owned(), value.map(str::to_owned))];
    alter(edge, operation, Alteration { answer_headers: headers, ..Alteration::default() });
}

/// Changes the text of responses to an operation.
fn answer_text(edge: &Edge, operation: &str, text: &[(&str, &str)]) {
    alter(edge, operation, Alteration { answer_text: pairs(text), ..Alteration::default() });
}

/// Changes the name of an object in listings.
fn listed(edge: &Edge, from: &str, to: &str) {
    answer_text(edge, "ListObjectsV2", &[(from, to)]);
}

fn without_query(edge: &Edge, operation: &str, name: &str) {
    alter(edge, operation, Alteration { without_query: vec![name.to_owned()], ..Alteration::default() });
}

fn request_text(edge: &Edge, window: (u64, u64), from: &str, to: &str) {
    let alteration = Alteration { request_text: pairs(&[(from, to)]), ..Alteration::default() };
    rule(edge, "CreateInvalidation", window, Fault::Alter(Box::new(alteration)));
}

/// Makes the edge violate what a check expects. A check without such an edge proves nothing.
pub(super) fn make(edge: &Edge, check: &str) {
    match check {
        "etag-of-a-put" => answer_header(edge, "PutObject", "etag", Some("\"00000000000000000000000000000000\"")),
        "etag-of-parts" => answer_text(edge, "CompleteMultipartUpload", &[("-2", "-3")]),
        "digest-is-checked" => request_header(edge, "PutObject", "content-md5", None),
        "checksum-is-checked" => request_header(edge, "PutObject", "x-amz-checksum-crc64nvme", None),
        "written-is-read" => answer_text(edge, "GetObject", &[("second", "first")]),
        "missing-is-said" => rule(edge, "GetObject", (0, ALWAYS), error(404, "Gone")),
        "headers-are-kept" => request_header(edge, "PutObject", "cache-control", None),
        "redirect-is-kept" => request_header(edge, "PutObject", "x-amz-website-redirect-location", None),
        "clock-of-the-store" => {
            answer_header(edge, "GetObject", "last-modified", Some("Tue, 01 Jan 2030 00:00:00 GMT"));
        }
        "checksum-is-computed" => answer_header(edge, "HeadObject", "x-amz-checksum-crc64nvme", None),
        "encryption-is-said" => {
            edge.set_opaque_etags(BUCKET, true).unwrap();
            answer_header(edge, "HeadObject", "x-amz-server-side-encryption", None);
        }
        "aborted-is-gone" => rule(edge, "AbortMultipartUpload", (0, ALWAYS), error(400, "InvalidRequest")),
        "versions-are-named" => answer_header(edge, "PutObject", "x-amz-version-id", None),
        "create-only" | "one-of-many-wins" => request_header(edge, "PutObject", "if-none-match", None),
        "create-only-in-parts" => request_header(edge, "CompleteMultipartUpload", "if-none-match", None),
        "replace-if-unchanged" | "replace-if-gone" | "lost-answer-is-found" => {
            request_header(edge, "PutObject", "if-match", None);
        }
        "delete-if-unchanged" => edge.set_ignore_conditions(BUCKET, true).unwrap(),
        "refused-key-by-key" => rule(edge, "DeleteObjects", (0, 1), error(412, "PreconditionFailed")),
        "deleting-nothing" => {
            let text = pairs(&[("<Deleted>", "<Error><Code>InternalError</Code>"), ("</Deleted>", "</Error>")]);
            let alteration = Alteration { answer_text: text, ..Alteration::default() };
            rule(edge, "DeleteObjects", (0, 1), Fault::Alter(Box::new(alteration)));
        }
        "copy-onto-itself" => request_header(edge, "CopyObject", "cache-control", None),
        "copy-keeps-headers" => request_header(edge, "CopyObject", "x-amz-metadata-directive", Some("REPLACE")),
        "copy-if-source-unchanged" => request_header(edge, "CopyObject", "x-amz-copy-source-if-match", None),
        "copy-if-unchanged" => request_header(edge, "CopyObject", "if-match", None),
        "listing-is-ordered" => edge.set_lists_backwards(BUCKET, true).unwrap(),
        "listing-is-complete" => answer_text(
            edge,
            "ListObjectsV2",
            &[("<Contents>", "<CommonPrefixes>"), ("</Contents>", "</CommonPrefixes>")],
        ),
        "listing-starts-after" => without_query(edge, "ListObjectsV2", "start-after"),
        "listing-goes-on" => without_query(edge, "ListObjectsV2", "continuation-token"),
        "name-with-a-space" => listed(edge, "a+b++c.txt", "a+b+c.txt"),
        "name-with-a-plus" => listed(edge, "c%2B%2B.txt", "c++.txt"),
        "name-with-a-percent-sign" => listed(edge, "100%2525.txt", "100%25.txt"),
        "name-with-a-tilde" => listed(edge, "%7Euser", "user"),
        "name-with-markup" => listed(edge, "a%26b", "a%26amp%3Bb"),
        "name-with-a-control-character" => listed(edge, "a%01b", "ab"),
        "forms-of-unicode" => listed(edge, "e%CC%81", "%C3%A9"),
        "warm-url-is-kept" => request_header(edge, "PutObject", "cache-control", Some("no-store")),
        "wildcard-clears" => request_text(edge, (0, ALWAYS), "wildcard-clears/a/*", "wildcard-clears/*"),
        "error-page-ages" => request_header(edge, "PutObject", "cache-control", Some("max-age=600")),
        "same-reference" => request_text(edge, (1, 1), "<CallerReference>", "<CallerReference>x"),
        "wildcards-in-a-request" | "paths-in-a-request" => {
            rule(edge, "CreateInvalidation", (0, ALWAYS), error(400, "InvalidArgument"));
        }
        "path-clears"
        | "completed-is-fresh"
        | "directory-is-cleared"
        | "aliases-are-cleared"
        | "tag-clears"
        | "query-strings"
        | "error-is-cleared"
        | "path-of-a-space"
        | "path-of-a-plus"
        | "path-of-parentheses"
        | "path-of-brackets"
        | "path-of-a-tilde"
        | "path-of-an-accent" => {
            rule(edge, "CreateInvalidation", (0, ALWAYS), Fault::KeepCopies);
        }
        other => panic!("{other} has no edge that does otherwise"),
    }
}
