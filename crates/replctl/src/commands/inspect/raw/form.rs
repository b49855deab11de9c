//! What the fields of a header hold.

use super::PAGE;

/// A kind of value.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Codec,
    Number,
    /// A number of whole pages, and not 0.
    Pages,
    /// Hexadecimal digits.
    Digits,
}

pub(super) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Some bytes as text that does no harm to a terminal.
pub(super) fn text(line: &[u8], at: usize, width: usize) -> String {
    let end = line.len().min(at + width);
    let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let shown = |byte: &u8| if is_shown(*byte) { char::from(*byte) } else { '.' };
    line.get(at..end).unwrap_or_default().iter().map(shown).collect()
}

impl Form {
    /// Whether a value of this width is one.
    pub(super) fn is_right(self, value: &str, width: usize) -> bool {
        let each = |is: fn(u8) -> bool| value.len() == width && value.bytes().all(is);
        match self {
            Form::Codec => {
                let name = value.trim_end_matches(' ');
                let of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                value.len() == width && !name.is_empty() && name.bytes().all(of_name)
            }
            Form::Number => each(is_digit) && value.parse::<u64>().is_ok(),
            Form::Pages => {
                let is_pages = |length: u64| length > 0 && length.is_multiple_of(PAGE as u64);
                each(is_digit) && value.parse().is_ok_and(is_pages)
            }
            Form::Digits => each(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        }
    }
}
