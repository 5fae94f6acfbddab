"""Rust's standard library for the target that policies are compiled to."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from folder import Trouble, say

TARGET = "wasm32-unknown-unknown"


def set_up(root: Path) -> None:
    if os.environ.get("MOSEL_POLICY_DIR"):
        say("wasm: not needed, MOSEL_POLICY_DIR names prebuilt policies")
        return
    if not shutil.which("rustc"):
        raise Trouble("rustc is not on the PATH: install Rust with rustup, rust-toolchain.toml names the version")
    if has_target(root):
        say(f"wasm: ready, rustc has {TARGET}")
        return
    # rustup says itself how far it is.
    if not shutil.which("rustup") or subprocess.run(["rustup", "target", "add", TARGET], cwd=str(root)).returncode != 0:
        raise Trouble(f"could not add {TARGET} to this Rust: add it by hand, or set MOSEL_POLICY_DIR to a folder of prebuilt components")
    if not has_target(root):
        raise Trouble(f"rustup added {TARGET}, but the rustc on the PATH is not rustup's: put rustup's first, or set MOSEL_POLICY_DIR to a folder of prebuilt components")
    say(f"wasm: added {TARGET}")


def has_target(root: Path) -> bool:
    # Run in the checkout: rust-toolchain.toml decides which toolchain answers.
    ask = ["rustc", "--print", "target-libdir", "--target", TARGET]
    answer = subprocess.run(ask, cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return answer.returncode == 0 and any(Path(answer.stdout.strip()).glob("libstd-*.rlib"))
