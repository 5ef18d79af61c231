# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's segmentation network: SAM's encoder and decoder, and a prune decoder; one mask for one goal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.errors import InputError
from tasktp_ros.vision.prune_decoder import PruneDecoder, SlimPruneDecoder
from tasktp_ros.vision.pruned_encoding import Encoding, PruneStage, Scorer, encode
from tasktp_ros.vision.sam_decoder import MaskDecoder, PromptEncoder
from tasktp_ros.vision.sam_encoder import CHANNELS, PATCH, ImageEncoder
from tasktp_ros.vision.segment_pruners import SegmentPruner
from tasktp_ros.vision.vit import initialise_transformer


@dataclass(frozen=True)
class SegmenterConfig:
    """A segmenter's widths.

    Attributes:
        image_size: side px of its square input, a multiple of 16.
        dim, depth, heads: the encoder's token channels, blocks and attention heads.
        global_blocks: indices from 0 of the blocks that attend everywhere.
        window: side of the other blocks' windows, in tokens.
        decoder_hidden: width of the MLPs in both decoders.
        prune_channels: inside the prune decoder; fewer than 256 make it a slim one.

    Raises:
        InputError: a number that no network can have.
    """

    image_size: int
    dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14
    decoder_hidden: int = 2048
    prune_channels: int = CHANNELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "global_blocks", tuple(self.global_blocks))
        if min(self.image_size, self.dim, self.depth, self.heads, self.window, self.decoder_hidden) < 1:
            raise InputError(f"a segmenter's sizes must be at least 1, got {self}")
        if self.image_size % PATCH:
            raise InputError(f"image_size must be a multiple of {PATCH} px, got {self.image_size}")
        if self.prune_channels % 16 or not 0 < self.prune_channels <= CHANNELS:
            raise InputError(f"prune_channels must be a multiple of 16 up to {CHANNELS}, got {self.prune_channels}")
        if self.dim % self.heads:
            raise InputError(f"dim must be a multiple of heads, got dim {self.dim} and {self.heads} heads")
        if not set(self.global_blocks) <= set(range(self.depth)):
            raise InputError(f"global_blocks must lie in 0..{self.depth - 1}, got {self.global_blocks}")


def sam_nano() -> SegmenterConfig:
    """For two CPU cores: 5.7 M parameters; windows of 10 fill its grid of 20 x 20 without padding."""
    return SegmenterConfig(
        320, dim=160, depth=8, heads=5, global_blocks=(1, 3, 5, 7), window=10, decoder_hidden=256, prune_channels=64
    )


def sam_b() -> SegmenterConfig:
    """SAM ViT-B."""
    return SegmenterConfig(1024, dim=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))


def sam_l() -> SegmenterConfig:
    """SAM ViT-L."""
    return SegmenterConfig(1024, dim=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))


def sam_h() -> SegmenterConfig:
    """SAM ViT-H."""
    return SegmenterConfig(1024, dim=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))


SEGMENTERS: dict[str, Callable[[], SegmenterConfig]] = {
    "sam_nano": sam_nano,
    "sam_b": sam_b,
    "sam_l": sam_l,
    "sam_h": sam_h,
}


@dataclass
class Segmentation:
    """What a segmenter made of a batch.

    Attributes:
        logits: (B, S/4, S/4) mask logits over its square input.
        quality: (B,) the IoU that the decoder expects.
        encoding: features, and what was kept and why; of one image where all goals share it.
    """

    logits: Tensor
    quality: Tensor
    encoding: Encoding


