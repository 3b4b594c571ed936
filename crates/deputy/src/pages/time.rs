//! Times in words.

use crate::host::{DAY, Timestamp};

/// How long ago `then` was: "just now", "5 minutes ago".
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let (count, unit) = match now.since(then) {
        0..MINUTE => return "just now".to_owned(),
        seconds @ MINUTE..HOUR => (seconds / MINUTE, "minute"),
        seconds @ HOUR..DAY => (seconds / HOUR, "hour"),
        seconds => (seconds / DAY, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_the_largest_whole_unit() {
        let ago = |seconds| ago(Timestamp(1_000_000), Timestamp(1_000_000).plus(seconds));
        assert_eq!([0, 59, 60, 119].map(ago), ["just now", "just now", "1 minute ago", "1 minute ago"]);
        assert_eq!(
            [7200, 86_399, 86_400, 500_000].map(ago),
            ["2 hours ago", "23 hours ago", "1 day ago", "5 days ago"]
        );
    }
}
