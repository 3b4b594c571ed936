//! docs/configuration.md and .env.example are rendered from what the code says of its variables, and other files name only
//! variables that exist.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use clap::{Arg, Command, CommandFactory as _};
use deputy::config::{DefaultValue, Names, SECTIONS, Section, Syntax, Variable, plain, variables};
use deputy_native::{
    commands::{self, Cli},
    env_file::EnvFile,
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// `UPDATE_DOCS=1 cargo test -p deputy-native --test binary` writes both files anew.
#[test]
fn documents_of_the_configuration_are_up_to_date() {
    for (name, rendered) in [("docs/configuration.md", page()), (".env.example", env_example())] {
        let path = Path::new(ROOT).join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &rendered).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == rendered,
            "{name} is out of date. UPDATE_DOCS=1 cargo test -p deputy-native --test binary writes it anew"
        );
    }
}

#[test]
fn example_file_sets_what_it_shows() {
    let example = env_example().replace("\n#", "\n").replace("\n ", "\n# ");
    let file = EnvFile::parse(&example).unwrap();
    for variable in variables() {
        let expected = shown(variable).unwrap_or_default();
        assert_eq!(file.get(variable.name).unwrap_or_default(), expected, "{}", variable.name);
    }
}

#[test]
fn other_documents_name_only_known_variables() {
    let names = Names::new(commands::variables());
    let readme = read("README.md");
    let rows = readme.lines().skip_while(|line| !line.starts_with("| Variable |"));
    let table: BTreeSet<_> = rows
        .take_while(|line| line.starts_with('|'))
        .flat_map(|row| code(row.split('|').nth(1).unwrap()))
        .collect();
    let required = variables().filter(|variable| variable.default == DefaultValue::Required);
    assert!(required.map(|variable| variable.name).all(|name| table.contains(name)), "{table:?}");
    for name in table {
        assert_eq!(names.unknown(name), None, "README.md");
    }
    for file in ["README.md", "docs/deploy.md", "examples/standup/worker/wrangler.jsonc", "wrangler.jsonc"] {
        let text = read(file);
        let put: BTreeSet<_> =
            text.split("secret put ").skip(1).map(|rest| rest.split_whitespace().next().unwrap()).collect();
        let secrets = || variables().filter(|variable| variable.secret);
        let required = secrets().filter(|variable| variable.default == DefaultValue::Required);
        assert!(required.map(|variable| variable.name).all(|name| put.contains(name)), "{file}: {put:?}");
        assert!(put.iter().all(|put| secrets().any(|variable| variable.name == *put)), "{file}: {put:?}");
    }
}

