//! A process with `deputy demo`: Deputy, the Todo API and the simulated PingOne, on free ports, with a temporary
//! folder.

use std::{
    env,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;
use url::Url;

/// A demo that runs until it is dropped.
pub(crate) struct Demo {
    folder: TempDir,
    process: Child,
    /// The URL for MCP clients.
    pub(crate) mcp: Url,
    todo_api: Url,
    /// The URL of the simulated PingOne.
    pub(crate) pingone: Url,
}

impl Demo {
    /// Starts a demo on ports that the system chooses.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (process, [mcp, todo_api, pingone]) = run(&folder, [0, 0, 0]);
        Self { folder, process, mcp, todo_api, pingone }
    }

    /// Kills the process, and starts another with the same folder and ports.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let ports = [&self.mcp, &self.todo_api, &self.pingone].map(|url| url.port().unwrap());
        (self.process, _) = run(&self.folder, ports);
    }

    /// Kills the process group with SIGKILL.
    fn kill(&mut self) {
        let group = format!("-{}", self.process.id());
        assert!(Command::new("kill").args(["-KILL", "--", &group]).status().unwrap().success());
        self.process.wait().unwrap();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the demo and waits until it has printed its URLs.
fn run(folder: &TempDir, ports: [u16; 3]) -> (Child, [Url; 3]) {
    let [port, todo_api, pingone] = ports.map(|port| port.to_string());
    let mut process = Command::new(binary())
        .args(["demo", "--empty", "--port", &port, "--todo-api-port", &todo_api, "--pingone-port", &pingone])
        .arg("--data-dir")
        .arg(folder.path())
        .env("LOG", "warn")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut url = |label: &str| {
        let line = lines.find(|line| line.trim_start().starts_with(label));
        let line = line.unwrap_or_else(|| panic!("the demo ended without printing its {label}"));
        Url::parse(line.split_whitespace().last().unwrap()).unwrap()
    };
    let urls = [url("MCP server"), url("API"), url("PingOne")];
    // Read the rest, so that the demo never blocks on a full pipe.
    thread::spawn(move || lines.for_each(drop));
    (process, urls)
}

/// `$DEPUTY`, or the binary beside this test.
fn binary() -> PathBuf {
    let built = || {
        let test = env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join(format!("deputy{}", env::consts::EXE_SUFFIX))
    };
    let binary = env::var_os("DEPUTY").map_or_else(built, PathBuf::from);
    assert!(binary.exists(), "{} does not exist; run cargo build -p deputy-native", binary.display());
    binary
}
