//! Verification of a log.

use std::{fmt, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{config::Keys, seal::SealingKey};

use super::{
    chain::{Head, Link, LogEvent, Mac, encoded},
    files,
};

/// The result of a verification.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lines: u64,
    /// The last line.
    pub(super) last: Option<Link>,
    pub(super) faults: Vec<Fault>,
}

/// A sign that a log was changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A line was not written by Deputy, or does not follow the line that it was written after.
    Broken { file: String, seq: Option<u64>, after: u64 },
    /// Lines at the beginning were removed, but not by Deputy.
    BeginningMissing { first: u64 },
    /// Lines at the end were removed.
    EndMissing { last: u64, written: u64 },
    /// Lines at the end were missing when Deputy started.
    LinesMissing { found: u64, written: u64 },
    /// `audit.head` is missing, malformed, or does not match its line.
    Head,
    /// `audit.head` was so when Deputy started.
    HeadMissing { found: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { file, seq: Some(seq), after } => {
                write!(
                    f,
                    "{file}: line {seq}, after line {after}, was changed, moved or inserted, or a line between them was removed"
                )
            }
            Self::Broken { file, seq: None, after } => {
                write!(f, "{file}: the text after line {after} is not a line of the log")
            }
            Self::BeginningMissing { first } => {
                write!(f, "the lines before {first} were removed, but not by Deputy")
            }
            Self::EndMissing { last, written } => {
                write!(f, "the log ends with line {last}, but {written} lines were written")
            }
            Self::LinesMissing { found, written } => {
                write!(
                    f,
                    "at a start of Deputy, the log ended with line {found}, but {written} lines had been written"
                )
            }
            Self::HeadMissing { found } => write!(
                f,
                "at a start of Deputy, after line {found}, audit.head was missing or changed, so later lines may have been \
                 removed"
            ),
            Self::Head => {
                f.write_str("audit.head is missing or was changed, so lines at the end may have been removed")
            }
        }
    }
}

/// Verifies the log in `folder`. Each line may be written with any of the keys. Deputy may be running.
pub(super) fn verify(folder: &Path, keys: &Keys) -> io::Result<Report> {
    let keys: Vec<&SealingKey> = keys.iter().map(|keys| &keys.audit).collect();
    // Read before the lines: the writer writes a line before the head.
    let head = match fs::read_to_string(folder.join(files::HEAD)) {
        Ok(text) => Head::read(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut report = Report { lines: 0, last: None, faults: Vec::new() };
    let beginning = beginning(folder)?;
    let mut before = beginning.unwrap_or(Link::START);
    for line in files::lines(files::list(folder)?) {
        let (path, line) = line?;
        let file = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((place, body)) = Link::read(&line) else {
            report.faults.push(Fault::Broken { file: file(), seq: None, after: before.seq });
            continue;
        };
        let is_first = report.lines == 0;
        report.lines += 1;
        let continues = keys.iter().any(|key| before.after(body.as_bytes(), key) == place);
        if !continues && is_first && place.seq > 1 && beginning.is_none() {
            report.faults.push(Fault::BeginningMissing { first: place.seq });
        } else if !continues {
            report.faults.push(Fault::Broken { file: file(), seq: Some(place.seq), after: before.seq });
        }
        match serde_json::from_str(&line) {
            Ok(LogEvent::LinesMissing { written }) => {
                report.faults.push(Fault::LinesMissing { found: before.seq, written });
            }
            Ok(LogEvent::HeadMissing) => report.faults.push(Fault::HeadMissing { found: before.seq }),
            Ok(LogEvent::FilesRemoved { .. }) | Err(_) => {}
        }
        let is_head = |head: &Head| keys.iter().any(|key| Head::of(place, key) == *head);
        if head.is_some_and(|head| head.seq == place.seq && !is_head(&head)) {
            report.faults.push(Fault::Head);
        }
        before = place;
        report.last = Some(place);
    }
    let last = report.last.map_or(0, |last| last.seq);
    match head {
        Some(head) if head.seq > last => {
            report.faults.push(Fault::EndMissing { last, written: head.seq });
        }
        Some(_) => {}
        None => report.faults.push(Fault::Head),
    }
    Ok(report)
}

/// The place at which the chain begins, if Deputy removed the oldest lines. The line that records the removal is
/// verified like the others.
fn beginning(folder: &Path) -> io::Result<Option<Link>> {
    let mut first = None;
    for line in files::lines(files::list(folder)?) {
        let (_, line) = line?;
        let first = *first.get_or_insert_with(|| Link::read(&line).map_or(0, |(link, _)| link.seq));
        if first <= 1 {
            return Ok(None);
        }
        let Ok(LogEvent::FilesRemoved { through, through_mac }) = serde_json::from_str(&line) else {
            continue;
        };
        let mac: Option<Mac> = URL_SAFE_NO_PAD.decode(through_mac).ok().and_then(|mac| mac.try_into().ok());
        if let Some(mac) = mac.filter(|_| through + 1 == first) {
            return Ok(Some(Link { seq: through, mac }));
        }
    }
    Ok(None)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "FAULT: {fault}")?;
        }
        let last = self.last.map_or_else(
            || "there is no line".to_owned(),
            |last| format!("the last is {} with the MAC {}", last.seq, encoded(last.mac)),
        );
        let found = match self.faults.len() {
            0 => "nothing was changed".to_owned(),
            1 => "1 fault".to_owned(),
            faults => format!("{faults} faults"),
        };
        write!(f, "{} lines, {last}: {found}", self.lines)
    }
}
