//! The log on standard error, and the output of commands on standard output. Neither blocks the server when it is not read.

mod background;
mod lines;

use std::io::{self, IsTerminal as _};

use deputy::trace::TARGET;
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

use crate::traces::Traces;
use background::Background;
use lines::Lines;

/// Format of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines of text
    #[default]
    Text,
    /// One JSON object per line, for log collectors
    Json,
}

/// Standard output and standard error of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    out: Background,
    error: Background,
    format: LogFormat,
}

impl Output {
    pub(crate) fn start(format: LogFormat) -> io::Result<Self> {
        let log_loss = |lines| {
            tracing::warn!(
                lines,
                "lines of the log were lost, because standard error was not read for a while"
            );
        };
        Ok(Self {
            out: Background::start("deputy-stdout", io::stdout(), |_| {})?,
            error: Background::start("deputy-log", io::stderr(), log_loss)?,
            format,
        })
    }

    /// Prints a line on standard output.
    pub(crate) fn print(&self, line: &str) {
        self.out.write(format!("{line}\n").into_bytes());
    }

    /// Prints a line on standard error that is not part of the log.
    pub(crate) fn print_error(&self, line: &str) {
        self.error.write(format!("{line}\n").into_bytes());
    }

    pub(crate) const fn format(&self) -> LogFormat {
        self.format
    }

    /// Waits until everything is written, a few seconds at most.
    pub(crate) fn flush(&self) {
        self.out.flush();
        self.error.flush();
    }
}

/// Starts the log. `filter` has the syntax of [`EnvFilter`], with known levels only. Panics are logged too, because the
/// server goes on after them.
pub(crate) fn start(filter: &str, output: &Output, traces: Option<&Traces>) -> Result<(), String> {
    // `EnvFilter` would take an unknown level for a module, and turn the rest of the log off.
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    if let Some(word) = filter.split(',').map(str::trim).find(|word| {
        !word.contains(['=', '[']) && !LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
    }) {
        return Err(format!(
            "--log (LOG) cannot be used: {word:?} is not one of {}; such as info, or info,deputy=debug",
            LEVELS.join(", ")
        ));
    }
    // rmcp logs the end of its loop for every request. A filter that names rmcp follows, and wins.
    let filter = EnvFilter::builder()
        .parse(format!("rmcp=warn,{filter},{TARGET}=off"))
        .map_err(|error| format!("--log (LOG) cannot be used: {error}"))?;
    // A closed standard error must not cause a panic.
    let lines = fmt::layer().with_writer(output.error.clone()).log_internal_errors(false);
    let lines = match output.format {
        LogFormat::Text => {
            let inner = fmt::format().with_ansi(io::stderr().is_terminal());
            lines.event_format(Lines { inner, format: output.format }).boxed()
        }
        LogFormat::Json => {
            let inner = fmt::format().json().flatten_event(true).with_current_span(false);
            let fields = fmt::format::JsonFields::new();
            lines.fmt_fields(fields).event_format(Lines { inner, format: output.format }).boxed()
        }
    };
    let started = match traces {
        None => registry().with(lines).with(filter).try_init(),
        Some(traces) => registry().with(lines.with_filter(filter)).with(traces.layer()).try_init(),
    };
    started.map_err(|error| format!("the log cannot be started: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        // Without the message, which may quote secrets.
        tracing::error!(location, "a part of Deputy panicked; this is a bug");
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_log_level_is_refused() {
        for word in ["verbose", "warning", "info,debg", ""] {
            let refused = start(word, &Output::start(LogFormat::Text).unwrap(), None).unwrap_err();
            assert!(refused.contains("--log (LOG)") && refused.contains("info,deputy=debug"), "{refused}");
        }
    }
}
