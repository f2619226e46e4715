//! Fields of a line that this version does not know: a later one wrote them, and they are preserved.
//!
//! There are many lines and such fields are rare, so a line is first parsed as if there were none.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io;

/// Fields that this version does not know, by name; those of a nested object are in an object of its name.
pub(crate) type Extra = Option<Box<Fields>>;

/// Fields by name, as the text of a JSON object: parsed, small values take many times the length of their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Box<str>);

/// The fields of a line that this version knows, and those of each nested object: empty if the object is accepted
/// completely.
pub(super) type Known = &'static [(&'static str, &'static [&'static str])];

/// Parses a line whose type denies unknown fields, and its fields other than the `known` ones.
pub(super) fn read<T: for<'a> Line<'a>, R>(
    line: &str,
    known: Known,
    mut take: impl FnMut(<T as Line<'_>>::Read, Extra) -> Result<R, String>,
) -> Result<R, String> {
    let strict = match <T as Line<'_>>::parse(line) {
        Ok(read) => return take(read, None),
        Err(error) => error,
    };
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return Err(strict.to_string()) };
    let mut extra = take_others(&mut fields, |name| known.iter().any(|(known, _)| *known == name));
    for (name, inner) in known.iter().filter(|(_, inner)| !inner.is_empty()) {
        let Some(Value::Object(object)) = fields.get_mut(*name) else { continue };
        let others = take_others(object, |name| inner.contains(&name));
        if !others.is_empty() {
            extra.insert((*name).to_owned(), Value::Object(others));
        }
    }
    // Any other error in the line, such as a duplicate field, remains an error.
    if extra.is_empty() {
        return Err(strict.to_string());
    }
    let plain = serde_json::to_string(&fields).map_err(|error| error.to_string())?;
    let read = <T as Line<'_>>::parse(&plain).map_err(|error| error.to_string())?;
    let extra = serde_json::to_string(&extra).map_err(|error| error.to_string())?;
    take(read, Some(Box::new(Fields(extra.into()))))
}

fn take_others(fields: &mut Map<String, Value>, is_known: impl Fn(&str) -> bool) -> Map<String, Value> {
    let names: Vec<String> = fields.keys().filter(|name| !is_known(name)).cloned().collect();
    names.into_iter().filter_map(|name| fields.remove_entry(&name)).collect()
}

/// A type of line that may borrow from its text.
pub(super) trait Line<'a> {
    /// The line.
    type Read: Deserialize<'a>;

    /// Parses it; an unknown field is an error.
    fn parse(text: &'a str) -> serde_json::Result<Self::Read> {
        serde_json::from_str(text)
    }
}

/// A line together with the fields that this version does not know. Those of a nested object stay in it.
pub(super) fn joined(line: &impl Serialize, known: Known, Fields(extra): &Fields) -> io::Result<Value> {
    let extra: Map<String, Value> = serde_json::from_str(extra)?;
    let mut value = serde_json::to_value(line)?;
    let Value::Object(fields) = &mut value else { return Ok(value) };
    for (name, value) in extra {
        if !known.iter().any(|(known, _)| *known == name) {
            fields.insert(name, value);
        } else if let (Some(Value::Object(object)), Value::Object(others)) = (fields.get_mut(&name), value) {
            object.extend(others);
        }
    }
    Ok(value)
}
