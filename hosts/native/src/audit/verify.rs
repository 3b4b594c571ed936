//! Verification of a log.

use std::{fmt, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{config::Keys, seal::SealingKey};

use super::{
    chain::{Head, Link, LogEvent, Mac, encoded, key_id},
    files,
};

/// The result of a verification.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lines: u64,
    /// The last line.
    pub(super) last: Option<Link>,
    /// The first of them, [`LISTED`] at most.
    pub(super) faults: Vec<Fault>,
    /// The number of further faults.
    pub(super) unlisted: u64,
    /// The only lines that no key verifies are all lines up to this one.
    pub(super) unverified_until: Option<u64>,
}

/// A sign that a log was changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A line was not written by Deputy, or does not follow the line that it was written after.
    Broken { file: String, seq: Option<u64>, after: u64 },
    /// Lines were written with a key that was not given.
    EarlierKey { first: u64, last: u64 },
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
            Self::EarlierKey { first, last } => write!(
                f,
                "lines {first} to {last} cannot be verified: they were written with an earlier SERVER_KEY, which was not given. \
                 {GIVE_EARLIER_KEYS}"
            ),
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

/// Consecutive lines, each numbered after the one before, that no key verifies.
struct Run {
    first: u64,
    last: u64,
    count: u64,
    /// The first of them.
    faults: Vec<Fault>,
    /// The log begins with them.
    is_leading: bool,
}

impl Report {
    /// Whether the log may be intact, and a key is missing.
    pub(super) fn lacks_a_key(&self) -> bool {
        let is_of_a_key = |fault: &Fault| matches!(fault, Fault::EarlierKey { .. });
        self.unverified_until.is_some() || (self.unlisted == 0 && self.faults.iter().all(is_of_a_key))
    }

    fn add(&mut self, fault: Fault) {
        if let Fault::Broken { .. } = fault {
            self.unverified_until = None;
        }
        if self.faults.len() < LISTED {
            self.faults.push(fault);
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds lines after which the log goes on with `next`, if it does, a line that is verified.
    fn add_run(&mut self, run: Run, next: Option<&LogEvent>, keys: &[&SealingKey]) {
        let is_known = |id: &String| keys.iter().any(|key| key_id(key) == *id);
        if let Some(LogEvent::KeyChanged { before }) = next
            && !is_known(before)
        {
            self.add(Fault::EarlierKey { first: run.first, last: run.last });
            return;
        }
        let is_only = !self.faults.iter().any(|fault| matches!(fault, Fault::Broken { .. }));
        self.unlisted += run.count - run.faults.len() as u64;
        run.faults.into_iter().for_each(|fault| self.add(fault));
        self.unverified_until = (run.is_leading && is_only).then_some(run.last);
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
    let mut report = Report { lines: 0, last: None, faults: Vec::new(), unlisted: 0, unverified_until: None };
    let beginning = beginning(folder)?;
    let mut before = beginning.unwrap_or(Link::START);
    let mut run: Option<Run> = None;
    for line in files::lines(files::list(folder)?) {
        let (path, line) = line?;
        let broken = |seq| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Fault::Broken { file, seq, after: before.seq }
        };
        let Some((place, body)) = Link::read(&line) else {
            report.add(broken(None));
            continue;
        };
        let is_first = report.lines == 0;
        report.lines += 1;
        let event = serde_json::from_str(&line).ok();
        if keys.iter().any(|key| before.after(body.as_bytes(), key) == place) {
            if let Some(run) = run.take() {
                report.add_run(run, event.as_ref(), &keys);
            }
        } else if is_first && place.seq > 1 && beginning.is_none() {
            report.add(Fault::BeginningMissing { first: place.seq });
        } else if place.seq == before.seq + 1 {
            let new =
                || Run { first: place.seq, last: 0, count: 0, faults: Vec::new(), is_leading: is_first };
            let run = run.get_or_insert_with(new);
            (run.last, run.count) = (place.seq, run.count + 1);
            if run.faults.len() < LISTED {
                run.faults.push(broken(Some(place.seq)));
            }
        } else {
            // Another key does not explain it.
            report.add(broken(Some(place.seq)));
        }
        match event {
            Some(LogEvent::LinesMissing { written }) => {
                report.add(Fault::LinesMissing { found: before.seq, written });
            }
            Some(LogEvent::HeadMissing) => report.add(Fault::HeadMissing { found: before.seq }),
            Some(LogEvent::FilesRemoved { .. } | LogEvent::KeyChanged { .. }) | None => {}
        }
        let is_head = |head: &Head| keys.iter().any(|key| Head::of(place, key) == *head);
        if head.is_some_and(|head| head.seq == place.seq && !is_head(&head)) {
            report.add(Fault::Head);
        }
        before = place;
        report.last = Some(place);
    }
    if let Some(run) = run {
        report.add_run(run, None, &keys);
    }
    let last = report.last.map_or(0, |last| last.seq);
    match head {
        Some(head) if head.seq > last => {
            report.add(Fault::EndMissing { last, written: head.seq });
        }
        Some(_) => {}
        None => report.add(Fault::Head),
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
        if self.unlisted > 0 {
            writeln!(f, "FAULT: and {} more", self.unlisted)?;
        }
        let last_seq = self.last.map(|last| last.seq);
        match self.unverified_until {
            Some(_) if self.unverified_until == last_seq => {
                writeln!(f, "No line was written with a key that was given: is SERVER_KEY the right one?")?;
            }
            Some(until) => writeln!(
                f,
                "Every line after {until} was written with a key that was given, and no line before. If SERVER_KEY was replaced \
                 then, the earlier one is missing. {GIVE_EARLIER_KEYS}"
            )?,
            None => {}
        }
        let last = self.last.map_or_else(
            || "there is no line".to_owned(),
            |last| format!("the last is {} with the MAC {}", last.seq, encoded(last.mac)),
        );
        let found = match self.faults.len() as u64 + self.unlisted {
            0 => "nothing was changed".to_owned(),
            1 => "1 fault".to_owned(),
            faults => format!("{faults} faults"),
        };
        write!(f, "{} lines, {last}: {found}", self.lines)
    }
}

/// Faults that are listed. A log can have millions of lines.
pub(super) const LISTED: usize = 20;

const GIVE_EARLIER_KEYS: &str = "Set SERVER_KEY for this command to the current key, a comma and the earlier one, and so on for each earlier key";
