//! Properties of an object as they must be, and how those of PingOne's object differ.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A property as it must be.
pub(super) struct Property {
    /// The name, or the names down to a nested property.
    path: &'static [&'static str],
    wanted: Value,
    rule: Rule,
    /// The value of an object that lacks the property.
    default: Value,
    /// Whether the change from this value allows more than before.
    loosens: fn(&Value) -> bool,
    is_unshown: bool,
    /// The name in lines, if it is not the path.
    label: Option<&'static str>,
    /// Names of objects by their id, for lines.
    names: BTreeMap<String, String>,
}

/// The values that are right.
#[derive(Clone, Copy)]
enum Rule {
    /// The wanted one.
    Is,
    /// A number that is not smaller than this one.
    AtLeast(u64),
    /// A list with all wanted items, and no others.
    Lists,
    /// A list with all wanted items.
    Covers,
}

/// A difference of one property.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) effect: Effect,
    /// The property, with its value now and its value then.
    pub(super) text: String,
    path: &'static [&'static str],
    /// The value after this difference has ended. For a list: the items to add or to remove.
    value: Value,
}

/// The effect of ending a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A property changes, or a list gets items.
    Change,
    /// A list gets items.
    Add,
    /// A property allows more than before.
    Loosen,
    /// A list loses items.
    Remove,
}

impl Property {
    /// A property with one right value.
    pub(super) fn is(path: &'static [&'static str], wanted: impl Into<Value>) -> Self {
        let (wanted, default) = (wanted.into(), Value::Null);
        Self {
            path,
            wanted,
            rule: Rule::Is,
            default,
            loosens: |_| false,
            is_unshown: false,
            label: None,
            names: BTreeMap::new(),
        }
    }

    /// A number that must not be smaller. A greater one allows more.
    pub(super) fn at_least(path: &'static [&'static str], wanted: u64) -> Self {
        Self { rule: Rule::AtLeast(wanted), loosens: |_| true, ..Self::is(path, wanted) }
    }

    /// The same number for new objects. Any that is not smaller than `least` is right.
    pub(super) fn accepting(self, least: u64) -> Self {
        Self { rule: Rule::AtLeast(least), ..self }
    }

    /// A list of exactly these texts.
    pub(super) fn lists(path: &'static [&'static str], wanted: &[&str]) -> Self {
        Self { rule: Rule::Lists, default: json!([]), ..Self::is(path, json!(wanted)) }
    }

    /// A list of exactly the objects with these ids, which have these names in lines.
    pub(super) fn refers(
        path: &'static [&'static str],
        ids: &[&str],
        names: BTreeMap<String, String>,
    ) -> Self {
        let references = ids.iter().map(|id| reference(id)).collect();
        Self { wanted: references, names, ..Self::lists(path, &[]) }
    }

    /// A list of these texts and perhaps others.
    pub(super) fn covers(path: &'static [&'static str], wanted: &[&str]) -> Self {
        Self { rule: Rule::Covers, ..Self::lists(path, wanted) }
    }

    /// A value that no line shows: it is secret, or long.
    pub(super) fn unshown(path: &'static [&'static str], wanted: impl Into<Value>) -> Self {
        Self { is_unshown: true, ..Self::is(path, wanted) }
    }

    /// The same with this name in lines.
    pub(super) fn labeled(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }

    /// The same with this value of an object that lacks the property.
    pub(super) fn or(self, default: impl Into<Value>) -> Self {
        Self { default: default.into(), ..self }
    }

    /// The same, for a change that allows more than before if `loosens` says so about the value before it.
    pub(super) fn loosening(self, loosens: fn(&Value) -> bool) -> Self {
        Self { loosens, ..self }
    }

    /// Sets the property of a new object.
    pub(super) fn set(&self, object: &mut Value) {
        *member(object, self.path) = self.wanted.clone();
    }

    /// The differences between an object's property and this one.
    pub(super) fn differences(&self, object: &Value) -> Vec<Difference> {
        let held = self.path.iter().fold(object, |value, name| &value[*name]);
        let held = if held.is_null() { &self.default } else { held };
        let name = self.label.map_or_else(|| self.path.join("."), str::to_owned);
        let difference = |effect, text, value| Difference { effect, text, path: self.path, value };
        let replaced = || {
            let effect = if (self.loosens)(held) { Effect::Loosen } else { Effect::Change };
            let text = if self.is_unshown {
                format!("{name} is another one, or unset")
            } else {
                format!("{name} {} → {}", shown(held), shown(&self.wanted))
            };
            vec![difference(effect, text, self.wanted.clone())]
        };
        match self.rule {
            Rule::Is if *held == self.wanted => Vec::new(),
            Rule::AtLeast(least) if held.as_u64() >= Some(least) => Vec::new(),
            Rule::Is | Rule::AtLeast(_) => replaced(),
            Rule::Covers | Rule::Lists => {
                let without = |list: &Value, others: &Value| -> Vec<Value> {
                    let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
                    let others = items(others);
                    items(list).into_iter().filter(|item| !contains(&others, item)).collect()
                };
                let shown = |items: &[Value]| {
                    let name = |item: &Value| {
                        let id = item["id"].as_str().unwrap_or_default();
                        self.names.get(id).cloned().unwrap_or_else(|| shown(item))
                    };
                    items.iter().map(name).collect::<Vec<_>>().join(" ")
                };
                let (missing, more) = (without(&self.wanted, held), without(held, &self.wanted));
                let mut differences = Vec::new();
                if !missing.is_empty() {
                    let text = format!("{name} + {}", shown(&missing));
                    differences.push(difference(Effect::Add, text, missing.into()));
                }
                if matches!(self.rule, Rule::Lists) && !more.is_empty() {
                    let text = format!("{name} - {}", shown(&more));
                    differences.push(difference(Effect::Remove, text, more.into()));
                }
                differences
            }
        }
    }
}

