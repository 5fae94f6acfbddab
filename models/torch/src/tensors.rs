//! Inputs of a custom model to tensors, as its folder says: decoded one by one on the host, then put together.

use std::path::Path;

use anyhow::Result;
use tch::{Device, Kind, TchError, Tensor};

use mosel_models::custom::{Fit, Layout, Number, Pixels, Preparation, SoundTensor};
use mosel_models::prepare::{
    Axis, Kernel, LogMel, Picture, Tokenizer, frames_of, picture_of, resize, sound_of, text_of,
};
use mosel_models::{Input, InputFault, InputKind, Modality, check_range};

use super::model::Undecoded;

/// Prepares one modality.
pub(super) struct Preparer {
    modality: Modality,
    how: How,
}

enum How {
    Pixels(Pixels),
    Wave(usize),
    Spectrogram { log_mel: Box<LogMel>, mean: f32, deviation: f32 },
    Words { tokenizer: Box<Tokenizer>, max_tokens: usize, padding: i64 },
    Numbers { shape: Vec<i64>, number: Number, mean: f32, deviation: f32 },
}

/// One decoded input.
pub(super) enum Ready {
    /// `[1, 3, height, width]` each, from 0 to 255.
    Pictures(Vec<Tensor>),
    Floats(Vec<f32>),
    Whole(Vec<i64>),
}

impl Preparer {
    /// Reads what the preparation needs from the folder.
    pub(super) fn new(folder: &Path, modality: &Modality, preparation: &Preparation) -> Result<Preparer> {
        let how = match (preparation, &modality.kind) {
            (Preparation::Pixels(pixels), _) => How::Pixels(pixels.clone()),
            (Preparation::Sound(SoundTensor::Spectrogram { settings, mean, deviation }), _) => {
                let log_mel = Box::new(LogMel::new(settings.clone())?);
                How::Spectrogram { log_mel, mean: *mean, deviation: *deviation }
            }
            (Preparation::Words(words), _) => How::Words {
                tokenizer: Box::new(Tokenizer::read(&folder.join(&words.tokenizer), words.max_tokens)?),
                max_tokens: words.max_tokens,
                padding: words.padding,
            },
            (Preparation::Numbers { number, mean, deviation }, InputKind::Samples { shape }) => How::Numbers {
                shape: shape.iter().map(|&side| side as i64).collect(),
                number: *number,
                mean: *mean,
                deviation: *deviation,
            },
            (Preparation::Sound(SoundTensor::Wave), InputKind::Sound { samples, .. }) => How::Wave(*samples),
            (preparation, kind) => anyhow::bail!("{} cannot be prepared as {preparation:?}", kind.describe()),
        };
        Ok(Preparer { modality: modality.clone(), how })
    }

    /// The modality's name.
    pub(super) fn name(&self) -> &str {
        &self.modality.name
    }

    /// Tensors that a network takes for this modality.
    pub(super) fn count(&self) -> usize {
        if matches!(self.how, How::Words { .. }) { 2 } else { 1 }
    }

    /// Checks and decodes one input.
    pub(super) fn ready(&self, input: &Input) -> Result<Ready, Undecoded> {
        let fault = |fault| self.modality.error(fault);
        let How::Pixels(pixels) = &self.how else { return Ok(self.decode(input).map_err(fault)?) };
        let kind = &self.modality.kind;
        let pictures = match pixels.frames {
            Some(_) => frames_of(input, kind),
            None => picture_of(input, kind).map(|picture| vec![picture]),
        }
        .map_err(fault)?;
        let scaled = pictures.into_iter().map(|picture| scaled(picture, pixels));
        Ok(Ready::Pictures(scaled.collect::<Result<_, _>>()?))
    }

