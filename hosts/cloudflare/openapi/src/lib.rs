//! Deputy as a Cloudflare Worker with the tools of an OpenAPI document. The document is beside the Worker: `index.js` passes
//! its text when the Worker starts, so no request waits for it.

mod operator;

use std::sync::Arc;

use deputy::{
    Server,
    config::{Config, ConfigErrors},
    host::Host,
};
use deputy_openapi::{Catalog, DocumentError};
use deputy_workers::Tools;
use wasm_bindgen::prelude::*;
use worker::{Env, web_sys::Request};

#[wasm_bindgen(start)]
fn start() {
    deputy_workers::start();
}

/// The tools of a document.
#[wasm_bindgen]
pub struct OpenApi(Document);

#[wasm_bindgen]
impl OpenApi {
    /// Reads the text of a document, after the changes of an overlay if there is one. Fails if no operation can be served.
    #[wasm_bindgen(constructor)]
    pub fn new(document: &str, overlay: Option<String>) -> Result<Self, JsError> {
        let catalog = read(document, overlay.as_deref());
        let catalog = catalog.map_err(|error| JsError::new(&format!("the OpenAPI document: {error}")))?;
        let (tools, refused) = (catalog.operations.len(), catalog.refused.len());
        tracing::info!(tools, refused, "the tools are those of the OpenAPI document");
        match catalog.refused.first() {
            Some(first) if tools == 0 => {
                let text = "the OpenAPI document: no operation can be served. The first is";
                Err(JsError::new(&format!("{text} {}: {}", first.source, first.refusal)))
            }
            _ => Ok(Self(Document(Arc::new(catalog)))),
        }
    }

    /// Responds to a request.
    pub fn respond(&self, request: Request, env: Env) -> JsValue {
        deputy_workers::serve(request, env, self.0.clone())
    }
}

fn read(document: &str, overlay: Option<&str>) -> Result<Catalog, DocumentError> {
    match overlay {
        Some(overlay) => Catalog::curated(document, overlay),
        None => Catalog::read(document),
    }
}

#[derive(Clone)]
struct Document(Arc<Catalog>);

impl Tools for Document {
    fn config(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        self.0.config(variable)
    }

    fn server(&self, config: Config, host: Host) -> Server {
        deputy_openapi::deputy(&self.0, config, host)
    }
}
