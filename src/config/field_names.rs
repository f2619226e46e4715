//! The field names of a type: serde passes them to the deserializer.

use serde::de::value::Error as Ended;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// The names of a struct's fields, as written.
pub(super) fn field_names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // Ends as soon as the names are known, or if it is not a struct.
    let _ = T::deserialize(Names(&mut names));
    names
}

struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Ended;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Ended> {
        Err(Ended::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Ended> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_site::rules::HeaderRule;

    #[test]
    fn the_fields_of_a_header_rule_are_known_by_their_written_names() {
        let names = field_names::<HeaderRule>();
        assert!(names.contains(&"files") && names.contains(&"cache-control"), "{names:?}");
        assert!(!names.contains(&"paths"), "{names:?}");
        assert!(field_names::<String>().is_empty());
    }
}
