# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads the recorded numbers of the published code and fills networks by its recipe (../shared/golden/README.md)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FLOAT32 = {"atol": 5e-5, "rtol": 1e-5}
FLOAT64 = {"atol": 2e-5, "rtol": 0.0}


class Golden:
    """One folder of recorded arrays; counts the arrays that were compared."""

    compared = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    def keys(self, name: str) -> dict[str, list[int]]:
        content = json.loads((self.folder / f"{name}.json").read_text())
        return {key: shape for key, (shape, _) in content["keys"].items()}

    def close(self, actual: Tensor, expected: np.ndarray, name: str, **tolerance: float) -> None:
        tolerance = tolerance or (FLOAT64 if actual.dtype == torch.float64 else FLOAT32)
        np.testing.assert_allclose(actual.detach().numpy(), expected, err_msg=name, **tolerance)
        Golden.compared += 1

    def equal(self, actual: Tensor, expected: np.ndarray, name: str) -> None:
        np.testing.assert_array_equal(actual.numpy(), expected, err_msg=name)
        Golden.compared += 1


def generator(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def normal(name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(generator(name).standard_normal(shape).astype(np.float32))


def image(shape: tuple[int, ...], name: str = "image") -> Tensor:
    return torch.from_numpy(generator(name).uniform(-1.0, 1.0, shape).astype(np.float32))


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """The value of the parameter or buffer called `name`."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.zeros((), dtype=torch.int64)
    z = generator(name).standard_normal(shape)
    if leaf == "running_var":
        value = 1 + 0.1 * np.abs(z)
    elif leaf in ("running_mean", "gamma", "pos_embed", "level_embed", "cls_token"):
        value = 0.1 * z
    elif leaf in ("bias", "in_proj_bias"):
        value = 0.02 * z
    elif leaf in ("gamma1", "gamma2") or (leaf == "weight" and len(shape) == 1):
        value = 1 + 0.1 * z
    else:
        value = z / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


def fill(module: nn.Module, prefix: str = "", only: str = "") -> nn.Module:
    """Fill every tensor of a module from its own name, and put it in evaluation mode."""
    state = {
        name: filled(prefix + name, tuple(tensor.shape))
        for name, tensor in module.state_dict().items()
        if name.startswith(only)
    }
    module.load_state_dict(state, strict=False)
    return module.eval()
