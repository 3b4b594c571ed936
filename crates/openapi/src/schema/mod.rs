//! Schemas of OpenAPI 3.0 and 3.1 as JSON Schema 2020-12, in the subset that the models' providers accept.
//!
//! The subset is that of [`deputy::testing::tool_problems`]: there are no lists of types, no `oneOf`, `const` or `format` (except
//! `date-time`), and enumerations are of strings. A keyword
//! outside the subset becomes a word of the description, or is left out: the schema then accepts more, and the API decides.
//! References are replaced by their targets. A schema that is recursive or large has them in `$defs` instead.

mod fit;
mod foreign;
mod keywords;
mod merge;
mod reference;
mod typed;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    mem,
};

use serde_json::{Value, json};

use crate::{
    document::{Document, Object, clean, is_true, size, text_of},
    refusal::Refusal,
};
pub(crate) use fit::{Mismatch, fit_input, fit_output};
use foreign::Place;
pub(crate) use foreign::{Foreign, declared, folded};
use keywords::{
    MAX_DESCRIPTION, constraints, described, discriminator, enumeration, is_of_type, or_null, own_size, types,
};
use merge::merged;
use reference::alias;
pub(crate) use reference::resolved;
pub(crate) use typed::with_types;

/// The direction of a value. Members that the other direction alone has are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client to the API.
    Request,
    /// From the API. Its schema has types and no constraints, since a client refuses a result that violates it.
    Response,
}

/// A schema, and the definitions to which it refers.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the schema, beside its definitions")]
pub(crate) struct Schema {
    pub(crate) schema: Value,
    pub(crate) definitions: Object,
    pub(crate) foreign: Foreign,
}

impl Schema {
    /// Bytes in memory, roughly.
    pub(crate) fn size(&self) -> usize {
        size(&self.schema) + self.definitions.values().map(size).sum::<usize>()
    }
}

/// Writes one schema for several schemas of a document, with common definitions.
pub(crate) struct Writer<'a> {
    document: &'a Document,
    direction: Direction,
    /// References stay references.
    refers: bool,
    /// The members that values lose, and the place in a value whose schema is being written.
    foreign: Foreign,
    place: Place,
    /// The references that are being written, and the texts of schemas with `allOf`.
    within: Vec<String>,
    /// The name of the definition of each reference or text, at each place.
    names: BTreeMap<(String, Place), String>,
    /// The names of the definitions, and how many began with the same name.
    taken: BTreeSet<String>,
    counts: BTreeMap<String, usize>,
    definitions: Object,
    /// Definitions that are still to be written.
    pending: Vec<(String, Cow<'a, Value>, Place)>,
    written: usize,
}

/// Why a schema cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// It is recursive or large: it needs references.
    NeedsReferences,
    /// An operation with it cannot be served.
    Refused(Refusal),
}

