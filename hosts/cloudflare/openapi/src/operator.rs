//! The tools of a document, and values of variables, for programs that the operator runs in Node.js.

use deputy::config::{Config, ConfigErrors};
use deputy_openapi::Catalog;
use wasm_bindgen::prelude::*;

use crate::read;

/// The tools of a document, of which there may be none.
#[wasm_bindgen]
pub struct DocumentTools(Catalog);

#[wasm_bindgen]
impl DocumentTools {
    /// Reads the text of a document, after the changes of an overlay if there is one.
    #[wasm_bindgen(constructor)]
    pub fn new(document: &str, overlay: Option<String>) -> Result<Self, JsError> {
        Ok(Self(read(document, overlay.as_deref()).map_err(|error| JsError::new(&error.to_string()))?))
    }

    /// The number of tools.
    pub fn count(&self) -> usize {
        self.0.operations.len()
    }

    /// The tools as agents see them, as a text.
    pub fn listing(&self) -> String {
        self.0.listing()
    }

    /// The same as one JSON document, with the schemas.
    pub fn json(&self) -> String {
        self.0.json().to_string()
    }

    /// The number of warnings, and of operations that are left out by no decision of the operator.
    pub fn problems(&self) -> usize {
        self.0.problems()
    }

    /// The differences from an earlier version of the document, one sentence each.
    pub fn changes_since(&self, old: &Self) -> Vec<String> {
        self.0.changes_since(&old.0)
    }

    /// Why `API_SCOPES` has to be set for this document, if it has to be.
    pub fn scopes_error(&self) -> Option<String> {
        error_of("API_SCOPES", self.0.config(|_| None))
    }

    /// Why the Worker would refuse this value of a variable, if it would. worker-build exports no functions, only classes.
    pub fn variable_error(name: &str, value: &str) -> Option<String> {
        error_of(name, Config::parse(|read| (read == name).then(|| value.to_owned())))
    }
}

fn error_of(name: &str, config: Result<Config, ConfigErrors>) -> Option<String> {
    let errors = config.err()?.0;
    errors.into_iter().find(|error| error.name == name).map(|error| error.problem.into_owned())
}
