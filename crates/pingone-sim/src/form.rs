//! Parameters of queries and forms.

use url::form_urlencoded;

/// Decoded names and values, in their order.
pub(crate) fn parse(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// The first value of a parameter, even if it is empty.
pub(crate) fn field(parameters: &[(String, String)], name: &str) -> Option<String> {
    parameters.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone())
}
