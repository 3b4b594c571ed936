//! Digits of numbers in JSON that a floating-point number does not keep.

/// The first number of a JSON text that would become the number of another thing, such as a long id. Below 2^53 a number loses
/// parts of a fraction at most.
pub(crate) fn lost(json: &str) -> Option<&str> {
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        if let Some(text) = rest.strip_prefix('"') {
            rest = after_text(text);
            continue;
        }
        let is_other = |c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let (number, after) = rest.split_at(rest.find(is_other).unwrap_or(rest.len()));
        if is_changed(number) {
            return Some(number);
        }
        rest = after;
    }
    None
}

/// The rest after the end of a text.
fn after_text(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.map_or("", |end| &text[end + 1..])
}

fn is_changed(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return false;
    }
    let Ok(float) = number.parse::<f64>() else { return false };
    float.abs() >= MAX_EXACT && decimal(number) != decimal(&format!("{float:e}"))
}

/// The digits of a number without zeros around them, and the power of ten.
fn decimal(number: &str) -> (String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let power = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let exponent = exponent.parse::<i64>().unwrap_or_default();
    let exponent = exponent.saturating_add(power(digits.len() - trimmed.len()) - power(fraction.len()));
    (trimmed.trim_start_matches('-').trim_start_matches('0').to_owned(), exponent)
}

/// Integers below it are exact as a floating-point number (2^53).
pub(crate) const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_another_value_is_found() {
        for number in [
            "123456789012345678901234",
            "-9007199254740993.0",
            "100000000000000000000001",
            "18446744073709551617",
            "1.234567890123456789e25",
        ] {
            for json in [number.to_owned(), format!(r#"{{"a\"1":[1,"\\",{number}]}}"#)] {
                assert_eq!(lost(&json), Some(number), "{json}");
            }
        }
        for json in [
            "0.1234567890123456789",
            "18446744073709551615",
            "-9223372036854775808",
            "1e23",
            "1.5E+300",
            "100000000000000000000000",
            "1200000000000000000000.000",
            "0.00123e30",
            "5.97e24",
            "1.7976931348623157e308",
            "1.2345678901234567e+23",
            r#"{"123456789012345678901234":"123456789012345678901234\""}"#,
            "0.0",
            "null",
        ] {
            assert_eq!(lost(json), None, "{json}");
        }
    }
}
