//! The binary as a child process, and requests to it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use harness::ports::free_port;
use tokio::time::Instant;

/// Longer than any step of a test takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A valid configuration.
pub(crate) const GOOD: [(&str, &str); 7] = [
    ("PINGONE_ISSUER", "http://localhost:9/env/as"),
    ("PINGONE_DV_POLICY_ID", "0123456789abcdef0123456789abcdef"),
    ("MCP_SERVER_CLIENT_ID", "client"),
    ("MCP_SERVER_CLIENT_SECRET", "a-secret-of-the-client"),
    ("API_IDENTIFIER", "https://api.example"),
    ("API_URL", "http://localhost:9/api"),
    ("COOKIE_ENCRYPTION_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
];

/// In the line that `deputy serve` prints when it is ready.
pub(crate) const READY: &str = "MCP clients connect to";

/// `deputy` with these arguments in this folder, without the environment of the test.
pub(crate) fn deputy(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deputy"));
    command.env_clear().current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// `deputy serve` in this folder with a valid configuration.
pub(crate) fn serve(folder: &Path, port: u16) -> Command {
    let mut command = deputy(folder, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.envs(GOOD);
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// This command in a shell that runs `before` first.
#[cfg(unix)]
pub(crate) fn after(before: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]);
    started_by(shell, command)
}

/// This command with the default action of SIGHUP, even where the tests were started with SIGHUP ignored, as by nohup.
/// A shell cannot undo that (POSIX, `trap`).
#[cfg(target_os = "linux")]
pub(crate) fn with_default_sighup(command: &Command) -> Command {
    let mut env = Command::new("/usr/bin/env");
    env.arg("--default-signal=HUP");
    started_by(env, command)
}

/// `starter` with `command` as its last arguments, in the environment of `command`.
#[cfg(unix)]
fn started_by(mut starter: Command, command: &Command) -> Command {
    starter.arg(command.get_program()).args(command.get_args()).env_clear();
    starter.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    starter.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    starter
}

/// A started process, which is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Its standard output until it was ready.
    pub(crate) printed: String,
    log: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Running {
    /// Starts `command` and waits until it prints a line that contains `ready`.
    pub(crate) fn start(mut command: Command, ready: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&log);
        let reader = thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).unwrap() > 0 {
                lines.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.lines().last().is_some_and(|line| line.contains(ready)) {
            if stdout.read_line(&mut printed).unwrap() == 0 {
                child.wait().unwrap();
                reader.join().unwrap();
                panic!("the process ended before it was ready: {printed}\n{}", log.lock().unwrap());
            }
        }
        Self { child, stdout, printed, log, reader: Some(reader) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until standard error has `text` as often as this.
    pub(crate) fn logs(&self, text: &str, times: usize) {
        let started = Instant::now();
        while self.log.lock().unwrap().matches(text).count() < times {
            assert!(started.elapsed() < LONG, "{times} times {text}: {}", self.log.lock().unwrap());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end. Returns the exit status, the rest of standard output, and standard error.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LONG, "the process does not end");
            thread::sleep(Duration::from_millis(20));
        };
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status, rest, self.log.lock().unwrap().clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// Ports that are free at the moment.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    [(); N].map(|()| free_port())
}

/// Connects, and sends `bytes`.
pub(crate) fn send(port: u16, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

/// Reads a connection to its end.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The response to a request. `head` is the beginning of its first line.
pub(crate) fn request(port: u16, head: &str, content_type: &str, body: &str) -> String {
    let bytes = format!(
        "{head} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    rest(&mut send(port, &bytes))
}

/// The response to a GET request.
pub(crate) fn get(port: u16, path: &str) -> String {
    rest(&mut send(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"),
    ))
}

/// Registers a client, and returns its id.
pub(crate) fn register(port: u16) -> String {
    let body = r#"{"redirect_uris":["http://localhost:1/cb"],"token_endpoint_auth_method":"none","client_name":"Kept"}"#;
    let response = request(port, "POST /register", "application/json", body);
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
    response.split("\"client_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Path of the approval page for a client, which has its name.
pub(crate) fn approval_page(client_id: &str) -> String {
    format!(
        "/authorize?client_id={client_id}&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb&response_type=code&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    )
}
