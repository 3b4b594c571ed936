//! A log, and the changes to its files that a verification finds.

use std::fs;

use deputy::{
    config::Keys,
    host::{
        AuditEvent, AuditLog as _, AuditedAccess, AuditedClient, Decision, GrantId, LoginStep, Timestamp,
    },
};
use tempfile::TempDir;

use super::{
    AuditFiles, files,
    verify::{Fault, LISTED, verify},
};

const MANY: u64 = 1 << 40;

fn keys() -> Keys {
    Keys::parse("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap()
}

fn event(time: u64) -> AuditEvent {
    let decision = Decision::LoginRefused {
        at: LoginStep::Callback,
        code: "denied",
        reason: "the user said \"no\"\n,\"mac\":\"x".to_owned(),
    };
    let client = AuditedClient { id: "client".to_owned(), name: None };
    let access = AuditedAccess { user: None, client: Some(client), grant: Some(GrantId([7; 16])) };
    AuditEvent { time: Timestamp(time), decision, access }
}

/// A log with this many lines.
fn log(lines: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditFiles::open(folder.path(), &keys(), MANY).unwrap();
    (1..=lines).for_each(|time| log.record(&event(time)));
    folder
}

fn faults(folder: &TempDir) -> Vec<Fault> {
    verify(folder.path(), &keys()).unwrap().faults
}

/// Changes the lines of the only file.
fn change(folder: &TempDir, change: impl FnOnce(&mut Vec<String>)) {
    let path = files::path(folder.path(), 1);
    let mut lines: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(&path, lines.join("\n") + "\n").unwrap();
}

fn broken(seq: u64, after: u64) -> Fault {
    Fault::Broken { file: "audit-00000000000000000001.jsonl".to_owned(), seq: Some(seq), after }
}

#[test]
fn untouched_log_has_no_faults() {
    let folder = log(5);
    assert_eq!(faults(&folder), []);
    let report = verify(folder.path(), &keys()).unwrap();
    assert_eq!((report.lines, report.last.unwrap().seq), (5, 5));
}

#[test]
fn log_continues_after_a_restart() {
    let folder = log(2);
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&event(3));
    assert_eq!(faults(&folder), []);
    assert_eq!(verify(folder.path(), &keys()).unwrap().lines, 3);
}

#[test]
fn edited_line_is_found() {
    let folder = log(5);
    change(&folder, |lines| lines[2] = lines[2].replace("\"time\":3", "\"time\":4"));
    assert_eq!(faults(&folder), [broken(3, 2)]);
}

#[test]
fn deleted_line_is_found() {
    let folder = log(5);
    change(&folder, |lines| drop(lines.remove(2)));
    assert_eq!(faults(&folder), [broken(4, 2)]);
}

#[test]
fn swapped_lines_are_found() {
    let folder = log(5);
    change(&folder, |lines| lines.swap(1, 2));
    assert_eq!(faults(&folder), [broken(3, 1), broken(2, 3), broken(4, 2)]);
}

#[test]
fn repeated_and_foreign_lines_are_found() {
    let folder = log(3);
    change(&folder, |lines| lines.insert(1, lines[0].clone()));
    assert_eq!(faults(&folder), [broken(1, 1)]);
    let folder = log(3);
    change(&folder, |lines| lines.insert(1, "{}".to_owned()));
    let file = "audit-00000000000000000001.jsonl".to_owned();
    assert_eq!(faults(&folder), [Fault::Broken { file, seq: None, after: 1 }]);
}

#[test]
fn truncated_log_is_found_also_after_a_restart() {
    let folder = log(5);
    change(&folder, |lines| lines.truncate(3));
    assert_eq!(faults(&folder), [Fault::EndMissing { last: 3, written: 5 }]);
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&event(6));
    assert_eq!(faults(&folder), [Fault::LinesMissing { found: 3, written: 5 }]);
}

#[test]
fn lines_deleted_at_the_beginning_are_found() {
    let folder = log(5);
    change(&folder, |lines| drop(lines.drain(..2)));
    assert_eq!(faults(&folder), [Fault::BeginningMissing { first: 3 }]);
}

