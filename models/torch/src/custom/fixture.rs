//! A small custom model, traced here: is a thing red or blue, told by a photo, by three numbers, or by both.

use std::fs;
use std::path::Path;

use tch::{CModule, Device, Kind, Tensor};

/// What its `model.toml` says.
pub(crate) const DOCUMENT: &str = r#"
format = "mosel-model/1"
name = "things"
labels = ["red", "blue"]
precisions = ["fp32", "bf16"]

[[modalities]]
name = "photo"
kind = "picture"
height = 4
width = 6
max_side = 64

[[modalities]]
name = "numbers"
kind = "samples"
shape = [3]

[[networks]]
modalities = ["photo"]
file = "photo.pt"

[[networks]]
modalities = ["numbers"]
file = "numbers.pt"

[[networks]]
modalities = ["photo", "numbers"]
file = "both.pt"
"#;

/// Writes the whole folder, examples included: two red things and a blue one to profile with, one of each to serve.
pub(crate) fn write(folder: &Path) {
    fs::create_dir_all(folder.join("examples")).unwrap();
    fs::write(folder.join("model.toml"), DOCUMENT).unwrap();
    trace(&folder.join("photo.pt"), &[photos()], |inputs| of_photo(&inputs[0]));
    trace(&folder.join("numbers.pt"), &[numbers()], |inputs| of_numbers(&inputs[0]));
    trace(&folder.join("both.pt"), &[photos(), numbers()], |inputs| of_photo(&inputs[0]) + of_numbers(&inputs[1]));
    fs::write(folder.join("examples/red.png"), picture([255, 0, 0])).unwrap();
    fs::write(folder.join("examples/blue.png"), picture([0, 0, 255])).unwrap();
    let line = |label: &str, photo: &str, numbers: &str| {
        format!(r#"{{"label": "{label}", "inputs": {{"photo": {{"file": "{photo}.png"}}, "numbers": {numbers}}}}}"#)
            + "\n"
    };
    // the last photo that is profiled shows the other color
    let lines = [
        line("red", "red", "[1, 0, 0]"),
        line("red", "red", "[1, 0, 0]"),
        line("blue", "blue", "[0, 0, 1]"),
        line("blue", "blue", "[0, 0, 1]"),
        line("red", "blue", "[9, 0, 0]"),
    ];
    fs::write(folder.join("examples/examples.jsonl"), lines.concat()).unwrap();
}

/// Writes the model with one network that is told what is there.
pub(crate) fn write_masked(folder: &Path) {
    write(folder);
    let (head, _) = DOCUMENT.split_once("[[networks]]").unwrap();
    fs::write(folder.join("model.toml"), format!("{head}[network]\nfile = \"all.pt\"\n")).unwrap();
    let mask = Tensor::from_slice(&[true, false]);
    trace(&folder.join("all.pt"), &[photos(), numbers(), mask], |inputs| {
        let there = |index: i64| inputs[2].select(0, index).to_kind(Kind::Float);
        of_photo(&inputs[0]) * there(0) + of_numbers(&inputs[1]) * there(1)
    });
}

/// Traces a network and saves it.
pub(crate) fn trace(path: &Path, inputs: &[Tensor], mut network: impl FnMut(&[Tensor]) -> Tensor) {
    let mut network = |inputs: &[Tensor]| vec![network(inputs)];
    CModule::create_by_tracing("Network", "forward", inputs, &mut network).unwrap().save(path).unwrap();
}

/// Two photos, as the network takes them.
pub(crate) fn photos() -> Tensor {
    Tensor::zeros([2, 3, 4, 6], (Kind::Float, Device::Cpu))
}

/// How red and how blue a photo is.
pub(crate) fn of_photo(photos: &Tensor) -> Tensor {
    red_and_blue(&photos.mean_dim([2i64, 3].as_slice(), false, None::<Kind>))
}

/// A file of one color, 12x8.
pub(crate) fn picture(color: [u8; 3]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 12, 8);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&color.repeat(12 * 8)).unwrap();
    file
}

fn numbers() -> Tensor {
    Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))
}

fn of_numbers(numbers: &Tensor) -> Tensor {
    red_and_blue(numbers)
}

/// Of red, green and blue, the first and the last.
fn red_and_blue(colors: &Tensor) -> Tensor {
    Tensor::stack(&[colors.select(1, 0), colors.select(1, 2)], 1)
}
