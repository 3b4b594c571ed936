//! `docs/attacks.md` names places in the code and tests, and `docs/limits.md` lines of the code. They have to be there.

use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The names in links such as ``[`name`](../path)``, with their paths.
fn links(cell: &str) -> Vec<(&str, &str)> {
    let parts = cell.split("[`").skip(1);
    parts
        .map(|part| {
            let (name, rest) = part.split_once("`](../").unwrap_or_else(|| panic!("no link: {part}"));
            (name, rest.split_once(')').expect("a link ends").0)
        })
        .collect()
}

#[test]
fn the_page_of_attacks_names_places_and_tests_that_are_there() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/attacks.md")).expect("docs/attacks.md");
    let mut attacks = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        let [attack, stopped_by, tried_in] = cells[..] else { panic!("three cells: {line}") };
        if attack.contains("Attack or fault") || attack.contains("---") {
            continue;
        }
        attacks += 1;
        let (places, tests) = (links(stopped_by), links(tried_in));
        assert!(!places.is_empty() && !tests.is_empty(), "{line}");
        for (name, path) in places {
            assert!(text(path).contains(name), "{path} has no {name}");
        }
        for (name, path) in tests {
            // A function in Rust and Python, a title in JavaScript.
            let named = [format!("fn {name}("), format!("def {name}("), format!("\"{name}\"")];
            let text = text(path);
            assert!(named.iter().any(|named| text.contains(named)), "{path} has no test {name}");
        }
    }
    assert!(attacks > 150, "{attacks}");
}

#[test]
fn page_of_limits_names_lines_that_are_there() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/limits.md")).expect("docs/limits.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && line.contains("](../")).collect();
    assert!(rows.len() > 25, "{}", rows.len());
    for (line, path) in rows.into_iter().flat_map(links) {
        assert!(text(path).contains(line), "docs/limits.md quotes a line that {path} does not have: {line}");
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
