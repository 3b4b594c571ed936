//! The operations of a document: those that are served, and those that are not and why.

use std::collections::{BTreeMap, BTreeSet};

use deputy::{
    config::{Config, ConfigError, ConfigErrors},
    types::Scopes,
};
use serde_json::{Map, Value};

use crate::{
    curation::Place,
    document::{Document, Object, clean, text_of},
    keys,
    names::{distinguished, name},
    operation::{self, Operation},
    refusal::{DocumentError, Refusal},
    security,
};

/// A document, read.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The API on pages, as in "use *Invoices* as you".
    pub api: String,
    /// The version of the API.
    pub version: String,
    /// Instructions for models, beside the descriptions of the tools.
    pub instructions: Option<String>,
    /// The operations that are served, by path and method.
    pub operations: Vec<Operation>,
    /// The operations that are not served, and why.
    pub refused: Vec<RefusedOperation>,
    /// The words for each scope that the document describes.
    pub scope_descriptions: BTreeMap<String, String>,
    /// The keys of Deputy at paths and operations that the document itself has, beside those of an overlay.
    pub keys_beside_overlay: Vec<String>,
    /// The path of the first of `servers`, which `API_URL` should have. The rest of `servers` is not read.
    pub base_path: Option<String>,
}

/// An operation that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOperation {
    /// Its method and path.
    pub source: String,
    /// `operationId`
    pub operation_id: Option<String>,
    /// The reason.
    pub refusal: Refusal,
}

impl Catalog {
    /// Reads the text of a document: OpenAPI 3.0 or 3.1, in JSON or YAML.
    pub fn read(text: &str) -> Result<Self, DocumentError> {
        Self::of(&Document::parse(text, None)?)
    }

    /// Reads the text of a document after the changes of an overlay (OpenAPI Overlay 1.0).
    pub fn curated(text: &str, overlay: &str) -> Result<Self, DocumentError> {
        Self::of(&Document::parse(text, Some(overlay))?)
    }

    pub(crate) fn of(document: &Document) -> Result<Self, DocumentError> {
        let root = document.root().as_object().ok_or(DocumentError::NotOpenApi)?;
        keys::check(root)?;
        let empty = Map::new();
        let paths = match root.get("paths") {
            None => &empty,
            Some(Value::Object(paths)) => paths,
            Some(_) => return Err(DocumentError::Syntax("its `paths` are not an object".to_owned())),
        };
        let mut places = Vec::new();
        let mut refused = Vec::new();
        for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            let mut refuse = |source: String, refusal| {
                refused.push(RefusedOperation { source, operation_id: None, refusal });
            };
            let target = match document.object(item) {
                Ok(target) => target,
                Err(refusal) => {
                    refuse(clean(path, 200), refusal);
                    continue;
                }
            };
            if has_members_beside_reference(item) {
                refuse(clean(path, 200), Refusal::BesideReference("its path"));
                continue;
            }
            let is_capitalized =
                |name: &&String| METHODS.iter().any(|method| name.eq_ignore_ascii_case(method));
            for name in target.keys().filter(is_capitalized).filter(|name| !METHODS.contains(&name.as_str()))
            {
                refuse(source(name, path), Refusal::Malformed("its method is not in lower case"));
            }
            for method in METHODS {
                let source = || source(method, path);
                let Some(operation) = target.get(method) else { continue };
                // Some documents have references to operations, which OpenAPI does not define.
                match document.object(operation) {
                    _ if has_members_beside_reference(operation) => {
                        refuse(source(), Refusal::BesideReference("the operation"));
                    }
                    Ok(operation) => places.push(Place { path, method, root, item: target, operation }),
                    Err(refusal) => refuse(source(), refusal),
                }
            }
        }
        if places.len() > MAX_OPERATIONS {
            return Err(DocumentError::TooManyOperations(MAX_OPERATIONS));
        }
        // The same order on every host, also where JSON objects keep the order of the document.
        places.sort_by(|one, other| (one.path, one.method).cmp(&(other.path, other.method)));
        let names = names(&places);
        let mut served = Vec::new();
        let mut taken = BTreeSet::new();
        for (place, name) in places.iter().zip(names) {
            // An `operationId` can be the name that another operation has with its suffix.
            let free = name.and_then(|name| {
                if taken.insert(name.clone()) { Ok(name) } else { Err(Refusal::NameTaken(name)) }
            });
            let read = free.and_then(|name| operation::read(document, place, name));
            match read {
                Ok(operation) => served.push(operation),
                Err(refusal) => refused.push(RefusedOperation {
                    source: source(place.method, place.path),
                    operation_id: text_of(place.operation, "operationId").map(|id| clean(id, 100)),
                    refusal,
                }),
            }
        }
        let info = root.get("info").and_then(Value::as_object).unwrap_or(&empty);
        let title = text_of(root, keys::API).or_else(|| text_of(info, "title")).unwrap_or("your API");
        Ok(Self {
            api: clean(title, 100),
            version: info.get("version").map(version).unwrap_or_default(),
            instructions: text_of(root, keys::INSTRUCTIONS).map(|text| clean(text, 2000)),
            operations: served,
            refused,
            scope_descriptions: security::descriptions(document, root),
            keys_beside_overlay: document.own_keys().to_vec(),
            base_path: base_path(root),
        })
    }

    /// Every scope that an operation needs, in alphabetical order.
    pub fn scopes(&self) -> Vec<String> {
        let scopes: BTreeSet<_> = self.operations.iter().flat_map(|operation| &operation.scopes).collect();
        scopes.into_iter().cloned().collect()
    }

    /// The configuration with these variables. `API_SCOPES` has the scopes of the operations, unless it is set.
    pub fn config(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let own = self.scopes();
        let refuse = |problem: String| {
            Err(ConfigErrors(vec![ConfigError { name: "API_SCOPES".into(), problem: problem.into() }]))
        };
        let scopes = match variable("API_SCOPES") {
            Some(scopes) => scopes,
            None if own.is_empty() => {
                return refuse(
                    "is not set, and no tool of the OpenAPI document needs a scope: set it to a scope of the API".into(),
                );
            }
            None if own.len() > Scopes::MOST => {
                return refuse(format!(
                    "is not set, and the tools of the OpenAPI document need {} scopes, of which a client can have {}: leave out \
                     operations with x-deputy-hide, or set it to the scopes that clients may have",
                    own.len(),
                    Scopes::MOST
                ));
            }
            None => own.join(" "),
        };
        Config::parse(|name| if name == "API_SCOPES" { Some(scopes.clone()) } else { variable(name) })
    }
}

