//! Resources and a resource template.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde_json::json;

use crate::media::PNG;

/// All resources, without those of the template.
pub(crate) fn list() -> Vec<Resource> {
    let resource = |uri: &str, name: &str, mime_type: &str, text: &str| {
        Resource::new(uri, name).with_mime_type(mime_type).with_description(text)
    };
    vec![
        resource(BINARY, "static-binary", "image/png", "One red pixel."),
        resource(TEXT, "static-text", "text/plain", "One sentence."),
        resource(WATCHED, "watched-resource", "text/plain", "A resource for subscriptions."),
    ]
}

/// All resource templates.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    let template = ResourceTemplate::new(format!("{PREFIX}{{id}}{SUFFIX}"), "template");
    vec![template.with_mime_type("application/json").with_description("Data with an id.")]
}

/// The contents of a resource.
pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        BINARY => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        TEXT => ResourceContents::text("This is the content of the static text resource.", uri),
        WATCHED => ResourceContents::text("This resource never changes.", uri),
        _ => {
            let id = uri.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
            let Some(id) = id.filter(|id| !id.contains('/')) else { return Err(not_found(uri)) };
            let data =
                json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") }).to_string();
            ResourceContents::text(data, uri).with_mime_type("application/json")
        }
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

/// Accepts a subscription to any resource that exists, and stores nothing, because no resource here ever changes.
pub(crate) fn subscribe(uri: &str) -> Result<(), ErrorData> {
    read(uri).map(|_| ())
}

fn not_found(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri })))
}

const BINARY: &str = "test://static-binary";
const PREFIX: &str = "test://template/";
const SUFFIX: &str = "/data";
const TEXT: &str = "test://static-text";
const WATCHED: &str = "test://watched-resource";
