//! Documents that are read, and every way in which one is refused.

use super::*;

const SOUND: &str = r#"
format = "mosel-model/1"
name = "pets"
labels = ["cat", "dog"]
precisions = ["fp32", "bf16"]

[[modalities]]
name = "photo"
kind = "picture"
height = 64
width = 48
fit = "crop"
mean = [0.5, 0.5, 0.5]

[[modalities]]
name = "voice"
kind = "sound"
hertz = 16000
samples = 16000
log_mel = { fft = 512, hop = 160, frames = 100, bands = 40, scale = "htk" }

[[networks]]
modalities = ["photo"]
file = "photo.pt"

[[networks]]
modalities = ["voice"]
file = "voice.pt"

[[networks]]
modalities = ["photo", "voice"]
file = "both.pt"
"#;

fn refusal(from: &str, to: &str) -> String {
    let text = SOUND.replacen(from, to, 1);
    assert_ne!(text, SOUND, "{from} is not in the document");
    format!("{:#}", Declaration::parse(&text).unwrap_err())
}

#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    let refusal = refusal(from, to);
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn a_document_says_what_the_model_expects() {
    let declaration = Declaration::parse(SOUND).unwrap();
    assert_eq!(declaration.files(), ["both.pt", "photo.pt", "voice.pt"]);
    assert_eq!(declaration.precisions, [Precision::Fp32, Precision::Bf16]);
    let spec = declaration.spec("abc");
    assert_eq!(spec.modality_names(), ["photo", "voice"]);
    assert_eq!(spec.modalities[0].kind, InputKind::Picture { max_side: 2048, raw: vec![64, 48, 3] });
    assert_eq!(spec.modalities[1].kind, InputKind::Sound { hertz: 16_000, samples: 16_000 });
    let Networks::PerSelection(networks) = declaration.networks else { panic!("one for every selection") };
    assert_eq!(networks[2], (ModalitySet::all(2), "both.pt".into()));
}

#[test]
fn one_network_may_serve_all_selections() {
    let begin = SOUND.find("[[networks]]").unwrap();
    let masked = format!("{}[network]\nfile = \"all.pt\"\n", &SOUND[..begin]);
    assert_eq!(Declaration::parse(&masked).unwrap().networks, Networks::Masked("all.pt".into()));
    let both = format!("{SOUND}[network]\nfile = \"all.pt\"\n");
    let refusal = Declaration::parse(&both).unwrap_err().to_string();
    assert_eq!(refusal, "expected [[networks]] or [network], got both");
    assert!(Declaration::parse(&SOUND[..begin]).unwrap_err().to_string().contains("got none"));
}

#[test]
fn every_kind_has_its_own_keys() {
    let text = "format = \"mosel-model/1\"\nname = \"m\"\nlabels = [\"a\", \"b\"]\nnetwork = { file = \"n.pt\" }\n\
                [[modalities]]\nname = \"clip\"\nkind = \"video\"\nframes = 8\nheight = 4\nwidth = 4\n\
                layout = \"channels-time\"\n\
                [[modalities]]\nname = \"words\"\nkind = \"text\"\ntokenizer = \"t.json\"\nmax_tokens = 9\n\
                [[modalities]]\nname = \"ids\"\nkind = \"samples\"\nshape = [2, 3]\ndtype = \"int64\"\n\
                least = 0\nmost = 9\n";
    let declaration = Declaration::parse(text).unwrap();
    assert_eq!(declaration.files(), ["n.pt", "t.json"]);
    let (clip, words, ids) = (&declaration.modalities[0], &declaration.modalities[1], &declaration.modalities[2]);
    assert!(matches!(&clip.1, Preparation::Pixels(Pixels { frames: Some(8), layout: Layout::ChannelsTime, .. })));
    assert!(matches!(&words.1, Preparation::Words(Words { max_tokens: 9, padding: 0, .. })));
    assert!(matches!(&ids.1, Preparation::Numbers { number: Number::Whole { least: 0, most: 9 }, .. }));
    assert!(matches!(&clip.0.kind, InputKind::Video { max_side: 2048, .. }));
    let refused = |from: &str, to: &str| format!("{:#}", Declaration::parse(&text.replace(from, to)).unwrap_err());
    assert!(refused("least = 0\n", "").ends_with("expected least and most beside dtype = \"int64\", got one or none"));
    assert!(refused("dtype = \"int64\"\n", "").ends_with("least and most of whole numbers (dtype = \"int64\") only"));
    assert!(refused("most = 9", "most = 16777217").ends_with("<= most <= 16777216, got 0 and 16777217"));
    assert!(refused("least = 0", "least = 10").ends_with("got 10 and 9"));
    let large = refused("frames = 8", "frames = 64\nmax_side = 1025");
    assert!(large.ends_with("expected at most 67108864 pixels of all frames together, got 64 of 1025x1025"), "{large}");
    let long = Declaration::parse(&text.replace("frames = 8", "frames = 64")).unwrap();
    assert!(matches!(&long.modalities[0].0.kind, InputKind::Video { max_side: 1024, .. }));
    let refusal = format!("{:#}", Declaration::parse(&text.replace("max_tokens = 9", "hertz = 9")).unwrap_err());
    assert!(refusal.contains("modalities[1] (words): unknown field `hertz`"), "{refusal}");
}

