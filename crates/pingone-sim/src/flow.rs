//! The steps of the DaVinci flow: sign-on with registration and recovery, then consent.

use axum::{http::StatusCode, response::Response};

use crate::{
    accounts, form, outcome, pages, random,
    response::Correlation,
    session_cookie,
    simulator::Simulator,
    state::{AuthenticationRequest, Consent, Flow, Registration, Session, Step},
};

/// Starts a flow at the sign-on page.
pub(crate) fn start(sim: &Simulator, request: AuthenticationRequest) -> Response {
    start_at(sim, request, Step::SignOn)
}

/// Starts a flow at the consent page, for a user who has a session.
pub(crate) fn ask_consent(sim: &Simulator, request: AuthenticationRequest, session: &Session) -> Response {
    start_at(sim, request, Step::Consent { session: session.id.clone() })
}

/// Processes a form of a flow's page.
pub(crate) fn submit(sim: &Simulator, form: &[(String, String)], correlation: &Correlation) -> Response {
    let id = form::field(form, "flow").unwrap_or_default().trim().to_owned();
    let flow = sim.state().flows.get(&id).filter(|flow| flow.expires_at > sim.now()).cloned();
    let Some(Flow { request, step, .. }) = flow else {
        return pages::error(StatusCode::BAD_REQUEST, TIMED_OUT, &correlation.0);
    };
    let submission = Submission { sim, form, id, request, correlation };
    match (step, submission.field("action").as_str()) {
        (Step::SignOn, "SIGNON") => submission.sign_on(),
        (Step::SignOn, "REGISTER") => submission.go_to(Step::Register),
        (Step::SignOn, "TROUBLE") => submission.go_to(Step::Recover),
        (Step::Register, "REGISTER") => submission.register(),
        (Step::Verify { registration, code }, "VERIFY") => submission.verify(*registration, &code),
        (Step::Recover, "RECOVER") => submission.recover(),
        (Step::Reset { user, code }, "RESET") => submission.reset_password(&user, &code),
        (Step::Consent { session }, "APPROVE") => submission.approve(&session),
        (Step::Consent { .. }, "DECLINE") => submission.decline(),
        (_, "BACK") => submission.go_to(Step::SignOn),
        _ => submission.show("Choose one of the buttons"),
    }
}

/// A submitted form, with the flow that its page belongs to.
struct Submission<'a> {
    sim: &'a Simulator,
    form: &'a [(String, String)],
    id: String,
    request: AuthenticationRequest,
    correlation: &'a Correlation,
}

impl Submission<'_> {
    fn field(&self, name: &str) -> String {
        form::field(self.form, name).unwrap_or_default().trim().to_owned()
    }

    fn sign_on(self) -> Response {
        let username = self.field("username");
        match accounts::sign_on(self.sim, &username, &self.field("password")) {
            Ok(session) => self.signed_on(&session),
            Err(message) => {
                // The page shows the username again.
                self.change(|flow| flow.request.login_hint = Some(username));
                self.show(&message)
            }
        }
    }

    fn register(self) -> Response {
        let registration = Registration {
            username: self.field("username"),
            password: self.field("password"),
            given_name: self.field("given_name"),
            family_name: self.field("family_name"),
            email: self.field("email"),
        };
        match accounts::check_registration(self.sim, &registration) {
            Ok(()) => {
                let code = random::digits(self.sim.environment());
                self.go_to(Step::Verify { registration: Box::new(registration), code })
            }
            Err(message) => self.show(message),
        }
    }

    fn verify(self, registration: Registration, code: &str) -> Response {
        if self.field("code") != code {
            return self.show(WRONG_CODE);
        }
        let session = accounts::register(self.sim, registration);
        self.signed_on(&session)
    }

    fn recover(self) -> Response {
        let username = self.field("username");
        let user = self.sim.change(|state| state.user_named(&username).map(|user| user.id.clone()));
        // An unknown username leads to the same page, so that the page does not reveal which usernames exist.
        let code = random::digits(self.sim.environment());
        self.go_to(Step::Reset { user: user.unwrap_or_default(), code })
    }

    fn reset_password(self, user: &str, code: &str) -> Response {
        if self.field("code") != code {
            return self.show(WRONG_CODE);
        }
        match accounts::reset_password(self.sim, user, &self.field("password")) {
            Ok(()) => self.go_to(Step::SignOn),
            Err(message) => self.show(message),
        }
    }

    fn approve(self, session: &str) -> Response {
        self.end();
        let session = self.sim.state().session(session, self.sim.now()).cloned();
        let Some(session) = session else { return start(self.sim, self.request) };
        let AuthenticationRequest { client_id, scopes, .. } = self.request.clone();
        let consent = Consent { user: session.user.clone(), client_id, scopes };
        self.sim.change(|state| state.consents.push(consent));
        outcome::issue_code(self.sim, &self.request, &session, self.correlation)
    }

    fn decline(self) -> Response {
        self.end();
        outcome::decline(self.sim, &self.request, self.correlation)
    }

    /// Goes on to the consent, or to its result if it is recorded, and sets the session's cookie.
    fn signed_on(self, session: &Session) -> Response {
        self.end();
        let mut response = if accounts::has_consented(self.sim, session, &self.request) {
            outcome::issue_code(self.sim, &self.request, session, self.correlation)
        } else {
            ask_consent(self.sim, self.request, session)
        };
        session_cookie::set(self.sim, session, &mut response);
        response
    }

    fn go_to(&self, step: Step) -> Response {
        self.change(|flow| flow.step = step);
        self.show("")
    }

    fn show(&self, message: &str) -> Response {
        show(self.sim, &self.id, message)
    }

    fn change(&self, change: impl FnOnce(&mut Flow)) {
        self.sim.change(|state| state.flows.get_mut(&self.id).map(change));
    }

    fn end(&self) {
        self.sim.change(|state| state.flows.remove(&self.id));
    }
}

fn start_at(sim: &Simulator, request: AuthenticationRequest, step: Step) -> Response {
    let (id, expires_at) = (sim.uuid(), sim.now() + FLOW_SECONDS);
    sim.change(|state| state.flows.insert(id.clone(), Flow { request, step, expires_at }));
    show(sim, &id, "")
}

/// The page of a flow's step, with a message for the user unless it is empty.
fn show(sim: &Simulator, id: &str, message: &str) -> Response {
    let flow = sim.state().flows.get(id).cloned();
    match flow {
        Some(flow) => pages::step(sim, id, &flow, message),
        None => pages::error(StatusCode::BAD_REQUEST, TIMED_OUT, id),
    }
}

const TIMED_OUT: &str = "Request timed out. Please try again.";
const WRONG_CODE: &str = "Invalid verification code";

/// The default of DaVinci.
const FLOW_SECONDS: u64 = 300;
