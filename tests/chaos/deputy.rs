//! Deputy, in a process of its own.

use std::{
    env,
    fs::OpenOptions,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tokio::time::sleep;

/// A process group with Deputy. Dropping this value kills it.
pub(crate) struct Deputy {
    folder: PathBuf,
    pub(crate) port: u16,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    process: Option<Child>,
    log: Log,
}

/// The destination of standard error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Warnings, in the file `deputy.log` of the folder.
    File,
    /// All levels, in a pipe that nothing reads.
    UnreadPipe,
}

/// Whether `$DEPUTY` is the Worker's demo, which starts its own PingOne.
pub(crate) fn is_worker() -> bool {
    env::var_os("DEPUTY").is_some_and(|path| Path::new(&path).extension().is_some_and(|kind| kind == "js"))
}

impl Deputy {
    /// `deputy serve` of this program, on the native host.
    pub(crate) fn native(
        program: &Path,
        folder: &Path,
        port: u16,
        variables: Vec<(String, String)>,
        log: Log,
    ) -> Self {
        let (program, listen) = (program.display().to_string(), format!("127.0.0.1:{port}"));
        let data = folder.join("data").display().to_string();
        // With the signal ignored, a write beyond the size limit fails with an error, as on a full disk.
        let shell = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\"", &program];
        let arguments = [&shell[..], &["serve", "--listen", &listen, "--data-dir", &data]].concat();
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Self { folder: folder.to_owned(), port, variables, arguments, process: None, log }
    }

    /// The demo on workerd, with its own simulated PingOne and the API of this process.
    pub(crate) fn worker(folder: &Path, port: u16, pingone_port: u16, api: &str) -> Self {
        let program = env::var("DEPUTY").unwrap();
        let (port_, pingone) = (port.to_string(), pingone_port.to_string());
        let data = folder.join("data").display().to_string();
        let arguments =
            ["node", &program, "demo", "--port", &port_, "--pingone-port", &pingone, "--api-url", api];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        // The demo's Todo API is not used, so any free port will do.
        arguments.extend(["--todo-api-port", "0", "--data-dir", &data].map(str::to_owned));
        let folder = folder.to_owned();
        // The paid plan of Workers: an event ends a login in one delivery of the webhook.
        let variables = vec![("SUBREQUESTS".to_owned(), "10000".to_owned())];
        Self { folder, port, variables, arguments, process: None, log: Log::File }
    }

    /// Has the next start run the program of this version.
    pub(crate) fn update(&mut self) {
        self.arguments[3] = deputy().display().to_string();
    }

    /// Starts the process and waits until it is healthy.
    pub(crate) async fn start(&mut self, http: &reqwest::Client) {
        let mut command = Command::new(&self.arguments[0]);
        command.args(&self.arguments[1..]).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        match self.log {
            Log::File => {
                let file = OpenOptions::new().append(true).create(true).open(self.log_file()).unwrap();
                command.env("LOG", "warn").stderr(file);
            }
            Log::UnreadPipe => {
                command.env("LOG", "trace").stderr(Stdio::piped());
            }
        }
        self.process = Some(command.spawn().unwrap());
        for _ in 0..600 {
            let health = http.get(self.at("/health")).header("host", self.host()).send().await;
            if health.is_ok_and(|health| health.status() == 200) {
                return;
            }
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "Deputy exited: {}\n{}", ended.unwrap(), self.log());
            sleep(Duration::from_millis(100)).await;
        }
        panic!("Deputy did not become healthy\n{}", self.log());
    }

    /// The value of a metric without labels, if there is one.
    pub(crate) async fn metric(&self, http: &reqwest::Client, name: &str) -> Option<String> {
        let (_, address) = self.variables.iter().find(|(variable, _)| variable == "METRICS_LISTEN").unwrap();
        let metrics = http.get(format!("http://{address}/metrics")).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned))
    }

    /// The output of `deputy audit`.
    pub(crate) fn audit(&self, action: &str) -> Output {
        let data = self.folder.join("data");
        let mut command = Command::new(deputy());
        command.args(["audit", action, "--data-dir"]).arg(data).current_dir(&self.folder);
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap()
    }

    /// Stops the process with SIGTERM, and waits until it has exited.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        while process.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the process group with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let group = format!("-{}", process.id());
            // This fails if the process has exited by itself, which is fine.
            let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
            let _ = process.wait();
        }
    }

    /// Makes every write of the process fail, or ends that.
    #[cfg(target_os = "linux")]
    pub(crate) fn fill_disk(&self, full: bool) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        let limit = if full { "--fsize=1:unlimited" } else { "--fsize=unlimited:unlimited" };
        assert!(Command::new("prlimit").args(["--pid", &pid, limit]).status().unwrap().success());
    }

    /// The host of the URL at which clients reach Deputy: behind a proxy, that of the proxy.
    fn host(&self) -> String {
        let own = || format!("localhost:{}", self.port);
        let public = self.variables.iter().find(|(name, _)| name == "PUBLIC_URL");
        public.map_or_else(own, |(_, url)| url.trim_start_matches("http://").to_owned())
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("data/deputy.sqlite3")
    }

    /// The end of the log.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(8_000)..]).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("deputy.log")
    }
}

impl Drop for Deputy {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// The program of this version.
pub(crate) fn deputy() -> PathBuf {
    env::var_os("DEPUTY").map_or_else(|| program("deputy"), PathBuf::from)
}

/// The path of a program of the workspace.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} does not exist; run cargo build --workspace", program.display());
    program
}
