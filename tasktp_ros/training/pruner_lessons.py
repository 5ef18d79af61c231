# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the baselines of VLTP's table 7 learn from, each as its paper has it; see `vision.segment_pruners`."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.labels import UNKNOWN, token_labels
from tasktp_ros.vision.image import PATCH
from tasktp_ros.vision.pruned_encoding import PruneStage, keep_count
from tasktp_ros.vision.sam_encoder import EncoderBlock, ImageEncoder
from tasktp_ros.vision.segment_pruners import SHARED, CtsPruner, DtopPruner, SegmentPruner, SvitPruner

GATE_WEIGHT = 4.0
"""Of SViT's loss for the share that is kept."""
Losses = dict[str, Tensor]


def lesson_of(
    pruner: SegmentPruner, encoder: ImageEncoder, batch: Batch, stages: Sequence[PruneStage], num_classes: int
) -> tuple[Tensor, Losses]:
    """Features (B, 256, S/16, S/16) as the pruner leaves them while it learns, and the losses of its own head."""
    if isinstance(pruner, CtsPruner):
        return _of_cts(pruner, encoder, batch, stages)
    if isinstance(pruner, DtopPruner):
        return _of_dtop(pruner, encoder, batch, stages, num_classes)
    if isinstance(pruner, SvitPruner):
        return _of_svit(pruner, encoder, batch, stages)
    return pruner.encode(encoder, batch.normalised(), stages).features, {}


def _of_cts(
    pruner: CtsPruner, encoder: ImageEncoder, batch: Batch, stages: Sequence[PruneStage]
) -> tuple[Tensor, Losses]:
    """The policy learns by cross-entropy whether a square of four patches shows one category."""
    image = batch.normalised()
    target = torch.stack([shows_one_thing(truth) for truth in batch.truths]).float()
    loss = F.binary_cross_entropy_with_logits(pruner.judge(image).float(), target)
    with torch.no_grad():
        features = pruner.encode(encoder, image, stages).features
    return features, {"loss_policy": loss}


def shows_one_thing(truth: Truth) -> Tensor:
    """Squares of four patches of which all pixels are of one category, or all of none: (H/32 * W/32,) bool."""
    side = PATCH * SHARED
    masks = truth.masks
    squares = torch.ones(masks.shape[1] // side, masks.shape[2] // side, dtype=torch.bool, device=masks.device)
    for label in truth.labels.unique():
        of_label = masks[truth.labels == label].any(0)[None, None].float()
        squares &= (F.max_pool2d(of_label, side) == -F.max_pool2d(-of_label, side))[0, 0]
    return squares.flatten()


def _of_dtop(
    pruner: DtopPruner, encoder: ImageEncoder, batch: Batch, stages: Sequence[PruneStage], num_classes: int
) -> tuple[Tensor, Losses]:
    """Each head learns by cross-entropy what every token shows, pruned ones too."""
    wanted = torch.stack([token_labels(truth, num_classes) for truth in batch.truths])
    logits: list[Tensor] = []
    hooks = [head.register_forward_hook(lambda _, __, found: logits.append(found)) for head in pruner.heads]
    try:
        features = pruner.encode(encoder, batch.normalised(), stages).features
    finally:
        for hook in hooks:
            hook.remove()
    losses = [F.cross_entropy(each.float().flatten(0, 1), wanted.flatten(), ignore_index=UNKNOWN) for each in logits]
    return features.detach(), {"loss_heads": torch.stack(losses).mean()}


def _of_svit(
    pruner: SvitPruner, encoder: ImageEncoder, batch: Batch, stages: Sequence[PruneStage]
) -> tuple[Tensor, Losses]:
    """Gates draw by Gumbel noise, straight through, and are held to the share that they will keep.

    Left-out tokens are hidden from the others as when pruned; the gradient of a gate goes through what the block adds to its token.
    """
    tokens = encoder.embed(batch.normalised())
    places = {stage.after: stage.rate for stage in stages}
    number = tokens.shape[1] * tokens.shape[2]
    missed = []
    depth = len(encoder.blocks)
    for after, block in enumerate(cast(Sequence[EncoderBlock], list(encoder.blocks))):
        if after not in places:
            tokens = block(tokens)
            continue
        logits = pruner.decide(tokens, after, depth).float()
        gate = F.gumbel_softmax(logits, hard=True, dim=-1)[..., 0].view(tokens.shape[:3])
        missed.append((gate.mean() - keep_count(number, places[after]) / number) ** 2)
        mixed = tokens + block.attention(tokens, gate.detach() > 0.5)
        mixed = mixed + block.mlp(block.norm2(mixed))
        tokens = tokens + gate[..., None] * (mixed - tokens)
    loss = torch.stack(missed).mean() if missed else tokens.new_zeros(())
    return encoder.features(tokens), {"loss_share": GATE_WEIGHT * loss}
