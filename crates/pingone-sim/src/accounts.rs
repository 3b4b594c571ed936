//! Accounts: signing on, registration, passwords and recorded consents.

use crate::{
    config::User,
    simulator::Simulator,
    state::{AuthenticationRequest, Consent, Registration, Session},
};

/// Signs on with a password. The error is shown to the user.
pub(crate) fn sign_on(sim: &Simulator, username: &str, password: &str) -> Result<Session, String> {
    const WRONG: &str = "Incorrect username or password.";
    let (id, now) = (sim.uuid(), sim.now());
    sim.change(|state| {
        let user = state.user_named(username).ok_or(WRONG)?;
        if user.locked || user.failures >= MAX_FAILURES {
            return Err(
                "Your account is locked. Use Having trouble signing on? to reset your password.".to_owned()
            );
        }
        if user.password != password {
            user.failures += 1;
            return Err(format!("{WRONG} {} attempts remaining.", MAX_FAILURES - user.failures));
        }
        user.failures = 0;
        let user = user.id.clone();
        Ok(state.start_session(id, &user, now))
    })
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
            (user.password, user.failures) = (password.to_owned(), 0);
        }
    });
    Ok(())
}

/// Whether a recorded consent covers every scope of the request, or the flow asks for none.
pub(crate) fn has_consented(sim: &Simulator, session: &Session, request: &AuthenticationRequest) -> bool {
    let state = sim.state();
    let covers = |consent: &Consent| {
        consent.user == session.user && request.scopes.iter().all(|scope| consent.scopes.contains(scope))
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
