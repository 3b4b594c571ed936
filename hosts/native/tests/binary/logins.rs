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
