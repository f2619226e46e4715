//! CloudFront Functions: their calls, and what viewers get from them.

use super::viewer::Site;
use crate::world::aws::{cloudfront, code};
use crate::world::http;
use aws_sdk_cloudfront::primitives::Blob;
use aws_sdk_cloudfront::types::{
    FunctionConfig, FunctionRuntime, FunctionStage, KeyValueStoreAssociation, KeyValueStoreAssociations,
};
use shipfront_edge::{Distribution, ErrorResponse, Fault, Function, Rule, Stage};
use std::collections::BTreeMap;
use std::time::Duration;

fn function(name: &str, code: &str) -> Function {
    Function {
        name: name.to_owned(),
        comment: "a comment".to_owned(),
        runtime: "cloudfront-js-2.0".to_owned(),
        code: format!("function handler(event) {{ {code} }}"),
        key_value_store: None,
    }
}

fn config() -> FunctionConfig {
    FunctionConfig::builder().comment("another").runtime(FunctionRuntime::CloudfrontJs20).build().unwrap()
}

const REQUEST: &str = r#"{"version": "1.0", "context": {"eventType": "viewer-request"}, "viewer": {"ip": "192.0.2.1"},
    "request": {"method": "GET", "uri": "/a", "querystring": {}, "headers": {"host": {"value": "www.example.com"}},
    "cookies": {}}}"#;

#[tokio::test]
async fn a_function_goes_live_by_its_etags() {
    let site = Site::new().await;
    let client = cloudfront(&site.edge);
    site.edge.put_function(&function("f", "return event.request;")).unwrap();
    let stage = FunctionStage::Development;
    let described = client.describe_function().name("f").send().await.unwrap();
    let summary = described.function_summary().unwrap();
    assert_eq!((summary.status(), summary.function_config().unwrap().comment()), (Some("UNASSOCIATED"), "a comment"));
    let first = described.e_tag().unwrap().to_owned();

    let code_now = "function handler(event) { event.request.uri = '/b'; return event.request; }";
    let update = |etag: Option<String>, code: &str| {
        client
            .update_function()
            .name("f")
            .set_if_match(etag)
            .function_config(config())
            .function_code(Blob::new(code))
            .send()
    };
    let updated = update(Some(first.clone()), code_now).await.unwrap();
    let second = updated.e_tag().unwrap().to_owned();
    assert_eq!(updated.function_summary().unwrap().status(), Some("UNPUBLISHED"));
    for (etag, expected) in [(Some(first), "PreconditionFailed"), (None, "InvalidIfMatchVersion")] {
        let refused = update(etag, code_now).await.unwrap_err();
        assert_eq!(code(&refused), Some(expected));
    }
    let large = update(Some(second.clone()), &"/".repeat(10_241)).await.unwrap_err();
    assert_eq!(code(&large), Some("FunctionSizeLimitExceeded"));
    let live = async |stage: FunctionStage| {
        let found = client.get_function().name("f").stage(stage).send().await.unwrap();
        String::from_utf8(found.function_code.unwrap().into_inner()).unwrap()
    };
    assert_eq!(live(FunctionStage::Development).await, code_now);
    assert!(live(FunctionStage::Live).await.contains("return event.request;"));

    let test = client.test_function().name("f").stage(stage).event_object(Blob::new(REQUEST));
    let tested = test.clone().if_match(&second).send().await.unwrap();
    let result = tested.test_result().unwrap();
    let output: serde_json::Value = serde_json::from_str(result.function_output().unwrap()).unwrap();
    assert_eq!(output["request"]["uri"], "/b");
    assert_eq!(result.function_error_message(), Some(""));
    assert!((1..=100).contains(&result.compute_utilization().unwrap().parse::<u32>().unwrap()));
    assert_eq!(code(&test.if_match("E0").send().await.unwrap_err()), Some("InvalidIfMatchVersion"));

    site.edge.put_distribution(site.edge.distribution(&site.id).unwrap().with_function("viewer-request", "f")).unwrap();
    client.publish_function().name("f").if_match(&second).send().await.unwrap();
    assert_eq!(live(FunctionStage::Live).await, code_now);
    let listed = client.list_functions().stage(FunctionStage::Live).send().await.unwrap();
    let items = listed.function_list().unwrap().items();
    assert_eq!((items.len(), items[0].name(), items[0].status()), (1, "f", Some("DEPLOYED")));
    let missing = client.describe_function().name("g").send().await.unwrap_err();
    assert_eq!(code(&missing), Some("NoSuchFunctionExists"));
}

