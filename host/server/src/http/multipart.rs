//! `multipart/form-data` (RFC 7578), read where it lies: every byte is looked at once, and a part's content is a slice of the
//! body.

use axum::http::HeaderValue;
use bytes::Bytes;
use memchr::memmem;

/// A body that is read part by part.
pub(crate) struct Parts {
    body: Bytes,
    /// A line end, two hyphens and the boundary: what stands between parts.
    delimiter: memmem::Finder<'static>,
    /// Behind the delimiter that was read last.
    at: usize,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawPart {
    pub(crate) name: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content: Bytes,
}

/// Bytes of a part's headers.
const MAX_HEAD_BYTES: usize = 4 << 10;
/// Bytes of a part's name.
const MAX_NAME_BYTES: usize = 256;
/// RFC 2046, section 5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;

impl Parts {
    /// The parts of a body with this `Content-Type`; else what is wrong.
    pub(crate) fn new(content_type: &HeaderValue, body: Bytes) -> Result<Parts, String> {
        let content_type = content_type.to_str().map_err(|_| "a Content-Type that is not ASCII")?;
        let boundary = parameter(content_type, "boundary").ok_or("a Content-Type without a boundary")?;
        if !(1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) {
            return Err(format!("a boundary of {} bytes, expected 1 to {MAX_BOUNDARY_BYTES}", boundary.len()));
        }
        let delimiter = memmem::Finder::new(format!("\r\n--{boundary}").as_bytes()).into_owned();
        // the first delimiter needs no line end in front of it, but there may be a preamble
        let opening = &delimiter.needle()[2..];
        let at = if body.starts_with(opening) {
            Some(opening.len())
        } else {
            delimiter.find(&body).map(|found| found + delimiter.needle().len())
        };
        let at = at.ok_or("no part")?;
        Ok(Parts { body, delimiter, at })
    }

    /// The next part, until there is none.
    pub(crate) fn next(&mut self) -> Result<Option<RawPart>, String> {
        let rest = &self.body[self.at..];
        if rest.starts_with(b"--") {
            return Ok(None);
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err("a boundary that does not end its line, or a body that ends too early".into());
        }
        // from the line end on, so that a part without headers ends them at once
        let head = self.at + padding;
        let window = &self.body[head..self.body.len().min(head + MAX_HEAD_BYTES)];
        let ends = memmem::find(window, b"\r\n\r\n");
        let ends = ends.ok_or_else(|| format!("a part whose headers do not end within {MAX_HEAD_BYTES} bytes"))?;
        let (name, content_type) = headers(&window[..ends])?;
        let begin = head + ends + 4;
        let length = self.delimiter.find(&self.body[begin..]).ok_or("a part that does not end")?;
        self.at = begin + length + self.delimiter.needle().len();
        let content = self.body.slice(begin..begin + length);
        Ok(Some(RawPart { name, content_type, content }))
    }
}

/// The name and the type that a part's headers give it.
fn headers(head: &[u8]) -> Result<(String, Option<String>), String> {
    let head = std::str::from_utf8(head).map_err(|_| "a part whose headers are not UTF-8")?;
    let (mut name, mut content_type) = (None, None);
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(':').ok_or("a part with a header without a colon")?;
        if key.eq_ignore_ascii_case("content-disposition") {
            name = parameter(value, "name");
        } else if key.eq_ignore_ascii_case("content-type") {
            content_type = Some(value.trim().to_owned());
        } else if key.eq_ignore_ascii_case("content-transfer-encoding")
            && !["binary", "8bit", "7bit"].iter().any(|known| value.trim().eq_ignore_ascii_case(known))
        {
            return Err("a part with a Content-Transfer-Encoding, expected it as it is".into());
        }
    }
    let name = name.ok_or("a part without a name")?;
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("a part with a name of {} bytes, expected {MAX_NAME_BYTES} at most", name.len()));
    }
    Ok((name, content_type))
}

