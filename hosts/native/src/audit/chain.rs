//! Writing: each line continues the chain.

#[cfg(not(unix))]
use std::io::{Seek as _, SeekFrom};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    mem,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{config::Keys, seal::SealingKey};
use serde::{Deserialize, Serialize};

use super::files;
use crate::store::{create_folder, private};

/// The message authentication code (MAC) of a line.
pub(super) type Mac = [u8; 32];

/// The place of a line in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The number of the line, from 1.
    pub(super) seq: u64,
    pub(super) mac: Mac,
}

impl Link {
    /// The place before the first line.
    pub(super) const START: Self = Self { seq: 0, mac: [0; 32] };

    /// The place of the next line, whose text before its MAC is `body`.
    pub(super) fn after(self, body: &[u8], key: &SealingKey) -> Self {
        Self { seq: self.seq + 1, mac: key.mac(&[b"audit line", &self.mac, body]) }
    }

    /// Parses a line. Returns its place, which is not verified, and its text before the MAC.
    pub(super) fn read(line: &str) -> Option<(Self, &str)> {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        let (body, rest) = line.rsplit_once(MAC_MEMBER)?;
        let mac = URL_SAFE_NO_PAD.decode(rest.strip_suffix("\"}")?).ok()?.try_into().ok()?;
        let Numbered { seq } = serde_json::from_str(line).ok()?;
        Some((Self { seq, mac }, body))
    }
}

/// `audit.head`: the number of the last line, and a MAC over its place in the chain, which the line does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    code: Mac,
}

impl Head {
    pub(super) fn of(last: Link, key: &SealingKey) -> Self {
        Self { seq: last.seq, code: key.mac(&[b"audit head", &last.seq.to_be_bytes(), &last.mac]) }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let (seq, code) = text.trim_end().split_once(' ')?;
        let code = URL_SAFE_NO_PAD.decode(code).ok()?.try_into().ok()?;
        Some(Self { seq: seq.parse().ok()?, code })
    }

    /// The content of `audit.head`, which always has the same length.
    fn text(self) -> String {
        format!("{:020} {}\n", self.seq, encoded(self.code))
    }
}

/// A MAC as text.
pub(super) fn encoded(mac: Mac) -> String {
    URL_SAFE_NO_PAD.encode(mac)
}

/// A name for a key, which does not reveal it.
pub(super) fn key_id(key: &SealingKey) -> String {
    encoded(key.mac(&[b"audit key"]))
}

/// An event of the log itself.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum LogEvent {
    /// The oldest lines were removed to bound the size.
    FilesRemoved {
        /// The number of the last removed line.
        through: u64,
        /// The MAC of that line, from which the chain is verified.
        through_mac: String,
    },
    /// `audit.head` was missing or changed when Deputy started, so that lines may be missing at the end.
    HeadMissing,
    /// This line and the next ones are written with another key than the lines before.
    KeyChanged {
        /// The key of the lines before, as [`key_id`] names it.
        before: String,
    },
    /// Lines at the end were missing when Deputy started.
    LinesMissing {
        /// The number of the last line that was written.
        written: u64,
    },
}