#[test]
fn variables_of_workers_are_complete() {
    for file in ["examples/standup/worker/wrangler.jsonc", "wrangler.jsonc"] {
        let text = read(file);
        let vars = text.split("\"vars\": {").nth(1).unwrap().split('}').next().unwrap();
        let set: BTreeSet<_> =
            vars.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect();
        let needed = variables()
            .filter(|variable| !variable.secret && !matches!(variable.default, DefaultValue::Value(_)));
        assert_eq!(set, needed.map(|variable| variable.name).collect(), "{file}");
        for (binding, _) in BINDINGS {
            assert!(text.contains(&format!("\"{binding}\"")), "{binding} in {file}");
        }
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The text between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page += "\n## Former names\n\n";
    page += FORMER_NAMES;
    page += "\n| Name | Former name |\n| --- | --- |\n";
    for variable in variables() {
        if let Some(former) = variable.former_name {
            let _ = writeln!(page, "| {} | `{former}` |", link(variable));
        }
    }
    page += "\n## Overview\n\nBoth hosts read these variables.\n\n| Variable | Default | Meaning |\n| --- | --- | --- |\n";
    for variable in variables() {
        let default = match variable.default {
            DefaultValue::Native(_) => "required on Workers".to_owned(),
            default => self::default(default),
        };
        let _ = writeln!(page, "| {} | {default} | {} |", link(variable), variable.summary);
    }
    for Section { title, variables } in &SECTIONS {
        let _ = write!(page, "\n## {title}\n");
        for variable in *variables {
            page += &section(variable);
        }
    }
    page += "\n## The native host\n\n";
    page += NATIVE;
    let cli = Cli::command();
    let of = |name: &str| cli.find_subcommand(name).unwrap();
    page += "\n### `deputy serve`\n\n";
    page += &flags([of("serve"), &cli]);
    page += "\n### `deputy doctor`\n\n";
    page += DOCTOR;
    page += &flags([of("doctor")]);
    page += "\n### `deputy provision`\n\n";
    page += PROVISION;
    page += &flags([of("provision")]);
    page += "\n### `deputy tools`\n\n[your-api.md](your-api.md) describes the document and the overlay.\n\n";
    page += &flags([of("tools")]);
    page += "\n`deputy backup` and `deputy restore` read `DATA_DIR`, `ENV_FILE`, `LOG` and `LOG_FORMAT`.\n";
    page += "\n### `deputy store`\n\n[moving.md](moving.md) describes the command.\n\n";
    page += &flags([of("store")]);
    page += "\n### `deputy grants` and `deputy clients`\n\nThey read `ADMIN_TOKEN` and `ADMIN_LISTEN` too. [admin.md](admin.md) describes them.\n\n";
    page += &flags([of("grants")]);
    page += "\n### `deputy demo`\n\nThe demo reads `LOG` and `LOG_FORMAT` too, and the variables of the [overview](#overview) from the environment, except those about PingOne, the API, the \
             keys and the public URL. It has defaults of its own for `WHO_AM_I_TOKEN`, `CLIENT_ID_METADATA_DOCUMENTS` and \
             `PRIVATE_USE_REDIRECT_URIS`.\n\n";
    page += &flags([of("demo")]);
    page += "\n## Workers\n\n";
    page += WORKERS;
    page += "\n| Binding | Meaning |\n| --- | --- |\n";
    for (binding, meaning) in BINDINGS {
        let _ = writeln!(page, "| `{binding}` | {meaning} |");
    }
    page += "\nThese are optional:\n\n| Binding | Meaning |\n| --- | --- |\n";
    for (binding, meaning) in OPTIONAL_BINDINGS {
        let _ = writeln!(page, "| `{binding}` | {meaning} |");
    }
    page += "\nOne variable is of Workers alone. `SUBREQUESTS` is the number of subrequests that the account's plan allows for a request, from 50 to\n\
             10000. The default is 50. [deploy.md](deploy.md#the-webhook-and-subrequests) says what it limits.\n";
    page
}

fn link(variable: &Variable) -> String {
    format!("[`{}`](#{})", variable.name, variable.name.to_lowercase())
}

fn section(variable: &Variable) -> String {
    let Variable { name, former_name, summary, details, syntax, default, example, on_workers, secret } =
        variable;
    let mut text = format!("{}.", capitalized(summary));
    if !details.is_empty() {
        let _ = write!(text, " {details}");
    }
    let mut text = format!("\n### `{name}`\n\n{}\n\n", wrapped(&text, 138).join("\n"));
    match syntax {
        Syntax::Choice(choices) => {
            for (word, meaning) in *choices {
                let _ = writeln!(text, "- `{word}`: {meaning}");
            }
        }
        Syntax::Seconds(_) | Syntax::Text(_) => {
            let values =
                if let Syntax::Text(values) = syntax { (*values).to_owned() } else { syntax.to_string() };
            let _ = writeln!(text, "- Value: {values}");
        }
    }
    let _ = writeln!(text, "- Default: {}", self::default(*default));
    if let (Some(example), Syntax::Seconds(_) | Syntax::Text(_)) = (example, syntax) {
        let _ = writeln!(text, "- Example: `{example}`");
    }
    if *secret {
        text += "- Secret: Deputy never shows it. On Workers it is a secret of the Worker, not a variable of `wrangler.jsonc`.\n";
    }
    if let Some(former_name) = former_name {
        let _ = writeln!(text, "- Former name: `{former_name}`");
    }
    if let Some(on_workers) = on_workers {
        let _ = writeln!(text, "- On Workers: {on_workers}");
    }
    text
}

fn default(default: DefaultValue) -> String {
    match default {
        DefaultValue::Native(text) => text.to_owned(),
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Value("") => "none".to_owned(),
        DefaultValue::Value(value) => format!("`{value}`"),
    }
}

/// The flags of these commands, and their variables.
fn flags<'a>(commands: impl IntoIterator<Item = &'a Command>) -> String {
    let mut table = "| Variable | Flag | Default | Meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for arg in commands.into_iter().flat_map(Command::get_arguments) {
        let Some(name) = arg.get_env().and_then(|name| name.to_str()) else { continue };
        let mut help = arg.get_help().unwrap().to_string();
        let mut default: Vec<_> =
            arg.get_default_values().iter().map(|value| format!("`{}`", value.to_str().unwrap())).collect();
        // The one default that no text stands for.
        if let Some(described) = help.strip_suffix("]").and_then(|help| help.split_once(" [default: ")) {
            default = vec![described.1.to_owned()];
            help = described.0.to_owned();
        }
        if arg.get_action().takes_values() && !arg.get_possible_values().is_empty() {
            let values: Vec<_> =
                arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
            let _ = write!(help, ": {}", values.join(" or "));
        }
        let default = if default.is_empty() { "none".to_owned() } else { default.join(" ") };
        let _ = writeln!(table, "| `{name}` | `{}` | {default} | {help} |", flag(arg));
    }
    table
}