/// A parameter of a header's value, `key=token` or `key="quoted"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_matches([' ', '\t', ';']);
        let after = after.trim_start();
        let (text, left) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if key.eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = left;
    }
}

/// Up to the closing quote, and what follows. Browsers write a quote as `%22`, which stays; others put a backslash before it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut chars = text.char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '"' => return Some((plain, &text[index + 1..])),
            '\\' if text[index + 1..].starts_with(['"', '\\']) => {
                plain.extend(chars.next().map(|(_, escaped)| escaped));
            }
            _ => plain.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> Result<Vec<(String, String)>, String> {
        let content_type = HeaderValue::from_str(content_type).unwrap();
        let mut parts = Parts::new(&content_type, Bytes::copy_from_slice(body.as_bytes()))?;
        let mut read = Vec::new();
        while let Some(part) = parts.next()? {
            read.push((part.name, String::from_utf8(part.content.to_vec()).unwrap()));
        }
        Ok(read)
    }

    fn cut(body: &str) -> Result<Vec<(String, String)>, String> {
        read("multipart/form-data; boundary=cut", body)
    }

    const HEAD: &str = "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";

    #[test]
    fn parts_are_read_as_clients_write_them() {
        let two = |first: &str, second: &str| Ok(vec![("a".into(), first.to_owned()), ("a".into(), second.to_owned())]);
        assert_eq!(cut(&format!("--cut{HEAD}1\r\n2\r\n--cut{HEAD}\r\n--cut--\r\n")), two("1\r\n2", ""));
        assert_eq!(cut(&format!("a preamble\r\n--cut \t{HEAD}--cu\r\n--cut{HEAD}x\r\n--cut--after")), two("--cu", "x"));
        assert_eq!(cut("--cut--"), Ok(vec![]));
        let quoted = read("multipart/form-data; charset=x; Boundary=\"c;t\"", &format!("--c;t{HEAD}x\r\n--c;t--"));
        assert_eq!(quoted, Ok(vec![("a".into(), "x".into())]));
        let named =
            |header: &str| cut(&format!("--cut\r\n{header}\r\n\r\n\r\n--cut--")).map(|parts| parts[0].0.clone());
        assert_eq!(named("content-disposition: form-data; filename=\"name=x;\"; name=b"), Ok("b".into()));
        assert_eq!(named("CONTENT-DISPOSITION:form-data;name=\"a\\\"\\\\b\"").as_deref(), Ok("a\"\\b"));
    }

    #[test]
    fn what_is_not_built_so_is_refused() {
        assert!(read("multipart/form-data", "--x").unwrap_err().contains("without a boundary"));
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        assert!(read(&long, "").unwrap_err().contains("71 bytes"));
        for body in ["", "--cu", "--cut", "--cut\r", "--cut\r\nconte", "--cutter", &format!("--cut{HEAD}no end")] {
            assert!(cut(body).is_err(), "{body:?}");
        }
        assert!(cut("--cut\r\n\r\n\r\n--cut--").unwrap_err().contains("without a name"));
        assert!(cut("--cut\r\nx: y\r\n\r\n\r\n--cut--").unwrap_err().contains("without a name"));
        let quoted = "--cut\r\ncontent-disposition: form-data; name=\"a\r\n\r\n\r\n--cut--";
        assert!(cut(quoted).unwrap_err().contains("without a name"));
    }

    #[test]
    fn heads_and_names_are_bounded() {
        let named = |name: usize, more: usize| {
            let (name, more) = ("n".repeat(name), "x".repeat(more));
            cut(&format!("--cut\r\ncontent-disposition: form-data; name={name}\r\nx: {more}\r\n\r\n\r\n--cut--"))
        };
        assert!(named(MAX_NAME_BYTES, 3000).is_ok());
        assert!(named(MAX_NAME_BYTES + 1, 0).unwrap_err().contains("257 bytes"));
        assert!(named(1, MAX_HEAD_BYTES).unwrap_err().contains("do not end within"));
    }
}
