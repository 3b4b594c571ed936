//! One run: objects that must be there are found, created and changed, or only compared.

use serde_json::Value;

use super::{
    compare::{Effect, Property},
    error::ProvisionError,
    report::{Line, Verb},
};
use crate::management::{ATTEMPTS, CallError, Management, is_id};

/// A run against the management API of one environment.
pub(super) struct Run<'a> {
    pub(super) management: &'a Management,
    /// Whether objects are created and changed.
    pub(super) applies: bool,
    /// Whether things are removed and loosened too.
    pub(super) prunes: bool,
    /// Whether Deputy pushes its authorization requests.
    pub(super) pushes: bool,
    pub(super) lines: Vec<Line>,
}

/// An object that must be there.
pub(super) struct RequiredObject<'a> {
    /// Its name in lines.
    pub(super) object: String,
    /// The path of its collection, and the name of that in a response.
    pub(super) collection: (String, &'static str),
    /// Whether an object of the collection is this one.
    pub(super) is_it: &'a (dyn Fn(&Value) -> bool + Sync),
    /// Refuses an object that was found and must not be changed.
    pub(super) check: &'a (dyn Fn(&Value) -> Result<(), ProvisionError> + Sync),
    /// The detail of the line that says that it is created.
    pub(super) detail: String,
    /// Members of a new object that are not compared later.
    pub(super) body: Value,
    /// The properties of a new object, or of one that exists.
    pub(super) properties: &'a (dyn Fn(Option<&Value>) -> Vec<Property> + Sync),
    /// Whether PingOne refuses a second one, so that a request with an unknown outcome may be sent again.
    pub(super) is_unique: bool,
}

/// An object of PingOne.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) value: Value,
    /// Whether this run created it.
    pub(super) is_new: bool,
}

impl Held {
    pub(super) fn new(value: Value) -> Result<Self, ProvisionError> {
        Ok(Self { id: id(&value)?.to_owned(), value, is_new: false })
    }
}

/// The id of an object, which becomes a part of paths.
pub(super) fn id(value: &Value) -> Result<&str, ProvisionError> {
    value["id"].as_str().filter(|id| is_id(id)).ok_or(ProvisionError::NoId)
}

