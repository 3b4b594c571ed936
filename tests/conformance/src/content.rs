//! Tools that return each kind of content.

use rmcp::{
    model::{CallToolResult, ContentBlock, ResourceContents},
    tool, tool_router,
};

use crate::{
    Fixture,
    media::{PNG, WAV},
};

#[tool_router(router = content, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Returns text.")]
    fn test_simple_text() -> ContentBlock {
        ContentBlock::text("This is a simple text response for testing.")
    }

    #[tool(description = "Returns an image.")]
    fn test_image_content() -> ContentBlock {
        image()
    }

    #[tool(description = "Returns audio.")]
    fn test_audio_content() -> ContentBlock {
        ContentBlock::audio(WAV, "audio/wav")
    }

    #[tool(description = "Returns a resource.")]
    fn test_embedded_resource() -> ContentBlock {
        ContentBlock::embedded_text("test://embedded-resource", "This is an embedded resource content.")
    }

    #[tool(description = "Returns text, an image and a resource.")]
    fn test_multiple_content_types() -> CallToolResult {
        let resource =
            ResourceContents::text(r#"{"test":"data","value":123}"#, "test://mixed-content-resource")
                .with_mime_type("application/json");
        CallToolResult::success(vec![
            ContentBlock::text("Multiple content types test:"),
            image(),
            ContentBlock::resource(resource),
        ])
    }

    #[tool(description = "Fails.")]
    fn test_error_handling() -> CallToolResult {
        let text = "This tool intentionally returns an error for testing";
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

fn image() -> ContentBlock {
    ContentBlock::image(PNG, "image/png")
}
