//! Media types.

/// The type of a media type, in lower case and without parameters.
pub(crate) fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `application/json`, a type with the suffix `+json`, or `*/*`, which JSON is.
pub(crate) fn is_json(media: &str) -> bool {
    let essence = essence(media);
    ["application/json", "text/json", "*/*", "application/*"].contains(&essence.as_str())
        || (essence.ends_with("+json") && !essence.contains(' '))
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn is_form(media: &str) -> bool {
    essence(media) == "application/x-www-form-urlencoded"
}

/// A type that is text to read, and not a stream of events.
pub(crate) fn is_text(media: &str) -> bool {
    let essence = essence(media);
    (essence.starts_with("text/") && essence != "text/event-stream")
        || ["application/xml", "application/yaml"].contains(&essence.as_str())
        || essence.ends_with("+xml")
}
