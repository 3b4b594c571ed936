//! The differences as lines, or as one JSON document.

use std::fmt::Write as _;

use serde_json::json;

use crate::admin::printable;

/// A difference between PingOne and the configuration, or the lack of one. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) verb: Verb,
    /// The object, such as "scope todo:read".
    pub(super) object: String,
    pub(super) detail: String,
}

/// The treatment of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Verb {
    /// No difference.
    Ok,
    Create,
    Change,
    /// With `--prune` alone.
    Remove,
    /// It stays without `--prune`.
    Keep,
    /// Only an administrator can end it, in PingOne's console.
    #[strum(serialize = "by hand")]
    ByHand,
    /// The worker may not read it.
    Unknown,
}

impl Line {
    pub(super) fn text(&self) -> String {
        let verb: &str = self.verb.into();
        let separator = if self.detail.is_empty() { "" } else { ": " };
        format!("{verb:8} {}{separator}{}", printable(&self.object), printable(&self.detail))
    }
}

/// The number of lines with one of these verbs.
pub(super) fn count(lines: &[Line], verbs: &[Verb]) -> usize {
    lines.iter().filter(|line| verbs.contains(&line.verb)).count()
}

/// All lines, and their numbers. `applied`: what they say was done.
pub(super) fn text(lines: &[Line], applied: bool) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", line.text());
    }
    let number = |verb| count(lines, &[verb]);
    let [create, change, remove, keep, by_hand] =
        [Verb::Create, Verb::Change, Verb::Remove, Verb::Keep, Verb::ByHand].map(number);
    let [created, changed, removed] =
        if applied { ["created", "changed", "removed"] } else { ["to create", "to change", "to remove"] };
    let _ = write!(
        text,
        "\n{create} {created}, {change} {changed}, {remove} {removed}, {keep} kept, {by_hand} by hand"
    );
    text
}

/// One JSON document. `ok`: the command succeeds.
pub(super) fn json(lines: &[Line], applied: bool, ok: bool) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|Line { verb, object, detail }| {
            let verb: &str = verb.into();
            json!({ "verb": verb, "object": object, "detail": detail })
        })
        .collect();
    json!({ "ok": ok, "applied": applied, "lines": lines }).to_string()
}
