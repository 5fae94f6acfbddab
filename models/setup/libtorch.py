"""Puts libtorch where Cargo looks for it: `.libtorch` in the checkout, a link into a cache all checkouts share.

libtorch is taken out of PyTorch's wheel: the libraries and headers of its C++ half, none of its Python.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Callable, Iterable, Optional

import fetch
from folder import DOWNLOADS, Trouble, cache_home, ensure, is_stamped, locked, megabytes, say, work_folder

VERSION = "2.13.0"
HERE = Path(__file__).resolve().parent
CPU_LISTING = HERE / "libtorch-cpu.txt"
CUDA_LISTING = HERE / "libtorch-cuda.txt"

CPU_LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1"}
CUDA_LIBRARIES = {"libtorch_cuda.so", "libc10_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so", "libcaffe2_nvrtc.so"}
# libtorch_cpu.so opens these by bare name on first use, and looks beside itself.
OPENED_BY_NAME = ("libtorch_cuda_linalg.so", "libcaffe2_nvrtc.so")
# The number goes up when what is unpacked changes, the version when the pins do.
CPU_STAMP = f"libtorch {VERSION} cpu 1\n"
CUDA_STAMP = f"libtorch {VERSION} cuda 1\n"
CUDA_STAMP_NAME = ".stamp-cuda"


def set_up(root: Path, cuda: bool) -> None:
    if own_libtorch(root):
        return
    check_platform()
    home = cache_home() / f"libtorch-{VERSION}"
    link = root / ".libtorch"
    if link.exists() and not link.is_symlink():
        check_version(link / "torch", str(link))
        say(f"libtorch: using the folder {link}")
        return
    ensure(home, CPU_STAMP, 7000 if cuda else 1300, lambda new, downloads: build(new, downloads, cuda))
    if cuda:
        add_cuda(home)
    point(link, home)


def own_libtorch(root: Path) -> bool:
    """The user's own libtorch, chosen by the two variables that torch-sys reads."""
    if os.environ.get("LIBTORCH_USE_PYTORCH", "0") not in ("", "0"):
        # The same Python that torch-sys asks, which need not be the one running this.
        ask = ["python3", "-c", "import torch; print(torch.__version__)"]
        answer = subprocess.run(ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if answer.returncode != 0:
            raise Trouble("LIBTORCH_USE_PYTORCH is set, but python3 cannot import torch: install it, or unset the variable")
        refuse_other(answer.stdout, "python3's torch")
        say(f"libtorch: using python3's torch {answer.stdout.strip()}; keep LIBTORCH_USE_PYTORCH set for cargo too")
        return True
    named = os.environ.get("LIBTORCH")
    if not named or Path(os.path.abspath(named)) == root / ".libtorch" / "torch":
        return False
    check_version(Path(named), f"LIBTORCH={named}")
    say(f"libtorch: using LIBTORCH={named} ({VERSION}); keep it set for cargo too")
    return True


def check_version(torch: Path, called: str) -> None:
    try:
        refuse_other((torch / "build-version").read_text(), called)
    except OSError:
        raise Trouble(f"{called} has no readable build-version file, so it is no unpacked libtorch: point LIBTORCH at a libtorch {VERSION}, or unset it")


def refuse_other(version: str, called: str) -> None:
    # "2.13.0+cpu" and "2.13.0+cu130" are builds of the same version.
    if version.strip().split("+")[0] != VERSION:
        raise Trouble(f"{called} is libtorch {version.strip()}, this project needs {VERSION}: point to that, or unset the variable and set-up fetches it")


def check_platform() -> None:
    machine = os.uname()
    if (machine.sysname, machine.machine) != ("Linux", "x86_64"):
        raise Trouble(f"libtorch is fetched for Linux x86_64 only, this is {machine.sysname} {machine.machine}: set LIBTORCH to an unpacked libtorch {VERSION}")
    if not shutil.which(os.environ.get("CXX") or "c++"):
        raise Trouble("no C++ compiler, and torch-sys needs one: apt-get install g++")


def build(new: Path, downloads: Path, cuda: bool) -> None:
    cpu_wheels = [fetch.wheel(r, downloads) for r in fetch.requirements(CPU_LISTING)]
    unpack(cpu_wheels, new, place_of_cpu)
    if cuda:
        cuda_wheels = [fetch.wheel(r, downloads) for r in fetch.requirements(CUDA_LISTING)]
        unpack(cpu_wheels + cuda_wheels, new, place_of_cuda)
        finish_cuda(new)
    torch = new / "torch"
    (torch / "build-version").write_text(VERSION + "\n")
    # The wheel's libtorch.so would pull the CUDA half in; to the linker this script is the CPU half alone.
    (torch / "lib" / "libtorch.so").write_text("INPUT(libtorch_cpu.so)\n")


def add_cuda(home: Path) -> None:
    """Adds the CUDA half to a CPU set-up that other checkouts may be using: it only adds files, the stamp last."""
    if not is_stamped(home, CUDA_STAMP, CUDA_STAMP_NAME):
        with locked(home):
            if not is_stamped(home, CUDA_STAMP, CUDA_STAMP_NAME):
                fetch_cuda(home)
    say(f"{home.name}: with its CUDA half, {megabytes(home):.0f} MB")


def fetch_cuda(home: Path) -> None:
    begun = time.monotonic()
    with work_folder(home, 6500) as work:
        new = work / "new"
        new.mkdir()
        # torch's wheel once more: the CPU set-up kept only its half of it.
        listed = fetch.requirements(CPU_LISTING, ["torch"]) + fetch.requirements(CUDA_LISTING)
        unpack([fetch.wheel(r, work / DOWNLOADS) for r in listed], new, place_of_cuda)
        finish_cuda(new)
        merge(new, home)
    say(f"{home.name}: CUDA half added in {time.monotonic() - begun:.1f} s")


def finish_cuda(new: Path) -> None:
    (new / "torch" / "lib").mkdir(parents=True, exist_ok=True)
    for name in OPENED_BY_NAME:
        (new / "torch" / "lib" / name).symlink_to(f"../cuda/{name}")
    (new / CUDA_STAMP_NAME).write_text(CUDA_STAMP)


def merge(new: Path, home: Path) -> None:
    """Moves every file to its place; what says "CUDA is here" to the server and to set-up comes last."""
    files = [p for p in new.rglob("*") if p.is_symlink() or p.is_file()]
    files.sort(key=lambda p: (p.name == CUDA_STAMP_NAME, p.name == "libtorch_cuda.so"))
    for path in files:
        place = home / path.relative_to(new)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)