    fn decode(&self, input: &Input) -> Result<Ready, InputFault> {
        let kind = &self.modality.kind;
        match &self.how {
            How::Pixels(_) => Err(InputFault::WrongKind { expected: kind.describe(), got: "something else" }),
            How::Wave(_) => Ok(Ready::Floats(sound_of(input, kind)?)),
            How::Spectrogram { log_mel, .. } => Ok(Ready::Floats(log_mel.of(&sound_of(input, kind)?))),
            How::Words { tokenizer, .. } => Ok(Ready::Whole(tokenizer.tokenize(text_of(input, kind)?)?)),
            How::Numbers { number, .. } => {
                input.check(kind)?;
                let Input::Samples(samples) = input else {
                    return Err(InputFault::WrongKind { expected: kind.describe(), got: "something else" });
                };
                match number {
                    Number::Float => Ok(Ready::Floats(samples.to_vec())),
                    Number::Whole { least, most } => {
                        let numbers = whole(samples)?;
                        // exact: the bounds are no larger than what a 32-bit float counts to
                        check_range(samples, *least as f32, *most as f32)?;
                        Ok(Ready::Whole(numbers))
                    }
                }
            }
        }
    }

    /// The tensors of a batch of decoded inputs.
    pub(super) fn tensors(&self, batch: &[&Ready], device: Device, kind: Kind) -> Result<Vec<Tensor>, TchError> {
        let count = batch.len() as i64;
        let floats = || {
            let mut numbers = Vec::new();
            for ready in batch {
                if let Ready::Floats(floats) = ready {
                    numbers.extend_from_slice(floats);
                }
            }
            Tensor::f_from_slice(&numbers)
        };
        let tensor = match &self.how {
            How::Pixels(pixels) => pictures(batch, pixels)?,
            How::Wave(_) => floats()?,
            How::Spectrogram { mean, deviation, .. } => standard(&floats()?, *mean, *deviation)?,
            How::Words { max_tokens, padding, .. } => return words(batch, *max_tokens, *padding, device),
            How::Numbers { number: Number::Float, mean, deviation, .. } => standard(&floats()?, *mean, *deviation)?,
            How::Numbers { number: Number::Whole { .. }, .. } => {
                let whole = batch.iter().flat_map(|ready| match ready {
                    Ready::Whole(numbers) => numbers.as_slice(),
                    _ => &[],
                });
                Tensor::f_from_slice(&whole.copied().collect::<Vec<i64>>())?
            }
        };
        let tensor = tensor.f_reshape(self.shape(count))?.f_contiguous()?.f_to_device(device)?;
        Ok(vec![if tensor.is_floating_point() { tensor.f_to_kind(kind)? } else { tensor }])
    }

    /// Zeros as large as the tensors of `count` inputs; of text, tokens that are all there.
    pub(super) fn zeros(&self, count: i64, device: Device, kind: Kind) -> Result<Vec<Tensor>, TchError> {
        let shape = self.shape(count);
        let zeros = |kind| Tensor::f_zeros(&shape, (kind, device));
        match self.how {
            How::Words { .. } => Ok(vec![zeros(Kind::Int64)?, Tensor::f_ones(&shape, (Kind::Int64, device))?]),
            How::Numbers { number: Number::Whole { .. }, .. } => Ok(vec![zeros(Kind::Int64)?]),
            _ => Ok(vec![zeros(kind)?]),
        }
    }

    /// The largest token number that an input or its padding can become; `None` if it is no text.
    pub(super) fn largest_token(&self) -> Option<i64> {
        match &self.how {
            How::Words { tokenizer, padding, .. } => Some(tokenizer.largest().max(*padding)),
            _ => None,
        }
    }

    /// What a network gets in place of the tensors of `count` inputs that were dropped: zeros, of text no token is there.
    pub(super) fn dropped(&self, count: i64, device: Device, kind: Kind) -> Result<Vec<Tensor>, TchError> {
        self.zeros(count, device, kind)?.iter().map(Tensor::f_zeros_like).collect()
    }

    fn shape(&self, count: i64) -> Vec<i64> {
        let of = |sides: &[usize]| std::iter::once(count).chain(sides.iter().map(|&side| side as i64)).collect();
        match &self.how {
            How::Pixels(Pixels { frames, height, width, layout, .. }) => match (layout, *frames) {
                (Layout::ChannelsFirst, None) => of(&[3, *height, *width]),
                (Layout::ChannelsLast, None) => of(&[*height, *width, 3]),
                (Layout::ChannelsFirst, Some(frames)) => of(&[frames, 3, *height, *width]),
                (Layout::ChannelsLast, Some(frames)) => of(&[frames, *height, *width, 3]),
                (Layout::ChannelsTime, frames) => of(&[3, frames.unwrap_or(1), *height, *width]),
            },
            How::Wave(samples) => of(&[*samples]),
            How::Spectrogram { log_mel, .. } => of(&log_mel.shape()),
            How::Words { max_tokens, .. } => of(&[*max_tokens]),
            How::Numbers { shape, .. } => std::iter::once(count).chain(shape.iter().copied()).collect(),
        }
    }
}

