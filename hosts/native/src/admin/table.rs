//! Text for a terminal.

use chrono::DateTime;

/// The lines of a table whose columns are as wide as their longest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| all().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

/// The text without characters that control a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A time, as in 2026-01-31 14:03.
pub(super) fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_a_table_are_aligned() {
        let rows = [["a".to_owned(), "Übung".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(["ID", "NAME"], &rows), ["ID    NAME", "a     Übung", "long"]);
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a[2Jb");
        assert_eq!(time(1_769_868_180), "2026-01-31 14:03");
    }
}