impl LogEvent {
    fn json(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// The log, open for writing.
pub(super) struct Chain {
    folder: PathBuf,
    key: SealingKey,
    max_bytes: u64,
    last: Link,
    file: File,
    size: u64,
    head: File,
}

impl Chain {
    /// Opens the log, and appends with the newest of `keys`.
    pub(super) fn open(folder: &Path, keys: &Keys, max_bytes: u64) -> io::Result<Self> {
        create_folder(folder)?;
        let head_path = folder.join(files::HEAD);
        let had_head = head_path.exists();
        let written = fs::read_to_string(&head_path).ok().and_then(|text| Head::read(&text));
        let mut files = files::list(folder)?;
        let mut last = Link::START;
        // The newest file is empty if the process ended just after creating it.
        for path in files.iter().rev() {
            if let Some(link) = files::last_link(path)? {
                last = link;
                break;
            }
        }
        let path = files.pop().unwrap_or_else(|| files::path(folder, last.seq + 1));
        let file = open_lines(&path)?;
        let size = file.metadata()?.len();
        let head = private().truncate(false).open(&head_path)?;
        let key = keys.newest().audit.clone();
        let mut chain = Self { folder: folder.to_owned(), key, max_bytes, last, file, size, head };
        match written {
            Some(written) if written.seq > last.seq => {
                tracing::error!(
                    found = last.seq,
                    written = written.seq,
                    "the audit log lacks lines at its end: they were deleted, or lost with the power"
                );
                chain.append(&LogEvent::LinesMissing { written: written.seq }.json()?)?;
            }
            None if last == Link::START && !had_head => chain.write_head()?,
            written => {
                if let Some(before) =
                    written.map(|head| key_of(head, last, folder, keys)).transpose()?.flatten()
                {
                    chain.note_key_change(before)?;
                } else {
                    tracing::error!("audit.head of the audit log was missing or changed");
                    chain.append(&LogEvent::HeadMissing.json()?)?;
                }
            }
        }
        Ok(chain)
    }

    /// Writes a line with the members of `event`, a JSON object.
    pub(super) fn append(&mut self, event: &[u8]) -> io::Result<()> {
        if self.size >= LONGEST_FILE.min(self.max_bytes / 4) {
            self.rotate()?;
        }
        self.write(event)
    }

    /// Continues with the newest of `keys`.
    pub(super) fn use_keys(&mut self, keys: &Keys) -> io::Result<()> {
        let before = mem::replace(&mut self.key, keys.newest().audit.clone());
        self.note_key_change(&before)
    }

    /// Records that the lines from now on have another key, if they do.
    fn note_key_change(&mut self, before: &SealingKey) -> io::Result<()> {
        let before = key_id(before);
        if before == key_id(&self.key) {
            return Ok(());
        }
        if self.last == Link::START {
            return self.write_head();
        }
        self.append(&LogEvent::KeyChanged { before }.json()?)
    }

    fn write(&mut self, event: &[u8]) -> io::Result<()> {
        // Its closing brace follows the MAC.
        let members = event.strip_prefix(b"{").and_then(|event| event.strip_suffix(b"}")).unwrap_or_default();
        let mut line = format!("{{\"seq\":{},", self.last.seq + 1).into_bytes();
        line.extend_from_slice(members);
        let next = self.last.after(&line, &self.key);
        line.extend_from_slice(MAC_MEMBER.as_bytes());
        line.extend_from_slice(encoded(next.mac).as_bytes());
        line.extend_from_slice(b"\"}\n");
        if let Err(error) = self.file.write_all(&line) {
            // A partial line would break the chain.
            self.file.set_len(self.size)?;
            return Err(error);
        }
        self.size += line.len() as u64;
        self.last = next;
        self.write_head()
    }

    fn write_head(&mut self) -> io::Result<()> {
        write_at_start(&mut self.head, Head::of(self.last, &self.key).text().as_bytes())
    }

    /// Begins a new file, and removes the oldest files beyond `max_bytes`.
    fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        self.file = open_lines(&files::path(&self.folder, self.last.seq + 1))?;
        self.size = 0;
        let mut removed = None;
        let mut kept = files::list(&self.folder)?;
        // The newest file is still empty.
        while kept.len() > 2 && files::size(&kept)? > self.max_bytes {
            let oldest = kept.remove(0);
            let last = files::last_link(&oldest)?;
            fs::remove_file(&oldest)?;
            removed = last.or(removed);
        }
        match removed {
            Some(Link { seq, mac }) => {
                self.write(&LogEvent::FilesRemoved { through: seq, through_mac: encoded(mac) }.json()?)
            }
            None => Ok(()),
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.head.sync_data()
    }
}

/// Writes at the start of a file, in one system call.
#[cfg(unix)]
fn write_at_start(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)
}

/// Opens or creates a file of lines, to which lines are appended.
fn open_lines(path: &Path) -> io::Result<File> {
    private().append(true).open(path)
}

/// The key of the head, if it is that of the last line or, if the process ended before it wrote that, of the line before.
fn key_of<'a>(head: Head, last: Link, folder: &Path, keys: &'a Keys) -> io::Result<Option<&'a SealingKey>> {
    let key_at = |link| keys.iter().map(|keys| &keys.audit).find(|key| Head::of(link, key) == head);
    let before_the_first = || (head.seq == 0 && last.seq == 1).then(|| key_at(Link::START)).flatten();
    if let Some(key) = key_at(last).or_else(before_the_first) {
        return Ok(Some(key));
    }
    if head.seq + 1 != last.seq {
        return Ok(None);
    }
    for line in files::lines(files::list(folder)?) {
        let place = Link::read(&line?.1).map(|(link, _)| link).filter(|link| link.seq == head.seq);
        if let Some(key) = place.and_then(key_at) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// The member with the MAC, which is the last of a line.
const MAC_MEMBER: &str = ",\"mac\":\"";

/// Bytes of a file at which a new one begins, unless a quarter of `max_bytes` is less.
const LONGEST_FILE: u64 = 64 * 1024 * 1024;