#[tokio::test]
async fn a_call_about_a_function_is_recorded_and_meets_the_fault_script() {
    let site = Site::new().await;
    site.edge.put_function(&function("f", "return event.request;")).unwrap();
    let client = cloudfront(&site.edge);
    let etag = client.describe_function().name("f").send().await.unwrap().e_tag.unwrap();
    let (operation, fault) = (Some("PublishFunction".to_owned()), Fault::ResetAfter);
    site.edge.faults().add(Rule { operation, key: Some("f".to_owned()), skip: 0, count: 1, fault });
    let update = client.update_function().name("f").if_match(etag).function_config(config());
    let etag = update.function_code(Blob::new("changed")).send().await.unwrap().e_tag.unwrap();
    assert!(client.publish_function().name("f").if_match(&etag).send().await.is_err());
    assert_eq!(site.edge.function("f", Stage::Live).unwrap().code, "changed", "the answer alone was lost");
    let requests: Vec<_> = site.edge.requests().into_iter().map(|request| (request.operation, request.key)).collect();
    let named = ["DescribeFunction", "UpdateFunction", "PublishFunction"];
    assert_eq!(requests, named.map(|operation| (operation.to_owned(), Some("f".to_owned()))));
}

#[tokio::test]
async fn a_function_has_one_store_that_is_there() {
    let site = Site::new().await;
    let client = cloudfront(&site.edge);
    let values = BTreeMap::from([("a".to_owned(), "/from-the-store".to_owned())]);
    let store = site.edge.put_key_value_store("s", "for f", values).unwrap();
    let described = client.describe_key_value_store().name("s").send().await.unwrap();
    assert_eq!(described.key_value_store().unwrap().arn(), store.arn);
    let create = |arn: &str| {
        let association = KeyValueStoreAssociation::builder().key_value_store_arn(arn).build().unwrap();
        let stores = KeyValueStoreAssociations::builder().quantity(1).items(association).build().unwrap();
        let config = FunctionConfig::builder().comment("").runtime(FunctionRuntime::CloudfrontJs20);
        let config = config.key_value_store_associations(stores).build().unwrap();
        let code = "import cf from 'cloudfront';\nasync function handler(event) { event.request.uri = await cf.kvs().get('a'); \
                    return event.request; }";
        client.create_function().name("f").function_config(config).function_code(Blob::new(code)).send()
    };
    let missing = create("arn:aws:cloudfront::000000000000:key-value-store/none").await.unwrap_err();
    assert_eq!(code(&missing), Some("InvalidArgument"));
    let etag = create(&store.arn).await.unwrap().e_tag.unwrap();
    let test = client.test_function().name("f").if_match(etag).event_object(Blob::new(REQUEST)).send().await.unwrap();
    assert!(test.test_result().unwrap().function_output().unwrap().contains("/from-the-store"));

    let path = format!("/key-value-stores/{}", store.arn.replace(':', "%3A").replace('/', "%2F"));
    let unsigned = http::get(&site.edge.api_url(), &path).await;
    assert_eq!((unsigned.status, unsigned.header("x-amzn-errortype")), (403, Some("AccessDeniedException")));
    let signed = [("authorization", "AWS4-ECDSA-P256-SHA256 Credential=x"), ("x-amz-region-set", "*")];
    let get = async |path: String| http::send(&site.edge.api_url(), "GET", &path, &signed, b"").await.unwrap();
    let answer = get(path.clone()).await;
    let etag = answer.header("etag").unwrap().to_owned();
    let headers = [signed[0], signed[1], ("if-match", etag.as_str()), ("x-amz-date", "now")];
    let body = br#"{"Puts": [{"Key": "b", "Value": "2"}], "Deletes": [{"Key": "a"}]}"#;
    let updated = http::send(&site.edge.api_url(), "POST", &format!("{path}/keys"), &headers, body).await.unwrap();
    assert_eq!((updated.status, updated.text().contains("\"ItemCount\":1")), (200, true), "{}", updated.text());
    let again = http::send(&site.edge.api_url(), "POST", &format!("{path}/keys"), &headers, body).await.unwrap();
    assert_eq!((again.status, again.header("x-amzn-errortype")), (409, Some("ConflictException")));
    assert_eq!(get(format!("{path}/keys/b")).await.status, 200);
    assert_eq!(get(format!("{path}/keys/a")).await.status, 404);
}

/// A site whose distribution has functions of this code, for requests and for responses.
async fn with_functions(request: &str, response: &str) -> Site {
    let site = Site::new().await;
    for (event, code) in [("viewer-request", request), ("viewer-response", response)] {
        site.edge.put_function(&function(event, code)).unwrap();
        site.change(|distribution| *distribution = distribution.clone().with_function(event, event));
    }
    site
}

const AS_IT_IS: &str = "return event.request;";
const AS_IT_WAS: &str = "return event.response;";

#[tokio::test]
async fn the_cache_key_is_what_the_function_makes_of_the_url() {
    let site = with_functions(
        "if (event.request.uri !== '/x') event.request.uri = '/page.txt'; return event.request;",
        AS_IT_WAS,
    )
    .await;
    site.put("page.txt", "the page").await;
    assert_eq!(site.get("/a").await.text(), "the page");
    assert!(site.get("/b").await.header("age").is_some(), "one copy for both");
    let cached = site.edge.cached(&site.id);
    assert_eq!((cached.len(), cached[0].url.as_str()), (1, "/page.txt"));
    assert_eq!(cached[0].answers, ["/a", "/b", "/page.txt"]);
    // Both spellings, as the documentation requires.
    site.put("page.txt", "another").await;
    site.invalidate(&["/page.txt", "/a", "/b"]).await;
    assert_eq!(site.get("/a").await.text(), "another");
}

