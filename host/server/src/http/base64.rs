//! Base64 as clients write it: the standard and the URL-safe alphabet, padded or not, on one line or many, alone or in a data
//! URL (`data:image/png;base64,...`).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base64Fault {
    /// The byte of the text at which it stops to be base64, from 0.
    pub(crate) position: usize,
    /// What stands there.
    pub(crate) reason: String,
}

/// Most texts are of this form, and decoded without a copy.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest beginning of a data URL.
const MAX_DATA_HEAD_BYTES: usize = 256;

/// What this text stands for.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Base64Fault> {
    let start = content(text)?;
    let content = &text[start..];
    if let Ok(bytes) = ANY_PADDING.decode(content) {
        return Ok(bytes);
    }
    let plain = plain(content, start)?;
    ANY_PADDING.decode(&plain).map_err(|error| Base64Fault { position: text.len(), reason: error.to_string() })
}

/// It is a data URL, whatever it holds.
pub(crate) fn is_data_url(text: &str) -> bool {
    text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Where the base64 begins.
fn content(text: &str) -> Result<usize, Base64Fault> {
    if !is_data_url(text) {
        return Ok(0);
    }
    let fault = |reason: &str| Base64Fault { position: 5, reason: reason.into() };
    let head = &text.as_bytes()[..text.len().min(MAX_DATA_HEAD_BYTES)];
    let comma = head.iter().position(|byte| *byte == b',').ok_or_else(|| fault("a data URL without a comma"))?;
    let marked = head[..comma].len() >= 7 && head[comma - 7..comma].eq_ignore_ascii_case(b";base64");
    if marked { Ok(comma + 1) } else { Err(fault("a data URL that is not marked ;base64")) }
}

/// In the standard alphabet, without line ends and padding. `start` is where the content begins in the client's text.
fn plain(content: &str, start: usize) -> Result<Vec<u8>, Base64Fault> {
    let mut plain = Vec::with_capacity(content.len());
    let mut padding = 0;
    for (index, byte) in content.bytes().enumerate() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'=' if padding < 2 => padding += 1,
            b'-' if padding == 0 => plain.push(b'+'),
            b'_' if padding == 0 => plain.push(b'/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => plain.push(byte),
            _ => {
                let position = start + index;
                let char = content[index..].chars().next().unwrap_or_default();
                let after = if padding > 0 { " after the padding" } else { "" };
                return Err(Base64Fault { position, reason: format!("{char:?} at byte {position}{after}") });
            }
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_usual_forms_mean_the_same() {
        let bytes = b"\xfb\xef\xbe\xff?>";
        for text in [
            "++++/z8+",
            "----_z8-",
            "++++\r\n/z8+\r\n",
            " ++++ /z8+\n",
            "data:image/png;base64,++++/z8+",
            "DATA:;Base64,----_z8-",
            "data:image/svg+xml;charset=utf-8;base64,++++\n/z8+",
        ] {
            assert_eq!(decode(text).as_deref(), Ok(&bytes[..]), "{text:?}");
        }
        for text in ["/w==", "_w==", "/w", "_w", "/w=", "/w=\n=", "/w==\n", "data:,;base64,"] {
            let expected: &[u8] = if text.starts_with("data") { b"" } else { b"\xff" };
            match decode(text) {
                Ok(bytes) => assert_eq!(bytes, expected, "{text:?}"),
                Err(fault) => assert_eq!((text, fault.position), ("data:,;base64,", 5)),
            }
        }
        assert_eq!(decode(""), Ok(vec![]));
    }

    #[test]
    fn what_is_none_is_said_with_its_place() {
        let fault = |text: &str| decode(text).map_err(|fault| (fault.position, fault.reason)).unwrap_err();
        assert_eq!(fault("AAA%"), (3, "'%' at byte 3".into()));
        assert_eq!(fault("AA\r\nA\u{e9}"), (5, "'\u{e9}' at byte 5".into()));
        assert_eq!(fault("AA==AA=="), (4, "'A' at byte 4 after the padding".into()));
        assert_eq!(fault("AA==="), (4, "'=' at byte 4 after the padding".into()));
        assert_eq!(fault("data:image/png,AAAA").1, "a data URL that is not marked ;base64");
        assert_eq!(fault("data:AAAA").1, "a data URL without a comma");
        assert_eq!(fault("data:;base64,AA AA?").0, 18);
        assert_eq!(fault("AAAAA").0, 5, "five characters end in the middle of a byte");
        assert_eq!(fault("/x").0, 2, "bits are left that belong to no byte");
    }
}
