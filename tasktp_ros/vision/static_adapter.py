# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Injectors and extractors that follow the kept tokens in static shapes: computed everywhere, and hidden where no kept token is near.

On a GPU the arithmetic that this wastes costs less than waiting for the number of cells would. The result is
that of `Interaction.inject` and `Interaction.extract` on those tokens and cells alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.vision.adapter import Extractor, Interaction
from tasktp_ros.vision.cells import masks_around
from tasktp_ros.vision.deformable import Shapes

PRIOR_STRIDES = (8, 16, 32)


def inject_around(
    interaction: Interaction, tokens: Tensor, prior: Tensor, kept: Tensor, token_shapes: Shapes, prior_shapes: Shapes
) -> Tensor:
    """Run the injector of one image around kept tokens: tokens (1, N, C), prior (1, 21N/4, C), kept (1, N) bool -> tokens."""
    near = masks_around(kept, token_shapes[0], (16,))[0].flatten(1)[..., None]
    return torch.where(near, interaction.injector(tokens, prior, token_shapes, prior_shapes), tokens)


def extract_around(
    interaction: Interaction, prior: Tensor, tokens: Tensor, kept: Tensor, token_shapes: Shapes, prior_shapes: Shapes
) -> Tensor:
    """Run the extractors of one image around kept tokens: prior (1, 21N/4, C), tokens (1, N, C), kept (1, N) bool -> prior."""
    near = masks_around(kept, token_shapes[0], PRIOR_STRIDES)
    here = torch.cat([mask.flatten() for mask in near])[:, None]
    updated = prior
    for extractor in (interaction.extractor, *getattr(interaction, "extra_extractors", ())):
        updated = _extract(extractor, updated, tokens, here, token_shapes, prior_shapes)
    return torch.where(here, updated, prior)


def _extract(
    extractor: Extractor, prior: Tensor, tokens: Tensor, here: Tensor, token_shapes: Shapes, prior_shapes: Shapes
) -> Tensor:
    read = extractor.attn(extractor.query_norm(prior), extractor.feat_norm(tokens), prior_shapes, token_shapes)
    prior = prior + read
    hidden = extractor.ffn.fc1(extractor.ffn_norm(prior)) * here
    return prior + extractor.ffn.fc2(F.gelu(extractor.ffn.dwconv(hidden, prior_shapes)))
