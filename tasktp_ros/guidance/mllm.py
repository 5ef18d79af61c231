# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The <SEG> embedding of a multimodal language model, as LISA reads it: the hidden state that predicts the token [SEG].

The answer is given to the model instead of generated, so one pass per image and sentence is enough.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasktp_ros.errors import InputError
from tasktp_ros.guidance.projection import read_projection
from tasktp_ros.guidance.sentence import need_transformers
from tasktp_ros.guidance.source import Guidance, checked_sentence, checked_vector

SEG = "[SEG]"
PROMPT = "USER: <image>\n{sentence} Please segment it. ASSISTANT: It is [SEG]."


class MllmGuidance(Guidance):
    """Asks the model with every image.

    Args:
        read: image (H, W, 3) uint8 RGB and prompt to token ids (W,) int64 and last hidden states (W, D).
        seg_id: the id of [SEG].
        projection: (D,) to (256,).
        prompt: the text in which `{sentence}` is the goal and which holds [SEG] once.
    """

    looks_at_image = True

    def __init__(
        self,
        read: Callable[[NDArray[np.uint8], str], tuple[Tensor, Tensor]],
        seg_id: int,
        projection: nn.Module,
        prompt: str = PROMPT,
    ) -> None:
        if "{sentence}" not in prompt or prompt.count(SEG) != 1:
            raise InputError(f"a prompt must hold {{sentence}}, and {SEG} once, got {prompt!r}")
        self.read, self.seg_id, self.projection, self.prompt = read, seg_id, projection, prompt

    @classmethod
    def open(cls, folder: str | Path, device: str = "cuda", prompt: str = PROMPT) -> "MllmGuidance":
        """A LLaVA in transformers' layout whose tokenizer knows [SEG], with `projection.safetensors` beside it.

        Raises:
            InputError: transformers is not installed, or the folder does not hold such a model.
        """
        transformers = need_transformers()
        if not Path(folder).is_dir():
            raise InputError(f"language model {folder} does not exist: expected a folder in transformers' layout")
        try:
            processor = transformers.AutoProcessor.from_pretrained(folder)
            model = transformers.LlavaForConditionalGeneration.from_pretrained(folder, torch_dtype="auto")
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"language model {folder} cannot be opened: {str(error).splitlines()[0]}") from error
        model = model.eval().to(device)
        seg_id = processor.tokenizer.convert_tokens_to_ids(SEG)
        if seg_id is None or seg_id == processor.tokenizer.unk_token_id:
            raise InputError(f"language model {folder} does not know the token {SEG}: it was not trained to segment")

        def read(image: NDArray[np.uint8], text: str) -> tuple[Tensor, Tensor]:
            given = processor(images=image, text=text, return_tensors="pt").to(device)
            found = model(**given, output_hidden_states=True)
            return given["input_ids"][0].cpu(), found.hidden_states[-1][0].float().cpu()

        return cls(read, int(seg_id), read_projection(Path(folder) / "projection.safetensors"), prompt)

    @torch.no_grad()
    def vector(self, sentence: str, image: NDArray[np.uint8] | None = None) -> Tensor:
        if image is None:
            raise InputError("a multimodal language model needs the image with the sentence")
        ids, hidden = self.read(image, self.prompt.replace("{sentence}", checked_sentence(sentence).replace(SEG, "")))
        return checked_vector(self.projection(hidden[before_seg(ids, self.seg_id)]), "the embedding of [SEG]")


def before_seg(ids: Tensor, seg_id: int) -> int:
    """The position whose hidden state predicts [SEG]: the one before the last of them in ids (W,); raises InputError."""
    places = (ids == seg_id).nonzero()[:, 0]
    if not len(places) or int(places[-1]) == 0:
        raise InputError(f"the language model's input holds no {SEG} to read: its tokenizer splits it")
    return int(places[-1]) - 1
