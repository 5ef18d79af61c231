# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Nothing between upload and result waits for the device, which is checked without one.

Once on the CPU under a guard that knows the operations whose outcome the host has to see, and once on pretended CUDA tensors, which
have shapes and a device but no content, so that whoever asks for content, or mixes devices, cannot go on.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tasktp_ros.detectors import build_detector
from tasktp_ros.runtime.prepare import prepare_for_inference
from tasktp_ros.runtime.static_path import Geometry, _Program
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import InputSize, frame_for

WAITING = {
    "nonzero", "nonzero_numpy", "argwhere", "_local_scalar_dense", "item", "is_nonzero", "equal", "masked_select", "unique",
    "_unique", "_unique2", "unique_dim", "unique_consecutive", "nms", "bincount", "histc", "allclose",
}  # fmt: skip
"""Operations whose result has a shape or a value on the host that depends on content."""
READ = ("tolist", "numpy", "item", "__bool__", "__int__", "__float__", "__index__", "__array__", "cpu")


class Waited(AssertionError):
    pass


class NothingWaits(TorchDispatchMode):
    """Fails where an operation needs to know what a tensor holds before it can go on."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        kwargs = kwargs or {}
        by_mask = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1]
        )
        by_counts = name == "repeat_interleave" and isinstance(args[-1], torch.Tensor) and "output_size" not in kwargs
        if name in WAITING or by_mask or by_counts:
            raise Waited(str(function))
        here = [part.device for part in args if isinstance(part, torch.Tensor) and part.dim()]
        result = function(*args, **kwargs)
        moved = isinstance(result, torch.Tensor) and here and result.device != here[0]
        if moved or (name == "copy_" and len({device.type for device in here}) > 1):
            raise Waited(f"{function} between devices")
        return result


def network_of(method: str, size: str, dtype: torch.dtype = torch.float32) -> Detector:
    torch.manual_seed(0)
    return prepare_for_inference(build_detector(size, method, 12), torch.device("cpu"), dtype)


def program(
    network: Detector, device: str = "cpu", reach: str = "blocks", stop_below: tuple = (), share=None
) -> _Program:
    """A small frame of a network that lies on `device`."""
    frame = frame_for(60, 80, InputSize(96, 128))
    geometry = Geometry(frame, True, reach, stop_below, share, 100)
    return _Program(network, geometry, torch.device(device), next(network.parameters()).dtype, None)


def pretend(network: torch.nn.Module, device: str) -> None:
    """Replace all parameters and buffers by tensors without content on `device`; in a fake mode."""
    for module in network.modules():
        for tensors in (module._parameters, module._buffers):
            for name, old in tensors.items():
                if old is not None:
                    new = torch.empty(old.shape, dtype=old.dtype, device=device)
                    tensors[name] = torch.nn.Parameter(new, False) if isinstance(old, torch.nn.Parameter) else new


CASES = [
    ("dense", "nano", {}),
    ("tasktp", "nano", {}),
    ("tasktp", "nano_csp", {}),
    ("tasktp", "nano", {"reach": "frame", "stop_below": (0.1, 0.1, 0.1)}),
    ("svit", "nano", {"reach": "frame"}),
    ("tasktp", "deit_tiny", {"share": 0.25}),
    ("dynamicvit_remove", "nano", {}),
    ("evit", "nano", {}),
    ("evovit", "nano", {}),
    ("tome", "nano", {}),
    ("tasktp", "deit_tiny", {"reach": "network"}),
]


@pytest.mark.parametrize(("method", "size", "how"), CASES)
def test_no_operation_waits(method, size, how, monkeypatch):
    made = program(network_of(method, size), **how)
    assert made.chooser.buckets == ((48,) if method == "dense" else (32, 48))
    with torch.inference_mode():
        made.run(32)  # constants are made once
        for name in READ:
            monkeypatch.setattr(torch.Tensor, name, forbidden(name))
        with NothingWaits():
            made.run(32)


def forbidden(name: str):
    def read(self, *args, **kwargs):
        raise Waited(f"Tensor.{name}")

    return read


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.max().item(),
        lambda x: bool(x.any()),
        lambda x: x.masked_select(x > 0),
        lambda x: x.index_put((x > 0,), x.new_zeros(())),
        lambda x: torch.ops.torchvision.nms(x.view(2, 4), x[:2], 0.5),
        lambda x: x[:2].repeat_interleave(torch.tensor([1, 2])),
    ],
)
def test_the_guard_sees_what_waits(waiting):
    with pytest.raises(Waited), NothingWaits():
        waiting(torch.arange(8.0))


PRETENDED = """
import sys
sys.path[:0] = [{tests!r}]
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from test_nothing_waits import CASES, NothingWaits, network_of, pretend, program
mode = FakeTensorMode()  # one for all, since constants of the pretended device are remembered
for dtype in (torch.float32, torch.bfloat16):
    for method, size, how in CASES:
        network = network_of(method, size, dtype)
        with torch.inference_mode(), mode:
            pretend(network, "cuda")
            made = program(network, "cuda", **how)
            for capacity in made.chooser.buckets:
                made.run(capacity)
                with NothingWaits():
                    packed = made.run(capacity)
            assert packed.device.type == "cuda" and packed.dtype == torch.uint8
print("pretended", len(CASES))
"""


def test_nothing_asks_pretended_cuda_tensors_for_their_content():
    """In a process of its own, since constants of the pretended device are remembered."""
    code = PRETENDED.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == f"pretended {len(CASES)}"
