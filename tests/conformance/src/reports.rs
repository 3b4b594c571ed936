//! Tools that send log entries and progress during a call.
#![expect(deprecated, reason = "the suite reads log entries")]

use rmcp::{
    ErrorData,
    model::{ContentBlock, LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam},
    service::ServiceError,
    tool, tool_router,
};

use crate::{Context, Fixture};

#[tool_router(router = reporting, vis = "pub(crate)")]
impl Fixture {
    #[tool(description = "Writes three log entries.")]
    async fn test_tool_with_logging(context: Context) -> Result<ContentBlock, ErrorData> {
        for text in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
            log(&context, text).await?;
        }
        Ok(ContentBlock::text("Wrote three log entries."))
    }

    #[tool(description = "Writes a log entry, which only clients that request log entries may get.")]
    async fn test_logging_tool(context: Context) -> Result<ContentBlock, ErrorData> {
        log(&context, "Tool executed").await?;
        Ok(ContentBlock::text("Wrote a log entry."))
    }

    #[tool(description = "Reports its progress three times.")]
    async fn test_tool_with_progress(context: Context) -> Result<ContentBlock, ErrorData> {
        let Some(token) = context.meta.get_progress_token() else {
            return Ok(ContentBlock::text("The client did not request progress."));
        };
        for progress in [0.0, 50.0, 100.0] {
            let progress = ProgressNotificationParam::new(token.clone(), progress).with_total(100.0);
            context.peer.notify_progress(progress).await.map_err(failed)?;
        }
        Ok(ContentBlock::text("Reported progress three times."))
    }
}

async fn log(context: &Context, text: &str) -> Result<(), ErrorData> {
    let entry = LoggingMessageNotificationParam::new(LoggingLevel::Info, text.into());
    context.peer.notify_logging_message(entry).await.map_err(failed)
}

/// The error of a tool whose request or notification to the client failed.
pub(crate) fn failed(error: ServiceError) -> ErrorData {
    match error {
        ServiceError::McpError(error) => error,
        error => ErrorData::internal_error(error.to_string(), None),
    }
}
