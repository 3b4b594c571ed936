//! Members that the other direction alone has: `readOnly` ones of a request, and `writeOnly` ones of a response.
//!
//! A member is one of them if any of its declarations says so: a schema that it refers to, a part or an alternative of its
//! schema, or one in another part or alternative of the object around it. Such a member is in no schema that a client sees, and
//! values lose it. An alternative that does not declare it would accept it otherwise.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    ptr,
};

use serde_json::Value;

use super::Direction;
use crate::{
    document::{Document, Object, is_true},
    refusal::Refusal,
};

/// The members of objects that belong to the other direction, at each place of the values of some schemas.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Foreign {
    nodes: Vec<Node>,
}

/// A place in a value: the schemas there that concern a member of the other direction.
pub(crate) type Place = Vec<usize>;

/// A schema that concerns such a member.
#[derive(Clone, Debug, Default, PartialEq)]
struct Node {
    /// The names of these members.
    names: BTreeSet<String>,
    /// Their names, as a lenient API reads them.
    folded: BTreeSet<String>,
    /// Whether every member that is not declared is one of them.
    has_all_others: bool,
    declared: BTreeMap<String, Place>,
    patterns: Place,
    others: Place,
    items: Place,
}

impl Foreign {
    /// Adds the places of the values of `schema`, and returns the outermost one.
    pub(super) fn add(
        &mut self,
        document: &Document,
        direction: Direction,
        schema: &Value,
    ) -> Result<Place, Refusal> {
        let schemas = Schemas::read(document, direction, schema)?;
        let Some(closures) = schemas.closures(self.nodes.len())? else { return Ok(Place::new()) };
        let places = |ids: &[usize]| -> Place {
            let all: BTreeSet<_> = ids.iter().flat_map(|id| &closures.of[id]).copied().collect();
            all.into_iter().collect()
        };
        for id in &closures.kept {
            let read = &schemas.read[*id];
            let is_foreign = |id: &usize| schemas.marked[*id];
            let names = read.properties.iter().filter(|(_, id)| is_foreign(id)).map(|(name, _)| *name);
            let names: BTreeSet<_> = names.map(str::to_owned).collect();
            self.nodes.push(Node {
                folded: names.iter().map(|name| folded(name)).collect(),
                names,
                has_all_others: read.patterns.iter().chain(&read.others).any(is_foreign),
                declared: read
                    .properties
                    .iter()
                    .map(|(name, id)| ((*name).to_owned(), places(&[*id])))
                    .collect(),
                patterns: places(&read.patterns),
                others: places(&read.others),
                items: places(&read.items),
            });
        }
        Ok(closures.of[&0].clone())
    }

    /// Whether a member of the object at a place belongs to the other direction.
    pub(super) fn has(&self, place: &[usize], name: &str) -> bool {
        let nodes = || place.iter().filter_map(|id| self.nodes.get(*id));
        if nodes().any(|node| node.names.contains(name)) {
            return true;
        }
        if nodes().any(|node| node.declared.contains_key(name)) {
            return false;
        }
        let folded = folded(name);
        nodes().any(|node| node.has_all_others || !folded.is_empty() && node.folded.contains(&folded))
    }

    /// The place of a member.
    pub(super) fn member(&self, place: &[usize], name: &str) -> Place {
        self.step(place, |node| {
            let own = node.declared.get(name).unwrap_or(&node.others);
            own.iter().chain(&node.patterns)
        })
    }

    /// The place of the items of a list.
    pub(super) fn item(&self, place: &[usize]) -> Place {
        self.step(place, |node| node.items.iter().chain(&[]))
    }