/// Whether a part of the document says something beside its `$ref`. The target alone would count, and a decision of the curation
/// beside the reference would have no effect.
fn has_members_beside_reference(value: &Value) -> bool {
    let without_effect = |name: &str| !["$ref", "description", "summary"].contains(&name);
    value.get("$ref").is_some()
        && value.as_object().is_some_and(|object| object.keys().any(|name| without_effect(name)))
}

/// The method and the path of an operation, for messages.
pub(crate) fn source(method: &str, path: &str) -> String {
    format!("{} {}", method.to_ascii_uppercase(), clean(path, 200))
}

/// The name of each operation. Operations whose names are the same get different ones, that do not depend on their order.
fn names(places: &[Place<'_>]) -> Vec<Result<String, Refusal>> {
    let plain: Vec<Result<(String, bool), Refusal>> = places
        .iter()
        .map(|place| {
            if let Some(name) = place.name()? {
                return Ok((name.to_owned(), true));
            }
            let id = text_of(place.operation, "operationId");
            Ok((name(place.prefix()?, id, place.method, place.path), false))
        })
        .collect();
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (name, is_chosen) in plain.iter().flatten() {
        let (all, chosen) = counts.entry(name.clone()).or_default();
        *all += 1;
        *chosen += usize::from(*is_chosen);
    }
    let named = places.iter().zip(plain).map(|(place, plain)| {
        let (name, is_chosen) = plain?;
        match (counts.get(&name), is_chosen) {
            (Some((_, 2..)), true) => Err(Refusal::NameTaken(name)),
            (Some((2.., _)), false) => Ok(distinguished(&name, &format!("{} {}", place.method, place.path))),
            _ => Ok(name),
        }
    });
    named.collect()
}

/// A version, also one that YAML takes for a number, such as `1.0`.
fn version(value: &Value) -> String {
    let text =
        if value.is_number() { value.to_string() } else { value.as_str().unwrap_or_default().to_owned() };
    clean(&text, 40)
}

/// The path of the first server.
fn base_path(root: &Object) -> Option<String> {
    let url = root.get("servers")?.get(0)?.get("url")?.as_str()?;
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.trim_start_matches('/'),
    };
    let path = path.trim_end_matches('/');
    (!path.is_empty() && !path.contains('{')).then(|| format!("/{}", clean(path, 200)))
}

/// The fields of a path item that are operations.
pub(crate) const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];

const MAX_OPERATIONS: usize = 5000;
