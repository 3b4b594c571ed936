//! The DaVinci flow: sign on with registration and recovery, then consent.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use crate::{
    authorize::finish,
    config::Person,
    pages,
    reply::{Correlation, error_to_application},
    simulator::Simulator,
    state::{Consent, Flow, Newcomer, Request, Session, Step},
};

/// Begins a flow with the sign-on page.
pub(crate) fn begin(sim: &Simulator, request: Request) -> Response {
    let id = put(sim, request, Step::SignOn);
    show(sim, &id, "")
}

/// Goes on to the consent page.
pub(crate) fn ask_consent(sim: &Simulator, request: Request, session: &Session) -> Response {
    let id = put(sim, request, Step::Consent { session: session.id.clone() });
    show(sim, &id, "")
}

/// A form of a page of a flow.
pub(crate) fn submit(sim: &Simulator, form: &[(String, String)], correlation: &Correlation) -> Response {
    let field = |name: &str| {
        form.iter()
            .find(|(held, _)| held == name)
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let id = field("flow");
    let flow = sim.state().flows.get(&id).filter(|flow| flow.expires_at > sim.now()).cloned();
    let Some(Flow { request, step, .. }) = flow else {
        return pages::error(StatusCode::BAD_REQUEST, "Request timed out. Please try again.", &correlation.0);
    };
    let go = |step: Step| {
        move_to(sim, &id, step);
        show(sim, &id, "")
    };
    match (step, field("action").as_str()) {
        (Step::SignOn, "SIGNON") => match sign_on(sim, &field("username"), &field("password")) {
            Ok(session) => signed_on(sim, &id, request, &session, correlation),
            Err(message) => {
                // The name stays in its field.
                sim.change(|state| {
                    if let Some(flow) = state.flows.get_mut(&id) {
                        flow.request.login_hint = Some(field("username"));
                    }
                });
                show(sim, &id, &message)
            }
        },
        (Step::SignOn, "REGISTER") => go(Step::Register),
        (Step::SignOn, "TROUBLE") => go(Step::Recover),
        (Step::Register, "REGISTER") => {
            let newcomer = Newcomer {
                username: field("username"),
                password: field("password"),
                given_name: field("given_name"),
                family_name: field("family_name"),
                email: field("email"),
            };
            match acceptable(sim, &newcomer) {
                Ok(()) => go(Step::Verify { person: Box::new(newcomer), code: sim.digits() }),
                Err(message) => show(sim, &id, message),
            }
        }
        (Step::Verify { person, code }, "VERIFY") if field("code") == code => {
            let session = register(sim, *person);
            signed_on(sim, &id, request, &session, correlation)
        }
        (Step::Reset { person, code }, "RESET") if field("code") == code => {
            let password = field("password");
            if let Err(message) = good_password(&password) {
                return show(sim, &id, message);
            }
            sim.change(|state| {
                if let Some(person) = state.people.iter_mut().find(|held| held.id == person) {
                    (person.password, person.failures) = (password, 0);
                }
            });
            go(Step::SignOn)
        }
        (Step::Verify { .. } | Step::Reset { .. }, "VERIFY" | "RESET") => {
            show(sim, &id, "Invalid verification code")
        }
        (Step::Recover, "RECOVER") => {
            let person = sim.change(|state| state.named(&field("username")).map(|person| person.id.clone()));
            // Whether somebody exists is not told: the page is the same.
            go(Step::Reset { person: person.unwrap_or_default(), code: sim.digits() })
        }
        (Step::Consent { session }, "APPROVE") => {
            remove(sim, &id);
            let session = sim.state().session(&session, sim.now()).cloned();
            let Some(session) = session else { return begin(sim, request) };
            let consent = Consent { person: session.person.clone(), scopes: request.scopes.clone() };
            sim.change(|state| state.consents.push(consent));
            finish(sim, &request, &session, correlation)
        }
        (Step::Consent { .. }, "DECLINE") => {
            remove(sim, &id);
            declined(sim, &request, correlation)
        }
        (_, "BACK") => go(Step::SignOn),
        _ => show(sim, &id, "Choose one of the buttons"),
    }
}

/// The error that the flow's author chose for its declined branch.
pub(crate) fn declined(sim: &Simulator, request: &Request, correlation: &Correlation) -> Response {
    let error = sim.state().knobs.decline_error.clone();
    error_to_application(request, &error, "The user declined the request", correlation)
}

/// Whether consent needs no page.
pub(crate) fn has_consented(sim: &Simulator, session: &Session, request: &Request) -> bool {
    let state = sim.state();
    let covers = |consent: &Consent| {
        consent.person == session.person && request.scopes.iter().all(|scope| consent.scopes.contains(scope))
    };
    !state.knobs.always_prompt && state.consents.iter().any(covers)
}

/// The session of the browser's cookie.
pub(crate) fn session_of(sim: &Simulator, headers: &HeaderMap) -> Option<Session> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let id = pairs.find(|(name, _)| *name == "ST").map(|(_, value)| value.to_owned())?;
    sim.state().session(&id, sim.now()).cloned()
}

