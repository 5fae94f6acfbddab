#!/usr/bin/env python3
"""Made models/torch/tests/fixtures/exported, once: a folder as `export` writes it, and what PyTorch answers to its examples.

`models/torch/tests/all/exported.rs` asks the same in Rust. Run it with a Python that has torch; not needed to build or test.
"""
import io
import itertools
import json
import struct
import sys
import wave
import zlib
from pathlib import Path
from typing import List, Optional

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import mosel_export

FOLDER = Path(__file__).resolve().parents[1] / "torch" / "tests" / "fixtures" / "exported"
LABELS = ["cat", "dog", "bird"]
MEAN, DEVIATION = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]
HEIGHT, WIDTH, HERTZ, SAMPLES = 6, 8, 8000, 400


class Network(torch.nn.Module):
    """The mean of what every modality that is there says."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.photo = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.GELU())
        self.voice = torch.nn.Sequential(torch.nn.Linear(SAMPLES, 8), torch.nn.GELU())
        self.head = torch.nn.Linear(8, len(LABELS))

    def forward(self, photo: Optional[torch.Tensor] = None, voice: Optional[torch.Tensor] = None) -> torch.Tensor:
        seen = []
        if photo is not None:
            seen.append(self.photo(photo).mean(dim=(2, 3)))
        if voice is not None:
            seen.append(self.voice(voice))
        return self.head(torch.stack(seen).mean(dim=0)) * 10


def png(pixels: torch.Tensor) -> bytes:
    """A file of `[height, width, 3]` bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(samples: List[int]) -> bytes:
    """A file of one channel of 16 bits."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HERTZ)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return content.getvalue()


def main() -> None:
    model = Network().eval()
    generator = torch.Generator().manual_seed(1)
    photos = torch.randint(0, 256, [6, HEIGHT, WIDTH, 3], generator=generator)
    voices = torch.randint(-20000, 20000, [6, SAMPLES], generator=generator)
    mean, deviation = torch.tensor(MEAN), torch.tensor(DEVIATION)
    inputs = {"photo": ((photos / 255 - mean) / deviation).permute(0, 3, 1, 2), "voice": voices / 32768}
    answers = {}
    with torch.no_grad():
        for names in itertools.chain(itertools.combinations(inputs, 1), [tuple(inputs)]):
            best = torch.softmax(model(**{name: inputs[name] for name in names}), dim=1).max(dim=1)
            rows = zip(best.indices.tolist(), best.values.tolist())
            answers["+".join(names)] = [{"label": LABELS[label], "probability": round(chance, 6)} for label, chance in rows]
    examples = [
        (answer["label"], {"photo": png(photo), "voice": wav(voice.tolist())})
        for photo, voice, answer in zip(photos, voices, answers["photo+voice"])
    ]
    photo = {"name": "photo", "kind": "picture", "height": HEIGHT, "width": WIDTH, "mean": MEAN, "deviation": DEVIATION}
    voice = {"name": "voice", "kind": "sound", "hertz": HERTZ, "samples": SAMPLES}
    mosel_export.export(
        model, FOLDER, name="exported", labels=LABELS, modalities=[photo, voice], examples=examples, precisions=["fp32", "bf16"]
    )
    (FOLDER / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