    fn step<'a, I: Iterator<Item = &'a usize>>(
        &'a self,
        place: &[usize],
        next: impl Fn(&'a Node) -> I,
    ) -> Place {
        let all: BTreeSet<_> = place.iter().filter_map(|id| self.nodes.get(*id)).flat_map(next).collect();
        all.into_iter().copied().collect()
    }
}

/// A name without case and separators. Some APIs read `isAdmin`, `is_admin` and `ISADMIN` as one name. The case of letters is
/// that of Unicode: some read `ſ` as `s`, and the Kelvin sign as `k`. Some end a name at a NUL character.
pub(crate) fn folded(name: &str) -> String {
    let letters = name.chars().take_while(|c| *c != '\0');
    let letters = letters.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    letters.filter(|c| c.is_alphanumeric()).collect()
}

/// The names of the members that a schema declares, in itself, its parts and its alternatives.
pub(crate) fn declared(document: &Document, schema: &Value) -> Result<BTreeSet<String>, Refusal> {
    let schemas = Schemas::read(document, Direction::Request, schema)?;
    let closure = schemas.closure(0);
    let properties = closure.into_iter().flat_map(|id| &schemas.read[id].properties);
    Ok(properties.map(|(name, _)| (*name).to_owned()).collect())
}

/// The schemas that a schema leads to. The first one is the schema itself.
#[derive(Default)]
struct Schemas<'a> {
    read: Vec<Read<'a>>,
    /// Whether each of them, or one for the same value, has the keyword of the other direction.
    marked: Vec<bool>,
    ids: HashMap<*const Value, usize>,
    pending: Vec<&'a Value>,
}

/// The schemas in one schema.
#[derive(Default)]
struct Read<'a> {
    /// For the same value.
    same: Vec<usize>,
    properties: Vec<(&'a str, usize)>,
    patterns: Vec<usize>,
    /// For members that are not declared.
    others: Vec<usize>,
    items: Vec<usize>,
}

impl Read<'_> {
    fn parts(&self) -> impl Iterator<Item = usize> {
        let properties = self.properties.iter().map(|(_, id)| *id);
        properties.chain([&self.patterns, &self.others, &self.items].into_iter().flatten().copied())
    }
}

/// The schemas that concern members of the other direction, and for each schema those of the same value.
struct Closures {
    kept: Vec<usize>,
    of: HashMap<usize, Place>,
}

impl<'a> Schemas<'a> {
    fn read(document: &'a Document, direction: Direction, schema: &'a Value) -> Result<Self, Refusal> {
        let keyword = match direction {
            Direction::Request => "readOnly",
            Direction::Response => "writeOnly",
        };
        let mut schemas = Self::default();
        schemas.id(schema);
        while let Some(schema) = schemas.pending.pop() {
            if schemas.read.len() > MAX_SCHEMAS {
                return Err(Refusal::LargeInput(super::MAX_BYTES));
            }
            let Some(object) = schema.as_object() else { continue };
            let id = schemas.id(schema);
            let known = schemas.read.len();
            let read = schemas.keywords(document, object);
            document.take((1 + schemas.read.len() - known) * size_of::<Read<'_>>())?;
            schemas.read[id] = read;
            schemas.marked[id] = is_true(object, keyword);
        }
        // A list of items that are not sent is not sent.
        let same = |read: &Read<'_>| read.same.iter().chain(&read.items).copied().collect();
        spread(&mut schemas.marked, schemas.read.iter().map(same).collect());
        Ok(schemas)
    }

    fn id(&mut self, schema: &'a Value) -> usize {
        let next = self.read.len();
        let id = *self.ids.entry(ptr::from_ref(schema)).or_insert(next);
        if id == next {
            self.read.push(Read::default());
            self.marked.push(false);
            self.pending.push(schema);
        }
        id
    }

    fn keywords(&mut self, document: &'a Document, schema: &'a Object) -> Read<'a> {
        let mut of = |names: &[&str]| -> Vec<usize> {
            let mut ids = Vec::new();
            for value in names.iter().filter_map(|name| schema.get(*name)) {
                match value {
                    Value::Array(schemas) => ids.extend(schemas.iter().map(|schema| self.id(schema))),
                    schema => ids.push(self.id(schema)),
                }
            }
            ids
        };
        let mut same = of(&["allOf", "anyOf", "oneOf", "if", "then", "else"]);
        let others = of(&["additionalProperties", "unevaluatedProperties"]);
        let items = of(&["items", "prefixItems", "additionalItems", "contains", "unevaluatedItems"]);
        let mut named = |keyword: &str| -> Vec<(&'a str, usize)> {
            let schemas = schema.get(keyword).and_then(Value::as_object).into_iter().flatten();
            schemas.map(|(name, schema)| (name.as_str(), self.id(schema))).collect()
        };
        let properties = named("properties");
        let patterns = named("patternProperties").into_iter().map(|(_, id)| id).collect();
        same.extend(named("dependentSchemas").into_iter().map(|(_, id)| id));
        // Those that a discriminator names are alternatives too, if only they refer to this schema.
        let named =
            schema.get("discriminator").and_then(|discriminator| discriminator.get("mapping")?.as_object());
        let named = named.into_iter().flatten().filter_map(|(_, schema)| schema.as_str()).map(|schema| {
            if schema.contains('#') {
                Cow::Borrowed(schema)
            } else {
                Cow::Owned(format!("#/components/schemas/{schema}"))
            }
        });
        let reference = schema.get("$ref").and_then(Value::as_str).map(Cow::Borrowed);
        // The writer refuses a reference that leads nowhere.
        let targets =
            reference.into_iter().chain(named).filter_map(|reference| document.target(&reference).ok());
        same.extend(targets.map(|target| self.id(target)));
        Read { same, properties, patterns, others, items }
    }