#[test]
fn what_is_refused_says_where_what_was_expected_and_what_came() {
    check("mosel-model/1", "mosel-model/2", r#"expected format = "mosel-model/1", got "mosel-model/2""#);
    check("labels =", "label =", "unknown field `label`");
    check("\"pets\"", "\"../pets\"", r#"name: expected 1 to 64 of a-z"#);
    check(r#"["cat", "dog"]"#, r#"["cat"]"#, "labels: so many: expected 2 to 10000, got 1");
    check(r#"["cat", "dog"]"#, r#"["cat", "cat"]"#, r#"labels: expected each once, got "cat" twice"#);
    check("\"bf16\"]", "\"int8\"]", r#"precisions: expected a precision fp32, bf16 or fp16, got "int8""#);
    check("[\"fp32\", ", "[", "precisions: expected fp32 first");
    check("kind = \"picture\"", "kind = \"smell\"", r#"modalities[0] (photo): kind: expected picture, video"#);
    check("height = 64", "heigth = 64", "modalities[0] (photo): unknown field `heigth`");
    check("height = 64", "height = 0", "modalities[0] (photo): height: expected 1 to 1024, got 0");
    check("height = 64", "height = -1", "modalities[0] (photo)");
    check("height = 64", "height = 64\nmax_side = 9000", "max_side: expected 1 to 8192, got 9000");
    check("fit = \"crop\"", "fit = \"bend\"", "unknown variant `bend`");
    check("fit = \"crop\"", "layout = \"channels-time\"", "layout: expected channels-time of videos only");
    check("[0.5, 0.5, 0.5]", "[0.5, 0.5, nan]", "mean: expected finite numbers");
    check("samples = 16000", "samples = 960001", "samples: expected 1 to 960000, got 960001");
    check("fft = 512", "fft = 1", "modalities[1] (voice): log_mel: expected an fft of 2 to 16384 samples, got 1");
    check(
        "fft = 512, hop = 160, frames = 100, bands = 40, scale = \"htk\"",
        "fft = 16384, hop = 1, frames = 16384",
        "log_mel: expected at most 16777216 numbers, got 8193 bands of 16384 frames",
    );
    check("frames = 100", "frames = 100, added = inf", "log_mel: expected a level of finite numbers above 0");
    check("bands = 40, ", "", "log_mel: expected bands beside scale");
    check("frames = 100", "frames = 100, least = 1.0", "log_mel: expected least and range with level");
    check("name = \"voice\"", "name = \"photo\"", "modalities[1] (photo): expected each name once");
    check("name = \"voice\"", "name = \"job\"", "name: expected another than job");
    check("\"both.pt\"", "\"../both.pt\"", r#"networks[2].file: expected the name of a file beside model.toml"#);
    check(r#"["photo", "voice"]"#, r#"["photo", "smell"]"#, r#"expected some of photo, voice, got "smell""#);
    check(r#"["photo", "voice"]"#, r#"["voice"]"#, "networks[2]: expected one network for voice, got another");
    let (alone, _) = SOUND.rsplit_once("[[networks]]").unwrap();
    let refusal = Declaration::parse(alone).unwrap_err().to_string();
    assert!(refusal.ends_with("none is for photo+voice"), "{refusal}");
}
