//! Publishes rules: the draft of each function gets the code and is tested before the site is touched, and it goes
//! live after the pages.

use crate::clock::{Clock, Stopwatch};
use crate::cloudfront::Distributions;
use crate::deploy::rules::{PlannedFunction, RulesPlan};
use crate::deploy::store_keys::{self, OldKeys};
use crate::error::{Error, ErrorKind, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use shipfront_invalidation::viewer::ViewerEvent;
use shipfront_site::viewer_rules::{Answer, Query, Request, Rules};
use std::time::Duration;

/// Number of events that are tested at once.
const AT_ONCE: usize = 4;
/// Pause between two tests of a draft that may not find its keys yet.
const PAUSE: Duration = Duration::from_secs(1);
/// The value of a header before the function sees the response, so that the function can remove it.
const ANY_VALUE: &str = "set by the origin";

/// A draft that passed its tests.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    name: String,
    etag: String,
}

/// What is ready to be published.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub drafts: Drafts,
    /// The keys to remove once viewers get it.
    pub old_keys: Vec<OldKeys>,
}

/// The drafts that passed their tests.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    drafts: Vec<Draft>,
    /// When their keys were written.
    written: Option<Stopwatch>,
}

impl Drafts {
    pub(super) fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Waits until their keys have reached the edge locations.
    pub(super) async fn let_keys_arrive(&self, distributions: &Distributions) {
        if let Some(written) = &self.written {
            distributions.let_arrive(written.elapsed()).await;
        }
    }
}

/// The outcome for the rules.
#[derive(Debug, Clone, Default)]
pub(super) enum RulesOutcome {
    /// There was nothing to publish.
    #[default]
    Nothing,
    /// It was not tried, because something before it failed, or a signal came.
    NotBegun,
    /// Viewers get what was planned.
    Published,
    /// It failed, or the response was lost.
    Failed(Error),
}

impl RulesOutcome {
    /// Whether viewers may get other rules than before.
    pub(super) fn may_have_succeeded(&self) -> bool {
        match self {
            RulesOutcome::Nothing | RulesOutcome::Published => true,
            RulesOutcome::NotBegun => false,
            RulesOutcome::Failed(_) => true,
        }
    }

    /// Whether it is unknown what viewers get.
    pub(super) fn is_doubtful(&self) -> bool {
        matches!(self, RulesOutcome::Failed(error)
            if matches!(error.kind(), ErrorKind::Unanswered | ErrorKind::ServerFault))
    }

    /// Why it failed.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            RulesOutcome::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether everything is done.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, RulesOutcome::Nothing | RulesOutcome::Published)
    }
}

/// Writes the keys, updates the drafts, and tests them. Viewers are not affected.
pub(super) async fn stage(plan: &RulesPlan, distributions: &Distributions, clock: &Clock) -> Result<Staged> {
    let mut staged = Staged::default();
    let publishes = plan.to_publish().any(|planned| planned.event == ViewerEvent::Request);
    for store in &plan.stores {
        staged.old_keys.push(Box::pin(store_keys::write(store, publishes, distributions)).await?);
    }
    let writes = plan.stores.iter().any(|store| !store.puts.is_empty());
    staged.drafts.written = writes.then(|| clock.start());
    for planned in plan.to_publish() {
        let etag = distributions.update_function(&planned.function, &planned.code).await?;
        let draft = Draft { name: planned.function.name.clone(), etag };
        let written = staged.drafts.written.as_ref();
        let tries =
            planned.tried.iter().map(|request| attempt_until(plan, planned, &draft, request, distributions, written));
        stream::iter(tries).buffered(AT_ONCE).try_collect::<()>().await?;
        staged.drafts.drafts.push(draft);
    }
    Ok(staged)
}

/// Makes the drafts live.
pub(super) async fn publish(drafts: &Drafts, distributions: &Distributions) -> Result<()> {
    for Draft { name, etag } in &drafts.drafts {
        distributions.publish_function(name, etag).await?;
    }
    Ok(())
}

