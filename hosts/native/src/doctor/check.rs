//! The one shape of every check.

use crate::management::Unread;

/// A check: the thing that it looks at, its place in PingOne, and the judgment.
pub(super) struct Check<T> {
    /// The name of the finding, such as "flow policy".
    pub(super) name: &'static str,
    /// The thing looked at, such as a property or an endpoint.
    pub(super) looked_at: &'static str,
    /// The page of PingOne's console, the call of its management API, or the variable.
    pub(super) place: &'static str,
    /// The judgment over what was read. It does not wait.
    pub(super) look: fn(&T) -> Result<Seen, Unknown>,
}

/// The result of a check.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It is as it should be.
    Ok(String),
    /// It may be wrong.
    Warning { seen: String, fix: String },
    /// It is wrong.
    Failure { seen: String, fix: String },
}

/// The reason why a check cannot say anything.
#[derive(Clone, Debug)]
pub(super) struct Unknown(pub(super) String);

impl From<Unread> for Unknown {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Absent => Self("it does not exist, as another line says".to_owned()),
            Unread::Forbidden(url, status) => Self(format!(
                "{url} responds with {status}; the worker needs the role Configuration Read Only; for flows and connectors \
                 DaVinci Admin Read Only, if PingOne offers it"
            )),
            Unread::Unknown(reason) => Self(reason),
        }
    }
}

/// The result of one check, for the operator. It contains no secret.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(super) group: Group,
    pub(crate) name: &'static str,
    pub(super) looked_at: String,
    pub(crate) place: &'static str,
    pub(crate) verdict: Verdict,
    /// The observation, or the reason why there is none, as a sentence without its period.
    pub(crate) seen: String,
    /// The remedy, as a sentence without its period.
    pub(crate) fix: Option<String>,
}

/// Checks that need the same things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Group {
    Configuration,
    Network,
    Api,
    Client,
    Tenant,
    Login,
    Deployment,
}

/// Whether a thing is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    Warning,
    Failure,
    Skipped,
}

impl Seen {
    pub(super) fn ok(seen: impl Into<String>) -> Self {
        Self::Ok(seen.into())
    }

    pub(super) fn warning(seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Warning { seen: seen.into(), fix: fix.into() }
    }

    pub(super) fn failure(seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Failure { seen: seen.into(), fix: fix.into() }
    }

    /// [`Seen::ok`] if `right`, and a failure otherwise.
    pub(super) fn failure_unless(right: bool, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        if right { Self::ok(seen) } else { Self::failure(seen, fix) }
    }

    /// [`Seen::ok`] if `right`, and a warning otherwise.
    pub(super) fn warning_unless(right: bool, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        if right { Self::ok(seen) } else { Self::warning(seen, fix) }
    }
}

impl Finding {
    pub(super) fn new(
        group: Group,
        (name, looked_at, place): (&'static str, impl Into<String>, &'static str),
        result: Result<Seen, Unknown>,
    ) -> Self {
        let (verdict, seen, fix) = match result {
            Ok(Seen::Ok(seen)) => (Verdict::Ok, seen, None),
            Ok(Seen::Warning { seen, fix }) => (Verdict::Warning, seen, Some(fix)),
            Ok(Seen::Failure { seen, fix }) => (Verdict::Failure, seen, Some(fix)),
            Err(Unknown(reason)) => (Verdict::Skipped, reason, None),
        };
        Self { group, name, looked_at: looked_at.into(), place, verdict, seen, fix }
    }

    /// The one finding for a group whose checks cannot be made.
    pub(super) fn skipped(group: Group, reason: impl Into<String>) -> Self {
        Self::new(group, (group.into(), "", ""), Err(Unknown(reason.into())))
    }
}

/// Makes every check on what was read.
pub(super) fn judge<T>(group: Group, checks: &[Check<T>], read: &T) -> Vec<Finding> {
    let finding = |check: &Check<T>| {
        Finding::new(group, (check.name, check.looked_at, check.place), (check.look)(read))
    };
    checks.iter().map(finding).collect()
}
