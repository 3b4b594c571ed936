//! The log, on standard error, and what the commands print on standard output. Neither holds up the server when nobody
//! reads it.

mod background;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use background::Background;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Standard output and standard error of this process. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    out: Background,
    error: Background,
    format: LogFormat,
}

impl Output {
    /// Takes both streams. What else prints to them from now on may be held up.
    pub fn start(format: LogFormat) -> io::Result<Self> {
        let log_loss = |lines| {
            tracing::warn!(lines, "lines of the log were lost: nobody read standard error for a while");
        };
        Ok(Self {
            out: Background::start("deputy-stdout", io::stdout(), |_| {})?,
            error: Background::start("deputy-log", io::stderr(), log_loss)?,
            format,
        })
    }

    /// Prints a line on standard output.
    pub fn print(&self, line: &str) {
        self.out.write(format!("{line}\n").into_bytes());
    }

    /// Prints a line on standard error that is not part of the log.
    pub fn print_error(&self, line: &str) {
        self.error.write(format!("{line}\n").into_bytes());
    }

    /// How a line of the log looks.
    pub const fn format(&self) -> LogFormat {
        self.format
    }

    /// Waits until all has been written, a few seconds at most.
    pub fn flush(&self) {
        self.out.flush();
        self.error.flush();
    }
}

/// Starts logging what `filter` lets through, in the syntax of `tracing_subscriber`'s `EnvFilter`. Panics go to the
/// log too: the server answers 500 and lives on, and somebody should know.
pub fn start(filter: &str, output: &Output) -> Result<(), String> {
    // Any other word would be taken for a part of the program, and everything else would be silent.
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    if let Some(word) = filter.split(',').map(str::trim).find(|word| {
        !word.contains(['=', '[']) && !LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
    }) {
        return Err(format!(
            "--log (LOG) cannot be used: {word:?} is not one of {}; such as info, or info,deputy=debug",
            LEVELS.join(", ")
        ));
    }
    // rmcp tells of every request that its loop ends; a filter that names rmcp comes later, and counts.
    let filter = EnvFilter::builder()
        .parse(format!("rmcp=warn,{filter}"))
        .map_err(|error| format!("--log (LOG) cannot be used: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(output.error.clone());
    // A standard error that nobody reads any more must not become a panic.
    let builder = builder.log_internal_errors(false);
    let started = match output.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    started.map_err(|error| format!("the log cannot be started: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        // Without its message, which may quote the data that led to it.
        tracing::error!(place, "a part of Deputy panicked; this is a bug");
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_and_not_taken_for_a_part_of_the_program() {
        for word in ["verbose", "warning", "info,debg", ""] {
            let refused = start(word, &Output::start(LogFormat::Text).unwrap()).unwrap_err();
            assert!(refused.contains("--log (LOG)") && refused.contains("info,deputy=debug"), "{refused}");
        }
    }
}
