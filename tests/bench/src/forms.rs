//! Forms of pages, as a browser fills them in.

use url::form_urlencoded;

/// The action of a page's first form, and its encoded fields. The first button is included, since it is the one for
/// approval.
pub(crate) fn filled_form(page: &str) -> Option<(String, String)> {
    let (_, form) = page.split_once("<form")?;
    let (form, _) = form.split_once("</form>")?;
    let tags = |name: &str| {
        let opening = format!("<{name}");
        form.match_indices(&opening)
            .filter_map(|(at, _)| form[at..].split('>').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut body = form_urlencoded::Serializer::new(String::new());
    let button = tags("button").into_iter().find(|tag| attribute(tag, "name").is_some());
    for tag in tags("input").iter().chain(&button) {
        if let Some(name) = attribute(tag, "name") {
            body.append_pair(&name, &attribute(tag, "value").unwrap_or_default());
        }
    }
    Some((attribute(form.split('>').next()?, "action").unwrap_or_default(), body.finish()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    let value = value.split('"').next()?;
    Some(value.replace("&#x27;", "'").replace("&#39;", "'").replace("&quot;", "\"").replace("&amp;", "&"))
}