impl Difference {
    /// Ends the difference in an object.
    pub(super) fn end(&self, object: &mut Value) {
        let held = member(object, self.path);
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        match self.effect {
            Effect::Change | Effect::Loosen => *held = self.value.clone(),
            Effect::Add => match held {
                Value::Array(list) => list.extend(items.iter().cloned()),
                _ => *held = self.value.clone(),
            },
            Effect::Remove => {
                if let Value::Array(list) = held {
                    list.retain(|item| !contains(items, item));
                }
            }
        }
    }
}

/// The nested property, which is created if it is not there.
fn member<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(object, |value, name| {
        if !value.is_object() {
            *value = json!({});
        }
        &mut value[*name]
    })
}

/// Whether a list has the item. Objects are the same if they have the same id.
fn contains(list: &[Value], item: &Value) -> bool {
    list.iter().any(|held| if item.is_object() { held["id"] == item["id"] } else { held == item })
}

/// An object with only an id.
pub(super) fn reference(id: &str) -> Value {
    json!({ "id": id })
}

/// A value in a line.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) if text.is_empty() => "unset".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Object(object) if object.contains_key("id") => shown(&object["id"]),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The object without its differences, and their texts.
    fn adjusted(property: &Property, object: &Value) -> (Value, Vec<(Effect, String)>) {
        let mut object = object.clone();
        let differences = property.differences(&object);
        for difference in &differences {
            difference.end(&mut object);
        }
        assert_eq!(property.differences(&object), [], "{object}");
        (object, differences.into_iter().map(|found| (found.effect, found.text)).collect())
    }

    #[test]
    fn right_value_default_and_greater_number_are_no_difference() {
        let none = |property: Property, object: Value| {
            assert_eq!(property.differences(&object), [], "{object}");
        };
        none(Property::is(&["a"], "x"), json!({ "a": "x" }));
        none(Property::is(&["a"], false).or(false), json!({}));
        none(Property::at_least(&["a"], 120), json!({ "a": 300 }));
        none(Property::at_least(&["a"], 120).accepting(70), json!({ "a": 70 }));
        none(Property::at_least(&["a"], 120).or(120), json!({}));
        none(Property::lists(&["a"], &["x", "y"]), json!({ "a": ["y", "x"] }));
        none(Property::covers(&["a", "b"], &["x"]), json!({ "a": { "b": ["y", "x"] } }));
    }

    #[test]
    fn list_gets_and_loses_items() {
        let property = Property::lists(&["a", "b"], &["x", "y"]);
        let (object, differences) = adjusted(&property, &json!({ "a": { "b": ["y", "z"], "c": 1 } }));
        assert_eq!(object, json!({ "a": { "b": ["y", "x"], "c": 1 } }));
        let expected = [(Effect::Add, "a.b + x".to_owned()), (Effect::Remove, "a.b - z".to_owned())];
        assert_eq!(differences, expected);
        assert_eq!(adjusted(&property, &json!({})).0, json!({ "a": { "b": ["x", "y"] } }));
    }

    #[test]
    fn references_are_compared_by_id_and_shown_by_name() {
        let names = BTreeMap::from([("1".to_owned(), "one".to_owned()), ("2".to_owned(), "two".to_owned())]);
        let property = Property::refers(&["scopes"], &["1", "2"], names);
        let held = json!({ "scopes": [{ "id": "2", "href": "…" }, { "id": "3" }] });
        let (object, differences) = adjusted(&property, &held);
        assert_eq!(object, json!({ "scopes": [{ "id": "2", "href": "…" }, { "id": "1" }] }));
        let expected = [(Effect::Add, "scopes + one".to_owned()), (Effect::Remove, "scopes - 3".to_owned())];
        assert_eq!(differences, expected);
    }

    #[test]
    fn change_that_allows_more_is_told_apart() {
        let enabled = Property::is(&["enabled"], true).loosening(|_| true);
        let (_, differences) = adjusted(&enabled, &json!({ "enabled": false }));
        assert_eq!(differences, [(Effect::Loosen, "enabled false → true".to_owned())]);
        let (_, differences) = adjusted(&Property::is(&["p"], "S256_REQUIRED"), &json!({ "p": "OPTIONAL" }));
        assert_eq!(differences, [(Effect::Change, "p OPTIONAL → S256_REQUIRED".to_owned())]);
    }
}
