//! A parser for the forms in HTML.

/// A form, with the fields that it sends when one button is pressed.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) inputs: Vec<(String, String)>,
    pub(crate) button: String,
}

/// The form with a button of this value.
pub(crate) fn form_with_button(html: &str, value: &str) -> Option<Form> {
    html.split("<form").skip(1).find_map(|rest| {
        let (open, rest) = rest.split_once('>')?;
        let inside = rest.split("</form").next()?;
        let mut form = Form { action: attribute(open, "action").unwrap_or_default(), ..Form::default() };
        for tag in inside.split('<').filter_map(|text| text.split('>').next()) {
            let named = |tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()));
            if let Some(input) = tag.strip_prefix("input") {
                let kind = attribute(input, "type").unwrap_or_default();
                let on = !matches!(kind.as_str(), "checkbox" | "radio") || input.contains(" checked");
                form.inputs.extend(named(input).filter(|_| on));
            } else if let Some((name, _)) =
                tag.strip_prefix("button").and_then(named).filter(|(_, v)| v == value)
            {
                form.button = name;
            }
        }
        (!form.button.is_empty()).then_some(form)
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescape(rest.split('"').next()?))
}

fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, character) in [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&lt;", "<"),
        ("&#62;", ">"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}
