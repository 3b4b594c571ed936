//! Names of tools.

use sha2::{Digest as _, Sha256};

/// The name of an operation: from `operationId`, or from method and path. It has letters, digits, `_` and `-` of ASCII, and at
/// most 64 characters.
pub(crate) fn name(prefix: &str, operation_id: Option<&str>, method: &str, path: &str) -> String {
    let of_path = || format!("{method}_{path}");
    let source = operation_id.map(str::to_owned).filter(|id| id.chars().any(|c| c.is_ascii_alphanumeric()));
    let source = source.unwrap_or_else(of_path);
    let mut name = prefix.to_owned();
    for c in source.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => name.push(c),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let mut name = name.trim_matches('_').to_owned();
    if name.starts_with(|first: char| !first.is_ascii_alphabetic()) {
        name.insert(0, '_');
    }
    if name.len() <= MAX { name } else { distinguished(&name, &source) }
}

/// A name that `distinction` keeps apart from others of the same beginning. It does not depend on the other operations.
pub(crate) fn distinguished(name: &str, distinction: &str) -> String {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(distinction.as_bytes()).into();
    let suffix = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
    format!("{}_{suffix}", &name[..name.len().min(MAX - suffix.len() - 1)])
}

/// The name of an argument that every provider of models accepts.
pub(crate) fn argument(name: &str) -> String {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.len() <= MAX && name.chars().all(is_valid) {
        return name.to_owned();
    }
    let valid: String = name.chars().map(|c| if is_valid(c) { c } else { '_' }).take(MAX).collect();
    let trimmed = valid.trim_matches('_');
    if trimmed.is_empty() { "argument".to_owned() } else { trimmed.to_owned() }
}

const MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_has_only_characters_that_clients_accept() {
        for (prefix, id, path, expected) in [
            ("", Some("listInvoices"), "/invoices", "listInvoices"),
            ("", Some("repos/list-for-org"), "/", "repos_list-for-org"),
            ("", Some("Get the thing (v2)!"), "/", "Get_the_thing_v2"),
            ("", None, "/invoices/{id}/lines", "get_invoices_id_lines"),
            ("", Some("日本"), "/a", "get_a"),
            ("", Some("2fa-enable"), "/a", "_2fa-enable"),
            ("billing_", Some("list"), "/", "billing_list"),
            ("", Some("read_item_items__item_id__get"), "/", "read_item_items__item_id__get"),
        ] {
            assert_eq!(name(prefix, id, "get", path), expected);
        }
    }

    #[test]
    fn long_name_is_cut_and_stays_apart_from_others() {
        let (one, other) = ("x".repeat(70), format!("{}y", "x".repeat(69)));
        let (one, other) = (name("", Some(&one), "get", "/"), name("", Some(&other), "get", "/"));
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
    }

    #[test]
    fn argument_has_only_characters_that_providers_accept() {
        for (name, expected) in [
            ("filter[name]", "filter_name"),
            ("$top", "top"),
            ("api-version", "api-version"),
            ("_id", "_id"),
            ("日", "argument"),
        ] {
            assert_eq!(argument(name), expected);
        }
    }
}
