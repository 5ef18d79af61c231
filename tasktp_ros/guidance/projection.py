# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What turns a language model's hidden state into guidance: linear layers with ReLU between them, from one safetensors file."""

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tasktp_ros.errors import InputError
from tasktp_ros.files import readable
from tasktp_ros.guidance.source import LENGTH


def read_projection(path: Path) -> nn.Sequential:
    """Layers by their order in the file: `<anything><number>.weight` (out, in) and `.bias`, as LISA's `text_hidden_fcs.0.0`
    and `.0.2`.

    Raises:
        InputError: no such file, or one whose layers do not follow one another to 256 numbers, or are not finite.
    """
    if not path.is_file():
        raise InputError(f"projection {readable(path)} does not exist")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"projection {readable(path)} is not a whole safetensors file: {error}") from error
    found = {int(m[1]): name for name in tensors if (m := re.search(r"(\d+)\.weight$", name))}
    layers: list[nn.Module] = []
    width: int | None = None
    for number in sorted(found):
        weight, bias = tensors[found[number]], tensors.get(found[number].removesuffix("weight") + "bias")
        if weight.ndim != 2 or width not in (None, weight.shape[1]) or bias is None or len(bias) != len(weight):
            raise InputError(f"projection {readable(path)}: {found[number]} does not fit the layers around it")
        if not (weight.isfinite().all() and bias.isfinite().all()):
            raise InputError(f"projection {readable(path)}: {found[number]} holds numbers that are not finite")
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight.float(), "bias": bias.float()})
        layers += [nn.ReLU(), layer] if layers else [layer]
        width = weight.shape[0]
    if width != LENGTH:
        raise InputError(f"projection {readable(path)} must end in {LENGTH} numbers, got {width or 'no layer'}")
    return nn.Sequential(*layers).requires_grad_(False).to(torch.float32)