#[test]
fn altered_head_is_found() {
    let folder = log(2);
    let head = folder.path().join(files::HEAD);
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text.replace("0002 ", "0001 ")).unwrap();
    assert_eq!(faults(&folder), [Fault::Head]);
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap();
    assert_eq!(faults(&folder), [Fault::HeadMissing { found: 2 }]);
}

/// The code in `audit.head` is not the one at the end of the line, which everyone can read.
#[test]
fn truncation_with_a_forged_head_is_found() {
    let folder = log(5);
    change(&folder, |lines| lines.truncate(3));
    let line = fs::read_to_string(files::path(folder.path(), 1)).unwrap();
    let code = line.trim_end().rsplit('"').nth(1).unwrap();
    for seq in [3, 2] {
        fs::write(folder.path().join(files::HEAD), format!("{seq:020} {code}\n")).unwrap();
        assert_eq!(faults(&folder), [Fault::Head]);
    }
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap();
    assert_eq!(faults(&folder), [Fault::HeadMissing { found: 3 }]);
}

#[test]
fn removed_head_is_found() {
    let folder = log(2);
    let head = folder.path().join(files::HEAD);
    fs::remove_file(&head).unwrap();
    assert_eq!(faults(&folder), [Fault::Head]);
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap();
    assert_eq!(faults(&folder), [Fault::HeadMissing { found: 2 }]);
}

#[test]
fn log_whose_files_were_all_deleted_is_found() {
    let folder = log(0);
    assert_eq!(faults(&folder), [], "a log without an event");
    let folder = log(2);
    fs::remove_file(files::path(folder.path(), 1)).unwrap();
    assert_eq!(faults(&folder), [Fault::EndMissing { last: 0, written: 2 }]);
    fs::remove_file(folder.path().join(files::HEAD)).unwrap();
    assert_eq!(faults(&folder), [Fault::Head]);
}

#[test]
fn log_of_a_process_that_ended_before_the_head_is_intact() {
    let folder = log(2);
    let head = fs::read(folder.path().join(files::HEAD)).unwrap();
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&event(3));
    fs::write(folder.path().join(files::HEAD), head).unwrap();
    assert_eq!(faults(&folder), []);
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&event(4));
    assert_eq!(faults(&folder), []);
}

#[test]
fn log_written_with_another_key_is_found() {
    let folder = log(1);
    let report = verify(folder.path(), &newer("")).unwrap();
    assert_eq!(report.faults, [Fault::Head, broken(1, 0)]);
    assert_eq!(report.unverified_until, Some(1));
    let many = log(200);
    let report = verify(many.path(), &newer("")).unwrap();
    assert_eq!((report.faults.len(), report.unlisted), (LISTED, 200 + 1 - LISTED as u64));
    let text = report.to_string();
    assert_eq!(text.lines().count(), LISTED + 3, "{text}");
    assert!(text.contains("is SERVER_KEY the right one?") && text.ends_with("201 faults"), "{text}");
}

/// The key after [`keys`], and before it `earlier` ones.
fn newer(earlier: &str) -> Keys {
    Keys::parse(&format!("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=,{earlier}")).unwrap()
}