    /// The schemas for the same value as one of them.
    fn closure(&self, start: usize) -> BTreeSet<usize> {
        let (mut closure, mut pending) = (BTreeSet::new(), vec![start]);
        while let Some(id) = pending.pop() {
            if closure.insert(id) {
                pending.extend(&self.read[id].same);
            }
        }
        closure
    }

    /// The closures, with `first` as the number of the first schema that is kept; nothing if no member is of the other direction.
    fn closures(&self, first: usize) -> Result<Option<Closures>, Refusal> {
        if !self.marked.contains(&true) {
            return Ok(None);
        }
        let is_own = |read: &Read<'_>| {
            let others = read.patterns.iter().chain(&read.others);
            read.properties.iter().map(|(_, id)| id).chain(others).any(|id| self.marked[*id])
        };
        let mut leads: Vec<bool> = self.read.iter().map(is_own).collect();
        spread(
            &mut leads,
            self.read.iter().map(|read| read.parts().chain(read.same.clone()).collect()).collect(),
        );
        if !leads[0] {
            return Ok(None);
        }
        let properties = || self.read.iter().flat_map(|read| &read.properties);
        let names: BTreeSet<_> =
            properties().filter(|(_, id)| self.marked[*id]).map(|(name, _)| folded(name)).collect();
        let concerns = |read: &Read<'_>| {
            // A name that differs in its case from one of the other direction is that of a member, if it is declared.
            is_own(read)
                || read.parts().any(|id| leads[id])
                || read.properties.iter().any(|(name, _)| names.contains(&folded(name)))
        };
        let kept: Vec<_> = (0..self.read.len()).filter(|id| concerns(&self.read[*id])).collect();
        let numbers: HashMap<_, _> = kept.iter().copied().zip(first..).collect();
        let mut left = MAX_SCHEMAS;
        let mut of = HashMap::new();
        for id in kept.iter().flat_map(|id| self.read[*id].parts()).chain([0]) {
            if let Entry::Vacant(entry) = of.entry(id) {
                let closure = self.closure(id);
                left = left.checked_sub(closure.len()).ok_or(Refusal::LargeInput(super::MAX_BYTES))?;
                entry.insert(closure.iter().filter_map(|id| numbers.get(id).copied()).collect());
            }
        }
        Ok(Some(Closures { kept, of }))
    }
}

/// Marks each schema from which the edges lead to a marked one.
fn spread(marked: &mut [bool], edges: Vec<Vec<usize>>) {
    let mut from = vec![Vec::new(); marked.len()];
    for (id, to) in edges.into_iter().enumerate() {
        for to in to {
            from[to].push(id);
        }
    }
    let mut pending: Vec<_> = (0..marked.len()).filter(|id| marked[*id]).collect();
    while let Some(id) = pending.pop() {
        for id in &from[id] {
            if !marked[*id] {
                marked[*id] = true;
                pending.push(*id);
            }
        }
    }
}

/// Schemas that one schema leads to, and schemas for the same values together.
const MAX_SCHEMAS: usize = 100_000;
