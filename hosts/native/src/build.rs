//! The build of this program.

use deputy::Build;

/// The version of Deputy, the commit that it was compiled from, and for which platform.
pub(crate) const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: option_env!("DEPUTY_COMMIT"),
    target: option_env!("DEPUTY_BUILD"),
};