/// A session for a person who needs no pages, and whether they approve.
pub(crate) fn headless(sim: &Simulator, username: &str) -> Option<(Session, bool)> {
    let (id, now) = (sim.uuid(), sim.now());
    sim.change(|state| {
        let (person, approves) =
            state.named(username).and_then(|person| Some((person.id.clone(), person.headless?)))?;
        Some((state.begin_session(id, &person, now), approves))
    })
}

fn signed_on(
    sim: &Simulator,
    flow: &str,
    request: Request,
    session: &Session,
    correlation: &Correlation,
) -> Response {
    remove(sim, flow);
    let mut response = if has_consented(sim, session, &request) {
        finish(sim, &request, session, correlation)
    } else {
        ask_consent(sim, request, session)
    };
    let secure = if sim.config().base_url.starts_with("https:") { "; Secure" } else { "" };
    let cookie = format!("ST={}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax{secure}", session.id);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn sign_on(sim: &Simulator, username: &str, password: &str) -> Result<Session, String> {
    const WRONG: &str = "Incorrect username or password.";
    let (id, now) = (sim.uuid(), sim.now());
    sim.change(|state| {
        let person = state.named(username).ok_or(WRONG)?;
        if person.locked || person.failures >= MOST_FAILURES {
            return Err(
                "Your account is locked. Use Having trouble signing on? to reset your password.".to_owned()
            );
        }
        if person.password != password {
            person.failures += 1;
            return Err(format!("{WRONG} {} attempts remaining.", MOST_FAILURES - person.failures));
        }
        person.failures = 0;
        let person = person.id.clone();
        Ok(state.begin_session(id, &person, now))
    })
}

fn acceptable(sim: &Simulator, newcomer: &Newcomer) -> Result<(), &'static str> {
    if !(1..=64).contains(&newcomer.username.len())
        || !newcomer.email.contains('@')
        || newcomer.email.len() > 200
    {
        return Err("Enter a username and an email address.");
    }
    if sim.change(|state| state.named(&newcomer.username).is_some()) {
        return Err("This username is already in use.");
    }
    good_password(&newcomer.password)
}

fn good_password(password: &str) -> Result<(), &'static str> {
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

fn register(sim: &Simulator, newcomer: Newcomer) -> Session {
    let (person, session, now) = (sim.uuid(), sim.uuid(), sim.now());
    let Newcomer { username, password, given_name, family_name, email } = newcomer;
    sim.change(|state| {
        state.people.push(Person {
            id: person.clone(),
            username,
            password,
            given_name,
            family_name,
            email,
            locked: false,
            failures: 0,
            headless: None,
        });
        state.begin_session(session, &person, now)
    })
}

fn put(sim: &Simulator, request: Request, step: Step) -> String {
    let (id, expires_at) = (sim.uuid(), sim.now() + FLOW_SECONDS);
    sim.change(|state| state.flows.insert(id.clone(), Flow { request, step, expires_at }));
    id
}

fn move_to(sim: &Simulator, id: &str, step: Step) {
    sim.change(|state| {
        if let Some(flow) = state.flows.get_mut(id) {
            flow.step = step;
        }
    });
}

fn remove(sim: &Simulator, id: &str) {
    sim.change(|state| state.flows.remove(id));
}

fn show(sim: &Simulator, id: &str, message: &str) -> Response {
    let flow = sim.state().flows.get(id).cloned();
    match flow {
        Some(flow) => pages::step(sim, id, &flow, message),
        None => pages::error(StatusCode::BAD_REQUEST, "Request timed out. Please try again.", id),
    }
}

/// DaVinci's default.
const FLOW_SECONDS: u64 = 300;
const MOST_FAILURES: u32 = 5;
