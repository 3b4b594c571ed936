//! The cookie that names a browser's session.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use crate::{simulator::Simulator, state::Session};

/// The session that the cookie names, if it has not ended.
pub(crate) fn session(sim: &Simulator, headers: &HeaderMap) -> Option<Session> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let id = pairs.find(|(name, _)| *name == "ST").map(|(_, value)| value.to_owned())?;
    sim.state().session(&id, sim.now()).cloned()
}

/// Sets the cookie in `response`.
pub(crate) fn set(sim: &Simulator, session: &Session, response: &mut Response) {
    let secure = if sim.config().base_url.starts_with("https:") { "; Secure" } else { "" };
    let cookie = format!("ST={}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax{secure}", session.id);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
