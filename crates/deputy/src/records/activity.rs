//! The use of grants: the last tool call, and the calls of a day. A process counts in memory, and adds its counts of a
//! grant to the index of the user's grants at most once in ten minutes.

use std::{collections::HashMap, sync::Mutex};

use crate::sync::lock;

use serde::{Deserialize, Serialize};

use crate::host::{GrantId, Timestamp};

/// The use of one grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activity {
    last_used: Timestamp,
    last_tool: String,
    /// The hour since 1970 and the tool calls in it, for the last 24 hours.
    calls: Vec<(u64, u32)>,
}

impl Activity {
    /// The time of the last call of a tool, and the name of the tool.
    pub(crate) fn last(&self) -> Option<(Timestamp, &str)> {
        (!self.last_tool.is_empty()).then_some((self.last_used, self.last_tool.as_str()))
    }

    /// Calls in this hour and the 23 hours before.
    pub(crate) fn calls_in_a_day(&self, now: Timestamp) -> u32 {
        self.calls.iter().filter(|(hour, _)| is_recent(*hour, now)).map(|(_, calls)| *calls).sum()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.last_tool.is_empty()
    }

    fn add(&mut self, tool: &str, now: Timestamp) {
        self.merge(&Self { last_used: now, last_tool: tool.to_owned(), calls: vec![(now.0 / HOUR, 1)] }, now);
    }

    /// Adds the counts of this or another process.
    pub(crate) fn merge(&mut self, more: &Self, now: Timestamp) {
        if more.last_used >= self.last_used {
            self.last_used = more.last_used;
            self.last_tool.clone_from(&more.last_tool);
        }
        for (hour, calls) in &more.calls {
            match self.calls.iter_mut().find(|(held, _)| held == hour) {
                Some((_, held)) => *held = held.saturating_add(*calls),
                None => self.calls.push((*hour, *calls)),
            }
        }
        self.calls.retain(|(hour, _)| is_recent(*hour, now));
    }
}

/// An hour in the future is not recent: the clock may have been set back.
const fn is_recent(hour: u64, now: Timestamp) -> bool {
    let current = now.0 / HOUR;
    hour <= current && current - hour < 24
}

/// The counts of this process that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct UnwrittenActivity(Mutex<HashMap<GrantId, Unwritten>>);

#[derive(Debug)]
struct Unwritten {
    activity: Activity,
    written_at: Timestamp,
}

impl UnwrittenActivity {
    /// Counts a call. Returns the counts of the grant for the caller to write, if this process has written none for
    /// [`PAUSE`] seconds.
    pub(crate) fn note(&self, id: GrantId, tool: &str, now: Timestamp) -> Option<Activity> {
        let mut grants = lock(&self.0);
        if grants.len() >= MOST_GRANTS && !grants.contains_key(&id) {
            // The counts of all grants are lost. The next call of each grant writes at once.
            grants.clear();
        }
        let unwritten = grants
            .entry(id)
            .or_insert_with(|| Unwritten { activity: Activity::default(), written_at: Timestamp(0) });
        unwritten.activity.add(tool, now);
        if unwritten.written_at.plus(PAUSE).is_awaited(now, PAUSE) {
            return None;
        }
        unwritten.written_at = now;
        Some(std::mem::take(&mut unwritten.activity))
    }

    /// The counts of a grant that are not written yet.
    pub(crate) fn of(&self, id: GrantId) -> Activity {
        let grants = lock(&self.0);
        grants.get(&id).map(|unwritten| unwritten.activity.clone()).unwrap_or_default()
    }
}

const HOUR: u64 = 3600;
/// Seconds between two writes of one grant's counts by one process.
const PAUSE: u64 = 600;
/// Number of grants whose counts one process keeps.
const MOST_GRANTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000);

    #[test]
    fn calls_are_written_once_in_ten_minutes() {
        let (unwritten, id) = (UnwrittenActivity::default(), GrantId([1; 16]));
        let noted = |seconds| unwritten.note(id, "list", NOON.plus(seconds)).is_some();
        assert_eq!([0, 1, 599, 600, 601].map(noted), [true, false, false, true, false]);
        assert_eq!(unwritten.of(id).calls_in_a_day(NOON.plus(601)), 1);
        // A clock that was set back.
        assert!(unwritten.note(id, "list", Timestamp(1_700_000_000)).is_some());
    }

    #[test]
    fn counts_of_two_processes_add_up_for_a_day() {
        let mut stored = Activity::default();
        for (tool, seconds) in [("create", 60), ("list", 0), ("list", 1)] {
            let mut counted = Activity::default();
            counted.add(tool, NOON.plus(seconds));
            stored.merge(&counted, NOON.plus(60));
        }
        assert_eq!(stored.last(), Some((NOON.plus(60), "create")));
        assert_eq!(stored.calls_in_a_day(NOON.plus(22 * HOUR)), 3);
        assert_eq!(stored.calls_in_a_day(NOON.plus(24 * HOUR)), 0);
        stored.add("list", NOON.plus(24 * HOUR));
        assert_eq!(stored.calls.len(), 1);
    }

    #[test]
    fn memory_for_counts_is_bounded() {
        let unwritten = UnwrittenActivity::default();
        for n in 0..=MOST_GRANTS as u128 {
            unwritten.note(GrantId(n.to_be_bytes()), "list", NOON);
        }
        assert!(unwritten.0.lock().unwrap().len() <= MOST_GRANTS);
    }
}
