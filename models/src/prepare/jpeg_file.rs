//! JPEG files to pixels.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::picture::Picture;

/// Passes over a progressive picture: a small file must not buy much work.
const MAX_SCANS: usize = 64;

/// Decodes a file; else the decoder's words.
///
/// The sides are bounded once more: what the decoder takes as the header need not be what admission took.
pub(super) fn decode(file: &[u8], max_side: u32) -> Result<Picture, String> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .jpeg_set_max_scans(MAX_SCANS)
        .set_max_width(max_side as usize)
        .set_max_height(max_side as usize)
        // else what is missing is filled up with gray
        .set_strict_mode(true);
    check_work(file)?;
    if !is_ended(file) {
        return Err("it has no end".into());
    }
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it does not say how large it is")?;
    if pixels.len() != width * height * 3 {
        return Err(format!("{width}x{height} pixels are {} numbers, got {}", width * height * 3, pixels.len()));
    }
    Ok(Picture { width, height, pixels })
}

/// Passes over all of a picture that its scans may come to: usual progressive files take six.
const MOST_PASSES: f64 = 24.0;
/// Tables, intervals and scans that a file may have; each costs a little, however short.
const MOST_TABLES: usize = 1024;
/// Bytes of coded pixels: so many a pixel, and these. No coder writes as many.
const MOST_BYTES_A_PIXEL: usize = 8;
const SPARE_BYTES: usize = 1 << 16;

/// Walks over the segments (ITU T.81, B.2) and adds up what decoding would cost, in time linear in the bytes.
fn check_work(file: &[u8]) -> Result<(), String> {
    let (mut at, mut tables, mut passes, mut coded) = (2, 0, 0.0, 0);
    let mut frame = Frame::default();
    while let Some(marker) = file.get(at..).and_then(next_marker) {
        at += marker.end;
        if matches!(marker.kind, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let Some(length) = file.get(at..at + 2).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])))
        else {
            break;
        };
        let segment = file.get(at + 2..at + length.max(2)).unwrap_or_default();
        at += length.max(2);
        match marker.kind {
            0xd9 => break,
            0xc4 | 0xdb | 0xdd => tables += 1,
            0xc0..=0xcf if ![0xc8, 0xcc].contains(&marker.kind) => frame = Frame::of(segment),
            0xda => {
                tables += 1;
                passes += frame.share(segment);
                let pixels = file.get(at..).unwrap_or_default();
                let end = next_marker(pixels).map_or(pixels.len(), |next| next.end - 2);
                coded += end;
                at += end;
            }
            _ => {}
        }
        if tables > MOST_TABLES || passes > MOST_PASSES {
            let found = format!("{tables} and {passes:.1}");
            return Err(format!(
                "expected at most {MOST_TABLES} tables and scans over {MOST_PASSES} pictures, got {found}"
            ));
        }
    }
    let most = frame.pixels.saturating_mul(MOST_BYTES_A_PIXEL).saturating_add(SPARE_BYTES);
    if coded > most {
        return Err(format!("expected at most {most} bytes for {} pixels, got {coded}", frame.pixels));
    }
    Ok(())
}

/// A marker that is no restart inside coded pixels, and where what follows it begins.
struct Marker {
    kind: u8,
    end: usize,
}

fn next_marker(bytes: &[u8]) -> Option<Marker> {
    let pair = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    let at = bytes.windows(2).position(pair)?;
    Some(Marker { kind: bytes[at + 1], end: at + 2 })
}

/// What a frame's header says.
#[derive(Default)]
struct Frame {
    pixels: usize,
    /// Number and samples of each component.
    components: Vec<(u8, f64)>,
}

impl Frame {
    fn of(segment: &[u8]) -> Frame {
        let short =
            |at: usize| segment.get(at..at + 2).map_or(0, |pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
        let samples = |sampling: u8| f64::from((sampling >> 4).max(1)) * f64::from((sampling & 15).max(1));
        let components = segment.get(6..).unwrap_or_default().chunks_exact(3).map(|it| (it[0], samples(it[1])));
        Frame { pixels: short(1) * short(3), components: components.collect() }
    }

    /// The share of the picture's samples that a scan goes over.
    fn share(&self, scan: &[u8]) -> f64 {
        let all: f64 = self.components.iter().map(|(_, samples)| samples).sum();
        let count = scan.first().map_or(0, |&count| usize::from(count));
        let named = scan.get(1..).unwrap_or_default().chunks_exact(2).take(count).map(|it| it[0]);
        let of = |name: u8| self.components.iter().find(|(own, _)| *own == name).map_or(all, |(_, samples)| *samples);
        named.map(of).sum::<f64>() / all.max(1.0)
    }
}

/// Whether there is an end of image (0xff 0xd9) after the last scan began (0xff 0xda): coded pixels hold neither.
///
/// The decoder itself does not miss what is missing of the last row.
fn is_ended(file: &[u8]) -> bool {
    let markers = file.windows(2).rev().filter(|pair| pair[0] == 0xff);
    markers.map(|pair| pair[1]).find(|marker| [0xd9, 0xda].contains(marker)) == Some(0xd9)
}
