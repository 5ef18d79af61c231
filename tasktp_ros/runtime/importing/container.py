# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Files of weights as PyTorch and safetensors write them, opened without running what is in them.

PyTorch has written zip archives since 1.6 and a row of pickles before; `.pth`, `.pth.tar`, `.pt` and `.bin` may be either.
"""

import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tasktp_ros.errors import ModelError
from tasktp_ros.files import readable
from tasktp_ros.runtime.importing.unpickler import Content, TensorPlan, TensorUnpickler

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STATE_NAMES = ("state_dict", "model")
DEEPEST = 12


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        tensors: by name, on the CPU, as stored.
        meta: plain Python values that lie beside them; whatever is not plain is left out.
        beside: names of what lies beside the weights, such as "optimizer".
    """

    tensors: dict[str, Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the weights of a file of PyTorch or safetensors.

    Raises:
        ModelError: no such file; damaged, cut or of another kind; or one that would run code elsewhere, by the name of that.
    """
    if not path.is_file():
        raise ModelError(f"{readable(path)} does not exist")
    with _damage_in_a_sentence(path), path.open("rb") as file:
        start = file.read(16)
        file.seek(0)
        if start.startswith(b"PK\x03\x04"):
            return _read_zip(path, file)
        if start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < path.stat().st_size:
            return _read_safetensors(path)
        if start[:1] == b"\x80":
            return _read_legacy(path, file)
        if start.lstrip()[:1] == b"<":
            raise ModelError(
                f"{readable(path)} is a web page, not weights: the download was answered by one; see its text"
            )
    raise ModelError(
        f"{readable(path)} holds no weights that can be read: expected a file of torch.save or safetensors"
    )


@contextmanager
def _damage_in_a_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except (SafetensorError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, struct.error, KeyError, IndexError,
            ValueError, TypeError, AttributeError, RuntimeError, RecursionError, MemoryError, OverflowError,
            NotImplementedError) as error:  # fmt: skip
        told = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise ModelError(f"{readable(path)} is damaged or no file of weights: {told}") from error


def _read_safetensors(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {}))  # noqa: SIM118


def _read_zip(path: Path, file: IO[bytes]) -> Checkpoint:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        packed = [entry.filename for entry in entries.values() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ModelError(
                f"{readable(path)} is a compressed archive ({packed[0][:60]}), not a file of torch.save: unpack it"
            )
        pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
        if any(name.rpartition("/")[2] == "constants.pkl" for name in entries):
            raise ModelError(
                f"{readable(path)} is a TorchScript program, expected weights: a state dict saved by torch.save"
            )
        if len(pickles) != 1:
            raise ModelError(f"{readable(path)} is an archive, but not one of torch.save: expected one data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise ModelError(f"{readable(path)} was written by a big-endian machine, which cannot be read here")
        with archive.open(pickles[0]) as pickled:
            content = TensorUnpickler(pickled, readable(path)).load()
        return _checkpoint(path, content, lambda key: archive.read(f"{folder}data/{key}"))


def _read_legacy(path: Path, file: IO[bytes]) -> Checkpoint:
    """A row of pickles - a magic number, two descriptions, the content, the order of the storages - and then the storages."""
    if TensorUnpickler(file, readable(path)).load() != LEGACY_MAGIC:
        raise ModelError(f"{readable(path)} is a pickle, but none of torch.save, so there are no weights to be read")
    for _ in ("version of the protocol", "sizes of types on the machine that wrote it"):
        TensorUnpickler(file, readable(path)).load()
    unpickler = TensorUnpickler(file, readable(path))
    content = unpickler.load()
    places: dict[str, tuple[int, int]] = {}
    for key in TensorUnpickler(file, readable(path)).load():
        dtype = unpickler.storages[str(key)].dtype
        if dtype is None:
            raise ModelError(f"{readable(path)} cannot be read: its storage {str(key)[:40]} has no type of numbers")
        (count,) = struct.unpack("<q", file.read(8))
        places[str(key)] = (file.tell(), max(0, count) * torch.empty((), dtype=dtype).element_size())
        file.seek(places[str(key)][1], 1)

    def read(key: str) -> bytes:
        start, length = places[key]
        file.seek(start)
        return file.read(length)

    return _checkpoint(path, content, read)


def _checkpoint(path: Path, content: Content, read: Callable[[str], bytes]) -> Checkpoint:
    """The state dict of a pickle's content, with its tensors read."""
    if not isinstance(content, Mapping):
        raise ModelError(
            f"{readable(path)} holds a whole pickled program object, expected a state dict: names and tensors"
        )
    name = next((name for name in STATE_NAMES if isinstance(content.get(name), Mapping)), None)
    state = content if name is None else content[name]
    plans = {key: plan for key, plan in state.items() if isinstance(key, str) and isinstance(plan, TensorPlan)}
    if not plans:
        raise ModelError(
            f"{readable(path)} holds no tensors by name; found {', '.join(map(str, list(content)[:6])) or 'nothing'}"
        )
    others = () if name is None else tuple(str(key) for key in content if key not in (name, "meta"))
    meta = plain(content.get("meta", {})) if name is not None else {}
    storages: dict[str, bytes] = {}

    def tensor(plan: TensorPlan) -> Tensor:
        key = plan.storage.key
        if key not in storages:
            storages.clear()  # one at a time: views of the same storage follow each other
            storages[key] = read(key)
        return _view(plan, storages[key])

    return Checkpoint(
        {key: tensor(plan) for key, plan in plans.items()}, meta if isinstance(meta, dict) else {}, others
    )


def _view(plan: TensorPlan, numbers: bytes) -> Tensor:
    """The planned tensor, of memory of its own."""
    if math.prod(plan.size) == 0:
        return torch.empty(plan.size, dtype=plan.dtype)
    last = plan.offset + sum((side - 1) * step for side, step in zip(plan.size, plan.stride, strict=True))
    width = torch.empty((), dtype=plan.dtype).element_size()
    if (last + 1) * width > len(numbers):
        raise pickle.UnpicklingError("a tensor reaches beyond its numbers: the file is cut")
    if math.prod(plan.size) > last + 1 - plan.offset:
        raise pickle.UnpicklingError("a tensor that repeats its numbers")
    flat = torch.frombuffer(bytearray(numbers), dtype=plan.dtype)
    return flat.as_strided(plan.size, plan.stride, plan.offset).clone(memory_format=torch.contiguous_format)


def plain(content: Content, depth: int = 0) -> Any:
    """Plain Python values of a pickle's content; what is none, such as a stand-in or a tensor, becomes None."""
    if content is None or isinstance(content, bool | int | float | str):
        return content
    if depth >= DEEPEST:
        return None
    if isinstance(content, Mapping):
        return {key: plain(value, depth + 1) for key, value in content.items() if isinstance(key, str | int)}
    if isinstance(content, list | tuple):
        return [plain(value, depth + 1) for value in content]
    return None
