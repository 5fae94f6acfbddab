"""Set-up's own logic, without network: what may be unpickled, what is written, and what an interruption leaves.

Run it as `python3 models/setup/test_setup.py`.
"""
from __future__ import annotations

import array
import collections
import contextlib
import fcntl
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import types
import unittest
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List
from unittest import mock

import assets
import convert
import doom
import fetch
import folder
import libtorch
from folder import Trouble

HERE = Path(__file__).resolve().parent


class InScratch(unittest.TestCase):
    """Gives each test a folder of its own, and keeps set-up's lines off the screen."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        quiet = contextlib.redirect_stdout(io.StringIO())
        self.said = quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)


class Folders(InScratch):
    def build(self, new: Path, downloads: Path) -> None:
        self.built = getattr(self, "built", 0) + 1
        (new / "file").write_text("content")

    def test_second_run_does_nothing(self) -> None:
        home = self.scratch / "part"
        self.assertTrue(folder.ensure(home, "v1", 0, self.build))
        self.assertFalse(folder.ensure(home, "v1", 0, self.build))
        self.assertEqual(self.built, 1)

    def test_other_version_is_made_anew(self) -> None:
        home = self.scratch / "part"
        folder.ensure(home, "v1", 0, self.build)
        (home / "left over").write_text("")
        self.assertTrue(folder.ensure(home, "v2", 0, self.build))
        self.assertEqual(sorted(os.listdir(home)), [".stamp", "file"])

    def test_interruption_leaves_no_folder_and_no_stamp(self) -> None:
        home = self.scratch / "part"

        def interrupted(new: Path, downloads: Path) -> None:
            (new / "half").write_text("")
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            folder.ensure(home, "v1", 0, interrupted)
        self.assertFalse(home.exists())
        self.assertTrue(folder.ensure(home, "v1", 0, self.build))
        self.assertEqual(sorted(os.listdir(home)), [".stamp", "file"])

    def test_interruption_keeps_the_old_version(self) -> None:
        home = self.scratch / "part"
        folder.ensure(home, "v1", 0, self.build)
        with self.assertRaises(Trouble):
            folder.ensure(home, "v2", 0, mock.Mock(side_effect=Trouble("no network")))
        self.assertTrue(folder.is_stamped(home, "v1"))

    def test_finished_downloads_survive_an_interruption(self) -> None:
        home = self.scratch / "part"

        def interrupted(new: Path, downloads: Path) -> None:
            (downloads / "done.whl").write_text("")
            (downloads / "unfinished").mkdir()
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            folder.ensure(home, "v1", 0, interrupted)
        seen: List[str] = []
        folder.ensure(home, "v1", 0, lambda new, downloads: seen.extend(os.listdir(downloads)))
        self.assertEqual(seen, ["done.whl"])
        self.assertEqual(sorted(os.listdir(self.scratch)), [".part.lock", "part"])

    def test_second_set_up_waits_for_the_first_and_finds_its_work(self) -> None:
        home = self.scratch / "part"
        with open(folder.beside(home, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            second = threading.Thread(target=folder.ensure, args=(home, "v1", 0, self.build))
            second.start()
            folder.make(home, "v1", 0, self.build)
        second.join()
        self.assertEqual(self.built, 1)

    def test_complete_folder_needs_no_writing(self) -> None:
        home = self.scratch / "part"
        folder.ensure(home, "v1", 0, self.build)
        with mock.patch.object(folder, "locked", side_effect=PermissionError):
            self.assertFalse(folder.ensure(home, "v1", 0, self.build))

    def test_full_disk_is_seen_before_the_download(self) -> None:
        build = mock.Mock()
        with self.assertRaisesRegex(Trouble, "make room"):
            folder.ensure(self.scratch / "part", "v1", 10**12, build)
        build.assert_not_called()


class Unpicklers(unittest.TestCase):
    def test_foreign_name_is_refused(self) -> None:
        for read in (lambda data: convert.read_legacy_torch(io.BytesIO(data)), lambda data: convert.read_npy_object(npy(data))):
            with self.assertRaisesRegex(convert.Refused, "asks for (posix|nt).system"):
                read(pickle.dumps(Call(os.system, "false"), 2))

    def test_builtins_are_foreign_too(self) -> None:
        with self.assertRaisesRegex(convert.Refused, "eval"):
            convert.read_npy_object(npy(pickle.dumps(Call(eval, "1"), 2)))

    def test_state_dict_comes_out_as_it_was_saved(self) -> None:
        got = convert.read_legacy_torch(io.BytesIO(legacy({"w": ("a", 1, (2, 2), (2, 1)), "count": ("n", 0, (), ())})))
        self.assertEqual(got, {"w": convert.tensor("F32", [1, 2, 3, 4], (2, 2))})

    def test_transposed_tensor_is_refused(self) -> None:
        with self.assertRaisesRegex(convert.Refused, "not contiguous"):
            convert.read_legacy_torch(io.BytesIO(legacy({"w": ("a", 0, (2, 2), (1, 2))})))

    def test_tensor_beyond_its_storage_is_refused(self) -> None:
        with self.assertRaisesRegex(convert.Refused, "beyond its storage"):
            convert.read_legacy_torch(io.BytesIO(legacy({"w": ("a", 4, (2,), (1,))})))

    def test_cut_file_is_refused(self) -> None:
        with self.assertRaisesRegex(convert.Refused, "ends inside"):
            convert.read_legacy_torch(io.BytesIO(legacy({"w": ("a", 0, (5,), (1,))})[:-20]))

    def test_recordings_are_joined_in_row_major_order(self) -> None:
        rows = [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        columns_first = [rows[6 * r + c] for c in range(6) for r in range(2)]
        tensors, labels = convert.read_watch(npy(watch_pickle([(rows, False), (columns_first, True)])))
        self.assertEqual(tensors["signals"], convert.tensor("F32", rows + rows, (4, 6)))
        self.assertEqual(tensors["lengths"], convert.tensor("I64", [2, 2]))
        self.assertEqual(tensors["subjects"], convert.tensor("I64", [7, 8]))
        self.assertEqual(labels, ["PEN", "ROW"])


class Tables(unittest.TestCase):
    def test_columns_go_to_their_sensors_in_the_tables_order(self) -> None:
        tensors, about = convert.read_home_tasks("class,v1_a,v2_x,v1_b\nsweep,1,2,3\nmop,4,5,6.5\nsweep,7,8,9\n")
        self.assertEqual(tensors["audio"], convert.tensor("F32", [1, 3, 4, 6.5, 7, 9], (3, 2)))
        self.assertEqual(tensors["accelerometer"], convert.tensor("F32", [2, 5, 8], (3, 1)))
        self.assertEqual(tensors["labels"], convert.tensor("I64", [1, 0, 1]))
        self.assertEqual(about, {"labels": ["mop", "sweep"], "audio": ["v1_a", "v1_b"], "accelerometer": ["v2_x"]})

    def test_short_rows_and_strange_numbers_are_refused(self) -> None:
        for rows, why in (("sweep,1", "number of columns"), ("sweep,1,nan", "accelerometer is not finite")):
            with self.assertRaisesRegex(convert.Refused, why):
                convert.read_home_tasks("class,v1_a,v2_x\n" + rows + "\n")
        with self.assertRaisesRegex(ValueError, "could not convert"):
            convert.read_home_tasks("class,v1_a,v2_x\nsweep,1,loud\n")


class Safetensors(InScratch):
    def test_header_says_where_the_values_lie(self) -> None:
        path = self.scratch / "t.safetensors"
        convert.write_safetensors(path, {"a": convert.tensor("F32", [1, 2], (1, 2)), "b": convert.tensor("I64", [-3])}, {"source": "test"})
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header, values = json.loads(data[8:8 + length]), data[8 + length:]
        self.assertEqual(length % 8, 0)
        self.assertEqual(header["__metadata__"], {"source": "test"})
        self.assertEqual(header["a"], {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]})
        self.assertEqual(header["b"], {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]})
        self.assertEqual(values, struct.pack("<2fq", 1, 2, -3))


class Downloads(InScratch):
    def test_every_failure_is_one_line_with_advice(self) -> None:
        logs = {
            "OSError: [Errno 28] No space left on device": "make room",
            "THESE PACKAGES DO NOT MATCH THE HASHES\nExpected sha256 a\nGot b": "mirror",
            "ERROR: No matching distribution found for torch==2.13.0": "index settings",
            "SSLError(SSLCertVerificationError)": "certificate settings",
            "npm ERR! code ENOTFOUND": "network",
            "something new\nand strange": "pip said: and strange",
            "": "nothing",
        }
        for log, advice in logs.items():
            line = fetch.explain("torch 2.13.0", "pip", log)
            self.assertIn(advice, line)
            self.assertNotIn("\n", line)

    def test_missing_pip_says_how_to_get_it(self) -> None:
        with mock.patch.object(fetch.subprocess, "run", side_effect=FileNotFoundError), self.assertRaisesRegex(Trouble, "apt-get install python3-pip"):
            fetch.pip()

    def test_old_pip_is_refused(self) -> None:
        answer = types.SimpleNamespace(stdout="pip 20.0.2 from somewhere")
        with mock.patch.object(fetch.subprocess, "run", return_value=answer), self.assertRaisesRegex(Trouble, "too old"):
            fetch.pip()

    def test_missing_npm_says_how_to_get_it(self) -> None:
        with mock.patch.object(fetch.shutil, "which", return_value=None), self.assertRaisesRegex(Trouble, "apt-get install npm"):
            fetch.tarball(assets.GOOGLE, self.scratch)

    def test_other_tarball_than_the_pinned_one_is_refused_and_removed(self) -> None:
        package = fetch.Tarball("p", "1.0.0", "sha512-other")

        def deliver(*_: Any) -> float:
            (self.scratch / "p-1.0.0.tgz").write_text("forged")
            return 0.0

        with mock.patch.object(fetch, "_run", deliver), mock.patch.object(fetch.shutil, "which", return_value="npm"):
            with self.assertRaisesRegex(Trouble, "another p 1.0.0"):
                fetch.tarball(package, self.scratch)
        self.assertEqual(os.listdir(self.scratch), [])

    def test_every_listed_wheel_is_pinned_by_version_and_hash(self) -> None:
        for listing in HERE.glob("*.txt"):
            lines = [line for line in listing.read_text().splitlines() if line and not line.startswith("#")]
            self.assertEqual([r.line for r in fetch.requirements(listing)], lines, listing.name)


class Libtorch(InScratch):
    def run_setup(self, **environment: str) -> subprocess.CompletedProcess:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LIBTORCH")}
        command = [sys.executable, "-B", str(HERE / "setup.py"), "libtorch"]
        return subprocess.run(command, env={**clean, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def unpacked(self, version: str) -> str:
        (self.scratch / "build-version").write_text(version + "\n")
        return str(self.scratch)

    def test_own_libtorch_of_this_version_is_used(self) -> None:
        done = self.run_setup(LIBTORCH=self.unpacked("2.13.0+cu130"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_own_libtorch_of_another_version_is_refused_in_one_line(self) -> None:
        done = self.run_setup(LIBTORCH=self.unpacked("2.12.1"))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Asetup: LIBTORCH=.* is libtorch 2\.12\.1, this project needs 2\.13\.0.*\n\Z")

    def test_folder_without_a_version_is_refused_in_one_line(self) -> None:
        done = self.run_setup(LIBTORCH=str(self.scratch))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Asetup: .*build-version.*\n\Z")

    def test_python_without_torch_is_refused_in_one_line(self) -> None:
        python = self.scratch / "python3"
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
        done = self.run_setup(LIBTORCH_USE_PYTORCH="1", PATH=f"{self.scratch}:{os.environ['PATH']}")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Asetup: .*cannot import torch.*\n\Z")

    def test_other_platform_is_told_to_bring_its_own(self) -> None:
        with mock.patch.object(libtorch.os, "uname", return_value=types.SimpleNamespace(sysname="Darwin", machine="arm64")):
            with self.assertRaisesRegex(Trouble, "set LIBTORCH"):
                libtorch.check_platform()

    def test_missing_compiler_says_how_to_get_it(self) -> None:
        with mock.patch.object(libtorch.shutil, "which", return_value=None), self.assertRaisesRegex(Trouble, "g\\+\\+|set LIBTORCH"):
            libtorch.check_platform()

    def test_cuda_half_stays_out_of_the_linkers_sight(self) -> None:
        cpu, cuda = libtorch.place_of_cpu, libtorch.place_of_cuda
        self.assertEqual(cpu("torch/lib/libtorch_cpu.so"), "torch/lib/libtorch_cpu.so")
        self.assertIsNone(cpu("torch/lib/libtorch_cuda.so"))
        self.assertIsNone(cpu("torch/lib/libtorch.so"))
        self.assertIsNone(cpu("torch/nn/functional.py"))
        self.assertEqual(cuda("torch/lib/libtorch_cuda.so"), "torch/cuda/libtorch_cuda.so")
        self.assertEqual(cuda("nvidia/cudnn/lib/libcudnn.so.9"), "nvidia/cudnn/lib/libcudnn.so.9")
        self.assertIsNone(cuda("torch/lib/libtorch_cpu.so"))

    def test_member_cannot_choose_to_lie_elsewhere(self) -> None:
        wheel = self.scratch / "w.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("torch/include/../../../out.h", "")
            archive.writestr("torch/include/in.h", "")
        libtorch.unpack([wheel], self.scratch / "new", libtorch.place_of_cpu)
        self.assertEqual([p.name for p in (self.scratch / "new").rglob("*.*")], ["in.h"])
        self.assertFalse((self.scratch / "out.h").exists())

    def test_both_halves_are_built_from_one_download(self) -> None:
        held = {
            "torch": ["torch/lib/libtorch.so", "torch/lib/libtorch_cpu.so", "torch/lib/libtorch_cuda.so", "torch/version.py"],
            "nvidia-cuda-runtime": ["nvidia/cu13/lib/libcudart.so.13"],
            "nvidia-cublas": ["nvidia/cu13/lib/libcublas.so.13", "nvidia/cu13/include/cublas.h"],
        }
        asked = []

        def wheel(requirement: fetch.Requirement, downloads: Path) -> Path:
            asked.append(requirement.name)
            with zipfile.ZipFile(self.scratch / f"{requirement.name}.whl", "w") as archive:
                for name in held.get(requirement.name, []):
                    archive.writestr(name, "from the wheel")
            return self.scratch / f"{requirement.name}.whl"

        new = self.scratch / "new"
        with mock.patch.object(fetch, "wheel", wheel):
            libtorch.build(new, self.scratch, cuda=True)
        self.assertEqual(asked.count("torch"), 1)
        self.assertEqual((new / "torch/lib/libtorch.so").read_text(), "INPUT(libtorch_cpu.so)\n")
        self.assertEqual((new / "torch/build-version").read_text(), "2.13.0\n")
        self.assertEqual(sorted(p.name for p in new.rglob("*.so*") if not p.is_symlink()), ["libcublas.so.13", "libcudart.so.13", "libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so"])
        self.assertTrue((new / "torch/cuda/libtorch_cuda.so").exists())
        self.assertTrue(folder.is_stamped(new, libtorch.CUDA_STAMP, libtorch.CUDA_STAMP_NAME))

    def test_cuda_is_announced_last(self) -> None:
        new, home, order = self.scratch / "new", self.scratch / "home", []
        for name in ("torch/cuda/libtorch_cuda.so", "torch/cuda/libc10_cuda.so", "nvidia/a/lib/z.so"):
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text("")
        libtorch.finish_cuda(new)
        real = os.replace
        with mock.patch.object(libtorch.os, "replace", lambda a, b: (order.append(b.name), real(a, b))):
            libtorch.merge(new, home)
        self.assertEqual(order[-2:], ["libtorch_cuda.so", libtorch.CUDA_STAMP_NAME])
        self.assertTrue(folder.is_stamped(home, libtorch.CUDA_STAMP, libtorch.CUDA_STAMP_NAME))

    def test_link_follows_the_cache(self) -> None:
        link = self.scratch / ".libtorch"
        for home in (self.scratch / "one", self.scratch / "two"):
            home.mkdir()
            libtorch.point(link, home)
            self.assertEqual(os.readlink(link), str(home))


class Tarballs(InScratch):
    def test_only_wanted_members_are_taken(self) -> None:
        path = self.scratch / "p.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for name in ("package/img/google/64/1f600.png", "package/img/google/64/../../../evil.png", "package/img/google/sheets/64.png"):
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        start = "package/img/google/64/"
        assets.extract(path, self.scratch / "new", lambda name: name[len(start):] if name.startswith(start) else None)
        self.assertEqual([p.name for p in (self.scratch / "new").rglob("*")], ["1f600.png"])
        self.assertFalse((self.scratch / "evil.png").exists())


class Doom(InScratch):
    """The recordings' own logic, with a script in place of the game."""

    def game(self, script: str) -> None:
        (self.scratch / "doom_record.py").write_text(script)
        for name, value in (("HERE", self.scratch), ("packages", lambda: self.scratch)):
            patch = mock.patch.object(doom, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    # Prints a line a clip and leaves the clips' numbers as the shard.
    PLAYS = (
        "import sys\n"
        "numbers = [str(n) for n in range(int(sys.argv[2]), int(sys.argv[3]))]\n"
        "print('\\n'.join(numbers), flush=True)\n"
        "open(sys.argv[4], 'w').write(' '.join(numbers))\n"
    )

    def test_shorter_recording_is_the_beginning_of_a_longer_one(self) -> None:
        short, long = doom.shards("tvlt", 600), doom.shards("tvlt", 4096)
        self.assertEqual([(s.first, s.end) for s in short], [(0, 256), (256, 512), (512, 600)])
        self.assertEqual(short[:2], long[:2])
        self.assertEqual(long[-1].end, 4096)
        self.assertNotEqual(short[2].kept, long[2].kept)

    def test_recording_has_every_clip_once_and_says_how_many(self) -> None:
        self.game(self.PLAYS)
        home = self.scratch / "doom-tvlt"
        doom.record(home, "tvlt", 600)
        played = " ".join((home / f"{n:03}.safetensors").read_text() for n in range(3)).split()
        self.assertEqual([int(clip) for clip in played], list(range(600)))
        self.assertEqual(doom.recorded(home), 600)
        self.assertEqual(json.loads((home / "index.json").read_text())["shards"][2], {"file": "002.safetensors", "clips": 88})

    def test_long_recording_serves_who_wants_a_short_one_but_not_the_other_way(self) -> None:
        self.game(self.PLAYS)
        home = self.scratch / "doom-tbn"
        doom.record(home, "tbn", 300)
        doom.record(home, "tbn", 10)
        self.assertEqual(doom.recorded(home), 300)
        doom.record(home, "tbn", 301)
        self.assertEqual(doom.recorded(home), 301)

    def test_recording_of_another_version_is_no_recording(self) -> None:
        self.game(self.PLAYS)
        doom.record(self.scratch / "doom-tbn", "tbn", 5)
        with mock.patch.object(doom, "VERSION", "other"):
            self.assertEqual(doom.recorded(self.scratch / "doom-tbn"), 0)

    def test_interrupted_recording_goes_on_where_it_was(self) -> None:
        home = self.scratch / "doom-tvlt"
        self.game("import sys\nif sys.argv[2] == '512': sys.exit('crash')\n" + self.PLAYS)
        with mock.patch.object(doom.os, "sched_getaffinity", return_value={0}), self.assertRaisesRegex(Trouble, "clips 512 to 599: crash"):
            doom.record(home, "tvlt", 600)
        self.assertFalse(home.exists())
        self.game("import sys\nif sys.argv[2] != '512': sys.exit('played twice')\n" + self.PLAYS)
        doom.record(home, "tvlt", 600)
        self.assertEqual(doom.recorded(home), 600)

    def test_hung_game_is_stopped_with_all_that_it_started(self) -> None:
        self.game("import os, subprocess, time\nchild = subprocess.Popen(['sleep', '60'])\nopen('../../pids', 'w').write(f'{os.getpid()} {child.pid}')\nchild.wait()\n")
        with mock.patch.object(doom, "PATIENCE_SECONDS", 1), self.assertRaisesRegex(Trouble, "hung in clips 0 to 4"):
            doom.play(doom.shards("tvlt", 5), self.scratch, self.scratch)
        pids = [int(pid) for pid in (self.scratch / "pids").read_text().split()]
        # The kernel takes a moment to end what was killed.
        for _ in range(100):
            if not any(map(is_running, pids)):
                return
            time.sleep(0.1)
        self.fail(f"still running: {pids}")

    def test_missing_library_says_how_to_get_it(self) -> None:
        with mock.patch.object(doom, "has_library", return_value=False), mock.patch.object(doom.os, "geteuid", return_value=1000):
            with self.assertRaisesRegex(Trouble, "sudo apt-get install --yes libopenal1"):
                doom.find_library()

    def test_other_python_is_told_which_ones_do(self) -> None:
        with mock.patch.object(doom, "PYTHONS", ((3, 98), (3, 99))), self.assertRaisesRegex(Trouble, "Python 3.98 to 3.99, this is"):
            doom.packages()

    def test_clips_belong_to_the_recordings_and_are_a_number(self) -> None:
        for arguments in (["doom", "--clips", "0"], ["--clips", "9"], ["libtorch", "--clips", "9"]):
            done = subprocess.run([sys.executable, "-B", str(HERE / "setup.py")] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("--clips is 1 or more", done.stderr)


def is_running(pid: int) -> bool:
    """A killed process that nobody has waited for yet is a zombie, and does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- files as torch and numpy would write them, without either ---


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


@contextlib.contextmanager
def names(**modules: List[str]) -> Iterator[Dict[str, Any]]:
    """Lets pickle refer to `module.name` although no such module is installed; `__` in a module's name is a dot."""
    made, found = {}, {}
    for module, content in modules.items():
        module = module.replace("__", ".")
        made[module] = types.ModuleType(module)
        for name in content:
            kind = type(name, (), {"__module__": module, "__qualname__": name})
            setattr(made[module], name, kind)
            found[name] = kind
    with mock.patch.dict(sys.modules, made):
        yield found


def legacy(views: Dict[str, Any]) -> bytes:
    """torch's old format: `views` names storage (a: five floats 0..4, n: one integer), offset, shape, stride."""
    class Pickler(pickle.Pickler):
        def persistent_id(self, saved: Any) -> Any:
            return saved if isinstance(saved, tuple) and saved[:1] == ("storage",) else None

    file = io.BytesIO()
    with names(torch=["FloatStorage", "LongStorage"], torch___utils=["_rebuild_tensor_v2"]) as known:
        storages = {"a": ("storage", known["FloatStorage"], "a", "cpu", 5, None), "n": ("storage", known["LongStorage"], "n", "cpu", 1, None)}
        state = collections.OrderedDict()
        for name, (key, offset, shape, stride) in views.items():
            state[name] = Call(known["_rebuild_tensor_v2"], storages[key], offset, shape, stride, False, collections.OrderedDict())
        used = sorted({view[0] for view in views.values()})
        for part in (convert.LEGACY_MAGIC, convert.LEGACY_PROTOCOL, {"little_endian": True}, state, used):
            Pickler(file, 2).dump(part)
    values = {"a": array.array("f", range(5)), "n": array.array("q", [9])}
    for key in used:
        file.write(struct.pack("<q", len(values[key])) + values[key].tobytes())
    return file.getvalue()


def npy(data: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def watch_pickle(recordings: List[Any]) -> bytes:
    with names(numpy=["ndarray", "dtype"], numpy__core__multiarray=["_reconstruct"]) as known:
        def ndarray(kind: str, shape: Any, raw: Any, columns_first: bool = False) -> Call:
            dtype = Call(known["dtype"], kind, 0, 1, state=(3, "|" if kind == "O8" else "<", None, None, None, -1, -1, 0))
            return Call(known["_reconstruct"], known["ndarray"], (0,), b"b", state=(1, shape, dtype, columns_first, raw))

        def integers(*values: int) -> Call:
            return ndarray("i8", (len(values),), array.array("q", values).tobytes())

        watch = {
            "X": [ndarray("f8", (2, 6), array.array("d", values).tobytes(), fortran) for values, fortran in recordings],
            "y": integers(0, 1), "subject": integers(7, 8), "y_labels": ["PEN", "ROW"],
        }
        return pickle.dumps(ndarray("O8", (), [watch]), 2)


if __name__ == "__main__":
    unittest.main()