fn flag(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.map(|names| format!(" <{}>", names.join(" "))).unwrap_or_default();
    format!("--{}{value}", arg.get_long().unwrap())
}

fn env_example() -> String {
    let mut file = EXAMPLE_FILE.to_owned();
    let (required, optional): (Vec<_>, Vec<_>) =
        variables().partition(|variable| variable.default == DefaultValue::Required);
    for (title, variables) in [("Required", required), ("Optional", optional)] {
        let _ = write!(file, "\n# {title}\n");
        for variable in variables {
            let Variable { name, summary, syntax, .. } = variable;
            file.push('\n');
            for line in wrapped(&format!("{}: {syntax}", capitalized(&plain(summary))), 110) {
                let _ = writeln!(file, "# {line}");
            }
            match (shown(variable), variable.example) {
                (Some(value), _) => {
                    let _ = writeln!(file, "#{name}={value}");
                }
                (None, Some(example)) => {
                    let _ = writeln!(file, "# Example: {example}\n{name}=");
                }
                (None, None) => {
                    let _ = writeln!(file, "{name}=");
                }
            }
        }
    }
    file
}

/// The value of an optional variable in the example file: its default, or an example if that is nothing.
fn shown(variable: &Variable) -> Option<&'static str> {
    match variable.default {
        DefaultValue::Required => None,
        DefaultValue::Native(_) | DefaultValue::Value("") => variable.example,
        DefaultValue::Value(value) => Some(value),
    }
}

/// Lines of at most `width` columns.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            *line += if line.is_empty() { "" } else { " " };
            *line += word;
        }
    }
    lines
}

fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

const INTRODUCTION: &str = "\
# Configuration

This page is generated from the descriptions in [`crates/deputy/src/config`](../crates/deputy/src/config) and
[`commands`](../hosts/native/src/commands/mod.rs). A test compares it with them; `UPDATE_DOCS=1 cargo test -p deputy-native --test binary`
writes it anew.

The native binary reads a variable from the environment, or from a file of `NAME=value` lines: `.env` in the current folder, or the file
that `ENV_FILE` names. The environment wins. A Worker reads the `vars` of its `wrangler.jsonc` and its secrets, which
`npx wrangler secret put <name>` sets. A value in `vars` may be JSON, such as a number or a list. An empty variable counts as absent.

Deputy does not start with a wrong configuration. The error lists every wrong variable at once, and shows no values. A misspelled name in
the file, or among the variables of a Worker, is such an error. Other unknown names there have no effect and are warned about; so are
misspelled names in the environment, which belongs to other programs too.
";

const FORMER_NAMES: &str = "\
Deputy replaces a server that had other names for these variables. Those names go on working. If both names of a variable are set, to
different values, Deputy does not start, and the error has both names.
";

const NATIVE: &str = "\
Each of these variables is also a flag. A flag wins over the environment, the environment over the file, and the file over the default.

