//! What a function receives and returns, in the form of CloudFront's event.
//!
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html>

use std::fmt;
use std::marker::PhantomData;

use hyper::HeaderMap;
use hyper::header::COOKIE;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An object whose order matters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ordered<T>(pub(crate) Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Ordered(all))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// The event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(super) version: String,
    pub(super) context: Context,
    pub(super) viewer: Viewer,
    pub(super) request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    #[serde(default)]
    pub(super) distribution_domain_name: String,
    #[serde(default)]
    pub(super) distribution_id: String,
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) request_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Viewer {
    pub(super) ip: String,
}

/// A viewer's request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    #[serde(default)]
    pub(crate) querystring: Ordered<Values>,
    #[serde(default)]
    pub(crate) headers: Ordered<Values>,
    #[serde(default)]
    pub(crate) cookies: Ordered<Values>,
}

/// A response to a viewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response {
    pub(crate) status_code: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) status_description: String,
    #[serde(default)]
    pub(crate) headers: Ordered<Values>,
    #[serde(default)]
    pub(crate) cookies: Ordered<Values>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Body>,
}

/// A body: text, or text with its encoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Body {
    Text(String),
    Encoded { encoding: Encoding, data: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    Text,
    Base64,
}

/// A query parameter, header or cookie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Values {
    pub(crate) value: String,
    /// The attributes of a cookie in a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) multi_value: Vec<Values>,
}

impl Values {
    /// The values, one by one.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Values> {
        let one = self.multi_value.is_empty().then_some(self);
        one.into_iter().chain(&self.multi_value)
    }
}

/// Pairs by name, in the order in which each name first occurs.
pub(super) fn grouped(pairs: impl Iterator<Item = (String, String)>) -> Ordered<Values> {
    let mut all: Vec<(String, Values)> = Vec::new();
    for (name, value) in pairs {
        let one = Values { value: value.clone(), ..Values::default() };
        match all.iter_mut().find(|(known, _)| *known == name) {
            None => all.push((name, one)),
            Some((_, known)) => {
                if known.multi_value.is_empty() {
                    known.multi_value.push(Values { value: known.value.clone(), ..Values::default() });
                }
                known.multi_value.push(one);
            }
        }
    }
    Ordered(all)
}

/// A query string, as sent: nothing is decoded.
pub(super) fn query(text: &str) -> Ordered<Values> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    grouped(pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    }))
}

/// The query string that a function returns.
pub(super) fn query_text(query: &Ordered<Values>) -> String {
    let pairs = query.0.iter().flat_map(|(name, values)| {
        values.each().map(move |one| match one.value.as_str() {
            "" => name.clone(),
            value => format!("{name}={value}"),
        })
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Headers without cookies, which are separate.
pub(super) fn headers(map: &HeaderMap) -> Ordered<Values> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let pairs = map.iter().filter(|(name, _)| *name != COOKIE);
    grouped(pairs.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))))
}

/// The cookies of a request.
pub(super) fn cookies(map: &HeaderMap) -> Ordered<Values> {
    let lines = map.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    grouped(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_string_is_as_it_was_sent_and_keeps_its_order() {
        for text in ["", "b=2&a=1", "a=1&a&a=3", "x&y=%20"] {
            let json = serde_json::to_string(&query(text)).unwrap();
            let read: Ordered<Values> = serde_json::from_str(&json).unwrap();
            assert_eq!(query_text(&read), text);
        }
        let json = serde_json::to_string(&query("b=2&a=1&b=3")).unwrap();
        assert_eq!(json, r#"{"b":{"value":"2","multiValue":[{"value":"2"},{"value":"3"}]},"a":{"value":"1"}}"#);
    }
}
