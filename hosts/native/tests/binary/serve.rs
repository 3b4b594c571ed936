//! `deputy serve`, as an operator meets it.

use std::{fs, io::Write as _, net::TcpListener, path::Path, process::Command, thread, time::Duration};

use tokio::time::Instant;

use crate::support::{Running, deputy, free_ports, get, request, rest, run, send};

const GOOD: [(&str, &str); 7] = [
    ("PINGONE_ISSUER", "http://localhost:9/env/as"),
    ("PINGONE_DV_POLICY_ID", "0123456789abcdef0123456789abcdef"),
    ("MCP_SERVER_CLIENT_ID", "client"),
    ("MCP_SERVER_CLIENT_SECRET", "a-secret-of-the-client"),
    ("API_IDENTIFIER", "https://api.example"),
    ("API_URL", "http://localhost:9/api"),
    ("COOKIE_ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
];

pub(crate) const READY: &str = "MCP clients connect to";

pub(crate) fn serve(folder: &Path, port: u16) -> Command {
    let mut command = deputy(folder, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.envs(GOOD);
    command
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn it_is_ready_when_it_says_so_and_says_where_clients_connect() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let running = Running::start(serve(folder.path(), port), READY);
    assert!(running.printed.contains(&format!("http://localhost:{port}/mcp")), "{}", running.printed);
    let metadata = get(port, "/.well-known/oauth-authorization-server");
    assert!(metadata.starts_with("HTTP/1.1 200 "), "{metadata}");
    assert!(metadata.contains(&format!("\"issuer\":\"http://localhost:{port}\"")), "{metadata}");
}

#[test]
fn a_port_of_the_systems_choice_is_in_the_urls() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(serve(folder.path(), 0), READY);
    let port = running.printed.rsplit("localhost:").next().unwrap().trim_end().strip_suffix("/mcp").unwrap();
    assert!(get(port.parse().unwrap(), "/.well-known/oauth-authorization-server").contains(port));
}

#[test]
fn every_wrong_variable_is_named_and_no_value_is_shown() {
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
fn an_env_file_gives_variables_and_the_real_ones_win() {
    let folder = tempfile::tempdir().unwrap();
    let lines = GOOD.map(|(name, value)| format!("{name}={value}\n")).concat();
    fs::write(folder.path().join(".env"), lines + "PUBLIC_URL=http://localhost:1\nDATA_DIR=elsewhere\n")
        .unwrap();
    let mut command = deputy(folder.path(), &["serve"]);
    command.env("LISTEN", "127.0.0.1:0").env("PUBLIC_URL", "http://localhost:2");
    let running = Running::start(command, READY);
    assert!(running.printed.contains("http://localhost:2/mcp"), "{}", running.printed);
    assert!(folder.path().join("elsewhere/deputy.sqlite3").exists());
}

/// A file with the good variables and `more`.
fn env_file(folder: &Path, more: &str) {
    let lines = GOOD.map(|(name, value)| format!("{name}={value}\n")).concat();
    fs::write(folder.join(".env"), lines + more).unwrap();
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
fn misspelled_name_is_refused_together_with_what_it_leaves_unset() {
    let folder = tempfile::tempdir().unwrap();
    env_file(folder.path(), "PINGONE_ISUER=x\n");
    let file = fs::read_to_string(folder.path().join(".env")).unwrap().replace("PINGONE_ISSUER=", "#");
    fs::write(folder.path().join(".env"), file).unwrap();
    let text = stderr(&run(deputy(folder.path(), &["serve", "--listen", "127.0.0.1:0"])));
    assert!(text.contains("PINGONE_ISUER: ") && text.contains("PINGONE_ISSUER: is not set"), "{text}");
}

#[test]
fn other_names_in_the_file_are_warned_about() {
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
fn value_in_the_environment_that_is_no_text_is_refused() {
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
fn wrong_value_of_a_flag_is_named_with_its_source() {
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
fn an_empty_variable_does_not_hide_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let lines = GOOD.map(|(name, value)| format!("{name}={value}\n")).concat();
    fs::write(folder.path().join(".env"), lines + "PUBLIC_URL=http://localhost:1\n").unwrap();
    let mut command = deputy(folder.path(), &["serve"]);
    command.env("LISTEN", "127.0.0.1:0").env("PUBLIC_URL", "").env("PINGONE_ISSUER", "");
    let running = Running::start(command, READY);
    assert!(running.printed.contains("http://localhost:1/mcp"), "{}", running.printed);
}

#[test]
fn an_env_file_that_makes_no_sense_is_named_with_its_line_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "A=1\nhunter2\n").unwrap();
    let output = run(serve(folder.path(), 0));
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains(".env") && text.contains("line 2") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_busy_port_is_named_with_the_flag_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let output = run(serve(folder.path(), port));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&format!("port {port} ")) && text.contains("--listen"), "{text}");
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/deputy.sqlite3"), "x".repeat(5000)).unwrap();
    let output = run(serve(folder.path(), 0));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("./data/deputy.sqlite3 is damaged") && text.contains("move "), "{text}");
}