/// The newer key and that of [`keys`].
fn both() -> Keys {
    newer("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
}

/// A log of five lines with the older key, one about the change, and two with the newer key. A restart or a reload changes it.
fn rotated() -> [TempDir; 2] {
    let restarted = log(5);
    let log_after = AuditFiles::open(restarted.path(), &both(), MANY).unwrap();
    (6..=7).for_each(|time| log_after.record(&event(time)));
    let reloaded = tempfile::tempdir().unwrap();
    let log = AuditFiles::open(reloaded.path(), &keys(), MANY).unwrap();
    (1..=5).for_each(|time| log.record(&event(time)));
    log.use_keys(&both());
    log.use_keys(&newer(""));
    (6..=7).for_each(|time| log.record(&event(time)));
    [restarted, reloaded]
}

#[test]
fn key_rotation_continues_the_chain() {
    for folder in rotated() {
        let report = verify(folder.path(), &both()).unwrap();
        assert_eq!((report.faults, report.lines), (vec![], 8));
    }
}

#[test]
fn missing_earlier_key_is_one_fault() {
    for folder in rotated() {
        let report = verify(folder.path(), &newer("")).unwrap();
        assert_eq!(report.faults, [Fault::EarlierKey { first: 1, last: 5 }]);
        assert!(report.lacks_a_key());
        assert!(report.to_string().contains("lines 1 to 5 cannot be verified"), "{report}");
        // Its next start knows the newer key alone.
        AuditFiles::open(folder.path(), &newer(""), MANY).unwrap().record(&event(8));
        assert_eq!(verify(folder.path(), &both()).unwrap().faults, []);
    }
}

#[test]
fn changes_around_a_key_rotation_are_found() {
    let edit = |lines: &mut Vec<String>, seq: u64| {
        let line = lines.iter_mut().find(|line| line.contains(&format!("\"seq\":{seq},"))).unwrap();
        *line = line.replace("denied", "granted");
    };
    for folder in rotated() {
        change(&folder, |lines| edit(lines, 5));
        assert_eq!(verify(folder.path(), &both()).unwrap().faults, [broken(5, 4)], "its key is known");
        change(&folder, |lines| edit(lines, 7));
        let earlier = Fault::EarlierKey { first: 1, last: 5 };
        let report = verify(folder.path(), &newer("")).unwrap();
        assert_eq!(report.faults, [earlier, broken(7, 6)]);
        assert!(!report.lacks_a_key());
        change(&folder, |lines| drop(lines.remove(2)));
        let earlier = Fault::EarlierKey { first: 1, last: 5 };
        assert_eq!(verify(folder.path(), &newer("")).unwrap().faults, [broken(4, 2), earlier, broken(7, 6)]);
        change(&folder, |lines| lines.retain(|line| !line.contains("key_changed")));
        let report = verify(folder.path(), &newer("")).unwrap();
        assert!(report.faults.contains(&broken(7, 5)) && !report.lacks_a_key(), "{report}");
    }
}

#[test]
fn only_lines_before_a_place_that_fail_may_lack_a_key() {
    let folder = log(5);
    change(&folder, |lines| lines[0] = lines[0].replace("denied", "granted"));
    let report = verify(folder.path(), &keys()).unwrap();
    assert_eq!((report.faults.as_slice(), report.unverified_until), (&[broken(1, 0)][..], Some(1)));
    change(&folder, |lines| lines[3] = lines[3].replace("denied", "granted"));
    assert_eq!(verify(folder.path(), &keys()).unwrap().unverified_until, None);
}

#[test]
fn part_of_a_line_at_the_end_is_removed_at_the_start() {
    let folder = log(2);
    let path = files::path(folder.path(), 1);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"seq\":3,\"ti")).unwrap();
    assert_eq!(faults(&folder), [], "a line that is being written");
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&event(3));
    assert_eq!(faults(&folder), []);
}

#[test]
fn long_line_at_the_end_is_continued() {
    let folder = log(1);
    let mut long = event(2);
    long.access.user = Some("x".repeat(100_000));
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&long);
    AuditFiles::open(folder.path(), &keys(), MANY).unwrap().record(&event(3));
    assert_eq!(faults(&folder), []);
}

#[test]
fn oldest_files_are_removed_beyond_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditFiles::open(folder.path(), &keys(), 8000).unwrap();
    (1..=200).for_each(|time| log.record(&event(time)));
    let kept = files::list(folder.path()).unwrap();
    assert!(files::size(&kept).unwrap() <= 8000 + 2500, "{kept:?}");
    assert_ne!(kept[0], files::path(folder.path(), 1));
    assert_eq!(faults(&folder), []);
    drop(log);
    AuditFiles::open(folder.path(), &keys(), 8000).unwrap().record(&event(201));
    assert_eq!(faults(&folder), []);
    fs::remove_file(&files::list(folder.path()).unwrap()[0]).unwrap();
    assert!(matches!(faults(&folder)[..], [Fault::BeginningMissing { .. }]));
}
