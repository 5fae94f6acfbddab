//! Compressed bodies: `Content-Encoding` of gzip, deflate or zstd, unpacked piece by piece within bounds.

use std::io::{self, Read};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::api_error::{ApiError, CODINGS};
use super::body::Memory;
use crate::error_code::ErrorCode;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952; several members may follow each other.
    Gzip,
    /// RFC 1950, or without its header, as some write it.
    Deflate,
    /// RFC 8878; several frames may follow each other.
    Zstd,
}

/// Unpacked, a body may be so many times as large as it came, where it is larger than this at all.
const MAX_RATIO: usize = 200;
const RATIO_MATTERS_BYTES: usize = 1 << 20;

/// The largest window of a zstd frame in an HTTP body (RFC 9659).
const MAX_WINDOW_BYTES: u64 = 8 << 20;

/// A body is one piece for each so many bytes, and a few more: a decoder is set up for every one.
const PIECE_BYTES: usize = 64 << 10;
const FEW_PIECES: usize = 16;

/// Unpacked at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// How the body of a request with these headers is packed.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Coding, ApiError> {
    let mut found = Coding::Identity;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = value.to_str().unwrap_or("one that is not ASCII");
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let coding = named(name).ok_or_else(|| unsupported(name))?;
            if found != Coding::Identity && coding != Coding::Identity {
                return Err(unsupported("more than one"));
            }
            found = if coding == Coding::Identity { found } else { coding };
        }
    }
    Ok(found)
}

/// The body as it was before it was packed. What was packed is let go.
pub(crate) fn unpacked(coding: Coding, packed: Bytes, memory: &mut Memory) -> Result<Bytes, ApiError> {
    if coding == Coding::Identity {
        return Ok(packed);
    }
    let mut output = Output { bytes: Vec::new(), packed_bytes: packed.len(), memory };
    let mut rest = &packed[..];
    let mut zstd = FrameDecoder::new();
    for piece in 0.. {
        if piece > FEW_PIECES + packed.len() / PIECE_BYTES {
            return Err(broken(coding, "it has too many small pieces"));
        }
        rest = match coding {
            Coding::Identity => break,
            Coding::Gzip => {
                let mut decoder = GzDecoder::new(rest);
                output.fill(coding, &mut decoder)?;
                decoder.into_inner()
            }
            Coding::Deflate if has_zlib_header(rest) => {
                let mut decoder = ZlibDecoder::new(rest);
                output.fill(coding, &mut decoder)?;
                decoder.into_inner()
            }
            Coding::Deflate => {
                let mut decoder = DeflateDecoder::new(rest);
                output.fill(coding, &mut decoder)?;
                decoder.into_inner()
            }
            Coding::Zstd => zstd_frame(rest, &mut zstd, &mut output)?,
        };
        if rest.is_empty() {
            break;
        }
        if coding == Coding::Deflate {
            return Err(broken(coding, "something follows its end"));
        }
    }
    let bytes = output.bytes;
    let taken = bytes.capacity() - bytes.len();
    memory.give(packed.len() + taken);
    Ok(bytes.into())
}

fn named(name: &str) -> Option<Coding> {
    Some(match name.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Coding::Gzip,
        "deflate" => Coding::Deflate,
        "zstd" => Coding::Zstd,
        "identity" => Coding::Identity,
        _ => return None,
    })
}

fn unsupported(came: &str) -> ApiError {
    let came: String = came.chars().take(64).collect();
    let message = format!("expected a Content-Encoding of {CODINGS}, got {came:?}");
    ApiError::new(ErrorCode::UnsupportedEncoding, message)
}

fn broken(coding: Coding, why: &str) -> ApiError {
    ApiError::new(ErrorCode::BrokenEncoding, format!("expected a body that is {coding:?}: {why}"))
}

/// What was unpacked so far.
struct Output<'m> {
    bytes: Vec<u8>,
    packed_bytes: usize,
    memory: &'m mut Memory,
}

