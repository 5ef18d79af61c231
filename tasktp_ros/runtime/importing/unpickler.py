# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A pickle read for its tensors alone: whatever else it names becomes an inert stand-in, and what would run code is refused.

Nothing that a file names is ever imported or called, so reading is safe whatever it holds. A file that names something whose only
use is to be run is refused all the same, by the name of that: somebody has tampered with it.
"""

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import torch

from tasktp_ros.errors import ModelError

ELEMENT_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
HARMLESS = frozenset(
    """
    builtins.getattr __builtin__.getattr builtins.object __builtin__.object builtins.set __builtin__.set
    builtins.frozenset __builtin__.frozenset builtins.slice __builtin__.xrange builtins.range builtins.complex
    builtins.bytearray __builtin__.bytearray builtins.list __builtin__.list builtins.dict __builtin__.dict
    builtins.int __builtin__.int builtins.float __builtin__.float builtins.str __builtin__.str __builtin__.unicode
    builtins.bool __builtin__.bool builtins.tuple __builtin__.tuple
    _codecs.encode copyreg._reconstructor copy_reg._reconstructor copyreg.__newobj__
    collections.Counter collections.deque collections.ChainMap
    argparse.Namespace types.SimpleNamespace pathlib.Path pathlib.PosixPath pathlib.PurePosixPath pathlib.WindowsPath
    pathlib._local.PosixPath datetime.datetime datetime.date datetime.timedelta datetime.timezone decimal.Decimal
    enum.Enum fractions.Fraction uuid.UUID
    numpy.core.multiarray.scalar numpy._core.multiarray.scalar numpy.core.multiarray._reconstruct
    numpy._core.multiarray._reconstruct numpy.core.numeric._frombuffer numpy._core.numeric._frombuffer
    numpy.ndarray numpy.dtype numpy.float64 numpy.float32 numpy.float16 numpy.int64 numpy.int32 numpy.int16 numpy.int8
    numpy.uint8 numpy.bool_ numpy.str_ numpy.random._pickle.__randomstate_ctor numpy.random._pickle.__generator_ctor
    numpy.random._pickle.__bit_generator_ctor
    torch.device torch.dtype torch._utils._rebuild_device_tensor_from_numpy torch._utils._rebuild_sparse_tensor
    torch._utils._rebuild_qtensor torch._tensor._rebuild_from_type_v2 torch.serialization._get_layout
    """.split()
)
"""Names that are not classes of a library and still no reason to mistrust a file. `getattr` is how old pickles name methods."""
STANDARD = (frozenset(sys.stdlib_module_names) | {"__builtin__", "copy_reg"}) - {"typing"}


class Inert:
    """What stands for anything a file names: can be called, filled and asked for nothing, and does nothing."""

    def __new__(cls, *_arguments: Any, **_options: Any) -> "Inert":
        return object.__new__(cls)

    def __init__(self, *_arguments: Any, **_options: Any) -> None: ...

    def __call__(self, *_arguments: Any, **_options: Any) -> "Inert":
        return Inert()

    def __setstate__(self, _state: Any) -> None: ...

    def __setitem__(self, _key: Any, _value: Any) -> None: ...

    def append(self, _item: Any) -> None:
        """Take an item of a list, and forget it."""

    def extend(self, _items: Any) -> None:
        """Take items of a list, and forget them."""

    def add(self, _item: Any) -> None:
        """Take an item of a set, and forget it."""


@dataclass(frozen=True)
class StorageReference:
    """Where the numbers of some tensors lie in a file: their key there, type and count."""

    key: str
    dtype: torch.dtype | None
    count: int

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("a storage has no state")


@dataclass(frozen=True)
class TensorPlan:
    """A tensor that has not been read yet: a strided view of a storage, in elements."""

    storage: StorageReference
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, _state: Any) -> None:
        """A parameter's own attributes are of no use here."""


Content: TypeAlias = Any
"""Of a pickle: plain Python values, `TensorPlan` and `Inert`."""


class TensorUnpickler(pickle.Unpickler):
    """Builds plain values and plans of tensors.

    Args:
        file: the pickle.
        path: what the file is called in messages.

    Attributes:
        storages: all that were named, also by what is not kept.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        super().__init__(file, encoding="latin1")
        self._path = path
        self.storages: dict[str, StorageReference] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return _Ordered
        if full in REBUILDERS:
            return _throwaway(REBUILDERS[full])
        if name in ELEMENT_TYPES and module in ("torch", "torch.storage", "torch.cuda"):
            return ELEMENT_TYPES[name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if full not in HARMLESS and _is_for_running(module, name):
            raise ModelError(
                f"{self._path} is refused: it names {full.replace('__builtin__', 'builtins')[:80]}, which no checkpoint needs and which would run code when "
                "loaded by other programs; get the file anew from who published it"
            )
        return type("Inert", (Inert,), {"__slots__": ()})

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            return Inert()
        _, kind, key, _place, count = pid[:5]
        if not isinstance(count, int) or not isinstance(key, str | int):
            raise pickle.UnpicklingError("a storage without key or length")
        found = StorageReference(str(key), kind if isinstance(kind, torch.dtype) else None, count)
        return self.storages.setdefault(found.key, found)


class _Ordered(dict):
    """An ordered dictionary; its attributes, such as a state dict's `_metadata`, are dropped."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(items)

    def __setstate__(self, _state: Any) -> None: ...


def _throwaway(function: Callable[..., Any]) -> Callable[..., Any]:
    """Another function that does the same: a pickle may set attributes of what it is given."""
    return lambda *arguments: function(*arguments)


def _without_default(*_factory: Any) -> _Ordered:
    return _Ordered()


def _is_for_running(module: str, name: str) -> bool:
    """Whether something is more than a class of a library: a function, or anything of Python's own."""
    if module.split(".")[0] == "typing":
        return False
    if module.split(".")[0] in STANDARD:
        return True
    last = name.rpartition(".")[2].lstrip("_")
    return not (last[:1].isupper() or "." in name)


def _rebuild(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> Any:
    """A plan in place of what torch rebuilds from a storage of known type."""
    return _plan(storage, getattr(storage, "dtype", None), offset, size, stride)


def _rebuild_typed(
    storage: Any, offset: Any, size: Any, stride: Any, _gradient: Any, _hooks: Any, dtype: Any, *_rest: Any
) -> Any:
    """Likewise for a storage without a type."""
    return _plan(storage, dtype, offset, size, stride)


def _plan(storage: Any, dtype: Any, offset: Any, size: Any, stride: Any) -> Any:
    if not isinstance(storage, StorageReference) or not isinstance(dtype, torch.dtype):
        return Inert()
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor whose shape is no shape")
    return TensorPlan(storage, dtype, offset, tuple(size), tuple(stride))


def _parameter(data: Any = None, *_rest: Any) -> Any:
    return data


def _size(sides: Any = ()) -> Any:
    return tuple(sides)


REBUILDERS: dict[str, Any] = {
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_tensor_v3": _rebuild_typed,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _size,
    "collections.defaultdict": _without_default,
}
