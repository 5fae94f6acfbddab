"""What the published implementations answer: a checkpoint of random weights, inputs and outputs for each architecture.

Run by parity.py with the private Python. Each case becomes a folder with what a published checkpoint has (config.json,
weights as the reference itself saves them) beside inputs.safetensors and outputs.safetensors. An output's name says
which modalities the request was served on.

How a modality is left out:
  TVLT  video: a clip of no frames. The published mask cannot: a masked video masks the class token with it.
        audio: one patch that the mask forbids every token to look at.
  ViLT  image: one embedding that the mask forbids. text: the class token alone, which the answer is read from.
  TBN   a stream's features are zero before the fusion.
"""
import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Dict, Tuple

import torch
from bninception import BNInception
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import ViltConfig, ViltForQuestionAnswering
from transformers.models.deprecated.tvlt import TvltConfig, TvltFeatureExtractor, TvltForAudioVisualClassification

LABELS = {number: f"label {number}" for number in range(7)}
Tensors = Dict[str, Tensor]


def main(out: Path, sizes: str) -> None:
    torch.set_num_threads(1)
    if "tiny" in sizes:
        state_files(out / "state-files")
    for size in sizes.split(","):
        for name, case in (("tvlt", tvlt), ("vilt", vilt), ("tbn", tbn)):
            torch.manual_seed(len(name + size))
            folder = out / f"{name}-{size}"
            folder.mkdir(parents=True, exist_ok=True)
            with torch.no_grad():
                inputs, outputs = case(folder, size == "full")
            save_file({name: tensor.contiguous() for name, tensor in inputs.items()}, folder / "inputs.safetensors")
            save_file({name: tensor.contiguous() for name, tensor in outputs.items()}, folder / "outputs.safetensors")
            print(f"{folder.name}: {', '.join(f'{name} {tuple(tensor.shape)}' for name, tensor in inputs.items())}", flush=True)


