//! The JSON schema of `shipfront.toml`, with which editors complete and check it.
//!
//! It is generated from the same arguments as the parser of the file uses. Only header rules, which no argument
//! has, are described manually here, and a test compares that with the type.

use crate::config::file::{HEADERS, Kind, PREVIEWS, SECTIONS, key, keys, keys_of_previews};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::{self, Display, Formatter};

/// The fields of a header rule.
const HEADER_RULE: [(&str, &str); 11] = [
    ("files", "The files that it applies to: a pattern such as \"*.html\" or \"/assets/**\", or a list of them"),
    ("cache-control", "Cache-Control: how long browsers and CloudFront keep a copy"),
    ("content-type", "Content-Type, instead of the one of the file's extension"),
    ("content-encoding", "Content-Encoding, of files that are already compressed"),
    ("content-disposition", "Content-Disposition: whether browsers show or save the file, and under which name"),
    ("content-language", "Content-Language"),
    ("storage-class", "The storage class"),
    ("website-redirect", "Where an S3 website endpoint redirects requests for the object"),
    ("metadata", "User metadata, x-amz-meta-NAME"),
    ("acl", "A canned ACL, for buckets that have ACLs turned on"),
    ("compress", "How to compress, best first; [] turns it off"),
];

/// The schema, the same as text and in JSON.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Schema(Value);

impl Schema {
    /// The schema of the file that this version of shipfront reads.
    pub fn new() -> Schema {
        Schema(schema())
    }
}

impl Default for Schema {
    fn default() -> Schema {
        Schema::new()
    }
}

impl Display for Schema {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:#}", self.0)
    }
}

fn schema() -> Value {
    let keys = keys();
    let mut definitions: Map<String, Value> = keys.iter().map(|arg| (key(arg), option(arg))).collect();
    definitions.insert(
        HEADERS.to_owned(),
        json!({
            "description": "Header rules: all rules that match a file apply, and later ones override earlier ones",
            "type": "array",
            "items": header_rule(),
        }),
    );
    let of_previews = keys_of_previews().into_iter().map(|(name, arg)| (name.to_owned(), option(&arg)));
    definitions.insert(
        PREVIEWS.to_owned(),
        json!({
            "description": "Previews: where they go, at which URL they are, and how long they stay",
            "type": "object",
            "additionalProperties": false,
            "properties": of_previews.collect::<Map<String, Value>>(),
        }),
    );
    let reference = |name: &String| (name.clone(), json!({"$ref": format!("#/definitions/{name}")}));
    let properties: Map<String, Value> = definitions.keys().map(reference).collect();
    let mut top = properties.clone();
    top.insert(
        SECTIONS.to_owned(),
        json!({
            "description": "Sections that override the rest of the file with --env NAME",
            "type": "object",
            "additionalProperties": {"type": "object", "properties": properties, "additionalProperties": false},
        }),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "shipfront.toml",
        "description": "How shipfront deploys a site to Amazon S3 and CloudFront",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
        "definitions": definitions,
    })
}

fn option(arg: &clap::Arg) -> Value {
    let words: Vec<String> = arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let mut schema = match Kind::of(arg) {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Number => json!({"type": "integer", "minimum": 0}),
        Kind::NumberOrWord => json!({"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["auto"]}]}),
        Kind::Text if !words.is_empty() => json!({"enum": words}),
        Kind::Text => json!({"type": "string"}),
        Kind::List => one_or_more(),
    };
    schema["description"] = arg.get_help().map(ToString::to_string).unwrap_or_default().into();
    schema
}

fn header_rule() -> Value {
    let property = |(name, description): (&str, &str)| {
        let mut schema = match name {
            "files" => one_or_more(),
            "metadata" => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "compress" => json!({"type": "array", "items": {"enum": ["br", "gzip"]}}),
            _ => json!({"type": "string"}),
        };
        schema["description"] = description.into();
        (name.to_owned(), schema)
    };
    let properties: Map<String, Value> = HEADER_RULE.into_iter().map(property).collect();
    json!({"type": "object", "required": ["files"], "additionalProperties": false, "properties": properties})
}

fn one_or_more() -> Value {
    json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_site::rules::HeaderRule;
    use std::collections::BTreeSet;

    #[test]
    fn the_schema_knows_all_that_a_header_rule_has() {
        let error = serde_json::from_str::<HeaderRule>(r#"{"no such": 1}"#).unwrap_err().to_string();
        let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, HEADER_RULE.iter().map(|(name, _)| *name).collect());
    }
}
