//! Reading variables: every mistake is collected, and no value is quoted.

use std::{borrow::Cow, cell::RefCell};

use url::{Host, Url};

use super::{
    ConfigError,
    variable::{DefaultValue, Variable},
};
use crate::types::is_loopback;

/// Collects every error instead of stopping at the first.
pub(super) struct Vars<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) errors: RefCell<Vec<ConfigError>>,
}

impl Vars<'_> {
    /// The value of a variable, or its default.
    pub(super) fn read<T>(&self, variable: &'static Variable, parse: Parse<T>) -> Option<T> {
        let (name, value) = self.value(variable)?;
        parse(&value).map_err(|problem| self.report(name, problem)).ok()
    }

    /// The value of a variable that is one of the words of its [`Syntax::Choice`](super::Syntax::Choice), or its default.
    pub(super) fn choose<T>(&self, variable: &'static Variable, choose: fn(&str) -> Option<T>) -> Option<T> {
        let (name, value) = self.value(variable)?;
        let chosen = choose(&value);
        if chosen.is_none() {
            self.report(name, format!("must be {}", variable.syntax));
        }
        chosen
    }

    /// The text of a variable or of its default, with the name under which it is set.
    fn value(&self, variable: &'static Variable) -> Option<(&'static str, Cow<'static, str>)> {
        let lookup = |name| Some((name, (self.lookup)(name).filter(|value| !value.is_empty())?));
        let set: Vec<_> = variable.names().filter_map(lookup).collect();
        if let [(name, value), (other_name, other)] = &set[..]
            && value != other
        {
            self.report(
                name,
                format!(
                    "has another value than {other_name}, which is its former name; remove one of the two"
                ),
            );
            return None;
        }
        match (set.into_iter().next(), variable.default) {
            (Some((name, value)), _) => Some((name, value.into())),
            (None, DefaultValue::Value(value)) => Some((variable.name, value.into())),
            (None, DefaultValue::Native(_) | DefaultValue::Required) => {
                self.report(variable.name, variable.absence());
                None
            }
        }
    }

    pub(super) fn report(&self, name: &'static str, problem: impl Into<Cow<'static, str>>) {
        self.errors.borrow_mut().push(ConfigError { name: name.into(), problem: problem.into() });
    }
}

/// Reads a value, or says what is wrong with it without quoting it.
pub(super) type Parse<T> = fn(&str) -> Result<T, &'static str>;

pub(super) fn unpadded(value: &str) -> Result<String, &'static str> {
    match value.trim() {
        "" => Err("has only white space; it needs a value"),
        trimmed if trimmed == value => Ok(value.to_owned()),
        _ => Err("begins or ends with white space; remove it"),
    }
}

pub(super) fn on_or_off(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Checks that a URL has only scheme, host, port and path.
pub(super) fn bare(url: &Url) -> Result<(), &'static str> {
    let more = (url.query(), url.fragment(), url.username(), url.password()) != (None, None, "", None);
    if more { Err("must have no query, fragment or user name") } else { Ok(()) }
}

/// Checks that tokens and secrets travel over TLS, or do not leave this computer.
pub(super) fn secure(url: &Url) -> Result<(), &'static str> {
    match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_))) => Ok(()),
        ("http", Some(host)) if is_loopback(&host) => Ok(()),
        ("http", _) => Err("must be https (http is for localhost only)"),
        _ => Err("must be an https URL"),
    }
}

/// Separators of lists whose items contain neither spaces nor commas.
pub(super) const SEPARATORS: [char; 5] = [' ', '\t', '\r', '\n', ','];