def tvlt(folder: Path, full: bool) -> Tuple[Tensors, Tensors]:
    small = dict(image_size=16, image_patch_size=[8, 8], audio_patch_size=[8, 8], spectrogram_length=48, frequency_length=16, num_frames=3, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    config = TvltConfig(id2label=LABELS, **({} if full else small))
    model = randomized(TvltForAudioVisualClassification(config))
    model.save_pretrained(folder, safe_serialization=True)
    # ten seconds of sound; the tables of positions are for up to twenty-four
    rows, bands, patch = (864, 128, 16) if full else (32, 16, 8)
    side, frames = config.image_size, config.num_frames
    preprocessor = {"spectrogram_length": rows, "feature_size": bands, **({} if full else {"patch_size": [8, 8], "n_fft": 512})}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    count = 1 if full else 2  # two thousand tokens a clip take their time
    video, audio = torch.randn(count, frames, 3, side, side), torch.rand(count, 1, rows, bands) * 2 - 1
    unseen = torch.zeros(count, 1, patch, bands)
    patches = (side // patch) ** 2 * frames
    outputs = {
        "video+audio": model(video, audio).logits,
        "video": model(video, unseen, pixel_mask=torch.ones(count, patches), audio_mask=torch.zeros(count, bands // patch)).logits,
        "audio": model(video[:, :0], audio).logits,
    }
    inputs = {"video": video, "audio": audio}
    if not full:
        extractor = TvltFeatureExtractor.from_pretrained(folder)
        sound = 0.1 * torch.randn(extractor.hop_length * rows)
        inputs["sound"] = sound
        outputs["spectrogram"] = torch.from_numpy(extractor(sound.numpy(), sampling_rate=extractor.sampling_rate)["audio_values"])
    return inputs, outputs


def vilt(folder: Path, full: bool) -> Tuple[Tensors, Tensors]:
    small = dict(vocab_size=24, image_size=32, patch_size=8, max_position_embeddings=12, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    config = ViltConfig(id2label=LABELS, **({} if full else small))
    model = randomized(ViltForQuestionAnswering(config))
    model.save_pretrained(folder, safe_serialization=False)
    write_vocabulary(folder / "vocab.txt", config.vocab_size)
    # pictures of two shapes, the smaller padded; texts of two lengths
    width, height, side = (512, 384, 384) if full else (48, 32, 32)
    image = torch.randn(2, 3, height, width)
    image_mask = torch.zeros(2, height, width, dtype=torch.long)
    image_mask[0] = 1
    image_mask[1, :, :side] = 1
    image *= image_mask[:, None]
    longest, shorter = (40, 9) if full else (12, 5)
    text = torch.randint(5, config.vocab_size, (2, longest))
    text_mask = torch.ones_like(text)
    text_mask[1, shorter:] = 0
    text = text * text_mask
    text[:, 0] = 2
    class_token = text[:, :1]
    outputs = {
        "image+text": model(text, text_mask, pixel_values=image, pixel_mask=image_mask).logits,
        "text": model(text, text_mask, image_embeds=torch.zeros(2, 1, config.hidden_size), pixel_mask=torch.zeros(2, 1)).logits,
        "image": model(class_token, torch.ones_like(class_token), pixel_values=image, pixel_mask=image_mask).logits,
    }
    return {"image": image, "image_mask": image_mask, "text": text, "text_mask": text_mask}, outputs


def write_vocabulary(path: Path, size: int) -> None:
    """BERT's special tokens where they are here, and words that mean nothing."""
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"word{number}" for number in range(5, size)]) + "\n")


class Tbn(nn.Module):
    """The published network around the published BN-Inception: its streams, names and fusion."""

    CHANNELS = {"rgb": 3, "flow": 10, "spec": 1}

    def __init__(self, sides: Dict[str, int], divisor: int, labels: int) -> None:
        super().__init__()
        for name, channels in self.CHANNELS.items():
            stream = BNInception(num_classes=1)
            del stream.last_linear
            narrow(stream, divisor)
            first = stream.conv1_7x7_s2
            stream.conv1_7x7_s2 = nn.Conv2d(channels, first.out_channels, first.kernel_size, first.stride, first.padding)
            # 7 for pictures of 224 pixels, 8 for spectrograms of 256, as published
            stream.global_pool = nn.AvgPool2d(sides[name] // 32)
            self.add_module(name, stream)
        self.fusion_classification_net = nn.Module()
        self.fusion_classification_net.fc1 = nn.Linear(3 * 1024 // divisor, 512 // divisor)
        self.fusion_classification_net.fc_action = nn.Linear(512 // divisor, labels)

    def forward(self, inputs: Tensors, selected: Tuple[str, ...]) -> Tensor:
        features = [self.features(name, inputs[name], name in selected) for name in self.CHANNELS]
        fused = torch.relu(self.fusion_classification_net.fc1(torch.cat(features, 1)))
        return self.fusion_classification_net.fc_action(fused)

    def features(self, name: str, pictures: Tensor, selected: bool) -> Tensor:
        stream = getattr(self, name)
        features = stream.global_pool(stream.features(pictures)).flatten(1)
        return features if selected else torch.zeros_like(features)


def narrow(stream: nn.Module, divisor: int) -> None:
    """The same network with fewer channels everywhere, for small fixtures."""
    for name, module in list(stream.named_children()):
        if isinstance(module, nn.Conv2d):
            inputs, outputs = max(module.in_channels // divisor, 1), module.out_channels // divisor
            setattr(stream, name, nn.Conv2d(inputs, outputs, module.kernel_size, module.stride, module.padding))
        elif isinstance(module, nn.BatchNorm2d):
            setattr(stream, name, nn.BatchNorm2d(module.num_features // divisor))


def tbn(folder: Path, full: bool) -> Tuple[Tensors, Tensors]:
    sides = {"rgb": 224, "flow": 224, "spec": 256} if full else {"rgb": 32, "flow": 32, "spec": 64}
    divisor = 1 if full else 32
    model = randomized(Tbn(sides, divisor, len(LABELS)))
    state = OrderedDict((f"module.{name}", tensor) for name, tensor in model.state_dict().items())
    if full:
        # as the published training script saves it: in parallel form, among what else it knows
        torch.save({"epoch": 1, "arch": "BNInception", "state_dict": state, "best_prec1": 12.5}, folder / "model_best.pth.tar")
    else:
        save_file(state, folder / "model.safetensors")  # half the size for so many small tensors
    config = {"model_type": "tbn", "head": "action", "id2label": LABELS}
    if not full:
        config.update(sampling_rate=8000, width_divisor=divisor, image_size=sides["rgb"], spectrogram_size=sides["spec"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    inputs = {name: 50 * torch.randn(1 + full, channels, sides[name], sides[name]) for name, channels in Tbn.CHANNELS.items()}
    inputs["spec"] = 3 * torch.randn_like(inputs["spec"]) - 5
    selections = [tuple(name for bit, name in enumerate(Tbn.CHANNELS) if bits >> bit & 1) for bits in range(1, 8)]
    return inputs, {"+".join(selected).replace("spec", "audio"): model(inputs, selected) for selected in selections}


class Forbidden:
    """Runs something when it is read back by an ordinary unpickler."""

    def __reduce__(self) -> tuple:
        return print, ("this was run",)


def state_files(folder: Path) -> None:
    """Files to read and files to refuse."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = torch.arange(6.0).reshape(2, 3)
    kinds = {"fp32": steps, "fp16": steps.half(), "bf16": steps.bfloat16(), "int64": steps.long()}
    torch.save(OrderedDict(kinds), folder / "kinds.pt")
    shared = torch.arange(12.0)
    nested = {"epoch": 3, "note": ("a", None, [1.5, True]), "state_dict": OrderedDict({"module.first": shared[:4], "module.rest": nn.Parameter(shared[4:].reshape(2, 4)), "module.count": torch.tensor(9)})}
    torch.save(nested, folder / "nested.pth.tar")
    torch.save({"turned": steps.t()}, folder / "turned.pt")
    torch.save({"fp32": steps, "more": Forbidden()}, folder / "forbidden.pt")
    torch.save({"fp32": steps}, folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(steps, folder / "tensor.pt")


def randomized(model: nn.Module) -> nn.Module:
    """Random numbers everywhere, also where training starts with zeros: a part that is not computed shows."""
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        if parameter.ndim == 1:
            parameter.data = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif "embed" in name and "projection" not in name:
            parameter.data = 0.2 * noise
        else:
            parameter.data = noise / parameter[0].numel() ** 0.5 * (2.0 if parameter.ndim == 4 else 1.0) ** 0.5
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.1 * torch.randn_like(buffer))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand_like(buffer))
    return model.eval()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
