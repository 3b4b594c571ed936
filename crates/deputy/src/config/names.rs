//! Names of variables that are set and not read: a misspelled switch must not be silent.

use std::fmt;

use super::{ConfigError, Variable, variables};

/// The names that a program reads.
///
/// ```
/// use deputy::config::Names;
///
/// let names = Names::new(["LISTEN".to_owned()]);
/// assert_eq!(names.unknown("RATE_LIMITS"), None);
/// let unknown = names.unknown("RATE_LIMIT").expect("a typing error");
/// assert_eq!(unknown.to_string(), "RATE_LIMIT is not a variable of Deputy; did you mean RATE_LIMITS?");
/// ```
#[derive(Clone, Debug)]
pub struct Names(Vec<String>);

/// A name that is set and not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The name as it was written.
    pub name: String,
    /// The variable that it resembles.
    pub meant: Option<Resembled>,
}

/// A variable that resembles an unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resembled {
    /// The variable's name.
    pub variable: String,
    /// Whether the unknown name can hardly be the variable of another program: a long name with a few letters wrong.
    pub is_typo: bool,
}

impl Names {
    /// The names of the configuration's variables, and those that the host reads.
    pub fn new(of_the_host: impl IntoIterator<Item = String>) -> Self {
        let of_the_configuration = variables().flat_map(Variable::names).map(str::to_owned);
        Self(of_the_host.into_iter().chain(of_the_configuration).collect())
    }

    /// Returns what is known about `name`, or `None` if the program reads it.
    pub fn unknown(&self, name: &str) -> Option<UnknownName> {
        if self.0.iter().any(|known| known == name) {
            return None;
        }
        let upper = name.to_ascii_uppercase();
        let closest = self.0.iter().map(|known| (distance(&upper, known), known)).min();
        let typo = closest.filter(|(distance, known)| *distance <= typos(known)).map(|(_, known)| known);
        let typo = typo.map(|known| Resembled { variable: known.clone(), is_typo: known.len() >= LONG });
        let meant = typo.or_else(|| {
            let similar = |known: &&String| {
                is_called_in_another_server(&upper, known) || words_differ_by_one(&upper, known)
            };
            let known = self.0.iter().find(similar)?;
            Some(Resembled { variable: known.clone(), is_typo: is_called_in_another_server(&upper, known) })
        });
        Some(UnknownName { name: name.to_owned(), meant })
    }

    /// Reports every name in a place where only this program's variables are expected, such as its `.env` file.
    ///
    /// A name that resembles a variable that is not set is an error. Every other unknown name is returned.
    pub fn check<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        is_set: impl Fn(&str) -> bool,
    ) -> Result<Vec<UnknownName>, Vec<ConfigError>> {
        let (mut errors, mut others) = (Vec::new(), Vec::new());
        for unknown in names.into_iter().filter_map(|name| self.unknown(name)) {
            match &unknown.meant {
                Some(meant) if !meant.is_set(&is_set) => errors.push(unknown.into()),
                _ => others.push(unknown),
            }
        }
        if errors.is_empty() { Ok(others) } else { Err(errors) }
    }
}

impl Resembled {
    /// Whether the variable is set, under its name or its former one.
    pub fn is_set(&self, is_set: impl Fn(&str) -> bool) -> bool {
        match variables::named(&self.variable) {
            Some(variable) => variable.names().any(is_set),
            None => is_set(&self.variable),
        }
    }
}

impl UnknownName {
    fn problem(&self) -> String {
        match &self.meant {
            Some(Resembled { variable, .. }) => {
                format!("is not a variable of Deputy; did you mean {variable}?")
            }
            None => "is not a variable of Deputy, and has no effect".to_owned(),
        }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.problem())
    }
}

impl From<UnknownName> for ConfigError {
    fn from(unknown: UnknownName) -> Self {
        Self { problem: unknown.problem().into(), name: unknown.name.into() }
    }
}

/// How many letters of `known` may be wrong. Short names resemble too much else.
const fn typos(known: &str) -> usize {
    if known.len() < LONG { 1 } else { 2 }
}

/// The number of letters to add, remove, replace or swap with the next one (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // Names in an environment have any length.
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}

/// Whether the words are the same in another order, or one of two words or more has one word more, such as
/// `CLIENT_APPROVAL_MODE`, `PINGONE_POLICY_ID`, or `LOG_LEVEL`.
fn words_differ_by_one(name: &str, known: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<_> = text.split('_').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    let (name, known) = (words(name), words(known));
    let within = |less: &[String], more: &[String]| less.iter().all(|word| more.contains(word));
    match name.len().checked_sub(known.len()) {
        Some(0 | 1) => within(&known, &name),
        Some(_) => false,
        None => name.len() > 1 && known.len() - name.len() == 1 && within(&name, &known),
    }
}

/// Whether `name` is what another server calls `known`.
fn is_called_in_another_server(name: &str, known: &str) -> bool {
    OTHER_SERVERS.iter().any(|(other, meant)| *other == name && *meant == known)
}

