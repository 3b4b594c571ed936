//! Time.

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01 00:00:00 UTC.
///
/// ```
/// use deputy::host::Timestamp;
///
/// let now = Timestamp(1_000_000);
/// let later = now.plus(60);
/// assert_eq!((later.since(now), now.since(later)), (60, 0));
/// assert_eq!((later.ahead_of(now), now.ahead_of(later)), (60, -60));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

/// Seconds of a day.
pub(crate) const DAY: u64 = 24 * 3600;

impl Timestamp {
    /// The moment `seconds` later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds by which this moment is later than `other`; negative if it is earlier.
    pub const fn ahead_of(self, other: Self) -> i64 {
        self.0.cast_signed().saturating_sub(other.0.cast_signed())
    }

    /// Whether this moment, which was set `longest` seconds ahead at most, is still to come. A moment that is much further
    /// ahead was set by a clock that has been set back since, and nothing waits for it.
    ///
    /// ```
    /// # use deputy::host::Timestamp;
    /// let now = Timestamp(1_000_000);
    /// assert!(now.plus(60).is_awaited(now, 60));
    /// assert!(!now.plus(86_400).is_awaited(now, 60));
    /// ```
    pub const fn is_awaited(self, now: Self, longest: u64) -> bool {
        // The clocks of two replicas may differ.
        const SKEW: u64 = 120;
        self.0 > now.0 && self.since(now) <= longest.saturating_add(SKEW)
    }

    /// Seconds from `earlier` to this moment, or 0.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