#[test]
fn sigterm_finishes_the_request_under_way_and_ends_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let body = "grant_type=authorization_code";
    let (first, second) = body.split_at(5);
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = send(port, &(head + first));
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    running.signal("TERM");
    thread::sleep(Duration::from_millis(300));
    stream.write_all(second.as_bytes()).unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("\"error\""), "{answer}");
    let (status, _, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(started.elapsed() < Duration::from_secs(8), "it waited for nothing");
}

#[test]
fn a_request_that_does_not_finish_delays_the_end_by_ten_seconds_and_a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let stuck = |port: u16| {
        send(port, &format!("POST /token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 100\r\n\r\nx"))
    };
    let [one, two] = free_ports();
    let mut patient = Running::start(serve(&folder.path().join("."), one), READY);
    let mut command = serve(folder.path(), two);
    command.env("DATA_DIR", "two");
    let mut impatient = Running::start(command, READY);
    let _stuck = [stuck(one), stuck(two)];
    thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    patient.signal("TERM");
    impatient.signal("INT");
    thread::sleep(Duration::from_millis(300));
    impatient.signal("INT");
    assert_eq!(impatient.ended().0.code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(8), "the second signal was not enough");
    assert_eq!(patient.ended().0.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(14), "it took {:?}", started.elapsed());
}

#[test]
fn a_registration_that_was_answered_is_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut running = Running::start(serve(folder.path(), port), READY);
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none","client_name":"Kept"}"#;
    let answer = request(port, "POST /register", "application/json", body);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let id = answer.split("\"client_id\":\"").nth(1).unwrap().split('"').next().unwrap();
    running.signal("KILL");
    running.ended();
    let _running = Running::start(serve(folder.path(), port), READY);
    let path = |client: &str| {
        format!(
            "/authorize?client_id={client}&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb&response_type=code&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        )
    };
    assert!(get(port, &path("unknown")).starts_with("HTTP/1.1 400 "));
    let page = get(port, &path(id));
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Kept"), "{page}");
}

#[test]
fn the_log_is_json_where_asked_for_and_holds_no_query_header_or_secret() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("LOG_FORMAT", "json").env("LOG", "trace");
    let mut running = Running::start(command, READY);
    let request = format!(
        "GET /callback?code=hunter2&state=hunter2 HTTP/1.1\r\nHost: localhost:{port}\r\n\
         Authorization: Bearer hunter2\r\nCookie: a=hunter2\r\nConnection: close\r\n\r\n"
    );
    rest(&mut send(port, &request));
    running.signal("TERM");
    let (_, _, log) = running.ended();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(log.contains(r#""path":"/callback""#), "{log}");
    for secret in ["hunter2", "a-secret-of-the-client", "MDEyMzQ1"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn addresses_that_a_proxy_names_are_counted_and_whom_it_does_not_name_share_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let mut command = serve(folder.path(), port);
    command.env("RATE_LIMITS", "register=2").env("CLIENT_ADDRESS_HEADER", "x-forwarded-for");
    let _running = Running::start(command, READY);
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none"}"#;
    let register = |forwarded: &str| {
        let head = format!(
            "POST /register HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{forwarded}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        rest(&mut send(port, &head))
    };
    // What stands before the last entry, the client may have written itself.
    for number in 0..2 {
        let answer = register(&format!("X-Forwarded-For: 192.0.2.{number}, 203.0.113.7\r\n"));
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    let refused = register("X-Forwarded-For: 192.0.2.9, 203.0.113.7\r\n");
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: "), "{refused}");
    for (other, status) in [
        ("X-Forwarded-For: 203.0.113.8\r\n", 201),
        ("", 201),
        ("X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n", 201),
        ("", 429),
    ] {
        assert!(register(other).starts_with(&format!("HTTP/1.1 {status} ")), "{other}");
    }
}

#[test]
fn public_url_of_this_computer_is_warned_about_where_others_connect() {
    let warned = |listen: &str, url: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = deputy(folder.path(), &["serve", "--listen", listen]);
        command.envs(GOOD).env("PUBLIC_URL", url);
        let mut running = Running::start(command, READY);
        running.signal("TERM");
        running.ended().2.contains("leads each of them to itself")
    };
    assert!(warned("0.0.0.0:0", ""));
    assert!(!warned("0.0.0.0:0", "https://deputy.example"));
    assert!(!warned("127.0.0.1:0", ""));
}

#[test]
fn issuer_that_does_not_answer_is_warned_about_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(serve(folder.path(), 0), READY);
    thread::sleep(Duration::from_millis(500));
    running.signal("TERM");
    let log = running.ended().2;
    let warning = "PINGONE_ISSUER cannot be used: nobody can log in until that is mended";
    assert!(log.contains(warning) && log.contains("http://localhost:9/env/as"), "{log}");
}

#[test]
fn a_deputy_behind_a_proxy_that_names_nobody_says_that_it_cannot_count() {
    let warning = |variables: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = serve(folder.path(), 0);
        command.env("PUBLIC_URL", "https://deputy.example").envs(variables.iter().copied());
        let mut running = Running::start(command, READY);
        running.signal("TERM");
        running.ended().2.contains("CLIENT_ADDRESS_HEADER")
    };
    assert!(warning(&[]));
    assert!(!warning(&[("CLIENT_ADDRESS_HEADER", "x-real-ip")]));
    assert!(!warning(&[("RATE_LIMITS", "off")]));
}
