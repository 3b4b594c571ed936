//! The definitions in the source code of this repository, by name: functions, types, constants, and tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// One definition.
struct Definition {
    /// An identifier, or the title of a test in JavaScript.
    name: String,
    /// The type or trait around it.
    owner: Option<String>,
    /// Folders and file, without `src`, `mod`, `lib` and `main`.
    module: Vec<String>,
    kind: Kind,
    at: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of what is shipped, not of what tests are made of.
    Code,
    Test,
}

/// Every definition in the files of this repository.
pub(super) struct Source {
    files: Vec<PathBuf>,
    definitions: Vec<Definition>,
}

impl Source {
    pub(super) fn read() -> Self {
        let mut files = Vec::new();
        walk(Path::new(ROOT), &mut files);
        let mut definitions = Vec::new();
        for file in &files {
            let path = file.strip_prefix(ROOT).expect("below the root");
            let Ok(text) = fs::read_to_string(file) else { continue };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => rust(path, &text, &mut definitions),
                Some("js") => javascript(path, &text, &mut definitions),
                Some("py") => python(path, &text, &mut definitions),
                _ => {}
            }
        }
        Self { files, definitions }
    }

    /// Where the definitions of this kind are that `name` means: `parse`, `RedirectUri::parse` or `pkce::parse`.
    pub(super) fn named(&self, name: &str, kind: Kind) -> Vec<&str> {
        let found =
            self.definitions.iter().filter(|definition| definition.kind == kind && definition.is_named(name));
        found.map(|definition| definition.at.as_str()).collect()
    }

    /// How many files have a path that ends with `name`.
    pub(super) fn files_named(&self, name: &str) -> usize {
        self.files.iter().filter(|file| file.ends_with(name)).count()
    }
}

impl Definition {
    fn is_named(&self, name: &str) -> bool {
        if self.name == name {
            return true;
        }
        let Some((scope, name)) = name.rsplit_once("::") else { return false };
        let scope: Vec<_> = scope.split("::").collect();
        let path: Vec<_> = self.module.iter().chain(&self.owner).map(String::as_str).collect();
        self.name == name && path.ends_with(&scope)
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // Builds and installed packages are not source code.
        if name.starts_with('.') || ["build", "node_modules", "target"].contains(&name.as_ref()) {
            continue;
        }
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn module(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| !["src", "mod", "lib", "main"].contains(&part.as_str())).collect()
}

fn rust(path: &Path, text: &str, definitions: &mut Vec<Definition>) {
    let module = module(path);
    let mut tests = module.iter().any(|part| part == "tests");
    let (mut owner, mut in_enum, mut is_test) = (None, false, false);
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let at = format!("{}:{}", path.display(), number + 1);
        let define = |name: &str, owner: &Option<String>, kind: Option<Kind>| {
            let owner = owner.clone().filter(|_| line.starts_with(' '));
            let definition =
                |kind| Definition { name: name.to_owned(), owner, module: module.clone(), kind, at };
            definitions.extend(kind.map(definition));
        };
        tests |=
            line == "#[cfg(test)]" && lines.peek().is_some_and(|(_, next)| next.starts_with("mod tests {"));
        if line.starts_with('}') {
            (owner, in_enum) = (None, false);
        }
        is_test |= line.trim_start().starts_with("#[test]") || line.trim_start().starts_with("#[tokio::test");
        let code = (!tests).then_some(Kind::Code);
        if let Some((keyword, name)) = definition(line) {
            define(name, &owner, if keyword == "fn" && is_test { Some(Kind::Test) } else { code });
            is_test = false;
            if line.ends_with('{') && !line.starts_with(' ') && ["enum", "trait"].contains(&keyword) {
                (owner, in_enum) = (Some(name.to_owned()), keyword == "enum");
            }
        } else if line.starts_with("impl") {
            owner = implementor(line);
        } else if in_enum && line.starts_with("    ") && line[4..].starts_with(char::is_uppercase) {
            define(identifier(line.trim_start()), &owner, code);
        } else if let Some(title) = line.trim_start().strip_prefix("(\"").filter(|_| line.contains("\", |")) {
            // A behavior of a suite that several stores are tested with.
            define(title.split('"').next().expect("a title"), &None, Some(Kind::Test));
        }
    }
}

fn javascript(path: &Path, text: &str, definitions: &mut Vec<Definition>) {
    for (number, line) in text.lines().enumerate() {
        let title = line.trim_start().strip_prefix("test(\"").and_then(|rest| rest.split('"').next());
        let (name, kind) = match (title, definition(line)) {
            (Some(title), _) => (title, Kind::Test),
            (None, Some((_, name))) if !path.starts_with("tests") => (name, Kind::Code),
            _ => continue,
        };
        let at = format!("{}:{}", path.display(), number + 1);
        definitions.push(Definition { name: name.to_owned(), owner: None, module: module(path), kind, at });
    }
}

fn python(path: &Path, text: &str, definitions: &mut Vec<Definition>) {
    for (number, line) in text.lines().enumerate() {
        let Some((_, name)) = definition(line).filter(|(_, name)| name.starts_with("test_")) else {
            continue;
        };
        let at = format!("{}:{}", path.display(), number + 1);
        definitions.push(Definition {
            name: name.to_owned(),
            owner: None,
            module: module(path),
            kind: Kind::Test,
            at,
        });
    }
}

/// The keyword and the name, if a line begins a definition.
fn definition(line: &str) -> Option<(&str, &str)> {
    const KEYWORDS: [&str; 10] =
        ["class", "const", "def", "enum", "fn", "function", "static", "struct", "trait", "type"];
    let mut words = line.split_whitespace().peekable();
    loop {
        let word = words.next()?;
        let next = words.peek().copied().unwrap_or_default();
        let qualifies = ["async", "export", "pub", "unsafe"].contains(&word) || word.starts_with("pub(");
        if qualifies || word == "const" && ["async", "fn", "unsafe"].contains(&next) {
            continue;
        }
        let name = identifier(next);
        return (KEYWORDS.contains(&word) && !name.is_empty()).then_some((word, name));
    }
}

fn identifier(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    &text[..end]
}

/// The type of an `impl` block.
fn implementor(line: &str) -> Option<String> {
    let header = line.strip_prefix("impl")?.trim_end_matches(['{', ' ']);
    let parameters = if header.starts_with('<') { header.split_once("> ")?.1 } else { header.trim_start() };
    let name = parameters.rsplit(" for ").next()?;
    Some(identifier(name.rsplit("::").next()?).to_owned())
}
