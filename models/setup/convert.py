"""Turns the pickles that data and weights come in into safetensors, which the server opens without Python.

A pickle is a program: it may call anything it can name. The unpicklers here can name only the few stand-ins written
below, so neither torch nor numpy is needed and a forged file can at worst fail to load.
"""
from __future__ import annotations

import array
import collections
import csv
import io
import json
import math
import pickle
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Sequence, Tuple

assert sys.byteorder == "little", "the formats read and written here are little-endian, and so is every machine set-up knows"

# array's type codes by the name safetensors gives them.
CODES = {"F32": "f", "I64": "q"}


class Tensor(NamedTuple):
    """Contiguous values, C order."""
    dtype: str
    shape: Tuple[int, ...]
    data: bytes


def tensor(dtype: str, values: Sequence[float], shape: Sequence[int] = ()) -> Tensor:
    return Tensor(dtype, tuple(shape) or (len(values),), array.array(CODES[dtype], values).tobytes())


def write_safetensors(path: Path, tensors: Dict[str, Tensor], about: Dict[str, str]) -> None:
    header: Dict[str, Any] = {"__metadata__": about}
    offset = 0
    for name, t in tensors.items():
        end = offset + len(t.data)
        header[name] = {"dtype": t.dtype, "shape": list(t.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # values start aligned
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.data)


class Refused(pickle.UnpicklingError):
    """The pickle wants something that this kind of file has no need of."""


class Unpickler(pickle.Unpickler):
    """Resolves only the names it is given."""

    def __init__(self, file: BinaryIO, known: Dict[str, Callable]):
        super().__init__(file, encoding="latin1")
        self.known = known

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.known[f"{module}.{name}"]
        except KeyError:
            raise Refused(f"the file asks for {module}.{name}, which is not among the known names") from None


# --- torch.save as it was before 1.6: four pickles, a list of storages, then their bytes ---

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


class Storage(NamedTuple):
    """A reference to values that come later in the file."""
    key: str
    dtype: str
    count: int


class View(NamedTuple):
    storage: Storage
    offset: int
    shape: Tuple[int, ...]
    stride: Tuple[int, ...]


def read_legacy_torch(file: BinaryIO) -> Dict[str, Tensor]:
    """The float tensors of a saved state dict, under their names."""
    def load() -> Any:
        return StateUnpickler(file).load()

    if load() != LEGACY_MAGIC or load() != LEGACY_PROTOCOL:
        raise Refused("not a file of torch's old format")
    if not load()["little_endian"]:
        raise Refused("written on a big-endian machine")
    views, keys = load(), load()
    storages = {v.storage.key: v.storage for v in views.values()}
    values = {key: read_storage(file, storages[key]) for key in keys}
    return {name: take(v, values[v.storage.key]) for name, v in views.items() if v.storage.dtype == "F32"}


class StateUnpickler(Unpickler):
    def __init__(self, file: BinaryIO):
        known: Dict[str, Callable] = {
            "collections.OrderedDict": collections.OrderedDict,
            "torch._utils._rebuild_tensor_v2": lambda storage, offset, shape, stride, *_: View(storage, offset, shape, stride),
            # Types of storages: named by the pickle, told apart here, never called.
            "torch.FloatStorage": _FloatStorage,
            "torch.LongStorage": _LongStorage,
        }
        super().__init__(file, known)

    def persistent_load(self, saved: Any) -> Storage:
        kind, storage, key, _device, count, view = saved
        if kind != "storage" or view is not None:
            raise Refused(f"the file refers to a {kind}, only whole storages are expected")
        return Storage(key, storage.dtype, count)


class _FloatStorage:
    dtype = "F32"


class _LongStorage:
    dtype = "I64"


def read_storage(file: BinaryIO, storage: Storage) -> bytes:
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.count:
        raise Refused(f"storage {storage.key} was announced with {storage.count} values and has {count}")
    width = array.array(CODES[storage.dtype]).itemsize
    data = file.read(count * width)
    if len(data) != count * width:
        raise Refused(f"the file ends inside storage {storage.key}")
    return data


def take(view: View, data: bytes) -> Tensor:
    if view.stride != row_major(view.shape):
        raise Refused("a tensor is not contiguous, only contiguous ones are expected")
    count = 1
    for size in view.shape:
        count *= size
    values = data[4 * view.offset:4 * (view.offset + count)]
    if len(values) != 4 * count:
        raise Refused("a tensor reaches beyond its storage")
    return Tensor("F32", tuple(view.shape), values)


def row_major(shape: Sequence[int]) -> Tuple[int, ...]:
    strides: List[int] = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return tuple(strides)


# --- numpy.save of an object: a header, then a pickle of arrays ---


def read_npy_object(data: bytes) -> Any:
    """The object in a .npy file of shape (); arrays in it come as `NdArray`."""
    if data[:8] != b"\x93NUMPY\x01\x00":
        raise Refused("not a .npy file of format 1.0")
    (length,) = struct.unpack("<H", data[8:10])
    known: Dict[str, Callable] = {
        "numpy.core.multiarray._reconstruct": lambda kind, shape, code: kind(),
        "numpy.ndarray": NdArray,
        "numpy.dtype": DType,
        # How Python 3 writes bytes in pickle protocol 2.
        "_codecs.encode": lambda text, coding: text.encode(coding),
    }
    return Unpickler(io.BytesIO(data[10 + length:]), known).load().items()[0]


class DType:
    """A numpy element type; the state that follows says its byte order, among what does not matter here."""
    order = "="

    def __init__(self, kind: str, *_: Any):
        self.kind = kind

    def __setstate__(self, state: Tuple) -> None:
        self.order = state[1]


class NdArray:
    """A numpy array as its pickle describes it."""
    shape: Tuple[int, ...]
    dtype: DType
    raw: Any

    def __setstate__(self, state: Tuple) -> None:
        _version, self.shape, self.dtype, columns_first, self.raw = state
        self.columns_first = columns_first and len(self.shape) > 1

    def items(self) -> List[Any]:
        """All values in row-major order."""
        if self.dtype.kind == "O8":
            values = list(self.raw)
        elif self.dtype.kind in ("f8", "i8") and self.dtype.order != ">":
            values = array.array("d" if self.dtype.kind == "f8" else "q", self.raw).tolist()
        elif self.dtype.kind.startswith("U") and self.dtype.order != ">":
            width = 4 * int(self.dtype.kind[1:])
            values = [self.raw[i:i + width].decode("utf-32-le").rstrip("\0") for i in range(0, len(self.raw), width)]
        else:
            raise Refused(f"an array of {self.dtype.order}{self.dtype.kind}, only doubles, 64-bit integers, text and objects are expected")
        if self.columns_first:
            rows, columns = self.shape
            values = [values[c * rows + r] for r in range(rows) for c in range(columns)]
        return values


def read_watch(data: bytes) -> Tuple[Dict[str, Tensor], List[str]]:
    """The recordings end to end, and the names of the exercises."""
    watch = read_npy_object(data)
    signals, lengths = array.array("f"), []
    for recording in plain(watch["X"]):
        rows, channels = recording.shape
        if channels != 6:
            raise Refused(f"a recording has {channels} channels, 6 are expected")
        signals.extend(recording.items())
        lengths.append(rows)
    labels, subjects = plain(watch["y"]), plain(watch["subject"])
    if not len(lengths) == len(labels) == len(subjects):
        raise Refused("recordings, labels and people differ in number")
    tensors = {
        "signals": Tensor("F32", (sum(lengths), 6), signals.tobytes()),
        "lengths": tensor("I64", lengths),
        "labels": tensor("I64", [int(v) for v in labels]),
        "subjects": tensor("I64", [int(v) for v in subjects]),
    }
    return tensors, [str(name) for name in plain(watch["y_labels"])]


def plain(values: Any) -> List[Any]:
    return values.items() if isinstance(values, NdArray) else list(values)


# --- the table of home tasks: a label, then numbers; the start of a column's name says which sensor it is of ---

SENSORS = {"audio": "v1_", "accelerometer": "v2_"}


def read_home_tasks(text: str) -> Tuple[Dict[str, Tensor], Dict[str, Any]]:
    """Every window's numbers by sensor, in the order of the table, and what labels and columns are called."""
    header, *rows = csv.reader(io.StringIO(text))
    if any(len(row) != len(header) for row in rows):
        raise Refused("a row has another number of columns than the header")
    labels = sorted({row[0] for row in rows})
    tensors = {"labels": tensor("I64", [labels.index(row[0]) for row in rows])}
    about: Dict[str, Any] = {"labels": labels}
    for sensor, start in SENSORS.items():
        columns = [i for i, name in enumerate(header) if name.startswith(start)]
        numbers = [float(row[i]) for row in rows for i in columns]
        if not all(map(math.isfinite, numbers)):
            raise Refused(f"a number of {sensor} is not finite")
        tensors[sensor] = tensor("F32", numbers, (len(rows), len(columns)))
        about[sensor] = [header[i] for i in columns]
    return tensors, about
