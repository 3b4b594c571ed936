//! Values that fit a schema of the subset.
//!
//! Some clients send every argument as text, and some models send an id of digits as a number: both are accepted where they are
//! unambiguous. Some APIs return `null` for what they do not have: members that are `null` are removed where the schema has no
//! `null`.

use std::fmt;

use serde_json::Value;

use super::{Direction, FOREIGN, Schema, is_of_type};
use crate::{
    digits::MAX_EXACT,
    document::{Object, shorten, size},
};

/// The place at which a value does not fit its schema, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The path of names and indexes, from the inside to the outside.
    path: Vec<String>,
    reason: String,
    /// Whether the value is none of an enumeration. Of alternatives, it is often the one that is not meant.
    is_choice: bool,
}

impl Mismatch {
    fn new(reason: impl Into<String>) -> Self {
        Self { path: Vec::new(), reason: reason.into(), is_choice: false }
    }

    fn within(mut self, step: impl ToString) -> Self {
        self.path.push(shorten(&step.to_string()));
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.path.iter().rev().enumerate() {
            write!(f, "{}{step}", if index == 0 { "" } else { "." })?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { " " }, self.reason)
    }
}

/// Checks an argument, and corrects its type where that is unambiguous.
pub(crate) fn fit_input(value: &mut Value, schema: &Schema) -> Result<(), Mismatch> {
    Fitting::new(schema, Direction::Request).whole(value)?;
    check_exact(value)
}

/// Checks a part of a response, and removes members that are `null` and may not be.
pub(crate) fn fit_output(value: &mut Value, schema: &Schema) -> Result<(), Mismatch> {
    Fitting::new(schema, Direction::Response).whole(value)
}

struct Fitting<'a> {
    schema: &'a Schema,
    direction: Direction,
    /// Steps that are left: alternatives inside alternatives multiply.
    steps: usize,
}

impl<'a> Fitting<'a> {
    const fn new(schema: &'a Schema, direction: Direction) -> Self {
        Self { schema, direction, steps: MAX_STEPS }
    }

    fn whole(&mut self, value: &mut Value) -> Result<(), Mismatch> {
        // Before, since the schema may have no other members; and after, since a text may be an object in JSON.
        self.lose_foreign(value)?;
        self.fit(value, &self.schema.schema, 0, true)?;
        self.lose_foreign(value)
    }

    /// Removes the members that belong to the other direction. The place of a value is in its schema, or in those of the arguments.
    fn lose_foreign(&mut self, value: &mut Value) -> Result<(), Mismatch> {
        let place = |schema: &Value| -> Option<Vec<usize>> {
            let place = schema.get(FOREIGN)?.as_array()?.iter().filter_map(Value::as_u64);
            Some(place.filter_map(|id| usize::try_from(id).ok()).collect())
        };
        if let Some(place) = place(&self.schema.schema) {
            return self.lose_foreign_at(value, &place);
        }
        let arguments = self.schema.schema.get("properties");
        for (name, value) in value.as_object_mut().into_iter().flatten() {
            if let Some(place) = arguments.and_then(|arguments| place(arguments.get(name)?)) {
                self.lose_foreign_at(value, &place).map_err(|mismatch| mismatch.within(name))?;
            }
        }
        Ok(())
    }

    fn lose_foreign_at(&mut self, value: &mut Value, place: &[usize]) -> Result<(), Mismatch> {
        let foreign = &self.schema.foreign;
        match value {
            Value::Array(items) => {
                let place = foreign.item(place);
                for item in items.iter_mut().filter(|_| !place.is_empty()) {
                    self.lose_foreign_at(item, &place)?;
                }
            }
            Value::Object(members) => {
                self.take(members.len().saturating_mul(place.len()))?;
                members.retain(|name, _| !foreign.has(place, name));
                for (name, value) in members {
                    let place = foreign.member(place, name);
                    if !place.is_empty() {
                        self.lose_foreign_at(value, &place)?;
                    }
                }
            }
            _ => {}
        }
        self.take(1)
    }

