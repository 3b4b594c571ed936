//! `deputy logins`.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use crate::support::{READY, Running, approval_page, deputy, free_ports, get, register, run, serve, stderr};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn logins_are_shown_by_the_reference_of_their_page() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let _running = Running::start(serve(folder.path(), port), READY);
    let page = get(port, &approval_page(&register(port)));
    let refused = get(port, &approval_page("AAAAAAAAAAAAAAAAAAAAAA"));
    let reference_on = |page: &str| page.split_once("Reference ").unwrap().1[..9].to_owned();
    let (begun, refused) = (reference_on(&page), reference_on(&refused));
    let logins = |arguments: &[&str]| {
        let output = run(deputy(folder.path(), &[&["logins"], arguments].concat()));
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let one = logins(&[&begun.to_lowercase()]);
    for part in [&begun, "under way, at approval", "authorization request accepted"] {
        assert!(one.contains(part), "{part} is not in\n{one}");
    }
    let failed = logins(&["--failed"]);
    assert!(!failed.contains(&begun), "{failed}");
    for part in [&refused, "refused at authorize", "Likely cause: ", "Remedy: "] {
        assert!(failed.contains(part), "{part} is not in\n{failed}");
    }
    let json: Vec<serde_json::Value> =
        logins(&["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.len(), 2);
    assert_eq!(json.iter().filter(|login| login["state"] == "refused").count(), 1);
    for none in [&["--person", "bob"][..], &["--client", "nobody"], &["--since", "2100-01-01T00:00:00Z"]] {
        assert_eq!(logins(none), "", "{none:?}");
    }
    let wrong = run(deputy(folder.path(), &["logins", "7KQ2"]));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("eight letters and digits"), "{}", stderr(&wrong));
}

#[test]
fn workers_log_is_read_without_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let event = r#"{"time":1800000000,"event":"login_denied","client":{"id":"c","name":"\u001b[2Jx"},"grant":"00","reference":"7KQ2-M4XD"}"#;
    let mut command = deputy(folder.path(), &["logins", "--from", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = format!("{{\"level\":\"info\",\"audit\":{event}}}\nnot JSON\n{{\"event\":\"unknown\"}}\n");
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let text = stdout(&child.wait_with_output().unwrap());
    assert!(text.contains("2027-01-15 08:00:00 UTC  7KQ2-M4XD  denied by the user"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let unreadable = folder.path().join("lines");
    std::fs::write(&unreadable, [event.as_bytes(), b"\n\xff\n"].concat()).unwrap();
    let output = run(deputy(folder.path(), &["logins", "--from", unreadable.to_str().unwrap()]));
    assert_eq!(output.status.code(), Some(1), "the logins of a part of the lines would mislead");
}

/// The steps of one login, which went from one replica to another and back. Some are of the same second.
#[test]
fn logins_are_merged_from_the_logs_of_several_replicas() {
    let folder = tempfile::tempdir().unwrap();
    let line = |time: u64, event: &str, more: &str| {
        format!(r#"{{"time":{time},"event":"{event}","client":{{"id":"c"}},"reference":"7KQ2-M4XD"{more}}}"#)
    };
    let begun = line(1_700_000_000, "login_begun", r#","scopes":"a""#);
    let approved = line(1_700_000_009, "login_approved", r#","scopes":"a","remembered":false"#);
    let sent = line(1_700_000_009, "login_sent", "");
    let returned = line(1_700_000_020, "login_returned", "");
    let issued = line(1_700_000_021, "grant_issued", r#","scopes":"a""#);
    let redeemed = line(1_700_000_021, "code_redeemed", "");
    for (replica, lines) in
        [("1", vec![&redeemed, &sent]), ("2", vec![&begun, &approved, &returned, &issued])]
    {
        let log = folder.path().join(replica).join("audit");
        std::fs::create_dir_all(&log).unwrap();
        let lines: String = lines.into_iter().map(|line| line.clone() + "\n").collect();
        std::fs::write(log.join("audit-00000000000000000001.jsonl"), lines).unwrap();
    }
    let logins = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = deputy(folder.path(), &[&["logins"], arguments].concat());
        command.envs(variables.iter().copied());
        let output = run(command);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let both = logins(&["--from", "1", "--from", "2"], &[]);
    assert!(both.contains("finished") && !both.contains("another replica"), "{both}");
    let steps = [
        "request accepted",
        "approved",
        "sent to PingOne",
        "back from PingOne",
        "code sent",
        "code redeemed",
    ];
    let places = steps.map(|step| both.find(step).unwrap_or_else(|| panic!("{step}: {both}")));
    assert!(places.is_sorted(), "{both}");
    let one = logins(&["--from", "2"], &[]);
    assert!(one.contains("given up at redemption") && one.contains("gone on at another replica"), "{one}");
    // A login whose first steps are all in this log.
    let started = folder.path().join("started");
    std::fs::create_dir_all(started.join("audit")).unwrap();
    std::fs::write(started.join("audit/audit-00000000000000000001.jsonl"), begun + "\n").unwrap();
    let alone = logins(&["--data-dir", "started"], &[]);
    assert!(alone.contains("given up at approval") && !alone.contains("another replica"), "{alone}");
    let shared = logins(&["--data-dir", "started"], &[("STORE_URL_FILE", "/nowhere")]);
    assert!(shared.contains("gone on at another replica"), "{shared}");
}
