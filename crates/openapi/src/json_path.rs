//! The targets of overlays: a subset of JSONPath (RFC 9535).
//!
//! `$`, `.name`, `['name']`, `[0]`, `.*` and `[*]`, and the filters `[?@.name]` and `[?@.name == 'value']`, whose value may be a
//! text, a number, `true` or `false`. Crates for all of JSONPath need constructors that a Worker does not run, or a parser that is
//! larger than the rest of this crate.

use serde_json::Value;

/// A parsed target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Selector>);

#[derive(Clone, Debug, PartialEq)]
enum Selector {
    /// The members and items for which the filter holds: the member `name` exists, or has this value.
    Filter {
        name: String,
        value: Option<Value>,
    },
    Index(usize),
    Name(String),
    Wildcard,
}

/// The place of a value: names, and indexes as text.
pub(crate) type Place = Vec<String>;

impl JsonPath {
    /// Parses a target. `None` if it is outside the subset.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('$')?;
        let mut selectors = Vec::new();
        while !rest.is_empty() {
            let selector;
            (selector, rest) = match rest.strip_prefix('.') {
                Some(dotted) => after_dot(dotted)?,
                None => in_brackets(rest.strip_prefix('[')?.trim_start())?,
            };
            selectors.push(selector);
        }
        (selectors.len() <= MAX_SELECTORS).then_some(Self(selectors))
    }

    /// The places that it selects. `None` if there are more than `most`, also of the places on the way to them.
    pub(crate) fn select(&self, root: &Value, most: usize) -> Option<Vec<Place>> {
        let mut selected: Vec<(Place, &Value)> = vec![(Vec::new(), root)];
        for selector in &self.0 {
            let children = selected.iter().flat_map(|(place, value)| {
                let chosen =
                    children(value).filter(|(name, child)| selector.chooses(name, child, value.is_array()));
                chosen.map(|(name, child)| {
                    let mut inner = place.clone();
                    inner.push(name);
                    (inner, child)
                })
            });
            selected = children.take(most + 1).collect();
            if selected.len() > most {
                return None;
            }
        }
        Some(selected.into_iter().map(|(place, _)| place).collect())
    }
}

impl Selector {
    fn chooses(&self, name: &str, child: &Value, is_item: bool) -> bool {
        match self {
            Self::Filter { name: member, value: None } => child.get(member).is_some(),
            Self::Filter { name: member, value } => child.get(member) == value.as_ref(),
            Self::Index(index) => is_item && name == index.to_string(),
            Self::Name(chosen) => !is_item && name == chosen,
            Self::Wildcard => true,
        }
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = (String, &Value)> + '_> {
    match value {
        Value::Array(items) => {
            Box::new(items.iter().enumerate().map(|(index, item)| (index.to_string(), item)))
        }
        Value::Object(members) => Box::new(members.iter().map(|(name, member)| (name.clone(), member))),
        _ => Box::new(std::iter::empty()),
    }
}

fn after_dot(text: &str) -> Option<(Selector, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((Selector::Wildcard, rest));
    }
    let (name, rest) = name(text)?;
    Some((Selector::Name(name), rest))
}

/// A name without quotes: letters, digits, `_` and `-`.
fn name(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

fn in_brackets(text: &str) -> Option<(Selector, &str)> {
    let (selector, rest) = if let Some(rest) = text.strip_prefix('*') {
        (Selector::Wildcard, rest)
    } else if let Some(filter) = text.strip_prefix('?') {
        filter_of(filter)?
    } else if text.starts_with(['\'', '"']) {
        let (name, rest) = quoted(text)?;
        (Selector::Name(name), rest)
    } else {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        (Selector::Index(text[..end].parse().ok()?), &text[end..])
    };
    Some((selector, rest.trim_start().strip_prefix(']')?))
}

/// `@.name`, or `@.name == value`. Parentheses around it, as in older notations, are accepted.
fn filter_of(text: &str) -> Option<(Selector, &str)> {
    let text = text.trim_start();
    let (text, is_closed) = text.strip_prefix('(').map_or((text, false), |inner| (inner.trim_start(), true));
    let member = text.strip_prefix('@')?;
    let (member, rest) = if let Some(dotted) = member.strip_prefix('.') {
        name(dotted)?
    } else {
        let (name, rest) = quoted(member.strip_prefix('[')?)?;
        (name, rest.strip_prefix(']')?)
    };
    let rest = rest.trim_start();
    let (value, rest) = match rest.strip_prefix("==") {
        Some(compared) => literal(compared.trim_start()).map(|(value, rest)| (Some(value), rest))?,
        None => (None, rest),
    };
    let rest = if is_closed { rest.trim_start().strip_prefix(')')? } else { rest };
    Some((Selector::Filter { name: member, value }, rest))
}

fn literal(text: &str) -> Option<(Value, &str)> {
    if text.starts_with(['\'', '"']) {
        return quoted(text).map(|(text, rest)| (Value::String(text), rest));
    }
    let end = text.find([' ', ')', ']'])?;
    let value: Value = serde_json::from_str(&text[..end]).ok()?;
    (value.is_boolean() || value.is_number()).then_some((value, &text[end..]))
}

/// A text in single or double quotes. A backslash escapes a quote or a backslash.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let mut unquoted = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => unquoted
                .push(characters.next().map(|(_, c)| c).filter(|c| ['\'', '"', '\\', '/'].contains(c))?),
            c if c == quote => return Some((unquoted, &text[at + 1..])),
            c => unquoted.push(c),
        }
    }
    None
}

const MAX_SELECTORS: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn select(path: &str) -> Option<Vec<String>> {
        let root = json!({
            "paths": { "/a": { "get": { "operationId": "x", "deprecated": true }, "post": {} }, "/b'c": { "get": { "operationId": "y" } } },
            "list": [{ "in": "query" }, { "in": "path" }],
        });
        let places = JsonPath::parse(path)?.select(&root, 100)?;
        Some(places.iter().map(|place| place.join(" ")).collect())
    }

    #[test]
    fn path_selects_names_items_and_filters() {
        for (path, places) in [
            ("$", vec![""]),
            ("$.paths['/a'].get", vec!["paths /a get"]),
            ("$[\"paths\"]['/b\\'c']", vec!["paths /b'c"]),
            ("$.paths.*.get", vec!["paths /a get", "paths /b'c get"]),
            ("$.paths[*][*]", vec!["paths /a get", "paths /a post", "paths /b'c get"]),
            ("$.list[1]", vec!["list 1"]),
            ("$.list[?@.in == 'path']", vec!["list 1"]),
            ("$.paths.*[?(@.deprecated==true)]", vec!["paths /a get"]),
            ("$.paths.*[?@['operationId']]", vec!["paths /a get", "paths /b'c get"]),
            ("$.nowhere.x", vec![]),
            ("$.list.1", vec![]),
        ] {
            assert_eq!(select(path).unwrap(), places, "{path}");
        }
    }

    #[test]
    fn path_outside_the_subset_is_refused() {
        for path in [
            "",
            "paths",
            "$..x",
            "$.",
            "$['x",
            "$[",
            "$[-1]",
            "$[0:2]",
            "$['a','b']",
            "$[?@.a > 1]",
            "$[?@.a == x]",
            "$x",
            "$.a b",
        ] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }
}
