//! UUIDs, which `PingOne` gives most of its objects.

/// Whether the text is a UUID (RFC 9562 §4).
pub fn is_uuid(text: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_has_32_digits_and_four_dashes() {
        assert!(
            is_uuid("5e1f0000-0000-4000-8000-00000000de90")
                && is_uuid("5E1F0000-0000-4000-8000-00000000DE90")
        );
        for wrong in [
            "",
            "5e1f0000-0000-4000-8000-00000000de9",
            "5e1f0000-0000-4000-8000-00000000de9g",
            "5e1f00000-000-4000-8000-00000000de90",
            "------------------------------------",
            "5e1f0000000040008000-00000000de90000",
        ] {
            assert!(!is_uuid(wrong), "{wrong}");
        }
    }
}
