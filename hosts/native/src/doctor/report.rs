//! The findings as lines, or as one JSON document.

use std::fmt::Write as _;

use serde_json::json;

use super::check::{Finding, Verdict};
use crate::admin::printable;

/// Lines, under a heading for each group.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut group = None;
    for finding in findings {
        if group.replace(finding.group) != Some(finding.group) {
            let name: &str = finding.group.into();
            let _ = writeln!(text, "{}{name}", if text.is_empty() { "" } else { "\n" });
        }
        let verdict: &str = finding.verdict.into();
        let _ = write!(text, "{verdict:8} {}: {}", finding.name, printable(&finding.seen));
        if let Some(fix) = &finding.fix {
            let _ = write!(text, ". To fix it: {}", printable(fix));
            if !finding.place.is_empty() {
                let _ = write!(text, " ({})", finding.place);
            }
        }
        text.push('\n');
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let [ok, warnings, failures, skipped] =
        [Verdict::Ok, Verdict::Warning, Verdict::Failure, Verdict::Skipped].map(count);
    let (warnings, failures) = (counted(warnings, "warning"), counted(failures, "failure"));
    let _ = write!(text, "\n{ok} ok, {warnings}, {failures}, {skipped} skipped");
    text
}

/// A number and its noun, such as "1 warning".
fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// One JSON document. `ok`: the command succeeds.
pub(super) fn json(findings: &[Finding], ok: bool) -> String {
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| {
            let Finding { group, name, looked_at, place, verdict, seen, fix } = finding;
            let (group, verdict): (&str, &str) = (group.into(), verdict.into());
            json!({
                "group": group, "check": name, "lookedAt": looked_at, "verdict": verdict, "seen": seen, "fix": fix,
                "place": place,
            })
        })
        .collect();
    json!({ "ok": ok, "checks": checks }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::{Group, Seen};

    #[test]
    fn text_of_another_server_has_no_control_characters() {
        let seen = Seen::failure("PingOne says \u{1b}[2J\r\nok", "do\u{7}");
        let check = ("authorization request", "", "Applications");
        let text = text(&[Finding::new(Group::Client, check, Ok(seen))]);
        assert!(
            text.contains("failure  authorization request: PingOne says [2Jok. To fix it: do (Applications)"),
            "{text}"
        );
    }
}
