//! CloudFront's XML: a writer for answers, a reader for the one request body that we take.

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::invalidation::Refusal;

const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

/// An XML text under construction.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// A document whose root is `name`, in CloudFront's namespace.
    pub(super) fn document(name: &str, fill: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} xmlns=\"{NAMESPACE}\">"));
        fill(&mut xml);
        xml.0.push_str(&format!("</{name}>"));
        xml.0
    }

    pub(super) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        fill(self);
        self.0.push_str(&format!("</{name}>"));
    }

    pub(super) fn text(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        self.element(name, |xml| xml.0.push_str(&quick_xml::escape::escape(&value)));
    }

    /// CloudFront's lists: their number, and the items unless there are none.
    pub(super) fn list<T>(&mut self, name: &str, items: &[T], each: impl Fn(&mut Self, &T)) {
        self.element(name, |xml| {
            xml.text("Quantity", items.len());
            if !items.is_empty() {
                xml.element("Items", |xml| items.iter().for_each(|item| each(xml, item)));
            }
        });
    }
}

/// CloudFront's error document.
pub(super) fn error(code: &str, message: &str) -> String {
    Xml::document("ErrorResponse", |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", "Sender");
            xml.text("Code", code);
            xml.text("Message", message);
        });
        xml.text("RequestId", "00000000-0000-0000-0000-000000000000");
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    paths: Paths,
    caller_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Paths {
    quantity: usize,
    #[serde(default)]
    items: Items,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Items {
    #[serde(default)]
    path: Vec<String>,
}

/// Caller reference and items of an `InvalidationBatch`.
pub(super) fn read_batch(body: &[u8]) -> Result<(String, Vec<String>), Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(400, "MissingBody", "This operation requires a body."));
    }
    let malformed = |message: String| Refusal::new(400, "MalformedInput", message);
    let text = std::str::from_utf8(body).map_err(|error| malformed(error.to_string()))?;
    let batch: Batch = quick_xml::de::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let items = batch.paths.items.path;
    if items.len() != batch.paths.quantity {
        return Err(Refusal::new(
            400,
            "InconsistentQuantities",
            "The value of Quantity and the size of Items don't match.",
        ));
    }
    if batch.caller_reference.is_empty() {
        return Err(Refusal::new(400, "InvalidArgument", "The caller reference is empty."));
    }
    Ok((batch.caller_reference, items))
}

/// A parameter of a query string, decoded.
pub(super) fn query_parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_and_its_count_is_checked() {
        let batch = |quantity: usize| {
            let body = format!(
                "<InvalidationBatch xmlns=\"{NAMESPACE}\"><Paths><Quantity>{quantity}</Quantity><Items><Path>/a&amp;b</Path><Path>#t</Path></Items></Paths><CallerReference>r</CallerReference></InvalidationBatch>"
            );
            read_batch(body.as_bytes())
        };
        let (reference, items) = batch(2).unwrap();
        assert_eq!((reference.as_str(), items), ("r", vec!["/a&b".to_owned(), "#t".to_owned()]));
        assert_eq!(batch(3).unwrap_err().code, "InconsistentQuantities");
        assert_eq!(read_batch(b"").unwrap_err().code, "MissingBody");
        assert_eq!(read_batch(b"<x/>").unwrap_err().code, "MalformedInput");
    }
}