/// Tests the draft with one request, repeatedly while its keys may not have arrived.
async fn attempt_until(
    plan: &RulesPlan,
    planned: &PlannedFunction,
    draft: &Draft,
    request: &Request,
    distributions: &Distributions,
    written: Option<&Stopwatch>,
) -> Result<()> {
    loop {
        let tried = attempt(plan, planned, draft, request, distributions).await;
        let is_late = || written.is_none_or(|written| written.elapsed() >= distributions.way_to_edges());
        match tried {
            Err(Tried::Otherwise(_)) if !is_late() => distributions.pause(PAUSE).await,
            Err(Tried::Otherwise(error) | Tried::Not(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

/// Why a draft is not known to follow the rules.
enum Tried {
    /// It does something else.
    Otherwise(Error),
    /// It could not be tested.
    Not(Error),
}

/// Tests the draft with one request.
async fn attempt(
    plan: &RulesPlan,
    planned: &PlannedFunction,
    draft: &Draft,
    request: &Request,
    distributions: &Distributions,
) -> Result<(), Tried> {
    let name = &draft.name;
    let url = format!("{}{}{}", request.host, request.uri, request.query.text());
    let failed = |found: String| {
        let error = Error::failed(format!(
            "the function {name} does not follow the rules: {url} {found}; nothing was published"
        ));
        Tried::Otherwise(error.hint("the site was not changed; please report this with the rules and the URL"))
    };
    let event = event(planned.event, request, &plan.rules).to_string();
    let tried = distributions.test_function(name, &draft.etag, &event).await.map_err(Tried::Not)?;
    if let Some(error) = tried.error {
        return Err(failed(format!("ends in an error ({error})")));
    }
    if tried.utilization.is_some_and(|percent| percent >= 100) {
        return Err(failed("takes longer than CloudFront allows".to_owned()));
    }
    let output = serde_json::from_str(&tried.output).map_err(|_| failed("gives no JSON".to_owned()))?;
    match difference(planned.event, request, &plan.rules, &output) {
        Some(found) => Err(failed(found)),
        None => Ok(()),
    }
}

/// The event that CloudFront passes to a function
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html>).
fn event(of: ViewerEvent, request: &Request, rules: &Rules) -> Value {
    let mut headers = json!({"host": {"value": request.host}});
    if let Some(country) = &request.country {
        headers["cloudfront-viewer-country"] = json!({"value": country});
    }
    if let Some(languages) = &request.languages {
        headers["accept-language"] = json!({"value": languages});
    }
    let mut event = json!({
        "version": "1.0",
        "context": {"eventType": of.word()},
        "viewer": {"ip": "198.51.100.1"},
        "request": {
            "method": "GET",
            "uri": request.uri,
            "querystring": query(&request.query),
            "headers": headers,
            "cookies": {},
        },
    });
    if of == ViewerEvent::Response {
        let taken = rules.response_headers(&request.host, &request.uri).into_iter();
        let taken = taken.map(|(name, _)| (name, json!({"value": ANY_VALUE})));
        let headers: serde_json::Map<String, Value> = taken.collect();
        event["response"] = json!({"statusCode": 200, "statusDescription": "OK", "headers": headers, "cookies": {}});
    }
    event
}

fn query(query: &Query) -> Value {
    let value = |text: &String| json!({"value": text});
    let pair = |(name, values): &(String, Vec<String>)| {
        let mut one = values.first().map_or(json!({"value": ""}), value);
        if values.len() > 1 {
            one["multiValue"] = values.iter().map(value).collect();
        }
        (name.clone(), one)
    };
    query.pairs().iter().map(pair).collect::<serde_json::Map<_, _>>().into()
}

/// How a function's result differs from the rules.
fn difference(of: ViewerEvent, request: &Request, rules: &Rules, output: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if of == ViewerEvent::Response {
        let headers = &output["response"]["headers"];
        let expected = rules.response_headers(&request.host, &request.uri);
        return expected.into_iter().find_map(|(name, expected)| {
            let found = headers[&name]["value"].as_str();
            (found != expected.as_deref()).then(|| format!("gets another {name} than they say"))
        });
    }
    let found = match &output["response"]["statusCode"] {
        Value::Null => Answer::Origin(text(&output["request"]["uri"])),
        status => Answer::Redirect {
            status: status.as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
            location: text(&output["response"]["headers"]["location"]["value"]),
        },
    };
    let expected = rules.answer(request);
    let shown = |answer: &Answer| match answer {
        Answer::Origin(path) => format!("shows {path}"),
        Answer::Redirect { status, location } => format!("leads to {location} with {status}"),
    };
    (found != expected).then(|| format!("{} where it {}", shown(&found), shown(&expected)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_site::headers_file::{self, HeadersFile};
    use shipfront_site::platform::RuleOptions;
    use shipfront_site::redirects_file::{self, RedirectsFile};

    #[test]
    fn an_answer_of_a_function_is_compared_with_what_the_rules_say() {
        let file = redirects_file::parse("/a /b\n", &RuleOptions::default());
        let rules = Rules::new(file, HeadersFile::default(), ["x"].into_iter(), false, &RuleOptions::default()).0;
        let request = Request::of("https://www.example.com/a?c=d&c=e");
        let event = event(ViewerEvent::Request, &request, &rules);
        assert_eq!(event["request"]["querystring"]["c"]["multiValue"][1]["value"], "e");
        let output =
            |location: &str| json!({"response": {"statusCode": 301, "headers": {"location": {"value": location}}}});
        let compare = |output: &Value| difference(ViewerEvent::Request, &request, &rules, output);
        assert_eq!(compare(&output("/b?c=d&c=e")), None);
        assert_eq!(compare(&output("/c")).unwrap(), "leads to /c with 301 where it leads to /b?c=d&c=e with 301");
        assert!(compare(&json!({"request": {"uri": "/a"}})).unwrap().starts_with("shows /a"));
    }

    #[test]
    fn headers_are_compared_with_those_that_come_and_those_that_go() {
        let file = headers_file::parse("/*\n  X-Frame-Options: DENY\n  ! Server\n", &RuleOptions::default());
        let rules = Rules::new(RedirectsFile::default(), file, ["x"].into_iter(), false, &RuleOptions::default()).0;
        let request = Request::of("https://www.example.com/a");
        let event = event(ViewerEvent::Response, &request, &rules);
        assert_eq!(event["response"]["headers"]["server"]["value"], ANY_VALUE);
        let compare = |headers: Value| {
            difference(ViewerEvent::Response, &request, &rules, &json!({"response": {"headers": headers}}))
        };
        assert_eq!(compare(json!({"x-frame-options": {"value": "DENY"}})), None);
        assert!(compare(json!({"x-frame-options": {"value": "DENY"}, "server": {"value": "x"}})).is_some());
        assert!(compare(json!({})).unwrap().contains("x-frame-options"));
    }
}