const OTHER_SERVERS: [(&str, &str); 3] =
    [("BASE_URL", "PUBLIC_URL"), ("LOG_LEVEL", "LOG"), ("PING_AIC_ISSUER", "PINGONE_ISSUER")];

/// Bytes of a name that is long enough to be recognized with a few letters wrong.
const LONG: usize = 9;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::config::Config;

    fn meant(name: &str) -> Option<String> {
        let names = Names::new(["DATA_DIR", "LISTEN", "LOG"].map(str::to_owned));
        names.unknown(name)?.meant.map(|meant| meant.variable)
    }

    #[test]
    fn misspelled_name_is_recognized() {
        for (name, variable) in [
            ("RATE_LIMIT", "RATE_LIMITS"),
            ("RATELIMITS", "RATE_LIMITS"),
            ("rate_limits", "RATE_LIMITS"),
            ("RATE_LIMITS_", "RATE_LIMITS"),
            ("CLIENT_APROVAL", "CLIENT_APPROVAL"),
            ("CLEINT_APPROVAL", "CLIENT_APPROVAL"),
            ("CLIENT_APPROVALS", "CLIENT_APPROVAL"),
            ("CLIENT_APPROVAL_MODE", "CLIENT_APPROVAL"),
            ("APPROVAL_CLIENT", "CLIENT_APPROVAL"),
            ("PINGONE_ISUER", "PINGONE_ISSUER"),
            ("PINGONE_CLIENTID", "PINGONE_CLIENT_ID"),
            ("MCP_SERVER_CLIENT_SECERT", "MCP_SERVER_CLIENT_SECRET"),
            ("COOKIE_ENCRYPTON_KEY", "COOKIE_ENCRYPTION_KEY"),
            ("SERVER_KEYS", "SERVER_KEY"),
            ("PING_AIC_ISSUER", "PINGONE_ISSUER"),
            ("PINGONE_POLICY_ID", "PINGONE_DV_POLICY_ID"),
            ("CLIENT_ID_METADATA_DOCUMENT", "CLIENT_ID_METADATA_DOCUMENTS"),
            ("ALLOWED_ORIGIN", "ALLOWED_ORIGINS"),
            ("WHOAMI_TOKEN", "WHO_AM_I_TOKEN"),
            ("API_URI", "API_URL"),
            ("LOG_LEVEL", "LOG"),
            ("LISTEN_ADDRESS", "LISTEN"),
            ("DATADIR", "DATA_DIR"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(variable), "{name}");
        }
    }

    #[test]
    fn name_of_another_program_resembles_nothing() {
        for name in [
            "PATH",
            "TZ",
            "HOME",
            "COMPOSE_PROJECT_NAME",
            "PINGONE_REGION_CODE",
            "DATABASE_URL",
            "SERVER_URL",
            "SERVER_PORT",
            "É",
            "",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
    }

    #[test]
    fn every_name_that_is_read_is_known() {
        let names = Names::new(["DATA_DIR".to_owned()]);
        let read = RefCell::new(vec!["DATA_DIR".to_owned()]);
        let _ = Config::parse(|name| {
            read.borrow_mut().push(name.to_owned());
            None
        });
        let read = read.into_inner();
        assert!(read.iter().any(|name| name == "COOKIE_ENCRYPTION_KEY"), "{read:?}");
        for name in &read {
            assert_eq!(names.unknown(name), None, "{name}");
        }
        assert_eq!(read.len(), names.0.len(), "a name is known and not read");
    }

    #[test]
    fn variable_set_under_its_former_name_is_set() {
        let names = Names::new([]);
        let set = |name: &str| name == "MCP_SERVER_CLIENT_ID";
        let returned: Vec<_> = names.check(["CLIENT_ID"], set).unwrap();
        assert_eq!(returned[0].meant.as_ref().unwrap().variable, "PINGONE_CLIENT_ID");
        assert!(names.check(["CLIENT_ID"], |_| false).is_err());
    }

    #[test]
    fn name_that_resembles_a_set_variable_is_only_returned() {
        let names = Names::new([]);
        let checked = |set: bool| names.check(["APP_URL", "TZ", "API_URL"], |name| set && name == "API_URL");
        let returned: Vec<_> = checked(true).unwrap().into_iter().map(|unknown| unknown.name).collect();
        assert_eq!(returned, ["APP_URL", "TZ"]);
        let refused: Vec<_> = checked(false).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(refused, ["APP_URL: is not a variable of Deputy; did you mean API_URL?"]);
    }

    #[test]
    fn name_in_an_environment_is_a_typo_only_if_it_is_long() {
        let names = Names::new(["LISTEN".to_owned()]);
        for (name, is_typo) in [
            ("CLIENT_APROVAL", true),
            ("RATE_LIMIT", true),
            ("PING_AIC_ISSUER", true),
            ("APP_URL", false),
            ("LISTEN_FDS", false),
            ("API_SCOPES_ALL", false),
        ] {
            let meant = names.unknown(name).and_then(|unknown| unknown.meant).unwrap();
            assert_eq!(meant.is_typo, is_typo, "{name}");
        }
    }
}
