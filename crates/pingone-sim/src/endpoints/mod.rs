//! The endpoints of the environment.

pub(crate) mod authorize;
pub(crate) mod control;
pub(crate) mod discovery;
pub(crate) mod flow;
pub(crate) mod jwks;
pub(crate) mod management;
pub(crate) mod par;
pub(crate) mod revoke;
pub(crate) mod sign_off;
pub(crate) mod switches;
pub(crate) mod token;
pub(crate) mod userinfo;
pub(crate) mod users;
