//! Accounts: signing on, registration, passwords and recorded consents.

use serde::Deserialize;

use crate::{
    config::User,
    outbox::Happening,
    simulator::Simulator,
    state::{AuthenticationRequest, Consent, Registration, Session},
};

/// Signs on with a password. The error is shown to the user.
pub(crate) fn sign_on(sim: &Simulator, username: &str, password: &str) -> Result<Session, String> {
    const WRONG: &str = "Incorrect username or password.";
    let (id, now) = (sim.uuid(), sim.now());
    sim.change(|state| {
        let user = state.user_named(username).ok_or(WRONG)?;
        if user.disabled {
            return Err("Your account is disabled.".to_owned());
        }
        if user.locked || user.failures >= MAX_FAILURES {
            return Err(
                "Your account is locked. Use Having trouble signing on? to reset your password.".to_owned()
            );
        }
        if user.password != password {
            user.failures += 1;
            let (id, left) = (user.id.clone(), MAX_FAILURES - user.failures);
            if left == 0 {
                state.happenings.push(Happening::to(&id, "USER.LOCKED"));
            }
            return Err(format!("{WRONG} {left} attempts remaining."));
        }
        user.failures = 0;
        let user = user.id.clone();
        Ok(state.start_session(id, &user, now))
    })
}

/// An act of an administrator on a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserAction {
    /// Locks the account.
    Lock,
    /// Unlocks it.
    Unlock,
    /// Disables the user.
    Disable,
    /// Enables the user.
    Enable,
    /// Deletes the user.
    Delete,
    /// Demands a new password at the next sign-on. The simulator only reports it.
    ForcePasswordChange,
    /// Revokes the consent to the application.
    RevokeConsent,
    /// Ends the sessions of the user.
    EndSessions,
}

impl Simulator {
    /// Acts on a user. `false`: there is no such user.
    pub fn act_on(&self, username: &str, action: UserAction) -> bool {
        self.change(|state| {
            let Some(user) = state.user_named(username) else { return false };
            let id = user.id.clone();
            let mut happened = |kind| state.happenings.push(Happening::to(&id, kind));
            match action {
                UserAction::Lock => happened("USER.LOCKED"),
                UserAction::Unlock => happened("USER.UNLOCKED"),
                UserAction::Disable => happened("USER.DISABLED"),
                UserAction::Enable => happened("USER.ENABLED"),
                UserAction::Delete => happened("USER.DELETED"),
                UserAction::ForcePasswordChange => happened("PASSWORD.FORCE_CHANGE"),
                UserAction::RevokeConsent => {}
                UserAction::EndSessions => state.end_sessions(|session| session.user == id),
            }
            match action {
                UserAction::Delete => state.users.retain(|user| user.id != id),
                UserAction::RevokeConsent => state.revoke_consents(&id),
                _ => {}
            }
            if let Some(user) = state.user_named(username) {
                match action {
                    UserAction::Lock | UserAction::Unlock => user.locked = action == UserAction::Lock,
                    UserAction::Disable | UserAction::Enable => user.disabled = action == UserAction::Disable,
                    _ => {}
                }
                if action == UserAction::Unlock {
                    user.failures = 0;
                }
            }
            true
        })
    }
}

/// A session for a user who sees no pages, and whether this user approves.
pub(crate) fn sign_on_headless(sim: &Simulator, username: &str) -> Option<(Session, bool)> {
    let (id, now) = (sim.uuid(), sim.now());
    sim.change(|state| {
        let (user, approves) =
            state.user_named(username).and_then(|user| Some((user.id.clone(), user.headless?)))?;
        Some((state.start_session(id, &user, now), approves))
    })
}

/// Checks a registration. The error is shown to the user.
pub(crate) fn check_registration(sim: &Simulator, registration: &Registration) -> Result<(), &'static str> {
    let Registration { username, email, .. } = registration;
    if !(1..=64).contains(&username.len()) || !email.contains('@') || email.len() > 200 {
        return Err("Enter a username and an email address.");
    }
    if sim.change(|state| state.user_named(username).is_some()) {
        return Err("This username is already in use.");
    }
    check_password(&registration.password)
}

/// Adds a user whose email address is verified, and starts a session.
pub(crate) fn register(sim: &Simulator, registration: Registration) -> Session {
    let (id, session, now) = (sim.uuid(), sim.uuid(), sim.now());
    let Registration { username, password, given_name, family_name, email } = registration;
    let user = User {
        id: id.clone(),
        username,
        password,
        given_name,
        family_name,
        email,
        locked: false,
        disabled: false,
        failures: 0,
        headless: None,
    };
    sim.change(|state| {
        state.users.push(user);
        state.start_session(session, &id, now)
    })
}

/// Sets the password of the user with this id, if there is one, and forgets failed attempts.
pub(crate) fn reset_password(sim: &Simulator, user: &str, password: &str) -> Result<(), &'static str> {
    check_password(password)?;
    sim.change(|state| {
        if let Some(user) = state.users.iter_mut().find(|held| held.id == user) {
            let id = user.id.clone();
            (user.password, user.failures) = (password.to_owned(), 0);
            state.happenings.push(Happening::to(&id, "PASSWORD.RESET"));
        }
    });
    Ok(())
}

/// Whether a recorded consent covers every scope of the request, or the flow asks for none.
pub(crate) fn has_consented(sim: &Simulator, session: &Session, request: &AuthenticationRequest) -> bool {
    let state = sim.state();
    let covers = |consent: &Consent| {
        consent.user == session.user
            && consent.client_id == request.client_id
            && request.scopes.iter().all(|scope| consent.scopes.contains(scope))
    };
    if !state.settings.tenant.flow.asks_consent {
        return true;
    }
    !state.settings.always_prompt && state.consents.iter().any(covers)
}

fn check_password(password: &str) -> Result<(), &'static str> {
    let has = |kind: fn(&char) -> bool| password.chars().any(|c| kind(&c));
    let strong = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    if (8..=255).contains(&password.len()) && strong {
        Ok(())
    } else {
        Err(
            "New password did not satisfy password policy requirements: eight characters or more, with upper case, lower \
             case and a digit.",
        )
    }
}

const MAX_FAILURES: u32 = 5;
