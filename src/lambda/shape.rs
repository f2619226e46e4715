//! Parses events, and reports where one is not as documented without showing its values: they may be credentials.
//!
//! serde_json's errors are sentences that quote what they found, so the problem is kept as a value here.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value;
use std::fmt;

/// Parses an event; the error says what is wrong, and where.
pub(super) fn read_shape<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(Json(value)).map_err(|error| match error.path().to_string() {
        place if place == "." => error.inner().to_string(),
        place => format!("{place}: {}", error.inner()),
    })
}

/// What is wrong, in terms of the documented shape only.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Mismatch {
    #[error("expected {0}")]
    Expected(String),
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("not as documented")]
    Undocumented,
}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Mismatch::Undocumented
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Mismatch::Expected(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Mismatch::Expected(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Mismatch::Expected(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Mismatch::Expected(format!("one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Mismatch::Missing(field)
    }
}

/// A JSON value as a deserializer whose errors are [`Mismatch`]es.
struct Json<'de>(&'de Value);

impl<'de> Deserializer<'de> for Json<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(on) => visitor.visit_bool(*on),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => visitor.visit_seq(SeqDeserializer::new(values.iter().map(Json))),
            Value::Object(fields) => visitor.visit_map(entries(fields)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Object(fields) => visitor.visit_enum(MapAccessDeserializer::new(entries(fields))),
            _ => Err(Mismatch::Undocumented),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Mismatch> for Json<'de> {
    type Deserializer = Json<'de>;

    fn into_deserializer(self) -> Json<'de> {
        self
    }
}

fn entries<'de>(
    fields: &'de serde_json::Map<String, Value>,
) -> MapDeserializer<'de, impl Iterator<Item = (&'de str, Json<'de>)>, Mismatch> {
    MapDeserializer::new(fields.iter().map(|(name, value)| (name.as_str(), Json(value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Shape {
        inner: Inner,
        #[serde(default)]
        list: Vec<Option<i64>>,
        kind: Option<Kind>,
        #[serde(flatten)]
        others: serde_json::Map<String, Value>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Inner {
        number: u32,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two(bool),
    }

    #[test]
    fn errors_in_an_event_are_reported_without_its_values() {
        let problem = |value| read_shape::<Shape>(&value).unwrap_err();
        assert_eq!(problem(json!({"inner": {"number": "secret"}})), "inner.number: expected u32");
        assert_eq!(problem(json!({"inner": {"number": -1}})), "inner.number: expected u32");
        assert_eq!(problem(json!({"inner": {}})), "inner: missing field `number`");
        assert_eq!(problem(json!({"inner": "secret"})), "inner: expected struct Inner");
        assert_eq!(problem(json!("secret")), "expected struct Shape");
        assert!(!problem(json!({"inner": {"number": 1}, "kind": "secret"})).contains("secret"));
    }

    #[test]
    fn an_event_is_read_as_serde_json_reads_it() {
        let event = json!({
            "inner": {"number": 7, "more": null}, "list": [-1, null, 2], "kind": {"two": true},
            "free": {"text": "é", "number": 1.5, "list": [true]},
        });
        assert_eq!(read_shape::<Value>(&event).unwrap(), event);
        let shape: Shape = read_shape(&event).unwrap();
        assert_eq!(shape, serde_json::from_value(event).unwrap());
        let one: Shape = read_shape(&json!({"inner": {"number": 7}, "kind": "one"})).unwrap();
        assert_eq!(one.kind, Some(Kind::One));
    }
}