impl Output<'_> {
    fn fill(&mut self, coding: Coding, decoder: &mut impl Read) -> Result<(), ApiError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match decoder.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(coding, &error.to_string())),
            };
            self.push(&chunk[..count])?;
        }
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        let length = self.bytes.len() + chunk.len();
        let most = self.memory.most_bytes();
        if length > most {
            return Err(self.memory.too_large());
        }
        if length > RATIO_MATTERS_BYTES.max(MAX_RATIO * self.packed_bytes) {
            let message = format!("expected a body that unpacks to at most {MAX_RATIO} times its size, got more");
            return Err(ApiError::new(ErrorCode::BodyTooLarge, message));
        }
        self.memory.grow(&mut self.bytes, length, most)?;
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// RFC 1950, section 2.2.
fn has_zlib_header(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0xf == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

/// Unpacks one frame, or skips it; answers with what follows.
fn zstd_frame<'p>(packed: &'p [u8], decoder: &mut FrameDecoder, output: &mut Output<'_>) -> Result<&'p [u8], ApiError> {
    if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, rest @ ..] = packed {
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        return rest.get(length..).ok_or_else(|| broken(Coding::Zstd, "it ends too early"));
    }
    let window = window_bytes(packed).ok_or_else(|| broken(Coding::Zstd, "expected a frame"))?;
    if window > MAX_WINDOW_BYTES.max(output.memory.most_bytes() as u64) {
        return Err(broken(Coding::Zstd, "its window is larger than 8 MiB"));
    }
    // the window, and blocks of 128 KiB
    let held = window as usize + (256 << 10);
    output.memory.take(held)?;
    let error = |error: ruzstd::decoding::errors::FrameDecoderError| broken(Coding::Zstd, &error.to_string());
    let mut stream = StreamingDecoder::new_with_decoder(packed, decoder).map_err(error)?;
    output.fill(Coding::Zstd, &mut stream)?;
    output.memory.give(held);
    Ok(stream.into_inner())
}

