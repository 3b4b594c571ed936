//! HAProxy in front of replicas.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

/// A process with HAProxy. Dropping this value ends it.
pub(crate) struct Proxy(Child);

impl Proxy {
    /// Starts a proxy on `port` of this computer, with the configuration in docs/replicas.md.
    pub(crate) fn start(folder: &Path, port: u16, replicas: &[u16]) -> Self {
        let documented =
            DOCUMENT.split("```haproxy").nth(1).and_then(|text| text.split("```").next()).unwrap();
        let mut configuration = String::new();
        for line in documented.lines().filter(|line| !line.trim_start().starts_with("server ")) {
            let is_bind = line.trim_start().starts_with("bind ");
            configuration += if is_bind { "    bind 127.0.0.1:PORT" } else { line };
            configuration.push('\n');
        }
        let mut configuration = configuration.replace("PORT", &port.to_string());
        for (number, replica) in (1..).zip(replicas) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(configuration, "    server deputy{number} 127.0.0.1:{replica}");
        }
        let path = folder.join("haproxy.cfg");
        fs::write(&path, configuration).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&path).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.stderr(Stdio::null()).spawn().expect("HAProxy is installed"))
    }

    /// Waits until the proxy has found a replica.
    pub(crate) async fn wait(&self, http: &reqwest::Client, url: &str) {
        for _ in 0..100 {
            if http.get(format!("{url}/health")).send().await.is_ok_and(|health| health.status() == 200) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("the proxy finds no replica");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail if the process has ended by itself, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const DOCUMENT: &str = include_str!("../../docs/replicas.md");
