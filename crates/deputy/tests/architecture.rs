//! The arrows between the modules of the core, as `docs/architecture.md` draws them: a module imports from the layers below
//! it, and no file imports from itself by way of others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules that a file imports from, as paths below the crate, such as `["oauth", "Grant"]`.
fn imports(source: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let production = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = production
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    for (root, base) in [("crate::", &module[..0]), ("super::", &module[..module.len().saturating_sub(1)])] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let tree = &code[at + root.len()..];
            let is_import = code[..at].trim_end().ends_with("use");
            for path in expand(tree, is_import) {
                let mut base = base.to_vec();
                let mut path = &path[..];
                while path.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    path = &path[1..];
                }
                found.push([&base[..], path].concat());
            }
        }
    }
    found
}

/// The paths of a `use` tree, or the one path of an expression.
fn expand(tree: &str, is_import: bool) -> Vec<Vec<String>> {
    let end = if is_import {
        tree.find(';')
    } else {
        tree.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
    };
    let tree = tree[..end.unwrap_or(tree.len())].trim();
    let Some((prefix, rest)) = tree.split_once('{').filter(|_| is_import) else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").filter(|s| !s.is_empty() && *s != "self").map(str::to_owned).collect()];
    };
    let prefix: Vec<String> =
        prefix.split("::").filter(|s| !s.is_empty()).map(|s| s.trim().to_owned()).collect();
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for c in rest.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    items.push(item);
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items
        .flat_map(|item| expand(&format!("{item};"), true))
        .map(|path| [&prefix[..], &path].concat())
        .collect()
}

/// The modules of the core: path below the crate, and source.
fn modules() -> BTreeMap<Vec<String>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        let entries: Vec<PathBuf> =
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).expect("below src").with_extension("");
            let mut module: Vec<String> =
                relative.iter().map(|part| part.to_str().expect("UTF-8").to_owned()).collect();
            module.pop_if(|last| last == "mod" || last == "lib");
            if !module.iter().any(|part| part == "tests") {
                found.insert(module, fs::read_to_string(path).expect("UTF-8"));
            }
        }
    }
    found
}

/// The layers of the drawing, from the top to the bottom.
fn layers() -> Vec<BTreeSet<String>> {
    let document = include_str!("../../../docs/architecture.md");
    let (_, drawing) = document.split_once("```layers\n").expect("a drawing of the layers");
    let (drawing, _) = drawing.split_once("```").expect("its end");
    let lines = drawing.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.split_whitespace().filter(|word| *word != "↓").map(str::to_owned).collect())
        .filter(|layer: &BTreeSet<String>| !layer.is_empty())
        .collect()
}

/// The imports that do not lead to a lower layer.
fn wrong_arrows(module: &[String], source: &str, layers: &[BTreeSet<String>]) -> Vec<String> {
    let layer = |name: &str| layers.iter().position(|layer| layer.contains(name));
    let from = &module[0];
    let own = layer(from).unwrap_or_else(|| panic!("docs/architecture.md does not draw the module {from}"));
    let targets: BTreeSet<String> =
        imports(source, module).into_iter().filter_map(|path| path.into_iter().next()).collect();
    let wrong = targets.into_iter().filter(|to| to != from && layer(to).is_some_and(|to| to <= own));
    wrong.map(|to| format!("{} imports from {to}", module.join("::"))).collect()
}

#[test]
fn modules_import_from_lower_layers_only() {
    let layers = layers();
    let mut wrong = Vec::new();
    for (module, source) in modules() {
        if !module.is_empty() {
            wrong.extend(wrong_arrows(&module, &source, &layers));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn wrong_import_is_found_in_every_form() {
    let (layers, module) = (layers(), ["oauth".to_owned(), "planted".to_owned()]);
    for planted in [
        "use crate::mcp::User;",
        "use crate::{\n    host::Timestamp,\n    mcp::{\n        User, // a user\n    },\n};",
        "fn planted(user: &crate::mcp::User) {}",
        "use super::super::mcp::User;",
    ] {
        assert_eq!(wrong_arrows(&module, planted, &layers), ["oauth::planted imports from mcp"], "{planted}");
    }
    for good in ["use crate::{host::Timestamp, types::User};", "// crate::mcp", "use super::Grant;"] {
        assert!(wrong_arrows(&module, good, &layers).is_empty(), "{good}");
    }
}

/// The file that a path leads to, through the re-exports of the modules on the way.
fn file_of(path: &[String], modules: &BTreeMap<Vec<String>, String>) -> Option<Vec<String>> {
    let mut at = Vec::new();
    for segment in path {
        let next = [&at[..], std::slice::from_ref(segment)].concat();
        if modules.contains_key(&next) {
            at = next;
            continue;
        }
        return match re_exports(&at, &modules[&at]).remove(segment.as_str()) {
            Some(from) => file_of(&from, modules),
            None => Some(at),
        };
    }
    Some(at).filter(|at| !at.is_empty())
}

/// The names that a module re-exports from its own files, with their paths.
fn re_exports(module: &[String], source: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for statement in source.split(';') {
        let statement = statement.trim_start();
        let Some(at) = statement.find("use ").filter(|at| statement[..*at].contains("pub")) else { continue };
        let tree = &statement[at + 4..];
        if tree.starts_with("crate::") || tree.starts_with("super::") {
            continue;
        }
        for path in expand(&format!("{tree};"), true) {
            if let Some(name) = path.last() {
                found.insert(name.clone(), [module, &path[..]].concat());
            }
        }
    }
    found
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let modules = modules();
    let edges: BTreeMap<_, BTreeSet<_>> = modules
        .iter()
        .filter(|(module, _)| !module.is_empty())
        .map(|(module, source)| {
            let targets = imports(source, module).into_iter().filter_map(|path| file_of(&path, &modules));
            // A folder's module knows its files, and they know it.
            let targets = targets.filter(|to| !module.starts_with(to) && !to.starts_with(module));
            (module.clone(), targets.collect())
        })
        .collect();
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        visit(start, &edges, &mut Vec::new(), &mut done);
    }
}

fn visit(
    at: &Vec<String>,
    edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
    way: &mut Vec<String>,
    done: &mut BTreeSet<Vec<String>>,
) {
    let name = at.join("::");
    assert!(!way.contains(&name), "a circle: {} → {name}", way.join(" → "));
    if done.contains(at) {
        return;
    }
    way.push(name);
    for next in edges.get(at).into_iter().flatten() {
        visit(next, edges, way, done);
    }
    way.pop();
    done.insert(at.clone());
}