/// How much of what was unpacked a frame looks back on (RFC 8878, section 3.1.1.1).
fn window_bytes(frame: &[u8]) -> Option<u64> {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = frame else { return None };
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let window = *rest.first()?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = rest.get(dictionary..)?;
    match descriptor >> 6 {
        0 => size.first().map(|size| u64::from(*size)),
        1 => size.first_chunk().map(|size| u64::from(u16::from_le_bytes(*size)) + 256),
        2 => size.first_chunk().map(|size| u64::from(u32::from_le_bytes(*size))),
        _ => size.first_chunk().map(|size| u64::from_le_bytes(*size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_budget::ByteBudget;
    use crate::http::body::Bounds;
    use crate::shares::ShareKey;
    use axum::http::HeaderValue;
    use flate2::Compression;
    use std::io::Write;
    use std::time::Duration;

    const MOST: u64 = 4 << 20;

    fn memory(budget: &ByteBudget, packed: usize) -> Memory {
        let full = (ErrorCode::InputsFull, "full");
        let bounds = Bounds { most_bytes: MOST, timeout: Duration::from_secs(1), full };
        let mut held = budget.hold(ShareKey::Anybody, 1.0);
        held.take(packed as u64).unwrap();
        Memory::new(held, bounds)
    }

    fn unpack(coding: Coding, packed: Vec<u8>) -> Result<Vec<u8>, (&'static str, String)> {
        let budget = ByteBudget::new(64 << 20, 32 << 20);
        let mut memory = memory(&budget, packed.len());
        let unpacked = unpacked(coding, packed.into(), &mut memory);
        if let Ok(bytes) = &unpacked {
            assert_eq!(memory.bytes(), bytes.len() as u64, "what is held is what is there");
        }
        drop(memory);
        assert_eq!(budget.used(), 0);
        unpacked.map(|bytes| bytes.to_vec()).map_err(|error| (error.code.word(), error.message))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// Text that packs to about a third.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 7u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"abcdefgh"[(state >> 29) as usize]
        };
        (0..length).map(|_| byte()).collect()
    }

    #[test]
    fn every_coding_gives_back_what_was_packed() {
        let text = text(300_000);
        let raw = zlib(&text)[2..].to_vec();
        for (coding, packed) in [
            (Coding::Identity, text.clone()),
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, [gzip(&text[..1000]), gzip(&text[1000..])].concat()),
            (Coding::Deflate, zlib(&text)),
            (Coding::Deflate, raw[..raw.len() - 4].to_vec()),
            (Coding::Zstd, zstd(&text)),
            (
                Coding::Zstd,
                [zstd(&text[..1000]), b"\x50\x2a\x4d\x18\x01\0\0\0x".to_vec(), zstd(&text[1000..])].concat(),
            ),
        ] {
            assert_eq!(unpack(coding, packed).unwrap(), text, "{coding:?}");
        }
    }

    #[test]
    fn what_is_broken_or_cut_is_said() {
        let text = text(10_000);
        for (coding, packed) in
            [(Coding::Gzip, gzip(&text)), (Coding::Deflate, zlib(&text)), (Coding::Zstd, zstd(&text))]
        {
            for length in [0, 1, 5, 12, packed.len() / 2] {
                assert_eq!(
                    unpack(coding, packed[..length].to_vec()).unwrap_err().0,
                    "broken_encoding",
                    "{coding:?} {length}"
                );
            }
            let garbage = [packed, b"garbage".to_vec()].concat();
            assert_eq!(unpack(coding, garbage).unwrap_err().0, "broken_encoding", "{coding:?}");
        }
        let many = gzip(b"x").repeat(FEW_PIECES + 2);
        assert!(unpack(Coding::Gzip, many).unwrap_err().1.contains("too many small pieces"));
        assert_eq!(unpack(Coding::Gzip, gzip(b"x").repeat(FEW_PIECES)), Ok(vec![b'x'; FEW_PIECES]));
    }

    #[test]
    fn sizes_and_ratios_are_bounded() {
        let most = MOST as usize;
        assert_eq!(unpack(Coding::Gzip, gzip(&text(most))).unwrap().len(), most);
        assert_eq!(unpack(Coding::Gzip, gzip(&text(most + 1))).unwrap_err().0, "body_too_large");
        let zeros = vec![0; RATIO_MATTERS_BYTES + 1];
        assert_eq!(unpack(Coding::Gzip, gzip(&zeros[1..])).unwrap().len(), RATIO_MATTERS_BYTES);
        for (coding, packed) in
            [(Coding::Gzip, gzip(&zeros)), (Coding::Deflate, zlib(&zeros)), (Coding::Zstd, zstd(&zeros))]
        {
            assert!(unpack(coding, packed).unwrap_err().1.contains("200 times"), "{coding:?}");
        }
        // a window of 3.75 TiB
        let window = b"\x28\xb5\x2f\xfd\x00\xff\x01\0\0".to_vec();
        assert!(unpack(Coding::Zstd, window).unwrap_err().1.contains("window"));
    }

    #[test]
    fn codings_are_named_in_the_head() {
        let coding = |values: &[&str]| {
            let header = |value: &&str| (header::CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            coding(&values.iter().map(header).collect()).map_err(|error| error.code.word())
        };
        assert_eq!(coding(&[]), Ok(Coding::Identity));
        assert_eq!(coding(&["identity"]), Ok(Coding::Identity));
        assert_eq!([coding(&["GZip"]), coding(&["x-gzip, identity"])], [Ok(Coding::Gzip); 2]);
        assert_eq!(coding(&["deflate"]), Ok(Coding::Deflate));
        assert_eq!(coding(&["zstd"]), Ok(Coding::Zstd));
        for stacked in [&["gzip, gzip"][..], &["gzip", "zstd"], &["br"], &["compress"]] {
            assert_eq!(coding(stacked), Err("unsupported_encoding"), "{stacked:?}");
        }
    }
}
