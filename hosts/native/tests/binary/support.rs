//! The real binary as a child process, and requests to it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread,
    time::Duration,
};

use tokio::time::Instant;

/// Longer than anything here takes, unless it never ends.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// `deputy` with these arguments in this folder, with nothing of the test's own environment.
pub(crate) fn deputy(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deputy"));
    command.env_clear().current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// A process that has been started and is killed when the test ends.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it printed up to being ready.
    pub(crate) printed: String,
    stderr: Option<thread::JoinHandle<String>>,
}

impl Running {
    /// Starts `command` and waits until it prints a line that contains `ready`.
    pub(crate) fn start(mut command: Command, ready: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.lines().last().is_some_and(|line| line.contains(ready)) {
            if stdout.read_line(&mut printed).unwrap() == 0 {
                child.wait().unwrap();
                panic!("it ended before it was ready: {printed}\n{}", stderr.join().unwrap());
            }
        }
        Self { child, stdout, printed, stderr: Some(stderr) }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: the status, what else it printed, and its log.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LONG, "it does not end");
            thread::sleep(Duration::from_millis(20));
        };
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (status, rest, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end.
pub(crate) fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A connection over which `bytes` have been sent.
pub(crate) fn send(port: u16, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

/// What comes over a connection until its end.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The answer to a request: `head` is its first line.
pub(crate) fn request(port: u16, head: &str, content_type: &str, body: &str) -> String {
    let bytes = format!(
        "{head} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    rest(&mut send(port, &bytes))
}

/// The answer to a GET.
pub(crate) fn get(port: u16, path: &str) -> String {
    rest(&mut send(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"),
    ))
}