Behind a proxy, set `CLIENT_ADDRESS_HEADER` to the header in which the proxy sends the client's address, usually `x-forwarded-for`;
`forwarded` is read as RFC 7239 specifies it. Requests without a usable address in the header share one rate limit, and have the address
`0.0.0.0` in the log. An address of this computer, such as `127.0.0.1`, is not usable, since it would be exempt from rate limits. Only the
proxy may reach Deputy's port, since anyone else could forge the header. Without `CLIENT_ADDRESS_HEADER`, requests from this computer are
not limited, and every other address has at most a quarter of the connections. [native.md](native.md) has examples for nginx and Caddy.

A secret can be in a file of its own, whose path is in a variable with `_FILE` at its end: `SERVER_KEY_FILE`, `PINGONE_CLIENT_SECRET_FILE`,
`PINGONE_CLIENT_KEY_FILE`, `PINGONE_WEBHOOK_SECRET_FILE`, `ADMIN_TOKEN_FILE`, `STORE_URL_FILE`, and `PINGONE_WORKER_CLIENT_SECRET_FILE` for
`deputy doctor` and `deputy provision`. A line break at the end of the file does not count. If the variable itself is set too, Deputy does
not start. `CLIENTS_FILE` names a file with the list `CLIENTS` in the same way, on as many lines as you like.
[native.md](native.md#files-that-variables-name) says where a service of systemd finds such files, and documents of `OPENAPI`.

`deputy serve` reads these files again when they change, within a few seconds, and at once on SIGHUP. That includes the list in
`CLIENTS_FILE`. Requests that have begun finish with the values that they began with. Files of one folder that change at once, as when
Kubernetes replaces the folder of a Secret, count at once. If one of the values cannot be used, Deputy names it in the log, and keeps the
previous values of them all until the file is corrected; a later change of another file counts. Deputy uses a changed `STORE_URL` only after
it has opened a connection with it. If that fails, it keeps the previous values too, and tries again every ten seconds. It also refuses a
`SERVER_KEY` without the key in use, and a `STORE_URL` of another database or other tables: restart Deputy for these.
";

const DOCTOR: &str = "\
It reads the configuration too, and `PINGONE_WORKER_CLIENT_ID` and `PINGONE_WORKER_CLIENT_SECRET`, the credentials of a worker in PingOne
that reads the tenant. [doctor.md](doctor.md) describes it.

";

const PROVISION: &str = "\
It reads the configuration too, and `PINGONE_WORKER_CLIENT_ID` and `PINGONE_WORKER_CLIENT_SECRET`, the credentials of a worker in PingOne
that creates applications. [provision.md](provision.md) describes it.

";

const WORKERS: &str = "\
Besides variables and secrets a Worker has bindings, all of them in [`wrangler.jsonc`](../wrangler.jsonc). [deploy.md](deploy.md) leads
through a deployment.
";

/// Bindings of the Worker.
const BINDINGS: [(&str, &str); 6] = [
    (
        "OAUTH_KV",
        "KV namespace of the metadata documents and keys of clients, and of a copy of the list of blocked clients",
    ),
    ("RECORDS", "Durable Objects of every other record"),
    ("GRANTS", "Durable Object of the index of all grants"),
    ("AUTHORIZE_RATE", "rate limit of `/authorize` and `/agents` together"),
    ("REGISTER_RATE", "rate limit of `/register`"),
    (
        "TOKEN_RATE",
        "rate limit of `/token`, `/revoke`, the admin interface, and deliveries of PingOne's webhook without the secret",
    ),
];

const OPTIONAL_BINDINGS: [(&str, &str); 2] = [
    ("AUDIT_QUEUE", "queue that gets the audit events instead of the log ([audit.md](audit.md#on-workers))"),
    ("METRICS", "dataset of Analytics Engine ([operating.md](operating.md#metrics-on-workers))"),
];

const EXAMPLE_FILE: &str = "\
# Variables of `deputy serve`. docs/configuration.md has more about each, docs/pingone.md says where in PingOne its value is.
# Those of the native host, such as LISTEN and OPENAPI, are in docs/configuration.md. docs/native.md says where the files belong that
# variables name.
# This file is generated: UPDATE_DOCS=1 cargo test -p deputy-native --test binary
";
