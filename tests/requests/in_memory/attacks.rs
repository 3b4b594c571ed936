//! `docs/attacks.md` names places in the code and tests, and `docs/limits.md` lines of the code. They have to be there.

use std::{collections::BTreeSet, fs, path::Path};

use super::source::{Kind, ROOT, Source};

/// One entry of `docs/attacks.md`.
struct Entry {
    attack: String,
    places: Vec<String>,
    tests: Vec<String>,
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (attack, rest) = text.strip_prefix("- **")?.split_once(".** ")?;
        let expected = if attack.starts_with("Must work: ") { "Ensured by " } else { "Prevented by " };
        let (places, tests) = rest.strip_prefix(expected)?.split_once(". Tested by ")?;
        let (places, tests) = (code_spans(places)?, code_spans(tests.strip_suffix('.')?)?);
        Some(Self { attack: attack.to_owned(), places, tests })
    }
}

/// The names in a list such as `` `one`, `two` ``.
fn code_spans(list: &str) -> Option<Vec<String>> {
    let names = list.strip_prefix('`')?.strip_suffix('`')?.split("`, `");
    names.map(|name| (!name.contains('`')).then(|| name.to_owned())).collect()
}

/// The entries of the page, each with its lines joined.
fn entries(page: &str) -> Vec<Entry> {
    let mut texts: Vec<Vec<&str>> = Vec::new();
    let (_, sections) = page.split_once("\n## ").expect("a section");
    // The first line is the rest of a heading.
    for line in sections.lines().skip(1).filter(|line| !line.is_empty() && !line.starts_with("## ")) {
        match line.strip_prefix("  ") {
            Some(continued) => texts.last_mut().expect("an entry to continue").push(continued),
            None => texts.push(vec![line]),
        }
    }
    let parse = |lines: Vec<&str>| {
        let text = lines.join(" ");
        Entry::parse(&text).unwrap_or_else(|| panic!("not of the form of an entry: {text}"))
    };
    texts.into_iter().map(parse).collect()
}

#[test]
fn attacks_page_names_places_and_tests_that_exist() {
    let source = Source::read();
    let page = text("docs/attacks.md");
    let entries = entries(&page);
    let mut wrong = Vec::new();
    let mut check = |attack: &str, name: &str, kind: Kind| {
        let found = source.named(name, kind);
        if found.len() != 1 {
            wrong.push(format!("{attack}: {name} has {} definitions: {}", found.len(), found.join(", ")));
        }
    };
    for Entry { attack, places, tests } in &entries {
        for place in places {
            if place.contains('.') {
                assert_eq!(source.files_named(place), 1, "{attack}: files {place}");
            } else {
                check(attack, place, Kind::Code);
            }
        }
        for test in tests {
            check(attack, test, Kind::Test);
        }
    }
    assert!(wrong.is_empty(), "docs/attacks.md:\n{}", wrong.join("\n"));
    let attacks: BTreeSet<_> = entries.iter().map(|entry| &entry.attack).collect();
    assert!(attacks.len() == entries.len() && attacks.len() >= 250, "{} of {}", attacks.len(), entries.len());
}

#[test]
fn limits_page_quotes_lines_that_exist() {
    let page = text("docs/limits.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && line.contains("](../")).collect();
    assert!(rows.len() > 25, "{}", rows.len());
    for (line, path) in rows.into_iter().flat_map(links) {
        assert!(text(path).contains(line), "docs/limits.md quotes a line that {path} does not have: {line}");
    }
}

/// The texts of links such as ``[`text`](../path)``, with their paths.
fn links(cell: &str) -> Vec<(&str, &str)> {
    let parts = cell.split("[`").skip(1);
    parts
        .map(|part| {
            let (name, rest) = part.split_once("`](../").unwrap_or_else(|| panic!("no link: {part}"));
            (name, rest.split_once(')').expect("a link ends").0)
        })
        .collect()
}

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
