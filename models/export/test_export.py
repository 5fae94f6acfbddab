"""Tests of mosel_export: python3 models/export/test_export.py, with a Python that has torch."""
import json
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from typing import Any, Dict, Optional

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import mosel_export

PHOTO = {"name": "photo", "kind": "picture", "height": 8, "width": 6, "mean": [0.5, 0.5, 0.5]}
VOICE = {"name": "voice", "kind": "sound", "hertz": 8000, "samples": 800, "log_mel": {"fft": 64, "hop": 64, "frames": 12, "bands": 10}}
WORDS = {"name": "words", "kind": "text", "tokenizer": "tokenizer.json", "max_tokens": 5}
LABELS = ["cat", "dog", "bird"]
# the beginning of a picture is all that is looked at here
PNG = b"\x89PNG and so on"


class Network(torch.nn.Module):
    """The mean of what every modality that is there says."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.photo = torch.nn.Conv2d(3, 4, 3)
        self.voice = torch.nn.Linear(10, 4)
        self.words = torch.nn.Embedding(20, 4)
        self.head = torch.nn.Linear(4, len(LABELS))

    def forward(
        self,
        photo: Optional[torch.Tensor] = None,
        voice: Optional[torch.Tensor] = None,
        words: Optional[torch.Tensor] = None,
        words_mask: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        seen = []
        if photo is not None:
            seen.append(self.photo(photo).mean(dim=(2, 3)))
        if voice is not None:
            seen.append(self.voice(voice.mean(dim=2)))
        if words is not None:
            there = words_mask.unsqueeze(2).to(torch.float32)
            seen.append((self.words(words) * there).sum(dim=1) / there.sum(dim=1))
        return self.head(torch.stack(seen).mean(dim=0))


class Masked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.photo = torch.nn.Linear(3, len(LABELS))
        self.voice = torch.nn.Linear(10, len(LABELS))

    def forward(self, photo: torch.Tensor, voice: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros([photo.shape[0], 3], dtype=photo.dtype)
        if bool(there[0]):
            logits = logits + self.photo(photo.mean(dim=[2, 3]))
        if bool(there[1]):
            logits = logits + self.voice(voice.mean(dim=2))
        return logits


class Means(torch.nn.Module):
    """Three times the mean of what is there."""

    def forward(self, clip: Optional[torch.Tensor] = None, numbers: Optional[torch.Tensor] = None) -> torch.Tensor:
        means = [given.flatten(1).mean(dim=1) for given in (clip, numbers) if given is not None]
        return torch.stack([sum(means)] * 3, dim=1)


class ExportTest(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.tokenizer = self.place / "a-tokenizer.json"
        self.tokenizer.write_text("{}")

    def export(self, model: torch.nn.Module, **changed: Any) -> Path:
        given: Dict[str, Any] = dict(name="pets", labels=LABELS, modalities=[PHOTO, VOICE, WORDS], files={"tokenizer.json": self.tokenizer})
        given.update(changed)
        return mosel_export.export(model, self.place / "pets", **given)

    def test_every_selection_has_a_network_that_answers_as_the_model_does(self) -> None:
        model = Network()
        folder = self.export(model)
        files = sorted(file.name for file in folder.iterdir())
        networks = ["photo-voice-words.pt", "photo-voice.pt", "photo-words.pt", "photo.pt", "voice-words.pt", "voice.pt", "words.pt"]
        self.assertEqual(files, ["model.toml"] + networks[:4] + ["tokenizer.json"] + networks[4:])
        given = {**mosel_export.tensors(PHOTO, 5), **mosel_export.tensors(WORDS, 5)}
        network = torch.jit.load(str(folder / "photo-words.pt"))
        torch.testing.assert_close(network(*given.values()), model(**given))

    def test_a_network_names_no_place_of_the_machine_that_wrote_it(self) -> None:
        with zipfile.ZipFile(str(self.export(Network()) / "photo-voice-words.pt")) as network:
            content = b"".join(network.read(name) for name in network.namelist())
        self.assertIn(b"__torch__", content)
        self.assertNotIn(str(Path(__file__).resolve().parent).encode(), content)
        self.assertNotIn(str(Path(torch.__file__).resolve().parent).encode(), content)

    def test_the_document_says_what_was_given(self) -> None:
        folder = self.export(Network(), precisions=["fp32", "bf16"])
        text = (folder / "model.toml").read_text()
        for line in ('format = "mosel-model/1"', 'labels = ["cat", "dog", "bird"]', 'precisions = ["fp32", "bf16"]', "mean = [0.5, 0.5, 0.5]"):
            self.assertIn(line + "\n", text)
        self.assertIn("log_mel = { fft = 64, hop = 64, frames = 12, bands = 10 }\n", text)
        self.assertIn('[[networks]]\nmodalities = ["photo", "voice"]\nfile = "photo-voice.pt"\n', text)

    def test_labels_are_written_as_they_are(self) -> None:
        folder = self.export(Network(), labels=["\U0001f431", "a\x7fb", 'c"d'])
        self.assertIn('labels = ["\U0001f431", "a\\u007fb", "c\\"d"]\n', (folder / "model.toml").read_text(encoding="utf-8"))

    def test_one_network_may_be_told_what_is_there(self) -> None:
        folder = self.export(Masked(), modalities=[PHOTO, VOICE], masked=True, files=None)
        self.assertIn('[network]\nfile = "network.pt"\n', (folder / "model.toml").read_text())
        network = torch.jit.load(str(folder / "network.pt"))
        photo, voice = torch.rand(4, 3, 8, 6), torch.rand(4, 10, 12)
        without = network(photo, voice, torch.tensor([True, False]))
        torch.testing.assert_close(without, network(photo, voice * 9, torch.tensor([True, False])))

    def test_examples_are_files_lists_and_text(self) -> None:
        clip = {"name": "clip", "kind": "video", "frames": 2, "height": 4, "width": 4}
        numbers = {"name": "numbers", "kind": "samples", "shape": [2, 2]}
        examples = [("dog", {"clip": [PNG, PNG], "numbers": torch.ones(2, 2)})]
        folder = self.export(Means(), modalities=[clip, numbers], examples=examples, files=None)
        line = json.loads((folder / "examples" / "examples.jsonl").read_text())
        files = ["1-clip-0.png", "1-clip-1.png"]
        self.assertEqual(line, {"label": "dog", "inputs": {"clip": {"files": files}, "numbers": [[1.0, 1.0], [1.0, 1.0]]}})
        self.assertEqual((folder / "examples" / files[1]).read_bytes(), PNG)

    def test_a_model_that_forgets_a_label_or_follows_its_input_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, r"photo: expected logits of \(2, 2\), got \(2, 3\)"):
            self.export(Network(), labels=["cat", "dog"])
        self.assertEqual([file.name for file in self.place.iterdir()], ["a-tokenizer.json"])

        class Follows(torch.nn.Module):
            def forward(self, numbers: torch.Tensor) -> torch.Tensor:
                return numbers if len(numbers) == 2 else -numbers

        numbers = {"name": "numbers", "kind": "samples", "shape": [3]}
        with self.assertRaisesRegex(AssertionError, "numbers: the network differs from the model"):
            self.export(Follows(), modalities=[numbers], files=None)

    def test_nothing_is_overwritten(self) -> None:
        self.export(Network())
        with self.assertRaisesRegex(FileExistsError, "pets is there already"):
            self.export(Network())


if __name__ == "__main__":
    unittest.main()