impl From<Refusal> for Unwritable {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Writes schemas with `write`, without references if possible.
pub(crate) fn with_writer<T>(
    document: &Document,
    direction: Direction,
    mut write: impl FnMut(&mut Writer<'_>) -> Result<T, Unwritable>,
) -> Result<(T, Object, Foreign), Refusal> {
    for refers in [false, true] {
        let mut writer = Writer::new(document, direction, refers);
        match write(&mut writer).and_then(|written| writer.define().map(|()| written)) {
            Ok(written) => return Ok((written, writer.definitions, writer.foreign)),
            Err(Unwritable::NeedsReferences) => {}
            Err(Unwritable::Refused(refusal)) => return Err(refusal),
        }
    }
    Err(Refusal::LargeInput(MAX_BYTES))
}

/// Writes one schema. It is in its place, and no reference to a definition.
pub(crate) fn write(document: &Document, direction: Direction, schema: &Value) -> Result<Schema, Refusal> {
    let schema = resolved(document, schema)?;
    let (schema, definitions, foreign) = with_writer(document, direction, |writer| writer.write(schema))?;
    Ok(Schema { schema, definitions, foreign })
}

impl<'a> Writer<'a> {
    fn new(document: &'a Document, direction: Direction, refers: bool) -> Self {
        Self {
            document,
            direction,
            refers,
            foreign: Foreign::default(),
            place: Place::new(),
            within: Vec::new(),
            names: BTreeMap::new(),
            taken: BTreeSet::new(),
            counts: BTreeMap::new(),
            definitions: Object::new(),
            pending: Vec::new(),
            written: 0,
        }
    }

    /// Writes the definitions of the references that were written.
    fn define(&mut self) -> Result<(), Unwritable> {
        while let Some((name, target, place)) = self.pending.pop() {
            let written = self.at(place, &target)?;
            self.definitions.insert(name, written);
        }
        Ok(())
    }

    /// The schema in the subset, with the place of its values.
    pub(crate) fn write(&mut self, schema: &Value) -> Result<Value, Unwritable> {
        let place = self.foreign.add(self.document, self.direction, schema)?;
        let mut written = self.at(place.clone(), schema)?;
        if let Some(written) = written.as_object_mut().filter(|_| !place.is_empty()) {
            written.insert(FOREIGN.to_owned(), json!(place));
        }
        Ok(written)
    }

    /// The schema of the values at a place.
    fn at(&mut self, place: Place, schema: &Value) -> Result<Value, Unwritable> {
        let outer = mem::replace(&mut self.place, place);
        let written = self.schema(schema);
        self.place = outer;
        written
    }

    fn schema(&mut self, schema: &Value) -> Result<Value, Unwritable> {
        self.written += 1;
        if self.written > if self.refers { MAX_NODES } else { MAX_INLINE_NODES } {
            return Err(Unwritable::NeedsReferences);
        }
        if self.within.len() > MAX_DEPTH {
            return Err(Unwritable::NeedsReferences);
        }
        let Some(object) = schema.as_object() else {
            return match schema {
                Value::Bool(_) => Ok(json!({})),
                _ => Err(Refusal::Malformed("a schema is not an object").into()),
            };
        };
        if let Some(reference) = alias(object) {
            let target = self.reference(reference)?;
            let mut target = if is_true(object, "nullable") { or_null(target) } else { target };
            if let (Some(text), Some(target)) = (text_of(object, "description"), target.as_object_mut())
                && !target.contains_key("$ref")
            {
                target.insert("description".to_owned(), clean(text, MAX_DESCRIPTION).into());
            }
            return Ok(target);
        }
        self.within.push(String::new());
        let written = self.object(object);
        self.within.pop();
        written
    }

    fn reference(&mut self, reference: &str) -> Result<Value, Unwritable> {
        let target = self.document.target(reference)?;
        // Fails if the aliases form a circle without a schema in it.
        resolved(self.document, target)?;
        if !self.refers {
            if self.within.iter().any(|other| other == reference) {
                return Err(Unwritable::NeedsReferences);
            }
            self.within.push(reference.to_owned());
            let written = self.schema(target);
            self.within.pop();
            return written;
        }
        let name = reference.rsplit('/').next().unwrap_or_default();
        Ok(self.refer(reference, name, Cow::Borrowed(target)))
    }

    /// A reference to the definition of `target`, whose key is a reference or a text.
    fn refer(&mut self, key: &str, name: &str, target: Cow<'a, Value>) -> Value {
        let key = (key.to_owned(), self.place.clone());
        let known = self.names.get(&key).cloned();
        let name = known.unwrap_or_else(|| {
            let name = self.name(name);
            self.pending.push((name.clone(), target, key.1.clone()));
            self.names.insert(key, name.clone());
            name
        });
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// A name for a definition, unique in this schema.
    fn name(&mut self, name: &str) -> String {
        let base: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' })
            .take(60)
            .collect();
        let count = self.counts.entry(base.clone()).or_default();
        let mut name = base.clone();
        while name.is_empty() || self.taken.contains(&name) {
            *count += 1;
            name = format!("{base}_{}", *count + 1);
        }
        self.taken.insert(name.clone());
        name
    }

    fn object(&mut self, schema: &Object) -> Result<Value, Unwritable> {
        if schema.contains_key("allOf") || schema.contains_key("$ref") {
            return self.all_of(schema);
        }
        let (types, is_nullable) = types(schema);
        let written = match &types[..] {
            [] | [_] => self.one_type(schema, types.first().copied())?,
            several => {
                let branches: Result<Vec<_>, _> =
                    several.iter().map(|kind| self.one_type(schema, Some(kind))).collect();
                json!({ "anyOf": branches? })
            }
        };
        Ok(if is_nullable { or_null(written) } else { written })
    }

    /// A schema with `allOf`, or with a reference and other keywords, as in 3.1. The parts of a recursive one are written once.
    fn all_of(&mut self, schema: &Object) -> Result<Value, Unwritable> {
        let text = if self.refers { Value::Object(schema.clone()).to_string() } else { String::new() };
        if self.refers && self.within.contains(&text) {
            return Ok(self.refer(&text, "all_of", Cow::Owned(Value::Object(schema.clone()))));
        }
        let merged = merged(self.document, schema)?;
        self.within.push(text);
        let written = self.object(&merged);
        self.within.pop();
        written
    }

    fn one_type(&mut self, schema: &Object, kind: Option<&str>) -> Result<Value, Unwritable> {
        self.document.take(own_size(schema))?;
        let mut written = Object::new();
        let mut hints = Vec::new();
        if let Some(kind) = kind {
            written.insert("type".to_owned(), kind.into());
        }
        if self.direction == Direction::Request {
            enumeration(schema, kind, &mut written, &mut hints);
            constraints(schema, kind, &mut written, &mut hints);
            hints.extend(discriminator(schema));
        }
        if schema.get("format").and_then(Value::as_str) == Some("date-time")
            && self.direction == Direction::Request
        {
            written.insert("format".to_owned(), "date-time".into());
        }
        match kind {
            Some("object") => self.members(schema, &mut written)?,
            Some("array") => {
                let items = match schema.get("items") {
                    Some(items @ (Value::Object(_) | Value::Bool(_))) => {
                        self.at(self.foreign.item(&self.place), items)?
                    }
                    _ => json!({}),
                };
                written.insert("items".to_owned(), items);
            }
            _ => {}
        }
        self.alternatives(schema, &mut written)?;
        let description = described(text_of(schema, "description"), &hints);
        if !description.is_empty() {
            written.insert("description".to_owned(), description.into());
        }
        Ok(Value::Object(written))
    }

    fn members(&mut self, schema: &Object, written: &mut Object) -> Result<(), Unwritable> {
        let mut properties = Object::new();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property == &Value::Bool(false) || self.foreign.has(&self.place, name) {
                continue;
            }
            let written = self.at(self.foreign.member(&self.place, name), property)?;
            properties.insert(name.clone(), written);
        }
        if self.direction == Direction::Request {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let mut required: Vec<_> =
                required.filter_map(Value::as_str).filter(|name| properties.contains_key(*name)).collect();
            required.sort_unstable();
            required.dedup();
            if !required.is_empty() {
                written.insert("required".to_owned(), json!(required));
            }
        }
        if self.direction == Direction::Request
            && schema.get("additionalProperties") == Some(&Value::Bool(false))
        {
            written.insert("additionalProperties".to_owned(), false.into());
        }
        if !properties.is_empty() {
            written.insert("properties".to_owned(), Value::Object(properties));
        }
        Ok(())
    }

    /// `oneOf` and `anyOf`, both as `anyOf`.
    fn alternatives(&mut self, schema: &Object, written: &mut Object) -> Result<(), Unwritable> {
        for name in ["anyOf", "oneOf"] {
            let Some(parts) = schema.get(name).and_then(Value::as_array).filter(|parts| !parts.is_empty())
            else {
                continue;
            };
            let (mut branches, mut texts) = (Vec::new(), BTreeSet::new());
            for part in parts {
                let branch = self.schema(part)?;
                if texts.insert(branch.to_string()) {
                    branches.push(branch);
                }
            }
            match (branches.len(), written.contains_key("anyOf")) {
                (1, _) => {
                    for (name, value) in
                        branches.remove(0).as_object_mut().map(std::mem::take).unwrap_or_default()
                    {
                        written.entry(name).or_insert(value);
                    }
                }
                (_, false) => {
                    written.insert("anyOf".to_owned(), branches.into());
                }
                (_, true) => {
                    written.insert("allOf".to_owned(), json!([{ "anyOf": branches }]));
                }
            }
        }
        Ok(())
    }
}

/// The place of a value in [`Foreign`]. Clients do not see this keyword.
const FOREIGN: &str = "x-deputy-foreign";

/// Schemas inside a schema without references.
const MAX_INLINE_NODES: usize = 300;
/// Schemas inside a schema with references.
const MAX_NODES: usize = 4000;
const MAX_DEPTH: usize = 64;

/// Bytes of an input schema.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
