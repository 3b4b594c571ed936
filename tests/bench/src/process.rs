//! Child processes, and what `/proc` says of processes. Where there is no `/proc`, CPU and memory are not measured.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::Failure;

/// A process that ends with this value.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        // The programs of this crate end with their input.
        let child = command.stdin(Stdio::piped()).spawn();
        Ok(Self(child.map_err(|error| format!("{}: {error}", command.get_program().display()))?))
    }

    /// Starts a process, and waits for the first line that it prints.
    pub(crate) fn start_and_read(command: &mut Command) -> Result<(Self, String), Failure> {
        let mut process = Self::start(command.stdout(Stdio::piped()))?;
        let mut line = String::new();
        let mut stdout = BufReader::new(process.0.stdout.take().ok_or("no output")?);
        stdout.read_line(&mut line)?;
        let line = line.trim().to_owned();
        if line.is_empty() {
            return Err(format!("{} did not start", command.get_program().display()).into());
        }
        // It must not find its output closed.
        thread::spawn(move || io::copy(&mut stdout, &mut io::stderr()));
        Ok((process, line))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = Command::new("kill").arg(self.0.id().to_string()).stderr(Stdio::null()).status();
        for _ in 0..100 {
            if self.0.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds of CPU that the process and its threads have used.
pub(crate) fn cpu(pid: u32) -> Option<f64> {
    Some(stat(pid)?.own)
}

/// Seconds of CPU of a process, its children, and the children that have ended. They have one thread each.
pub(crate) fn cpu_with_children(pid: u32) -> Option<f64> {
    let Stat { own, ended, .. } = stat(pid)?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children =
        pids.filter_map(|child| Some((child, stat(child)?))).filter(|(_, stat)| stat.parent == pid);
    // Each of many children uses less than a tick.
    let used = children.map(|(child, stat)| cpu_of_thread(child).unwrap_or(stat.own) + stat.ended);
    Some(own + ended + used.sum::<f64>())
}

/// Seconds of CPU that the first thread of a process has used, in nanoseconds instead of ticks.
fn cpu_of_thread(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// A process, with seconds of CPU.
struct Stat {
    parent: u32,
    own: f64,
    /// Of children that have ended.
    ended: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may have spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let seconds = |index: usize| Some(fields.get(index)?.parse::<f64>().ok()? / TICKS);
    let (own, ended) = (seconds(11)? + seconds(12)?, seconds(13)? + seconds(14)?);
    Some(Stat { parent: fields.get(1)?.parse().ok()?, own, ended })
}

/// Resident memory, in MiB.
pub(crate) fn memory(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// Seconds of CPU that all processes have used, and those for which the hypervisor ran something else.
pub(crate) fn machine() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, irq, softirq, steal
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| fields.get(*index)).sum::<f64>();
    Some(busy / TICKS)
}

/// The unit of `/proc`, which Linux has for all programs.
const TICKS: f64 = 100.0;