#[tokio::test]
async fn a_function_answers_in_the_origins_place() {
    let code = "return {statusCode: 302, headers: {location: {value: 'https://other.example/' + event.request.uri.slice(1)}}, \
                cookies: {a: {value: '1', attributes: 'Secure'}}, body: 'moved'};";
    let site = with_functions(code, "event.response.headers['x-a'] = {value: '1'}; return event.response;").await;
    let answer = site.get("/x?q=1").await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://other.example/x")));
    assert_eq!((answer.header("set-cookie"), answer.text().as_str()), (Some("a=1; Secure"), "moved"));
    assert_eq!(answer.header("x-a"), None, "no function sees it");
    assert!(site.edge.cached(&site.id).is_empty());
}

#[tokio::test]
async fn a_function_for_responses_sees_what_is_below_400_and_no_error_pages() {
    let response = "event.response.headers['x-at'] = {value: event.request.uri + ' ' + event.response.statusCode}; return event.response;";
    let request = "if (event.request.uri === '/404.html') event.request.uri = '/index.html'; return event.request;";
    let site = with_functions(request, response).await;
    site.change(|distribution: &mut Distribution| {
        distribution.error_responses.push(ErrorResponse {
            error_code: 403,
            page_path: Some("/index.html".to_owned()),
            response_code: Some(200),
            error_caching_min_ttl: 10,
        });
    });
    site.put("index.html", "home").await;
    site.put("404.html", "lost").await;
    for _ in ["a miss", "a hit"] {
        assert_eq!(site.get("/").await.header("x-at"), Some("/ 200"));
        let missing = site.get("/missing").await;
        assert_eq!((missing.status, missing.text().as_str(), missing.header("x-at")), (404, "lost", None));
    }
    // The viewer gets 200, although the origin's response is different.
    site.edge.set_missing_forbidden("site", true).unwrap();
    for _ in ["a miss", "a hit"] {
        let shown = site.get("/route").await;
        assert_eq!((shown.status, shown.text().as_str(), shown.header("x-at")), (200, "home", None));
    }
    let etag = site.get("/").await.header("etag").unwrap().to_owned();
    let unchanged = http::request(&site.edge.viewer_url(), "GET", "/", &[("if-none-match", &etag)]).await;
    assert_eq!((unchanged.status, unchanged.header("x-at")), (304, Some("/ 304")));
}

#[tokio::test]
async fn what_a_function_may_not_do_is_an_error_of_the_distribution() {
    let cases = [
        ("throw new Error('so');", AS_IT_WAS, 503, "FunctionExecutionError"),
        ("for (;;) {}", AS_IT_WAS, 503, "FunctionExecutionError"),
        ("return eval('event.request');", AS_IT_WAS, 503, "FunctionExecutionError"),
        ("return null;", AS_IT_WAS, 502, "FunctionValidationError"),
        ("event.request.uri = 'a'; return event.request;", AS_IT_WAS, 502, "FunctionValidationError"),
        ("event.request.method = 'HEAD'; return event.request;", AS_IT_WAS, 502, "FunctionValidationError"),
        ("event.request.headers.host = {value: 'b'}; return event.request;", AS_IT_WAS, 502, "FunctionValidationError"),
        ("return {statusCode: '301'};", AS_IT_WAS, 502, "FunctionValidationError"),
        ("return {statusCode: 99};", AS_IT_WAS, 502, "FunctionValidationError"),
        ("return {statusCode: 200, headers: {'X-A': {value: '1'}}};", AS_IT_WAS, 502, "FunctionValidationError"),
        (
            "return {statusCode: 200, headers: {connection: {value: 'close'}}};",
            AS_IT_WAS,
            502,
            "FunctionValidationError",
        ),
        ("return {statusCode: 200, body: 'x'.repeat(40961)};", AS_IT_WAS, 502, "FunctionValidationError"),
        (AS_IT_IS, "event.response.headers.via = {value: '1'}; return event.response;", 502, "FunctionValidationError"),
        (AS_IT_IS, "throw new Error('so');", 503, "FunctionExecutionError"),
    ];
    for (request, response, status, verdict) in cases {
        let site = with_functions(request, response).await;
        site.put("index.html", "home").await;
        let answer = site.get("/").await;
        assert_eq!(answer.status, status, "{request} {response}: {}", answer.text());
        assert!(answer.header("x-cache").unwrap().starts_with(verdict), "{request}");
    }
    let site = with_functions(
        AS_IT_IS,
        "event.response.body = 'other'; event.response.statusCode = 404; return event.response;",
    )
    .await;
    site.put("index.html", "home").await;
    let answer = site.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (404, "other"));
    site.edge.advance_clock(Duration::from_secs(1));
}