impl Run<'_> {
    pub(super) fn note(&mut self, verb: Verb, object: &str, detail: impl Into<String>) {
        self.lines.push(Line { verb, object: object.to_owned(), detail: detail.into() });
    }

    /// The items of a collection.
    pub(super) async fn list(
        &self,
        (path, name): &(String, &'static str),
    ) -> Result<Vec<Value>, ProvisionError> {
        let items = self.management.list(path, name).await.map_err(ProvisionError::of)?;
        items.iter().try_for_each(|item| id(item).map(|_| ()))?;
        Ok(items)
    }

    /// Creates an object unless it was found, and gives it the properties that it must have. `None`: it does not exist, and
    /// this run only compares.
    pub(super) async fn ensure(
        &mut self,
        required: &RequiredObject<'_>,
        found: Option<Value>,
    ) -> Result<Option<Held>, ProvisionError> {
        let held = if let Some(value) = found {
            Held::new(value)?
        } else {
            self.note(Verb::Create, &required.object, required.detail.as_str());
            if !self.applies {
                return Ok(None);
            }
            match self.create(required).await? {
                (value, true) => return Ok(Some(Held { is_new: true, ..Held::new(value)? })),
                (value, false) => Held::new(value)?,
            }
        };
        (required.check)(&held.value)?;
        self.adjust(required, held).await.map(Some)
    }

    /// Creates the object, or finds the one that was created meanwhile: by another run, or by a request whose response was
    /// lost. The flag says whether this response created it.
    async fn create(&self, required: &RequiredObject<'_>) -> Result<(Value, bool), ProvisionError> {
        let mut body = required.body.clone();
        for property in (required.properties)(None) {
            property.set(&mut body);
        }
        // An earlier run may have been interrupted a moment ago, and nothing else would prevent a second object.
        if !required.is_unique
            && let Some(found) = self.search(required).await?
        {
            return Ok((found, false));
        }
        let mut repeats = if required.is_unique { REPEATS } else { 0 };
        loop {
            let failure = match self.management.create(&required.collection.0, &body).await {
                Ok(value) => return Ok((value, true)),
                Err(failure @ (CallError::NotUnique(_) | CallError::Unknown(_))) => failure,
                Err(error) => return Err(ProvisionError::of(error)),
            };
            if let Some(found) = self.search(required).await? {
                return Ok((found, false));
            }
            match failure {
                CallError::Unknown(_) if repeats > 0 => repeats -= 1,
                failure => return Err(ProvisionError::of(failure)),
            }
        }
    }

    /// Looks for an object that PingOne may not show yet.
    async fn search(&self, required: &RequiredObject<'_>) -> Result<Option<Value>, ProvisionError> {
        for number in 1..=SEARCHES {
            let items = self.list(&required.collection).await?;
            if let Some(found) = items.into_iter().find(|item| (required.is_it)(item)) {
                return Ok(Some(found));
            }
            self.management.pause(number).await;
        }
        Ok(None)
    }

    /// Gives an object the properties that it must have.
    async fn adjust(&mut self, required: &RequiredObject<'_>, held: Held) -> Result<Held, ProvisionError> {
        let path = format!("{}/{}", required.collection.0, held.id);
        let differences = |value: &Value| -> Vec<_> {
            (required.properties)(Some(value))
                .iter()
                .flat_map(|property| property.differences(value))
                .collect()
        };
        let mut held = held;
        if self.applies && !differences(&held.value).is_empty() {
            // A PUT replaces everything, also changes that were made since the object was read.
            held.value = self.management.get(&path).await.map_err(ProvisionError::of)?;
            (required.check)(&held.value)?;
        }
        let mut changed = held.value.clone();
        let before = self.lines.len();
        for difference in differences(&held.value) {
            let (verb, detail) = match difference.effect {
                Effect::Add | Effect::Change => (Verb::Change, difference.text.clone()),
                Effect::Loosen if self.prunes => (Verb::Change, difference.text.clone()),
                Effect::Remove if self.prunes => (Verb::Remove, difference.text.clone()),
                Effect::Loosen => {
                    (Verb::Keep, format!("{}: this change allows more; --prune makes it", difference.text))
                }
                Effect::Remove => (
                    Verb::Keep,
                    format!("{}: this change removes a value; --prune makes it", difference.text),
                ),
            };
            if verb != Verb::Keep {
                difference.end(&mut changed);
            }
            self.note(verb, &required.object, detail);
        }
        if self.lines.len() == before {
            self.note(Verb::Ok, &required.object, "");
        }
        if !self.applies || changed == held.value {
            return Ok(held);
        }
        let value = self.management.replace(&path, &writable(changed)).await;
        Ok(Held { value: value.map_err(ProvisionError::of)?, ..held })
    }

    /// Removes an object, if this run prunes.
    pub(super) async fn prune(
        &mut self,
        object: &str,
        path: &str,
        reason: &str,
    ) -> Result<(), ProvisionError> {
        if !self.prunes {
            self.note(Verb::Keep, object, format!("{reason}; only --prune removes it"));
            return Ok(());
        }
        self.note(Verb::Remove, object, reason);
        if self.applies {
            self.management.delete(path).await.map_err(ProvisionError::of)?;
        }
        Ok(())
    }
}

/// The object without the members that PingOne sets. A `PUT` replaces all others.
fn writable(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        for name in ["_embedded", "_links", "createdAt", "environment", "id", "updatedAt"] {
            members.remove(name);
        }
    }
    object
}

/// Further attempts at an object that PingOne does not create twice.
const REPEATS: u32 = 2;

/// Searches for an object that may have been created.
const SEARCHES: u32 = ATTEMPTS - 2;
