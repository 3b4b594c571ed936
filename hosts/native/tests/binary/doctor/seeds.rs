//! Misconfigurations of the simulated PingOne, and what `deputy doctor` finds. docs/doctor.md has both tables of this module.

use std::{
    fmt::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use pingone_sim::{Failure, Settings, Simulator, Tenant};

use super::{
    healthy::{secrets, webhook},
    misconfigurations::SEEDS,
    text,
    upstream::{Run, Upstream},
};

/// A misconfiguration, and every alarm that it causes.
pub(super) struct Seed {
    pub(super) name: &'static str,
    pub(super) make: Make,
    pub(super) variables: &'static [(&'static str, &'static str)],
    pub(super) alarms: &'static [&'static str],
}

/// A fault of PingOne.
pub(super) enum Make {
    /// A setting of the tenant.
    Tenant(fn(&mut Tenant)),
    /// Another setting.
    Settings(fn(&mut Settings)),
    /// A failure. With it a user logs in.
    Login(fn() -> Failure),
    /// A setting of the tenant. With it a user logs in.
    TenantWithLogin(fn(&mut Tenant)),
    /// Nothing: a variable is wrong.
    Nothing,
    /// Nothing. A user logs in.
    LoginAlone,
}

impl Seed {
    fn run(&self, upstream: &Upstream, folder: &Path) -> Run {
        upstream.restore();
        let variables = [&upstream.worker(), self.variables].concat();
        let pingone: &Simulator = &upstream.pingone;
        match &self.make {
            Make::Nothing => upstream.doctor(folder, &[], &variables),
            Make::Settings(make) => {
                pingone.configure(make);
                upstream.doctor(folder, &[], &variables)
            }
            Make::Tenant(make) => {
                pingone.configure(|settings| make(&mut settings.tenant));
                upstream.doctor(folder, &[], &variables)
            }
            Make::TenantWithLogin(make) => {
                pingone.configure(|settings| make(&mut settings.tenant));
                upstream.doctor_with_login(folder, &[], &variables)
            }
            Make::Login(failure) => {
                pingone.force(failure());
                upstream.doctor_with_login(folder, &[], &variables)
            }
            Make::LoginAlone => upstream.doctor_with_login(folder, &[], &variables),
        }
    }
}

/// `UPDATE_DOCS=1 cargo test -p deputy-native --test binary doctor` writes the tables anew.
#[test]
fn every_misconfiguration_is_found_and_nothing_else() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    let mut table = "| Misconfiguration | Found |\n| --- | --- |\n".to_owned();
    let mut wrong = Vec::new();
    for seed in SEEDS {
        let run = seed.run(&upstream, folder.path());
        let alarms = run.alarms();
        if alarms != seed.alarms {
            wrong.push(format!("{}: {alarms:?} instead of {:?}\n{:#}", seed.name, seed.alarms, run.document));
        }
        let printed = run.printed();
        let given =
            seed.variables.iter().filter(|(name, _)| name.contains("SECRET")).map(|(_, value)| *value);
        for secret in secrets(&upstream.pingone).into_iter().chain(given) {
            assert!(!printed.contains(secret), "{}: {printed}", seed.name);
        }
        assert!(!printed.contains("eyJ"), "{}: a token: {printed}", seed.name);
        let expected = i32::from(alarms.iter().any(|alarm| alarm.starts_with("failure")));
        assert_eq!(run.output.status.code(), Some(expected), "{}: {:#}", seed.name, run.document);
        let _ = writeln!(table, "| {} | {} |", seed.name, alarms.join("; "));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(SEEDS.len() >= 30);
    document("seeds", &table);
}

#[test]
fn document_lists_every_check() {
    let (upstream, folder) = (Upstream::start(), tempfile::tempdir().unwrap());
    upstream.pingone.configure(|settings| settings.tenant.subscriptions.push(webhook()));
    let mut variables = upstream.worker().to_vec();
    // Also what only some deployments have: a database, and a document of the API.
    variables.extend([
        ("STORE_URL", "postgres://deputy@localhost:9/deputy"),
        ("API_SCOPES", "todo:read todo:write"),
    ]);
    let document_of_api = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/invoices/openapi.yaml");
    let arguments = ["--deployment", "http://localhost:9", "--openapi", document_of_api];
    let run = upstream.doctor_with_login(folder.path(), &arguments, &variables);
    let mut table =
        "| Group | Check | Looks at | Where to change it |\n| --- | --- | --- | --- |\n".to_owned();
    for check in run.checks() {
        let [group, name, looked_at, place] =
            ["group", "check", "lookedAt", "place"].map(|member| text(check, member));
        // The path and the port are those of this test.
        let looked_at = if name == "API" { "GET API_URL and --api-path, without a token" } else { looked_at };
        let _ = writeln!(table, "| {group} | {name} | {} | {place} |", looked_at.replace('<', "&lt;"));
    }
    document("checks", &table);
}

/// Both tests write the same file.
static PAGE: Mutex<()> = Mutex::new(());

/// Compares the part of docs/doctor.md between two comments with `table`, or replaces it.
fn document(name: &str, table: &str) {
    let _page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n\n"), format!("\n<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin).expect("a comment before the table");
    let (held, after) = rest.split_once(&end).expect("a comment after the table");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    let update = "UPDATE_DOCS=1 cargo test -p deputy-native --test binary doctor";
    assert_eq!(held, table, "docs/doctor.md is out of date; {update} writes it anew");
}