def place_of_cpu(name: str) -> Optional[str]:
    """Where a wheel's file goes in the CPU set, if anywhere."""
    folder, _, base = name.rpartition("/")
    kept = base in CPU_LIBRARIES if folder == "torch/lib" else name.startswith("torch/include/") or is_nvidia_library(name) or is_licence(name)
    return name if kept else None


def place_of_cuda(name: str) -> Optional[str]:
    """The CUDA half stays out of torch/lib: torch-sys links against what it finds there, and one binary serves both."""
    folder, _, base = name.rpartition("/")
    if folder == "torch/lib" and base in CUDA_LIBRARIES:
        return f"torch/cuda/{base}"
    return name if is_nvidia_library(name) or is_licence(name) else None


def is_nvidia_library(name: str) -> bool:
    return name.startswith("nvidia/") and ".so" in name.rpartition("/")[2]


def is_licence(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    return ".dist-info" in folder and base.upper().startswith(("LICENSE", "NOTICE", "COPYING"))


def unpack(wheels: Iterable[Path], into: Path, place: Callable[[str], Optional[str]]) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                name = place(member.filename)
                if name is None or member.is_dir() or ".." in name.split("/"):
                    continue
                path = into / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


def point(link: Path, home: Path) -> None:
    """Makes the checkout's link, in one step for whoever is compiling at this moment."""
    if link.is_symlink() and os.readlink(link) == str(home):
        return
    fresh = link.with_name(f".libtorch.{os.getpid()}")
    fresh.symlink_to(home)
    os.replace(fresh, link)
    say(f"libtorch: {link} -> {home}")
