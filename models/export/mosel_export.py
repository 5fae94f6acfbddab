"""Writes a PyTorch model as a folder that `mosel models add` takes: `model.toml`, TorchScript networks, examples.

Needs torch alone. Start reading at `export`; README.md says what every key means.
"""
from __future__ import annotations

import io
import itertools
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch

FORMAT = "mosel-model/1"
MOST_MODALITIES = 5
# What a file begins with, and how it is called.
SIGNATURES = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpg"), (b"RIFF", "wav"), (b"fLaC", "flac"))


def export(
    model: torch.nn.Module,
    folder: "str | Path",
    *,
    name: str,
    labels: Sequence[str],
    modalities: Sequence[Dict[str, Any]],
    examples: Sequence[Tuple[str, Dict[str, Any]]] = (),
    precisions: Sequence[str] = ("fp32",),
    masked: bool = False,
    files: Optional[Dict[str, "str | Path"]] = None,
) -> Path:
    """Writes the folder, whole or not at all, and returns its path. It must not be there yet.

    `model(**tensors)` answers logits `[batch, labels]`. It is called with a keyword for every modality that is selected
    (`photo=...`; text `words` comes as `words=...` and `words_mask=...`) and traced once for every selection. With
    `masked`, it is scripted instead: `forward` takes every modality's tensors in order, then `[modalities]` booleans.

    `modalities` are the tables of model.toml as dictionaries. An example is a label and an input for every modality:
    a file's bytes, a list of them, text, or (nested lists of) numbers. `files` are copied: a tokenizer, for one.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already")
    if not 1 <= len(modalities) <= MOST_MODALITIES:
        raise ValueError(f"expected 1 to {MOST_MODALITIES} modalities, got {len(modalities)}")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        model = model.eval()
        with torch.no_grad():
            write = _write_masked if masked else _write_selections
            networks = write(model, partial, labels, modalities)
        head = {"format": FORMAT, "name": name, "labels": list(labels), "precisions": list(precisions)}
        text = _table(head) + "".join("\n[[modalities]]\n" + _table(modality) for modality in modalities)
        (partial / "model.toml").write_text(text + networks, encoding="utf-8")
        for target, source in (files or {}).items():
            shutil.copyfile(str(source), str(partial / target))
        if examples:
            _write_examples(partial / "examples", examples)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(folder)
    return folder


def tensors(modality: Dict[str, Any], batch: int) -> Dict[str, torch.Tensor]:
    """Made-up tensors of a modality, by the keyword that the model takes them by: what the server will put in."""
    name, shape = modality["name"], [batch] + _shape(modality)
    if modality["kind"] == "text":
        numbers = torch.zeros(shape, dtype=torch.int64)
        return {name: numbers, name + "_mask": torch.ones_like(numbers)}
    if modality.get("dtype") == "int64":
        if not {"least", "most"} <= set(modality):
            raise ValueError(f"{name}: expected least and most beside dtype int64, got {sorted(modality)}")
        return {name: torch.zeros(shape, dtype=torch.int64)}
    return {name: torch.rand(shape, generator=torch.Generator().manual_seed(batch))}


def _shape(modality: Dict[str, Any]) -> List[int]:
    kind, layout = modality["kind"], modality.get("layout", "channels-first")
    if kind == "text":
        return [modality["max_tokens"]]
    if kind == "samples":
        return list(modality["shape"])
    if kind == "sound":
        spectrogram = modality.get("log_mel")
        if spectrogram is None:
            return [modality["samples"]]
        return [spectrogram.get("bands", spectrogram["fft"] // 2 + 1), spectrogram["frames"]]
    if kind not in ("picture", "video"):
        raise ValueError(f"expected a kind picture, video, sound, text or samples, got {kind!r}")
    sides = [modality["height"], modality["width"]]
    frames = [modality["frames"]] if kind == "video" else []
    if layout == "channels-last":
        return frames + sides + [3]
    if layout == "channels-time":
        return [3] + frames + sides
    return frames + [3] + sides


class _Selected(torch.nn.Module):
    """The model on some of its modalities: positions instead of keywords, which is all that a trace knows."""

    def __init__(self, model: torch.nn.Module, keywords: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.keywords = list(keywords)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.keywords, inputs)))


def _write_selections(
    model: torch.nn.Module, folder: Path, labels: Sequence[str], modalities: Sequence[Dict[str, Any]]
) -> str:
    tables = []
    for count in range(1, len(modalities) + 1):
        for selected in itertools.combinations(modalities, count):
            names = [modality["name"] for modality in selected]
            inputs = [_all_tensors(selected, batch) for batch in (2, 3)]
            network = _Selected(model, list(inputs[0]))
            traced = torch.jit.trace(network, tuple(inputs[0].values()))
            for given in inputs:
                _check("+".join(names), traced, network, list(given.values()), len(labels))
            file = "-".join(names) + ".pt"
            _save(traced, folder / file)
            tables.append("\n[[networks]]\n" + _table({"modalities": names, "file": file}))
    return "".join(tables)


def _write_masked(
    model: torch.nn.Module, folder: Path, labels: Sequence[str], modalities: Sequence[Dict[str, Any]]
) -> str:
    scripted = torch.jit.script(model)
    for batch in (2, 3):
        for there in itertools.product((True, False), repeat=len(modalities)):
            if any(there):
                given = []
                for modality, present in zip(modalities, there):
                    made = tensors(modality, batch).values()
                    given += [tensor if present else torch.zeros_like(tensor) for tensor in made]
                given.append(torch.tensor(there))
                _check(f"mask {list(there)}", scripted, model, given, len(labels))
    _save(scripted, folder / "network.pt")
    return "\n[network]\n" + _table({"file": "network.pt"})


def _save(network: torch.jit.ScriptModule, path: Path) -> None:
    """Without what PyTorch writes for debuggers: it names every source file by its place on this machine."""
    whole = io.BytesIO()
    torch.jit.save(network, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(str(path), "w", zipfile.ZIP_STORED) as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                # a zip's first day: the same model gives the same bytes, whenever it is written
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))


def _all_tensors(modalities: Sequence[Dict[str, Any]], batch: int) -> Dict[str, torch.Tensor]:
    every: Dict[str, torch.Tensor] = {}
    for modality in modalities:
        every.update(tensors(modality, batch))
    return every


def _check(what: str, network: torch.nn.Module, model: torch.nn.Module, inputs: List[torch.Tensor], labels: int) -> None:
    """What was traced must answer as the model does, with batches that it was not traced with too."""
    answer, expected = network(*inputs), model(*inputs)
    shape = (len(inputs[0]), labels)
    if tuple(answer.shape) != shape:
        raise ValueError(f"{what}: expected logits of {shape}, got {tuple(answer.shape)}")
    torch.testing.assert_close(answer, expected, msg=lambda text: f"{what}: the network differs from the model: {text}")


def _write_examples(folder: Path, examples: Sequence[Tuple[str, Dict[str, Any]]]) -> None:
    folder.mkdir()
    lines = []
    for number, (label, inputs) in enumerate(examples, 1):
        written = {name: _input(folder, f"{number}-{name}", given) for name, given in inputs.items()}
        lines.append(json.dumps({"label": label, "inputs": written}) + "\n")
    (folder / "examples.jsonl").write_text("".join(lines), encoding="utf-8")


def _input(folder: Path, stem: str, given: Any) -> Any:
    if isinstance(given, bytes):
        return {"file": _file(folder, stem, given)}
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], bytes):
        return {"files": [_file(folder, f"{stem}-{frame}", content) for frame, content in enumerate(given)]}
    if isinstance(given, torch.Tensor):
        return given.tolist()
    return given


def _file(folder: Path, stem: str, content: bytes) -> str:
    ending = next((ending for begin, ending in SIGNATURES if content.startswith(begin)), "bin")
    name = f"{stem}.{ending}"
    (folder / name).write_bytes(content)
    return name


def _table(table: Dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    # strings, numbers and booleans are written alike in JSON and TOML, but for escaped surrogates and a bare delete
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