/// How many times more pixels than it has, or than are wanted, may be made of a picture on the way.
const MOST_BETWEEN: usize = 4;

/// The picture as the model wants it, `[1, 3, height, width]` from 0 to 255. What would be much larger on the way, white around a
/// line or a line made broad, is computed without it.
fn scaled(picture: Picture, pixels: &Pixels) -> Result<Tensor, TchError> {
    let (height, width) = (pixels.height, pixels.width);
    let picture = if pixels.fit == Fit::Crop { picture.cropped_to(width, height) } else { picture };
    let canvas =
        if pixels.fit == Fit::Pad { picture.padded_size(width, height) } else { (picture.width, picture.height) };
    let most = MOST_BETWEEN * (picture.width * picture.height).max(height * width);
    if canvas.0 * canvas.1 <= most && canvas.1 * width <= most {
        let fitted = if pixels.fit == Fit::Pad { picture.padded_to(width, height) } else { picture };
        return scale(&fitted, height as i64, width as i64);
    }
    let axis = |own: usize, canvas: usize, scaled: usize| Axis {
        canvas,
        before: (canvas - own) / 2,
        ..Axis { own, ..Axis::whole(canvas, scaled) }
    };
    let (down, across) = (axis(picture.height, canvas.1, height), axis(picture.width, canvas.0, width));
    let numbers = resize(&picture, down, across, Kernel::Bilinear);
    Tensor::f_from_slice(&numbers)?.f_view([1, 3, height as i64, width as i64])
}

fn whole(samples: &[f32]) -> Result<Vec<i64>, InputFault> {
    match samples.iter().position(|sample| sample.fract() != 0.0) {
        None => Ok(samples.iter().map(|&sample| sample as i64).collect()),
        Some(position) => Err(InputFault::NotWhole { position, value: samples[position] }),
    }
}

fn standard(tensor: &Tensor, mean: f32, deviation: f32) -> Result<Tensor, TchError> {
    tensor.f_sub_scalar(f64::from(mean))?.f_div_scalar(f64::from(deviation))
}

/// Scaled, normalized and in the order of dimensions that was asked for.
fn pictures(batch: &[&Ready], pixels: &Pixels) -> Result<Tensor, TchError> {
    let (height, width) = (pixels.height as i64, pixels.width as i64);
    let mut scaled = Vec::new();
    for ready in batch {
        if let Ready::Pictures(pictures) = ready {
            scaled.extend(pictures);
        }
    }
    let channel = |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1]);
    let pictures = Tensor::f_cat(&scaled, 0)?.f_div_scalar(255.0)?;
    let normal = pictures.f_sub(&channel(pixels.mean)?)?.f_div(&channel(pixels.deviation)?)?;
    let Some(frames) = pixels.frames else {
        return match pixels.layout {
            Layout::ChannelsLast => normal.f_permute([0, 2, 3, 1]),
            Layout::ChannelsFirst | Layout::ChannelsTime => Ok(normal),
        };
    };
    let videos = normal.f_view([batch.len() as i64, frames as i64, 3, height, width])?;
    match pixels.layout {
        Layout::ChannelsFirst => Ok(videos),
        Layout::ChannelsLast => videos.f_permute([0, 1, 3, 4, 2]),
        Layout::ChannelsTime => videos.f_permute([0, 2, 1, 3, 4]),
    }
}

fn scale(picture: &Picture, height: i64, width: i64) -> Result<Tensor, TchError> {
    let (own_height, own_width) = (picture.height as i64, picture.width as i64);
    let rows = Tensor::f_from_data_size(&picture.pixels, &[1, own_height, own_width, 3], Kind::Uint8)?;
    let pixels = rows.f_to_kind(Kind::Float)?.f_permute([0, 3, 1, 2])?;
    if [own_height, own_width] == [height, width] {
        return Ok(pixels);
    }
    pixels.f_internal_upsample_bilinear2d_aa([height, width], false, None, None)
}