class Segmenter(nn.Module):
    """The network; its first keys are SAM's, then come the prune head's, as VLTP publishes them."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(
            config.image_size, config.dim, config.depth, config.heads, config.global_blocks, config.window
        )
        self.prompt_encoder = PromptEncoder()
        self.mask_decoder = MaskDecoder(config.decoder_hidden)
        self.prune_head = (
            PruneDecoder(config.dim, hidden=config.decoder_hidden)
            if config.prune_channels == CHANNELS
            else SlimPruneDecoder(config.dim, config.prune_channels)
        )
        self.register_load_state_dict_pre_hook(_keep_prune_head)

    def forward(
        self,
        image: Tensor,
        guidance: Tensor,
        stages: tuple[PruneStage, ...] = (),
        pruner: SegmentPruner | None = None,
    ) -> Segmentation:
        """Equation (3): the mask of each image's goal, or of several goals of one image.

        What does not depend on the goal runs once for one image: all blocks before the first stage.

        Args:
            image: (B, 3, S, S); of several goals for one image (1, 3, S, S).
            guidance: (B, 256) a vector per image, or (256,) one for all.
            stages: where tokens are scored and how many are pruned; none = SAM as published.
            pruner: another way to prune, which knows no goals; None = the prune decoder.

        Raises:
            InputError: another shape, guidance that is not finite, or a stage the encoder does not have.
        """
        goals = len(guidance) if guidance.ndim == 2 and len(image) == 1 else 1
        guidance = check_guidance(guidance, len(image) * goals)
        encoding = (
            encode(self.image_encoder, image, stages, self.scorer(guidance), goals=goals)
            if pruner is None
            else pruner.encode(self.image_encoder, image, stages)
        )
        features = encoding.features.expand(goals, -1, -1, -1) if len(encoding.features) < goals else encoding.features
        logits, quality = self.decode(features, guidance)
        return Segmentation(logits, quality, encoding)

    def scorer(self, guidance: Tensor) -> Scorer:
        """The prune decoder with the goals' vectors (B, 256) given."""

        def score(tokens: Tensor) -> Tensor:
            positions = self.prompt_encoder.positions(tokens.shape[1], tokens.shape[2])
            return self.prune_head(tokens, positions, self.prompt_encoder.no_mask(), guidance)

        return score

    def decode(self, features: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits (B, S/4, S/4) and expected IoU (B,) from features (B, 256, S/16, S/16) and guidance (B, 256)."""
        positions = self.prompt_encoder.positions(features.shape[2], features.shape[3])
        logits, quality = self.mask_decoder(features, positions, self.prompt_encoder.no_mask(), guidance)
        return logits[:, 0], quality[:, 0]

    def masks_at(self, logits: Tensor, content: tuple[int, int], source: tuple[int, int]) -> Tensor:
        """Mask logits over a source image.

        Args:
            logits: (B, S/4, S/4).
            content: height, width px that the image has in the square, from the top left corner; the rest is padding.
            source: height, width px of the image as it came.

        Returns:
            (B, height, width) float32 of the source; positive = mask.
        """
        side = self.config.image_size
        whole = F.interpolate(logits[:, None].float(), (side, side), mode="bilinear", align_corners=False)
        cropped = whole[..., : content[0], : content[1]]
        return F.interpolate(cropped, source, mode="bilinear", align_corners=False)[:, 0]


def check_guidance(guidance: Tensor, images: int) -> Tensor:
    """Guidance as (B, 256), after looking at its shape and values.

    Raises:
        InputError: another length, another number of vectors than images, or values that are not finite.
    """
    if guidance.ndim == 1:
        guidance = guidance.expand(images, -1)
    if guidance.ndim != 2 or guidance.shape[1] != CHANNELS:
        raise InputError(f"guidance must have {CHANNELS} numbers per image, got shape {tuple(guidance.shape)}")
    if len(guidance) != images:
        raise InputError(f"guidance must have one vector for each of {images} images, got {len(guidance)}")
    if not bool(guidance.isfinite().all()):
        raise InputError("guidance holds numbers that are not finite (NaN or infinite)")
    return guidance


def build_segmenter(config: str | SegmenterConfig) -> Segmenter:
    """A fresh network in training mode, float32.

    Args:
        config: "sam_nano", "sam_b", "sam_l", "sam_h", or widths of one's own.

    Raises:
        InputError: unknown name.
    """
    if isinstance(config, str):
        if config not in SEGMENTERS:
            raise InputError(f"unknown segmenter {config!r}; expected one of {', '.join(SEGMENTERS)}")
        config = SEGMENTERS[config]()
    segmenter = Segmenter(config)
    initialise_transformer(segmenter.image_encoder)
    nn.init.trunc_normal_(segmenter.image_encoder.pos_embed, std=0.02)
    return segmenter


def _keep_prune_head(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """SAM's published weights know no prune head: it then keeps the weights it has."""
    own = f"{prefix}prune_head."
    if not any(name.startswith(own) for name in state):
        kept = module.prune_head.state_dict()  # type: ignore[union-attr]
        state.update({f"{own}{name}": tensor for name, tensor in kept.items()})
