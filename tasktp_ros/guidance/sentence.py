# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A sentence encoder behind a learned projection; needs transformers, which is not among the package's requirements."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasktp_ros.errors import InputError
from tasktp_ros.guidance.projection import read_projection
from tasktp_ros.guidance.source import Guidance, checked_sentence, checked_vector


class SentenceGuidance(Guidance):
    """The same vector for a sentence whatever the image shows.

    Args:
        encode: a sentence to its embedding (D,).
        projection: (D,) to (256,).
    """

    def __init__(self, encode: Callable[[str], Tensor], projection: nn.Module) -> None:
        self.encode, self.projection = encode, projection

    @classmethod
    def open(cls, folder: str | Path, device: str = "cpu") -> "SentenceGuidance":
        """An encoder in transformers' layout, with `projection.safetensors` beside it (see `guidance.projection`).

        Raises:
            InputError: transformers is not installed, or the folder does not hold both.
        """
        transformers = need_transformers()
        if not Path(folder).is_dir():
            raise InputError(f"sentence encoder {folder} does not exist: expected a folder in transformers' layout")
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            model = transformers.AutoModel.from_pretrained(folder).eval().to(device)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"sentence encoder {folder} cannot be opened: {str(error).splitlines()[0]}") from error
        projection = read_projection(Path(folder) / "projection.safetensors")

        def encode(sentence: str) -> Tensor:
            words = tokenizer(sentence, return_tensors="pt", truncation=True).to(device)
            return mean_of_words(model(**words).last_hidden_state, words["attention_mask"])[0].cpu()

        return cls(encode, projection)

    @torch.no_grad()
    def vector(self, sentence: str, image: NDArray[np.uint8] | None = None) -> Tensor:
        return checked_vector(self.projection(self.encode(checked_sentence(sentence))), "the projected sentence")


def mean_of_words(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the words of (B, W, D) that `mask` (B, W) counts, at unit length: (B, D)."""
    shares = mask[..., None].to(hidden.dtype)
    mean = (hidden * shares).sum(1) / shares.sum(1).clamp(min=1)
    return nn.functional.normalize(mean, dim=-1)


def need_transformers() -> Any:
    """The library, where it is installed; raises InputError otherwise."""
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "guidance by a language model needs transformers (pip install transformers); a learned table or cached "
            "embeddings work without"
        ) from error
    return transformers
