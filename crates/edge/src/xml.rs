//! XML with `quick-xml` and serde: writes a document with its root and namespace, and parses a request body.

use percent_encoding::percent_decode_str;
use quick_xml::SeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The namespace of CloudFront's documents.
pub(super) const CLOUDFRONT: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(rename = "@xmlns", skip_serializing_if = "Option::is_none")]
    namespace: Option<&'static str>,
    #[serde(flatten)]
    content: &'a T,
}

/// A document whose root element is `root`.
pub(super) fn write<T: Serialize>(root: &str, namespace: Option<&'static str>, content: &T) -> Result<String, SeError> {
    let text = quick_xml::se::to_string_with_root(root, &Document { namespace, content })?;
    Ok(format!("{DECLARATION}{text}"))
}

/// Parses the document of a body, whatever its namespace. An error says what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    quick_xml::de::from_str(text).map_err(|error| error.to_string())
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
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sample {
        name: String,
        member: Vec<u8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        absent: Option<String>,
    }

    #[test]
    fn a_document_has_its_root_and_namespace_and_reads_as_it_was_written() {
        let sample = Sample { name: "<a> & \"b\"".to_owned(), member: vec![1, 2], absent: None };
        let text = write("Root", Some(CLOUDFRONT), &sample).unwrap();
        let expected = "<Root xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Name>&lt;a&gt; &amp; \"b\"</Name><Member>1</Member><Member>2</Member></Root>";
        assert_eq!(text, format!("{DECLARATION}{expected}"));
        assert_eq!(read::<Sample>(text.as_bytes()).unwrap(), sample);
        assert!(read::<Sample>(b"<Root").is_err());
        assert!(read::<Sample>(b"\xff").is_err());
    }
}
