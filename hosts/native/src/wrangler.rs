//! The variables of a Worker, from its `wrangler.jsonc`.

use std::path::Path;

use serde_json::Value;

use crate::{env_file::EnvFile, error::StartError};

/// The `vars` of the file, which the variable `option` may name, and the variables of `secrets` over them. A value in angle
/// brackets counts as absent.
pub(crate) fn variables(path: &Path, option: &'static str, secrets: &EnvFile) -> Result<EnvFile, StartError> {
    let unusable = |cause: String| StartError::Wrangler(path.to_owned(), option, cause);
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let document: Value = jsonc_parser::parse_to_serde_value(&text, &jsonc_parser::ParseOptions::default())
        .map_err(|error| unusable(format!("it is not JSONC: {error}")))?;
    let vars = document["vars"].as_object().ok_or_else(|| unusable("it has no vars".to_owned()))?;
    // As the Worker reads them: a value that is JSON counts as its text.
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let set = vars.iter().filter(|(_, value)| !value.is_null());
    let texts = set.map(|(name, value)| (name.clone(), text(value)));
    // The values that the file begins with, to fill in.
    let texts = texts.filter(|(_, value)| !(value.starts_with('<') && value.ends_with('>')));
    Ok(secrets.over(texts))
}
