//! The texts of `--help` beside those of the options.

use std::fmt::Write as _;

use deputy::config::{self, DefaultValue, Syntax, Variable, plain};

/// The variables of the configuration, for `--help`.
pub(super) fn serve_help() -> String {
    let mut help =
        "Configuration, from the environment or the file; docs/configuration.md has more about each:\n"
            .to_owned();
    let (required, optional): (Vec<_>, Vec<_>) =
        config::variables().partition(|variable| variable.default == DefaultValue::Required);
    for (title, variables) in [("Required", required), ("Optional", optional)] {
        let _ = write!(help, "\n  {title}\n");
        for variable in variables {
            let _ = write!(help, "  {:NAMES$}", variable.name);
            let mut column = 2 + NAMES;
            for word in description(variable).split(' ') {
                if column + 1 + word.len() > WIDTH {
                    let _ = write!(help, "\n{:1$}", "", 2 + NAMES);
                    column = 2 + NAMES;
                }
                let _ = write!(help, " {word}");
                column += 1 + word.len();
            }
            help.push('\n');
        }
    }
    help += SERVE_HELP;
    help
}

/// The description of a variable in `--help`.
fn description(variable: &Variable) -> String {
    let values = match &variable.syntax {
        Syntax::Choice(choices) => {
            choices.iter().map(|(word, meaning)| format!("{word} ({meaning})")).collect::<Vec<_>>().join(", ")
        }
        syntax => syntax.to_string(),
    };
    let default = match variable.default {
        DefaultValue::Required | DefaultValue::Value("") => String::new(),
        DefaultValue::Native(value) | DefaultValue::Value(value) => format!(" [default: {value}]"),
    };
    let former = variable.former_name.map(|name| format!(" [former name: {name}]")).unwrap_or_default();
    plain(&format!("{}: {values}{default}{former}", variable.summary))
}

pub(super) const AFTER_HELP: &str = "\
Exit status: 0 after success and after a signal to stop, 1 after a failure, 2 for wrong options or configuration, 130 after a
second signal.";

pub(super) const AUDIT_HELP: &str = "\
docs/audit.md describes the lines. Deputy may be running.";

pub(super) const LOGINS_HELP: &str = "\
The logins are those of the audit log; docs/operating.md explains the steps. Deputy may be running.

Of several replicas: deputy logins --from /var/lib/deputy-1 --from /var/lib/deputy-2
For Workers, give the lines of the log: npx wrangler tail --format json | jq -r '.logs[].message[]' | deputy logins --from -";

pub(super) const ADMIN_HELP: &str = "\
ADMIN_TOKEN is the secret of the Deputy that the command is for. docs/admin.md describes the commands.";

pub(super) const DOCTOR_HELP: &str = "\
Each line has a verdict, an observation, the remedy, and its place in PingOne. Deputy may be running. PingOne gets a few requests
that fail, which its audit shows as errors, and a pushed authorization request that nothing uses. No line contains a secret.
docs/doctor.md lists what is looked at.

With PINGONE_WORKER_CLIENT_ID and PINGONE_WORKER_CLIENT_SECRET, a worker application with the role Configuration Read Only, the tenant
is looked at too. Flow and connector need DaVinci Admin Read Only, if PingOne offers that for workers.

For Workers: deputy doctor --wrangler wrangler.jsonc --env-file .dev.vars --deployment https://deputy.example.com

Exit status: 0 without a failure, 1 with one (with --strict also with a warning), 2 for a wrong configuration.";

pub(super) const PROVISION_HELP: &str = "\
The configuration is that of `deputy serve`. PINGONE_CLIENT_ID, PINGONE_CLIENT_SECRET, SERVER_KEY and PINGONE_DV_POLICY_ID may be
missing: apply finds the first two out, makes the third, and says how to get the fourth. PINGONE_WORKER_CLIENT_ID and
PINGONE_WORKER_CLIENT_SECRET are the credentials of a worker application with the roles Client Application Developer, Configuration
Read Only for the flow policies, and Environment Admin if there is a webhook. plan and verify need Configuration Read Only, for the client
secret Client Application Developer, and for the flow behind the policy DaVinci Admin Read Only.

    deputy provision plan                         print the differences
    deputy provision apply --output .env.new      create and change objects; after an interruption, run it again
    deputy provision verify                       fail if PingOne differs from the configuration

Nothing is removed or loosened without --prune. No line contains a secret. docs/provision.md describes the lines.

Exit status: 0; 1 after a failure, and for verify with a difference; 2 for a wrong configuration; 3 if apply leaves steps in PingOne's
console to you.";

pub(super) const COPY_HELP: &str = "\
Users stay logged in, as long as SERVER_KEY and PUBLIC_URL stay the same. docs/moving.md describes the moves.

    deputy store copy ./data STORE_URL      from SQLite to PostgreSQL
    deputy store copy STORE_URL ./data      and back
    deputy store copy https://deputy.example.workers.dev ./data
                                            from a Worker, with its ADMIN_TOKEN

The word STORE_URL keeps the password out of the command line.";

pub(super) const KEYS_HELP: &str = "\
The file gets PINGONE_CLIENT_AUTH and PINGONE_CLIENT_KEY, for the environment, a .env file or the secrets of a Worker. Standard output
gets the public key as a JWKS, for the application in PingOne. docs/pingone.md describes both.

    deputy keys --alg ES256 key.env                     a key on P-256
    deputy keys --raw key.json                          the key alone, for PINGONE_CLIENT_KEY_FILE
    deputy keys --replacing key.env new.env             a new key; the JWKS has the present one too, for a rotation";

pub(super) const TOOLS_HELP: &str = "\
docs/your-api.md describes the document and the overlay. No configuration is needed.

Exit status: 0; 1 with --check and a warning or an operation that is left out by no decision of yours; 2 for a document that
cannot be used.";

const SERVE_HELP: &str = "
Deputy starts only with a valid configuration. The error lists every wrong variable, and every misspelled name in
the file.";

/// Columns for the names of variables in the help.
const NAMES: usize = 29;

/// Columns of the help.
const WIDTH: usize = 120;

pub(super) const DEMO_HELP: &str = "\
The demo listens on loopback addresses only, and calls nothing outside this computer unless you set an API. Variables of
`deputy serve` in the environment count, except those about PingOne, the API, the keys and the public URL:
ACCESS_TOKEN_LIFETIME=60 deputy demo. It ignores .env files.

To try your own tools: deputy demo --scopes \"calendar.read\" --api-url http://localhost:3000 --api-identifier https://calendar.example
To try your document: deputy demo --openapi openapi.yaml --api-url http://localhost:3000 --api-identifier https://calendar.example";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_variable_within_its_width() {
        let help = serve_help();
        for variable in config::variables() {
            assert!(help.contains(&format!("\n  {} ", variable.name)), "{}", variable.name);
        }
        assert_eq!(help.lines().find(|line| line.len() > WIDTH), None);
    }
}
