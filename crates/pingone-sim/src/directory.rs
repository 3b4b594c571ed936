//! The objects that the management API created, in its own words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The objects that the management API created.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Directory {
    objects: Vec<Object>,
    /// Client secrets by the id of their application.
    pub(crate) secrets: BTreeMap<String, String>,
}

/// An object in a collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Object {
    /// The path of the collection below the environment, as in `applications/<id>/grants`.
    collection: String,
    value: Value,
    /// Reads that do not find it yet.
    unseen: u32,
}

impl Object {
    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.value["id"].as_str().unwrap_or_default())
    }
}

impl Directory {
    /// The objects of a collection, also those that reads do not find yet.
    pub(crate) fn items(&self, collection: &str) -> Vec<&Value> {
        let objects = self.objects.iter().filter(|object| object.collection == collection);
        objects.map(|object| &object.value).collect()
    }

    /// The object at a path, also if reads do not find it yet.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        self.objects.iter().find(|object| object.path() == path).map(|object| &object.value)
    }

    /// The objects of a collection that a read finds.
    pub(crate) fn read_items(&mut self, collection: &str) -> Vec<Value> {
        let objects = self.objects.iter_mut().filter(|object| object.collection == collection);
        objects.filter_map(|object| seen(object).then(|| object.value.clone())).collect()
    }

    /// The object at a path, if a request finds it.
    pub(crate) fn find(&mut self, path: &str) -> Option<Value> {
        let object = self.objects.iter_mut().find(|object| object.path() == path)?;
        seen(object).then(|| object.value.clone())
    }

    /// Adds an object that the next `unseen` reads do not find.
    pub(crate) fn add(&mut self, collection: &str, value: Value, unseen: u32) {
        self.objects.push(Object { collection: collection.to_owned(), value, unseen });
    }

    /// Replaces the object at a path.
    pub(crate) fn replace(&mut self, path: &str, value: Value) {
        if let Some(object) = self.objects.iter_mut().find(|object| object.path() == path) {
            object.value = value;
        }
    }

    /// Removes the object at a path, and all below it.
    pub(crate) fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.objects.retain(|object| object.path() != path && !object.path().starts_with(&below));
    }
}

/// Whether a read finds the object. Each read that does not is counted.
fn seen(object: &mut Object) -> bool {
    let is_seen = object.unseen == 0;
    object.unseen = object.unseen.saturating_sub(1);
    is_seen
}
