//! The files of the log, each named after its first line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use super::chain::Link;

/// The name of the file with the number of the last line, and another MAC over it.
pub(super) const HEAD: &str = "audit.head";

/// The file whose first line has the number `seq`.
pub(super) fn path(folder: &Path, seq: u64) -> PathBuf {
    folder.join(format!("audit-{seq:020}.jsonl"))
}

/// The files, the oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("audit-") && path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Total bytes of the files.
pub(super) fn size(files: &[PathBuf]) -> io::Result<u64> {
    files.iter().map(|path| Ok(fs::metadata(path)?.len())).sum()
}

/// The lines of the files, in order, each with its file. Leaves out a last line without a line break, which is still
/// being written.
pub(super) fn lines(files: Vec<PathBuf>) -> impl Iterator<Item = io::Result<(PathBuf, String)>> {
    files.into_iter().flat_map(|path| {
        let reader = File::open(&path).map(BufReader::new);
        let (mut reader, error) = match reader {
            Ok(reader) => (Some(reader), None),
            Err(error) => (None, Some(Err(error))),
        };
        let lines = std::iter::from_fn(move || {
            let mut line = String::new();
            match reader.as_mut()?.read_line(&mut line) {
                Ok(_) if !line.ends_with('\n') => None,
                Ok(_) => Some(Ok((path.clone(), line.trim_end_matches('\n').to_owned()))),
                Err(error) => {
                    reader = None;
                    Some(Err(error))
                }
            }
        });
        error.into_iter().chain(lines)
    })
}

/// The place in the chain of a file's last line. `None` if the file has no complete line. Removes a partial line at the
/// end, which a loss of power can leave.
pub(super) fn last_link(path: &Path) -> io::Result<Option<Link>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut start = length;
    let mut tail = Vec::new();
    // Until a whole line is read: the end of it, and that of the line before or the beginning of the file.
    while start > 0 && tail.split(|byte| *byte == b'\n').count() < 3 {
        start = start.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        tail.clear();
        file.read_to_end(&mut tail)?;
    }
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < tail.len() {
        tracing::warn!(file = %path.display(), "a part of a line at the end of the audit log was removed");
        file.set_len(start + whole as u64)?;
    }
    let text = String::from_utf8_lossy(&tail[..whole]);
    let Some(line) = text.trim_end_matches('\n').rsplit('\n').next().filter(|line| !line.is_empty()) else {
        return Ok(None);
    };
    let (found, _) = Link::read(line).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the last line of {} was changed", path.display()))
    })?;
    Ok(Some(found))
}

/// Bytes that are read at a time from the end of a file.
const STEP: u64 = 16 * 1024;
