# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Others' ways to run a segmenter's encoder on fewer tokens, none of which knows the goal: the baselines of VLTP's table 7.

Each is told how many tokens to keep, so that all can be compared at the same number of operations; thresholds, by which DToP and
SViT choose how many in their papers, would decide that themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.errors import InputError
from tasktp_ros.vision.pruned_encoding import Encoding, PruneStage, check_stages, encode, keep_highest, run_kept
from tasktp_ros.vision.sam_encoder import EncoderBlock, ImageEncoder

ALWAYS = float("inf")
FIRST_GATED = 1 / 4
"""SViT leaves the first 3 of 12 blocks alone."""
SHARED = 2
"""Side, in tokens, of what CTS joins to one."""


class SegmentPruner(nn.Module, ABC):
    """Runs an encoder's blocks on fewer tokens.

    Args:
        dim, depth: of the encoder.
        num_classes: categories without background, of which a method may want to know.
    """

    def __init__(self, dim: int, depth: int, num_classes: int) -> None:
        super().__init__()

    @abstractmethod
    def stages_for(self, depth: int, strength: float) -> tuple[PruneStage, ...]:
        """Its stages in an encoder of `depth` blocks; the higher `strength` (0 to 1), the fewer tokens."""

    def check(self, stages: Sequence[PruneStage], depth: int) -> None:
        """Raises InputError for stages that it cannot have."""
        check_stages(stages, depth)

    @abstractmethod
    def encode(self, encoder: ImageEncoder, image: Tensor, stages: Sequence[PruneStage]) -> Encoding:
        """Features of images (B, 3, S, S), pruned; without stages those of the whole encoder."""


class RandomPruner(SegmentPruner):
    """Keeps tokens at random from one place on: "Random 50 %" of table 7.

    Attributes:
        seed: what is kept on an image follows from it and the tokens' number alone.
    """

    def __init__(self, dim: int, depth: int, num_classes: int) -> None:
        super().__init__(dim, depth, num_classes)
        self.seed = 0

    def stages_for(self, depth: int, strength: float) -> tuple[PruneStage, ...]:
        """One stage in the middle, as the paper's after block 16 of 32."""
        return (PruneStage(depth // 2, strength),)

    def encode(self, encoder: ImageEncoder, image: Tensor, stages: Sequence[PruneStage]) -> Encoding:
        """See `SegmentPruner.encode`."""
        generator = torch.Generator().manual_seed(self.seed)

        def score(tokens: Tensor) -> Tensor:
            shape = (len(tokens), tokens.shape[1] * tokens.shape[2])
            return torch.rand(shape, generator=generator).to(tokens.device)

        return encode(encoder, image, stages, score)


class DtopPruner(SegmentPruner):
    """DToP: a head at each stage says what a token shows, and those that it is surest of are done.

    A token that is done stays so and keeps its value, but the `context` surest ones of each category go on, so that the others can
    still see what is there. Heads are linear, after a norm; in the paper they are the segmenter's own kind of decoder.

    Args:
        context: tokens of each category that always go on (k of the paper).
    """

    def __init__(self, dim: int, depth: int, num_classes: int, context: int = 5) -> None:
        super().__init__(dim, depth, num_classes)
        self.context = context
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, num_classes + 1)) for _ in self.stages_for(depth, 0.5)
        )

    def stages_for(self, depth: int, strength: float) -> tuple[PruneStage, ...]:
        """Two stages where VLTP has its; the same share of those that are left is done at each."""
        return PruneStage(depth // 2, strength), PruneStage(3 * depth // 4, 1 - (1 - strength) ** 2)

    def check(self, stages: Sequence[PruneStage], depth: int) -> None:
        """Raises InputError for stages that it cannot have: more than it has heads, or a later one that keeps more."""
        super().check(stages, depth)
        rates = [stage.rate for stage in stages]
        if len(stages) > len(self.heads) or rates != sorted(rates):
            raise InputError(
                f"DToP prunes at most {len(self.heads)} times and never brings tokens back, got rates {rates}"
            )

    def classify(self, tokens: Tensor, number: int) -> Tensor:
        """What tokens (B, H, W, C) show at stage `number`: logits (B, H * W, classes + 1)."""
        return self.heads[number](tokens.flatten(1, 2))

    def encode(self, encoder: ImageEncoder, image: Tensor, stages: Sequence[PruneStage]) -> Encoding:
        """See `SegmentPruner.encode`."""
        self.check(stages, len(encoder.blocks))
        going: list[Tensor] = []
        rates = iter(stages)

        def score(tokens: Tensor) -> Tensor:
            logits = self.classify(tokens, len(going))
            before = going[-1] if going else torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device)
            scores = unsure_first(logits, before, self.context)
            kept = keep_highest(scores, next(rates).rate)
            going.append(torch.zeros_like(before).scatter(1, kept, True))
            return scores

        return encode(encoder, image, stages, score)


