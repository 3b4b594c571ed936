//! Names the commit of the source for `deputy --version`: that of the repository, or the one that `git archive` wrote into
//! the file `commit`. A source without both has no commit.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit");
    println!("cargo::rerun-if-env-changed=DEPUTY_COMMIT");
    let given = env::var("DEPUTY_COMMIT").ok();
    if let Some(commit) = given.or_else(archived).or_else(checked_out) {
        println!("cargo::rustc-env=DEPUTY_COMMIT={commit}");
    }
    let variable = |name: &str| env::var(name).unwrap_or_default();
    println!("cargo::rustc-env=DEPUTY_BUILD={} {}", variable("PROFILE"), variable("TARGET"));
}

/// The commit in the file, which is a placeholder in a repository.
fn archived() -> Option<String> {
    let text = fs::read_to_string("commit").ok()?;
    let commit = text.trim();
    commit
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| commit.to_owned())
        .filter(|commit| !commit.is_empty())
}

/// The commit of the repository. The log of `HEAD` changes with every commit and checkout, and with nothing else.
fn checked_out() -> Option<String> {
    // A repository around an unpacked archive is not that of the source.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    // A missing file would make Cargo run this every time.
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
