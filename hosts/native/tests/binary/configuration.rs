//! The configuration of `deputy serve`, from the environment and the file with variables.

use std::{fs, path::Path};

use crate::support::{GOOD, READY, Running, deputy, run, serve, stderr};

#[test]
fn wrong_variables_are_all_reported_without_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(folder.path(), 0);
    for (name, _) in GOOD {
        command.env(name, "");
    }
    command
        .env("PINGONE_ISSUER", "hunter2")
        .env("API_URL", "ftp://hunter2")
        .env("COOKIE_ENCRYPTION_KEY", "aHVudGVyMg==");
    let output = run(command);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for (name, _) in GOOD {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn names_and_former_names_of_variables_are_read() {
    let renamed = [
        ("MCP_SERVER_CLIENT_ID", "PINGONE_CLIENT_ID"),
        ("MCP_SERVER_CLIENT_SECRET", "PINGONE_CLIENT_SECRET"),
        ("COOKIE_ENCRYPTION_KEY", "SERVER_KEY"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(folder.path(), 0);
    for (former, name) in renamed {
        let (_, value) = GOOD.iter().find(|(good, _)| *good == former).unwrap();
        command.env_remove(former).env(name, value);
    }
    drop(Running::start(command, READY));
    let mut command = serve(folder.path(), 0);
    command.envs(renamed.map(|(_, name)| (name, "hunter2")));
    let output = run(command);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for (former, name) in renamed {
        assert!(text.contains(&format!("{name}: has another value than {former}, ")), "{text}");
    }
    assert!(!text.contains("hunter2") && !text.contains(GOOD[3].1), "{text}");
}

#[test]
fn environment_wins_over_the_env_file() {
    let folder = tempfile::tempdir().unwrap();
    env_file(folder.path(), "PUBLIC_URL=http://localhost:1\nDATA_DIR=elsewhere\n");
    let mut command = deputy(folder.path(), &["serve"]);
    command.env("LISTEN", "127.0.0.1:0").env("PUBLIC_URL", "http://localhost:2");
    let running = Running::start(command, READY);
    assert!(running.printed.contains("http://localhost:2/mcp"), "{}", running.printed);
    assert!(folder.path().join("elsewhere/deputy.sqlite3").exists());
}

#[test]
fn misspelled_name_in_the_file_is_refused_with_the_right_one() {
    for (wrong, right) in [
        ("CLIENT_APROVAL=always", "CLIENT_APPROVAL"),
        ("RATE_LIMIT=hunter2", "RATE_LIMITS"),
        ("client_approval=always", "CLIENT_APPROVAL"),
        ("WHO_AM_I_TOKENS=claims", "WHO_AM_I_TOKEN"),
        ("MAX_CONNECTION=9", "MAX_CONNECTIONS"),
        ("LOG_LEVEL=debug", "LOG"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        env_file(folder.path(), wrong);
        let output = run(deputy(folder.path(), &["serve", "--listen", "127.0.0.1:0"]));
        let (text, name) = (stderr(&output), wrong.split('=').next().unwrap());
        assert_eq!(output.status.code(), Some(2), "{text}");
        let problem = format!("  {name}: is not a variable of Deputy; did you mean {right}?\n");
        assert!(text.contains(&problem) && !text.contains("hunter2"), "{text}");
        assert!(!folder.path().join("data").exists(), "nothing was created");
    }
}

#[test]
fn misspelled_and_unset_variables_are_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    env_file(folder.path(), "PINGONE_ISUER=x\n");
    let file = fs::read_to_string(folder.path().join(".env")).unwrap().replace("PINGONE_ISSUER=", "#");
    fs::write(folder.path().join(".env"), file).unwrap();
    let text = stderr(&run(deputy(folder.path(), &["serve", "--listen", "127.0.0.1:0"])));
    assert!(text.contains("PINGONE_ISUER: ") && text.contains("PINGONE_ISSUER: is not set"), "{text}");
}

#[test]
fn unknown_names_in_the_file_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    env_file(folder.path(), "PINGONE_REGION=eu\nRATE_LIMIT=off\nRATE_LIMITS=on\n");
    let mut running = Running::start(deputy(folder.path(), &["serve", "--listen", "127.0.0.1:0"]), READY);
    running.signal("TERM");
    let (_, _, log) = running.ended();
    for warning in [
        "PINGONE_REGION is not a variable of Deputy, and has no effect",
        "RATE_LIMIT is not a variable of Deputy; did you mean RATE_LIMITS?",
    ] {
        assert!(log.contains(warning), "{warning}\n{log}");
    }
}

#[test]
fn misspelled_name_in_the_environment_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(folder.path(), 0);
    command
        .env("CLIENT_APROVAL", "hunter2")
        .env("LISTEN_FDS", "1")
        .env("APP_URL", "x")
        .env("PINGONE_REGION", "eu");
    let mut running = Running::start(command, READY);
    running.signal("TERM");
    let (_, _, log) = running.ended();
    let warning =
        "the environment variable CLIENT_APROVAL is not a variable of Deputy; did you mean CLIENT_APPROVAL?";
    assert!(log.contains(warning), "{log}");
    assert_eq!(log.matches("not a variable of Deputy").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[cfg(unix)]
#[test]
fn value_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve(folder.path(), 0);
    command.env("CLIENT_APPROVAL", std::ffi::OsStr::from_bytes(b"always\xff"));
    let output = run(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("CLIENT_APPROVAL: is not UTF-8 text"), "{}", stderr(&output));
}

#[test]
fn number_out_of_range_is_refused_with_the_range() {
    for value in ["0", "75s", "3601", "-1"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = serve(folder.path(), 0);
        command.env("KEEP_ALIVE", value);
        let text = stderr(&run(command));
        assert!(text.contains("expected a whole number from 1 to 3600"), "{text}");
    }
}

#[test]
fn empty_variable_of_a_flag_counts_as_absent() {
    let folder = tempfile::tempdir().unwrap();
    env_file(folder.path(), "LISTEN=127.0.0.1:0\nMAX_CONNECTIONS=\n");
    let mut command = deputy(folder.path(), &["serve"]);
    for name in
        ["LISTEN", "DATA_DIR", "ENV_FILE", "MAX_CONNECTIONS", "CLIENT_ADDRESS_HEADER", "LOG", "LOG_FORMAT"]
    {
        command.env(name, "");
    }
    let running = Running::start(command, READY);
    assert!(!running.printed.contains("8787"), "the file has another port: {}", running.printed);
}

#[test]
fn wrong_value_is_reported_with_its_source() {
    for (in_file, in_environment, source) in [
        ("LISTEN=8787", None, "this is the value of LISTEN in the file with variables"),
        ("", Some("8787"), "this is the value of the environment variable LISTEN"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        env_file(folder.path(), in_file);
        let mut command = deputy(folder.path(), &["serve"]);
        command.envs(in_environment.map(|value| ("LISTEN", value)));
        let output = run(command);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("'--listen <ADDRESS:PORT>'") && text.contains(source), "{text}");
    }
}

#[test]
fn error_in_the_file_shows_the_usage_of_serve() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "hunter2\n").unwrap();
    let text = stderr(&run(serve(folder.path(), 0)));
    assert!(text.contains("Usage: deputy serve [OPTIONS]") && !text.contains("<COMMAND>"), "{text}");
}

#[test]
fn empty_variable_does_not_hide_the_file() {
    let folder = tempfile::tempdir().unwrap();
    env_file(folder.path(), "PUBLIC_URL=http://localhost:1\n");
    let mut command = deputy(folder.path(), &["serve"]);
    command.env("LISTEN", "127.0.0.1:0").env("PUBLIC_URL", "").env("PINGONE_ISSUER", "");
    let running = Running::start(command, READY);
    assert!(running.printed.contains("http://localhost:1/mcp"), "{}", running.printed);
}

#[test]
fn malformed_env_file_is_reported_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "A=1\nhunter2\n").unwrap();
    let output = run(serve(folder.path(), 0));
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains(".env") && text.contains("line 2") && !text.contains("hunter2"), "{text}");
}

/// Writes a file with the valid configuration and `more`.
fn env_file(folder: &Path, more: &str) {
    let lines = GOOD.map(|(name, value)| format!("{name}={value}\n")).concat();
    fs::write(folder.join(".env"), lines + more).unwrap();
}
