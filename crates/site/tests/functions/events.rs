//! Events that functions receive, and results that they return.

use serde_json::{Value, json};
use shipfront_site::viewer_rules::{Answer, Request};

/// The answer that a function's result means.
pub(crate) fn answer(value: &Value) -> Option<Answer> {
    if let Some(uri) = value["uri"].as_str() {
        return Some(Answer::Origin(uri.to_owned()));
    }
    let location = value["headers"]["location"]["value"].as_str()?.to_owned();
    Some(Answer::Redirect { status: u16::try_from(value["statusCode"].as_u64()?).ok()?, location })
}

/// The event of a viewer request, with the parts that the functions use
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html>).
pub(crate) fn event(request: &Request) -> Value {
    // As a list: the order matters, and an object here does not keep it.
    let query: Vec<Value> = request
        .query
        .pairs()
        .iter()
        .map(|(name, values)| {
            let mut one = json!({"value": values[0]});
            if values.len() > 1 {
                one["multiValue"] = values.iter().map(|value| json!({"value": value})).collect();
            }
            json!([name, one])
        })
        .collect();
    let mut headers = json!({"host": {"value": request.host}});
    if let Some(country) = &request.country {
        headers["cloudfront-viewer-country"] = json!({"value": country});
    }
    if let Some(languages) = &request.languages {
        headers["accept-language"] = json!({"value": languages});
    }
    json!({"version": "1.0", "context": {"eventType": "viewer-request"}, "viewer": {"ip": "192.0.2.1"}, "request": {
        "method": "GET", "uri": request.uri, "querystring": query, "headers": headers, "cookies": {}}})
}
