# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's pruning in SAM's encoder: at each stage all tokens are scored, and the best go through the blocks up to the next stage.

Pruned tokens wait with the value they have (frozen) and are scored again at the next stage (reactivated); the neck gets all
of them. What the paper leaves open is decided here: the rest of a window attends to itself, and to the padding that SAM puts
there, at its own places; a window of which nothing is kept costs nothing; of equal scores the lower index is kept.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import torch
from torch import Tensor

from tasktp_ros.errors import InputError
from tasktp_ros.vision.sam_encoder import EncoderBlock, ImageEncoder, Places
from tasktp_ros.vision.stages import stage as marked

Scorer: TypeAlias = Callable[[Tensor], Tensor]
"""Tokens (B, H, W, C) to scores (B, H * W) of any scale; the highest are kept."""


@dataclass(frozen=True)
class PruneStage:
    """One pruning stage.

    Attributes:
        after: number of blocks that have run when tokens are scored.
        rate: share of the tokens that is frozen from here to the next stage, r_m of the paper.
    """

    after: int
    rate: float


def check_stages(stages: Sequence[PruneStage], depth: int) -> None:
    """Raises InputError unless the stages lie in order between `depth` blocks, with rates from 0 to 1."""
    places = [stage.after for stage in stages]
    if sorted(set(places)) != places or not all(1 <= place < depth for place in places):
        raise InputError(f"pruning stages must lie after blocks 1 to {depth - 1}, in order, got {places}")
    for stage in stages:
        if not 0.0 <= stage.rate <= 1.0:
            raise InputError(f"a pruning rate must be from 0 to 1, got {stage.rate} after block {stage.after}")


@dataclass
class Encoding:
    """What pruned encoding leaves.

    Attributes:
        features: (B, 256, S/16, S/16).
        keep: per stage (B, N) bool, tokens that went on.
        scores: per stage (B, N) float scores of all tokens.
    """

    features: Tensor
    keep: list[Tensor] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)

    @property
    def kept(self) -> list[float]:
        """Share of the tokens that each stage kept."""
        return [float(keep.float().mean()) for keep in self.keep]


def encode(
    encoder: ImageEncoder,
    image: Tensor,
    stages: Sequence[PruneStage],
    scorer: Scorer,
    masked: bool = False,
    goals: int = 1,
) -> Encoding:
    """Features of images (B, 3, S, S).

    Args:
        goals: of one image, for each of which the scorer gives scores: the first block that they change is the first to run for
            each of them. The result has a row per goal where there are stages, else one.
        masked: run all tokens and hide the pruned ones: the slow twin of gathering.

    Raises:
        InputError: a stage the encoder does not have, or images of another size.
    """
    blocks = cast(Sequence[EncoderBlock], list(encoder.blocks))
    check_stages(stages, len(blocks))
    with marked("stem"):
        tokens = encoder.embed(image)
    encoding = Encoding(tokens)
    bounds = [stage.after for stage in stages] + [len(blocks)]
    with marked("blocks"):
        for block in blocks[: bounds[0]]:
            tokens = block(tokens)
    if stages and goals > 1:
        tokens = tokens.expand(goals, -1, -1, -1)
    for stage, end in zip(stages, bounds[1:], strict=True):
        with marked("gates"):
            scores = scorer(tokens)
            index = keep_highest(scores, stage.rate)
        encoding.scores.append(scores)
        encoding.keep.append(torch.zeros_like(scores, dtype=torch.bool).scatter(1, index, True))
        with marked("blocks"):
            group = blocks[stage.after : end]
            tokens = run_masked(group, tokens, encoding.keep[-1]) if masked else run_kept(group, tokens, index)
    with marked("pyramid"):
        encoding.features = encoder.features(tokens)
    return encoding


def keep_count(tokens: int, rate: float) -> int:
    """Tokens that are kept of so many: N - floor(r N), as the text of the paper says (its equation 11 counts the others)."""
    return tokens - math.floor(rate * tokens + 1e-9)


def keep_highest(scores: Tensor, rate: float) -> Tensor:
    """Equation (11): indices (B, K) int64, ascending, of the highest scores (B, N); of equal scores the lower index."""
    count = keep_count(scores.shape[1], rate)
    return scores.argsort(dim=1, descending=True, stable=True)[:, :count].sort(dim=1).values


def run_masked(blocks: Sequence[EncoderBlock], tokens: Tensor, keep: Tensor) -> Tensor:
    """All tokens (B, H, W, C) through the blocks; pruned ones are hidden from the others and keep their value.

    Args:
        keep: (B, H * W) bool.
    """
    visible = keep.view(tokens.shape[:3])
    for block in blocks:
        mixed = tokens + block.attention(tokens, visible)
        mixed = mixed + block.mlp(block.norm2(mixed))
        tokens = torch.where(visible[..., None], mixed, tokens)
    return tokens


