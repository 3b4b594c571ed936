//! `deputy audit`.

use std::{io, io::Write as _, time::Duration};

use chrono::DateTime;
use clap::{Args, ValueEnum};
use deputy::config::{ConfigErrors, Keys};
use serde::Deserialize;

use super::{AuditError, files, folder, verify::verify};
use crate::{commands::DataOptions, error::StartError, host::wall_clock, logging::Output};

/// Options of `deputy audit`.
#[derive(Args, Debug)]
pub(crate) struct AuditOptions {
    /// Action on the log
    #[arg(value_enum)]
    pub(crate) action: AuditAction,
    /// For export: the time of the first line, as 2026-01-31T14:03:00Z, or a duration before now, as 90m, 24h or 7d
    #[arg(long, env = "AUDIT_SINCE", value_name = "TIME", value_parser = Since::parse)]
    pub(crate) since: Option<Since>,
    #[command(flatten)]
    pub(crate) data: DataOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditAction {
    /// Checks that no line was changed, moved, inserted or removed, and exits with 1 if one was. Needs the key of the server, and
    /// earlier ones while the log has lines under them: `SERVER_KEY=new,old`
    Verify,
    /// Prints the lines
    Export,
}

/// Runs `deputy audit`. `keys` reads the keys of the server, which only `verify` needs.
pub(crate) fn run(
    options: &AuditOptions,
    keys: impl FnOnce() -> Result<Keys, ConfigErrors>,
    output: &Output,
) -> Result<(), StartError> {
    let folder = folder(&options.data.data_dir);
    // A wrong --data-dir rather than an empty log.
    if !folder.is_dir() {
        return Err(StartError::NoAuditLog(folder));
    }
    let failed = |cause| StartError::Audit(AuditError { path: folder.clone(), cause });
    match options.action {
        AuditAction::Verify => {
            let report = verify(&folder, &keys()?).map_err(failed)?;
            output.print(&report.to_string());
            match report.faults.as_slice() {
                [] => Ok(()),
                _ if report.lacks_a_key() => Err(StartError::AuditKeyMissing),
                _ => Err(StartError::AuditChanged),
            }
        }
        AuditAction::Export => match export(&folder, options.since) {
            // The reader of the pipe, such as `head`, has closed it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(failed),
        },
    }
}

/// Prints the lines since a time, unchanged.
fn export(folder: &std::path::Path, since: Option<Since>) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Timed {
        time: u64,
    }
    let since = since.map_or(0, Since::seconds);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in files::lines(files::list(folder)?) {
        let (_, line) = line?;
        // An event of the log itself has no time, and explains the lines around it.
        if serde_json::from_str(&line).map_or(true, |Timed { time }| time >= since) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()
}

/// A time, or a duration before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    At(u64),
    Ago(Duration),
}

impl Since {
    /// Parses `2026-01-31T14:03:00Z` (RFC 3339), or a number with `s`, `m`, `h` or `d`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let expected = "expected a time such as 2026-01-31T14:03:00Z, or a duration such as 90m, 24h or 7d";
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return u64::try_from(time.timestamp()).map(Self::At).map_err(|_| expected);
        }
        let unit = match text.chars().next_back() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(expected),
        };
        let number: u32 = text[..text.len() - 1].parse().map_err(|_| expected)?;
        Ok(Self::Ago(Duration::from_secs(u64::from(number) * unit)))
    }

    /// Seconds since 1970.
    pub(crate) fn seconds(self) -> u64 {
        match self {
            Self::At(seconds) => seconds,
            Self::Ago(duration) => wall_clock().0.saturating_sub(duration.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_duration_before_now_are_read() {
        assert_eq!(Since::parse("2026-01-31T14:03:00Z"), Ok(Since::At(1_769_868_180)));
        assert_eq!(Since::parse("2026-01-31T15:03:00+01:00"), Ok(Since::At(1_769_868_180)));
        assert_eq!(Since::parse("90m"), Ok(Since::Ago(Duration::from_mins(90))));
        assert_eq!(Since::parse("7d"), Ok(Since::Ago(Duration::from_hours(7 * 24))));
        for wrong in ["", "m", "7", "-1h", "yesterday", "1.5h", "2026-01-31", "99999999999d", "7é"] {
            assert!(Since::parse(wrong).is_err(), "{wrong}");
        }
    }
}