def unsure_first(logits: Tensor, going: Tensor, context: int) -> Tensor:
    """DToP's order: scores (B, N), the highest for tokens that go on.

    Args:
        logits: (B, N, K) of each token's category.
        going: (B, N) bool, tokens that are not done yet; the others come last.
        context: so many of the surest tokens of each category come first.
    """
    sure, category = logits.float().softmax(-1).max(-1)
    rank = torch.where(going, -sure, -2.0)
    for number in range(logits.shape[2]):
        among = torch.where(going & (category == number), sure, -1.0)
        best = among.topk(min(context, among.shape[1]), dim=1)
        surest = torch.zeros_like(going).scatter(1, best.indices, best.values >= 0)
        rank = torch.where(surest, ALWAYS, rank)
    return rank


class SvitPruner(SegmentPruner):
    """SViT: a small gate before each block but the first ones; what it leaves out keeps its value and may come back.

    Gates have the paper's form: norm, C to C/4, GELU, two logits, of which the first is for keeping.
    """

    def __init__(self, dim: int, depth: int, num_classes: int) -> None:
        super().__init__(dim, depth, num_classes)
        self.gates = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(dim, eps=1e-5), nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, 2))
            for _ in range(depth - first_gated(depth))
        )

    def stages_for(self, depth: int, strength: float) -> tuple[PruneStage, ...]:
        """A stage before every gated block; their three thirds keep 0.7, 0.49 and 0.343 of the tokens at a strength of 0.3."""
        first = first_gated(depth)
        gated = depth - first
        thirds = [min(3 * number // gated, 2) + 1 for number in range(gated)]
        return tuple(PruneStage(first + number, 1 - (1 - strength) ** third) for number, third in enumerate(thirds))

    def check(self, stages: Sequence[PruneStage], depth: int) -> None:
        """Raises InputError for stages that it cannot have: before blocks that have no gate."""
        super().check(stages, depth)
        if any(stage.after < first_gated(depth) for stage in stages):
            raise InputError(f"SViT has no gates before block {first_gated(depth) + 1}")

    def decide(self, tokens: Tensor, after: int, depth: int) -> Tensor:
        """Logits (B, H * W, 2) of the gate after `after` blocks, for tokens (B, H, W, C)."""
        return self.gates[after - first_gated(depth)](tokens.flatten(1, 2))

    def encode(self, encoder: ImageEncoder, image: Tensor, stages: Sequence[PruneStage]) -> Encoding:
        """See `SegmentPruner.encode`."""
        depth = len(encoder.blocks)
        self.check(stages, depth)
        places = iter(stages)

        def score(tokens: Tensor) -> Tensor:
            logits = self.decide(tokens, next(places).after, depth)
            return logits[..., 0] - logits[..., 1]

        return encode(encoder, image, stages, score)


def first_gated(depth: int) -> int:
    """Blocks before SViT's first gate."""
    return max(1, round(FIRST_GATED * depth))


class CtsPruner(SegmentPruner):
    """CTS: before the first block four neighbours that a policy takes for one thing become one token; at the end each of them gets it.

    The policy sees the image alone. The joined token is the patch embedding of the four patches at half their size, at the
    mean of their position embeddings, and stands at its upper left place, since relative positions know whole places only. What goes
    through it is given to all four. The paper's policy is an EfficientNet; here it is four convolutions.
    """

    def __init__(self, dim: int, depth: int, num_classes: int, width: int = 32) -> None:
        super().__init__(dim, depth, num_classes)
        steps = ((3, width, 4), (width, width, 2), (width, 2 * width, 2), (2 * width, 2 * width, 2))
        layers: list[nn.Module] = []
        for before, after, stride in steps:
            layers += [nn.Conv2d(before, after, 3, stride, padding=1), nn.GELU()]
        self.policy = nn.Sequential(*layers, nn.Conv2d(2 * width, 1, 1))

    def stages_for(self, depth: int, strength: float) -> tuple[PruneStage, ...]:
        """Before the first block; three of four tokens at most can be saved."""
        return (PruneStage(0, 0.75 * strength),)

    def check(self, stages: Sequence[PruneStage], depth: int) -> None:
        """Raises InputError for stages that it cannot have: other than one before the first block that saves at most 0.75."""
        if len(stages) > 1 or any(stage.after or not 0 <= stage.rate <= 0.75 for stage in stages):
            raise InputError(
                f"CTS has one stage, after 0 blocks, that saves 0 to 0.75 of the tokens, got {list(stages)}"
            )

    def judge(self, image: Tensor) -> Tensor:
        """How likely each square of four patches shows one thing: logits (B, ceil(H/32) * ceil(W/32)) of an image."""
        return self.policy(image).flatten(1)

    def encode(self, encoder: ImageEncoder, image: Tensor, stages: Sequence[PruneStage]) -> Encoding:
        """See `SegmentPruner.encode`."""
        blocks = cast(Sequence[EncoderBlock], list(encoder.blocks))
        self.check(stages, len(blocks))
        tokens = encoder.embed(image)
        if not stages:
            return Encoding(encoder(image))
        batch, height, width = tokens.shape[:3]
        if height % SHARED or width % SHARED:
            raise InputError(f"CTS needs a grid of even sides, got {height} x {width}")
        squares = height // SHARED * (width // SHARED)
        joined_count = min(squares, int(stages[0].rate * height * width / 3 + 1e-9))
        scores = self.judge(image)
        best = keep_highest(scores, 1 - joined_count / squares) if joined_count else scores.new_zeros((batch, 0)).long()
        joined = torch.zeros_like(scores, dtype=torch.bool).scatter(1, best, True).view(batch, height // 2, width // 2)
        small = F.avg_pool2d(image, SHARED)
        places = F.avg_pool2d(encoder.pos_embed.permute(0, 3, 1, 2), SHARED).permute(0, 2, 3, 1)
        of_four = spread(encoder.patch_embed(small) + places)
        in_joined = spread(joined[..., None])[..., 0]
        corner = torch.zeros_like(in_joined)
        corner[:, ::SHARED, ::SHARED] = True
        going = (~in_joined | corner).flatten(1)
        index = going.nonzero()[:, 1].view(batch, -1)
        tokens = run_kept(blocks, torch.where(in_joined[..., None], of_four, tokens), index)
        given = spread(tokens[:, ::SHARED, ::SHARED])
        tokens = torch.where(in_joined[..., None], given, tokens)
        return Encoding(encoder.features(tokens), [going], [scores])


def spread(cells: Tensor) -> Tensor:
    """Each cell of (B, h, w, C) to its four tokens: (B, 2h, 2w, C)."""
    return cells.repeat_interleave(SHARED, 1).repeat_interleave(SHARED, 2)


PRUNERS: dict[str, type[SegmentPruner]] = {
    "random": RandomPruner,
    "cts": CtsPruner,
    "dtop": DtopPruner,
    "svit": SvitPruner,
}


def build_pruner(name: str, dim: int, depth: int, num_classes: int) -> SegmentPruner:
    """A pruner by name with fresh weights, for an encoder; raises InputError for an unknown name."""
    if name not in PRUNERS:
        raise InputError(f"unknown pruner {name!r}; expected vltp or one of {', '.join(PRUNERS)}")
    return PRUNERS[name](dim, depth, num_classes)