    fn fit(
        &mut self,
        value: &mut Value,
        schema: &Value,
        depth: usize,
        lenient: bool,
    ) -> Result<(), Mismatch> {
        self.take(if depth < MAX_DEPTH { 1 } else { usize::MAX })?;
        let Some(schema) = schema.as_object() else { return Ok(()) };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix("#/$defs/").unwrap_or_default();
            let definitions = &self.schema.definitions;
            return definitions
                .get(name)
                .map_or(Ok(()), |schema| self.fit(value, schema, depth + 1, lenient));
        }
        if let Some(kind) = schema.get("type").and_then(Value::as_str) {
            if lenient && self.direction == Direction::Request && !is_of_type(value, kind) {
                correct(value, kind);
            }
            if !is_of_type(value, kind) {
                return Err(Mismatch::new(format!("must be {}", with_article(kind))));
            }
            if kind == "integer" && self.direction == Direction::Request {
                without_fraction(value);
            }
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array)
            && !values.contains(value)
        {
            let all = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let mismatch = Mismatch::new(format!("must be one of {}", shorten(&all)));
            return Err(Mismatch { is_choice: true, ..mismatch });
        }
        for every in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.fit(value, every, depth + 1, lenient)?;
        }
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            self.any(value, branches, depth, lenient)?;
        }
        match value {
            Value::Array(items) => {
                let Some(schema) = schema.get("items") else { return Ok(()) };
                for (index, item) in items.iter_mut().enumerate() {
                    self.fit(item, schema, depth + 1, lenient).map_err(|mismatch| mismatch.within(index))?;
                }
                Ok(())
            }
            Value::Object(members) => self.members(members, schema, depth, lenient),
            _ => Ok(()),
        }
    }

    /// Takes steps from those that are left.
    fn take(&mut self, steps: usize) -> Result<(), Mismatch> {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or_default();
        left.map(|_| ()).ok_or_else(too_complex)
    }

    /// The first branch that fits as it is, or else the first that fits after a correction.
    fn any(
        &mut self,
        value: &mut Value,
        branches: &[Value],
        depth: usize,
        lenient: bool,
    ) -> Result<(), Mismatch> {
        let mut first: Option<Mismatch> = None;
        let copied = size(value);
        for lenient in [false, true].into_iter().take(if lenient { 2 } else { 1 }) {
            for branch in branches {
                // The copy, and its correction.
                self.take(2 * copied / BYTES_OF_STEP)?;
                let mut tried = value.clone();
                match self.fit(&mut tried, branch, depth + 1, lenient) {
                    Ok(()) => {
                        *value = tried;
                        return Ok(());
                    }
                    Err(_) if self.steps == 0 => return Err(too_complex()),
                    Err(mismatch)
                        if first.as_ref().is_none_or(|first| first.is_choice && !mismatch.is_choice) =>
                    {
                        first = Some(mismatch);
                    }
                    Err(_) => {}
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn members(
        &mut self,
        members: &mut Object,
        schema: &Object,
        depth: usize,
        lenient: bool,
    ) -> Result<(), Mismatch> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let mut nulls = Vec::new();
        for (name, value) in members.iter_mut() {
            let schema = match properties.and_then(|properties| properties.get(name)) {
                Some(schema) => schema,
                None if is_closed => return Err(Mismatch::new("is not an argument").within(name)),
                None => continue,
            };
            if let Err(mismatch) = self.fit(value, schema, depth + 1, lenient) {
                if self.direction == Direction::Request || !value.is_null() {
                    return Err(mismatch.within(name));
                }
                nulls.push(name.clone());
            }
        }
        for name in nulls {
            members.remove(&name);
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        match required.filter_map(Value::as_str).find(|name| !members.contains_key(*name)) {
            Some(name) => Err(Mismatch::new("is missing").within(name)),
            None => Ok(()),
        }
    }
}

/// Reads a text as the value that it spells, or a number as its text.
fn correct(value: &mut Value, kind: &str) {
    let corrected = match (&*value, kind) {
        (Value::String(text), "array" | "boolean" | "integer" | "number" | "object")
            if text.len() <= MAX_TEXT =>
        {
            serde_json::from_str(text.trim()).ok()
        }
        // An id with more digits has lost some of them.
        (Value::Number(number), "string") if is_exact(value) => Some(Value::String(number.to_string())),
        _ => None,
    };
    if let Some(corrected) = corrected.filter(|corrected| is_of_type(corrected, kind)) {
        *value = corrected;
    }
}

/// Writes `2.0` as `2`: the API may read the text of a parameter as an integer.
fn without_fraction(value: &mut Value) {
    let exact = value.as_f64().filter(|number| number.abs() < MAX_EXACT);
    if let Some(number) = exact.filter(|_| value.is_f64()) {
        #[expect(clippy::cast_possible_truncation, reason = "it is an integer below 2^53")]
        let integer = number as i64;
        *value = integer.into();
    }
}

/// Refuses a value with a number that lost digits when it was read, at any place: it would be that of another thing.
fn check_exact(value: &Value) -> Result<(), Mismatch> {
    let inner = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| check_exact(item).err().map(|mismatch| mismatch.within(index))),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| check_exact(value).err().map(|mismatch| mismatch.within(name))),
        value => (!is_exact(value)).then(|| Mismatch::new("has too many digits to be exact")),
    };
    inner.map_or(Ok(()), Err)
}

/// Whether a number is the one that was written, and none of the numbers beside it.
fn is_exact(value: &Value) -> bool {
    !value.is_f64() || value.as_f64().is_some_and(|number| number.abs() < MAX_EXACT)
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    if kind == "null" { kind.to_owned() } else { format!("{article} {kind}") }
}

fn too_complex() -> Mismatch {
    Mismatch::new("is too complex")
}

/// Schemas that one value is compared with.
const MAX_STEPS: usize = 1_000_000;
const MAX_DEPTH: usize = 200;
/// Bytes that one step copies.
const BYTES_OF_STEP: usize = 256;
/// Bytes of a text that is read as another value.
const MAX_TEXT: usize = 256 * 1024;

#[cfg(test)]
mod tests;