/// Token numbers and which of them are there.
fn words(batch: &[&Ready], max_tokens: usize, padding: i64, device: Device) -> Result<Vec<Tensor>, TchError> {
    let mut numbers = vec![padding; batch.len() * max_tokens];
    let mut present = vec![0i64; numbers.len()];
    for (row, ready) in batch.iter().enumerate() {
        if let Ready::Whole(tokens) = ready {
            let tokens = &tokens[..tokens.len().min(max_tokens)];
            let start = row * max_tokens;
            numbers[start..start + tokens.len()].copy_from_slice(tokens);
            present[start..start + tokens.len()].fill(1);
        }
    }
    let shape = [batch.len() as i64, max_tokens as i64];
    let tensor = |numbers: &[i64]| Tensor::f_from_slice(numbers)?.f_view(shape)?.f_to_device(device);
    Ok(vec![tensor(&numbers)?, tensor(&present)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_models::assets::Assets;
    use mosel_models::custom::Declaration;

    /// The preparer of a document's only modality, whose keys these are.
    fn preparer(keys: &str, folder: &Path) -> Preparer {
        let head = "format = \"mosel-model/1\"\nname = \"m\"\nlabels = [\"a\", \"b\"]\nnetwork = { file = \"n.pt\" }\n";
        let declaration = Declaration::parse(&format!("{head}[[modalities]]\nname = \"x\"\n{keys}")).unwrap();
        let (modality, preparation) = &declaration.modalities[0];
        Preparer::new(folder, modality, preparation).unwrap()
    }

    fn tensors(keys: &str, inputs: &[Input]) -> Vec<Tensor> {
        let preparer = preparer(keys, Path::new("/nowhere"));
        let ready: Vec<Ready> = inputs.iter().map(|input| preparer.ready(input).unwrap()).collect();
        let tensors = preparer.tensors(&ready.iter().collect::<Vec<_>>(), Device::Cpu, Kind::Float).unwrap();
        let zeros = preparer.zeros(inputs.len() as i64, Device::Cpu, Kind::Float).unwrap();
        let shapes = |tensors: &[Tensor]| tensors.iter().map(|it| (it.size(), it.kind())).collect::<Vec<_>>();
        assert_eq!((shapes(&tensors), tensors.len()), (shapes(&zeros), preparer.count()));
        tensors
    }

    const JPEG: &[u8] = include_bytes!("../../tests/fixtures/red-blue.jpg");
    const FLAC: &[u8] = include_bytes!("../../tests/fixtures/tone.flac");

    #[test]
    fn a_photo_is_scaled_and_normalised() {
        let photo = |keys: &str| {
            let keys = format!("kind = \"picture\"\nheight = 6\nwidth = 8\n{keys}");
            tensors(&keys, &[Input::Picture(JPEG.into())]).remove(0)
        };
        let plain = photo("");
        assert_eq!(plain.size(), [1, 3, 6, 8]);
        assert!((plain.double_value(&[0, 0, 3, 0]) - 1.0).abs() < 0.02 && plain.double_value(&[0, 2, 3, 0]) < 0.02);
        assert!((plain.double_value(&[0, 2, 3, 7]) - 1.0).abs() < 0.02);
        let last = photo("layout = \"channels-last\"\nmean = [0.5, 0, 0]\ndeviation = [0.25, 1, 1]");
        assert_eq!(last.size(), [1, 6, 8, 3]);
        assert!((last.double_value(&[0, 3, 0, 0]) - 2.0).abs() < 0.08);
    }

    #[test]
    fn a_video_has_its_frames_where_the_layout_says() {
        let black = || vec![0.0f32; 2 * 2 * 3];
        let frames = [black(), vec![255.0; 2 * 2 * 3], black()].concat();
        let video = |layout: &str| {
            let keys = format!("kind = \"video\"\nframes = 3\nheight = 2\nwidth = 2\nlayout = \"{layout}\"");
            tensors(&keys, &[Input::Samples(frames.clone().into())]).remove(0)
        };
        let bright = |tensor: &Tensor, dimension: i64| {
            (0..3).map(|frame| tensor.get(0).select(dimension, frame).min().double_value(&[])).collect::<Vec<_>>()
        };
        for (layout, shape, dimension) in [
            ("channels-first", [1, 3, 3, 2, 2], 0),
            ("channels-last", [1, 3, 2, 2, 3], 0),
            ("channels-time", [1, 3, 3, 2, 2], 1),
        ] {
            let tensor = video(layout);
            assert_eq!((tensor.size(), bright(&tensor, dimension)), (shape.to_vec(), vec![0.0, 1.0, 0.0]), "{layout}");
        }
    }

    #[test]
    fn a_sound_is_a_wave_or_a_spectrogram() {
        let wave = tensors("kind = \"sound\"\nhertz = 8000\nsamples = 2000", &[Input::Sound(FLAC.into())]).remove(0);
        assert_eq!(wave.size(), [1, 2000]);
        assert!((wave.max().double_value(&[]) - 0.25).abs() < 1e-3);
        let keys = "kind = \"sound\"\nhertz = 8000\nsamples = 4000\n\
                    log_mel = { fft = 256, hop = 128, frames = 20, bands = 16, mean = 1.0 }";
        let spectrogram = tensors(keys, &[Input::Sound(FLAC.into()), Input::Sound(FLAC.into())]).remove(0);
        assert_eq!(spectrogram.size(), [2, 16, 20]);
        // 440 Hz of 4,000, on a scale that is finer below
        let loudest = spectrogram.get(1).select(1, 5).argmax(0, false).int64_value(&[]);
        assert!((2..5).contains(&loudest), "{loudest}");
    }

    #[test]
    fn text_is_token_numbers_and_which_of_them_are_there() {
        let folder = Assets::standard().path("towers").expect("run `make setup` first");
        let keys = "kind = \"text\"\ntokenizer = \"minilm-tokenizer.json\"\nmax_tokens = 5\npadding = 7";
        let preparer = preparer(keys, &folder);
        let ready = preparer.ready(&Input::Text("Hello WORLD".into())).unwrap();
        let made = preparer.tensors(&[&ready], Device::Cpu, Kind::BFloat16).unwrap();
        let numbers = |index: usize| Vec::<i64>::try_from(made[index].get(0)).unwrap();
        assert_eq!((numbers(0), numbers(1)), (vec![101, 7592, 2088, 102, 7], vec![1, 1, 1, 1, 0]));
    }

    #[test]
    fn whole_numbers_are_whole() {
        let keys = "kind = \"samples\"\nshape = [2]\ndtype = \"int64\"\nleast = -4\nmost = 3";
        let made = tensors(keys, &[Input::Samples([3.0, -4.0].into())]).remove(0);
        assert_eq!(Vec::<i64>::try_from(made.get(0)).unwrap(), [3, -4]);
        let fault = preparer(keys, Path::new("/nowhere")).ready(&Input::Samples([3.0, 0.5].into())).err().unwrap();
        assert_eq!(fault.to_string(), "modality x: expected whole numbers, number 1 is 0.5");
        let fault = preparer(keys, Path::new("/nowhere")).ready(&Input::Samples([3.0, 4.0].into())).err().unwrap();
        assert_eq!(fault.to_string(), "modality x: expected numbers from -4 to 3, number 1 is 4");
    }

    #[test]
    fn a_line_becomes_what_the_long_way_makes_of_it_without_going_it() {
        let line = |width: usize, height: usize| {
            let pixels = (0..width * height * 3).map(|at| (at * 37 % 251) as u8).collect();
            Picture { width, height, pixels }
        };
        for fit in ["pad", "stretch", "crop"] {
            let keys = format!("kind = \"picture\"\nheight = 8\nwidth = 8\nmax_side = 8192\nfit = \"{fit}\"");
            let preparer = preparer(&keys, Path::new("/nowhere"));
            let How::Pixels(pixels) = &preparer.how else { panic!("a picture") };
            for (width, height) in [(2, 200), (300, 1), (1, 64)] {
                let fitted = match fit {
                    "pad" => line(width, height).padded_to(8, 8),
                    "crop" => line(width, height).cropped_to(8, 8),
                    _ => line(width, height),
                };
                let (long, short) = (scale(&fitted, 8, 8).unwrap(), scaled(line(width, height), pixels).unwrap());
                let off = (long - short).abs().max().double_value(&[]);
                assert!(off < 1e-2, "{fit} {width}x{height}: {off}");
            }
            // 67 million white pixels, if all of it was filled up
            assert_eq!(scaled(line(8192, 1), pixels).unwrap().size(), [1, 3, 8, 8]);
        }
    }
}