def run_kept(blocks: Sequence[EncoderBlock], tokens: Tensor, index: Tensor) -> Tensor:
    """Only the kept tokens of (B, H, W, C) through the blocks; the others stay as they are.

    Args:
        index: (B, K) int64, ascending; K may be 0.

    Returns:
        (B, H, W, C), as :func:`run_masked` up to rounding.
    """
    if not index.numel():
        return tokens
    height, width = tokens.shape[1:3]
    flat = tokens.flatten(1, 2)
    where = index[..., None].expand(-1, -1, flat.shape[2])
    kept = flat.gather(1, where)
    everywhere = Places(index // width, index % width)
    layouts: dict[int, WindowLayout] = {}
    for block in blocks:
        if block.window and block.window not in layouts:
            layouts[block.window] = WindowLayout.of(index, height, width, block.window)
        normed = block.norm1(kept)
        if block.window:
            kept = kept + attend_in_windows(block, normed, layouts[block.window])
        else:
            kept = kept + block.attn(normed, everywhere)
        kept = kept + block.mlp(block.norm2(kept))
    return flat.scatter(1, where, kept.to(flat.dtype)).view_as(tokens)


@dataclass(frozen=True)
class WindowLayout:
    """Where kept tokens lie in the windows that hold any, over all images: G windows of M slots.

    Attributes:
        slots: (B * K,) int64: the slot of each kept token, window * M + rank.
        places: rows and columns (G, M) within the window.
        filled: (G, M) bool: the slot holds a kept token or SAM's padding.
        most: kept tokens of the window that has most; they come before the padding.
    """

    slots: Tensor
    places: Places
    filled: Tensor
    most: int

    @classmethod
    def of(cls, index: Tensor, height: int, width: int, window: int) -> "WindowLayout":
        """The layout for kept tokens `index` (B, K) int64 of a grid."""
        batch = len(index)
        down, across = -(-height // window), -(-width // window)
        device = index.device
        rows, columns = index // width, index % width
        owner = torch.arange(batch, device=device)[:, None] * (down * across)
        group = (owner + rows // window * across + columns // window).flatten()
        counts = torch.bincount(group, minlength=batch * down * across)
        lines, pad_lines = rows.flatten() % window, columns.flatten() % window

        pad = _padding(height, width, window, device)
        pad_group = (torch.arange(batch, device=device)[:, None] * (down * across) + pad[0]).flatten()
        held = counts[pad_group] > 0
        pad_group = pad_group[held]
        pad_rank = _ranks(pad_group, batch * down * across) + counts[pad_group]

        number = (counts > 0).cumsum(0) - 1
        rank = _ranks(group, batch * down * across)
        most = int(counts.max())
        size = max(most, int(pad_rank.max()) + 1) if len(pad_rank) else most
        slots, pad_slots = number[group] * size + rank, number[pad_group] * size + pad_rank
        every = torch.cat((slots, pad_slots))
        shape = (int(number[-1]) + 1, size)

        def spread(kept: Tensor, padding: Tensor) -> Tensor:
            values = torch.cat((kept, padding.expand(batch, -1).flatten()[held]))
            return kept.new_zeros(shape[0] * shape[1]).index_copy(0, every, values).view(shape)

        filled = torch.zeros(shape[0] * shape[1], dtype=torch.bool, device=device).index_fill(0, every, True)
        return cls(slots, Places(spread(lines, pad[1]), spread(pad_lines, pad[2])), filled.view(shape), most)


def _ranks(group: Tensor, groups: int) -> Tensor:
    """The how-manyth of its group each entry is: (E,) int64 group numbers -> (E,) int64 from 0."""
    counts = torch.bincount(group, minlength=groups)
    order = group.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    within = torch.arange(len(group), device=group.device) - starts[group[order]]
    return torch.empty_like(within).index_copy(0, order, within)


def _padding(height: int, width: int, window: int, device: torch.device) -> Tensor:
    """Window, row and column within it, of the positions that pad a grid to whole windows: (3, P) int64."""
    down, across = -(-height // window), -(-width // window)
    rows = torch.arange(down * window, device=device)[:, None].expand(-1, across * window)
    columns = torch.arange(across * window, device=device).expand(down * window, -1)
    outside = (rows >= height) | (columns >= width)
    rows, columns = rows[outside], columns[outside]
    return torch.stack((rows // window * across + columns // window, rows % window, columns % window))


def attend_in_windows(block: EncoderBlock, normed: Tensor, layout: WindowLayout) -> Tensor:
    """What windowed attention adds to the kept tokens, of which `normed` (B, K, C) are the normed ones: (B, K, C)."""
    attention = block.attn
    packed = attention.qkv(normed).flatten(0, 1)
    windows, size = layout.filled.shape
    # SAM pads with zeros before the projection, which leaves its bias.
    start = attention.qkv.bias.to(packed.dtype).expand(windows * size, -1)
    query, key, value = attention.split(start.index_copy(0, layout.slots, packed).view(windows, size, -1))
    places = layout.places
    at = Places(places.rows[:, : layout.most], places.columns[:, : layout.most])
    mixed = attention.attend(query[:, :, : layout.most], key, value, at, places, layout.filled)
    slots = layout.slots // size * layout.most + layout.slots % size
    return attention.proj(mixed.flatten(0, 1).index_select(0, slots)).view_as(normed)
