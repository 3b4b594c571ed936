//! Logs, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// Starts logging what `filter` lets through, in the syntax of `tracing_subscriber`'s `EnvFilter`. Panics go to the
/// log too: the server answers 500 and lives on, and somebody should know.
pub fn start(filter: &str, format: LogFormat) -> Result<(), String> {
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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A standard error that nobody reads any more must not become a panic.
    let builder = builder.log_internal_errors(false);
    let started = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
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
            let refused = start(word, LogFormat::Text).unwrap_err();
            assert!(refused.contains("--log (LOG)") && refused.contains("info,deputy=debug"), "{refused}");
        }
    }
}
