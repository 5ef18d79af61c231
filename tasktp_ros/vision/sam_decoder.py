# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""SAM's prompt encoder and mask decoder with the published names; a prompt here is one vector per image, the goal's."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.sam_encoder import CHANNELS, LayerNorm2d
from tasktp_ros.vision.two_way import TwoWayTransformer

MASKS = 4
"""Mask 0 is the one for a prompt that is not ambiguous, such as a goal; SAM has three more."""


class PositionalEncoding(nn.Module):
    """Positions of a grid as sines and cosines of random directions."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    def forward(self, height: int, width: int) -> Tensor:
        """(1, channels, height, width)."""
        matrix = self.positional_encoding_gaussian_matrix
        rows = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / height
        columns = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / width
        x, y = columns.expand(height, width), rows[:, None].expand(height, width)
        angles = 2 * math.pi * ((2 * torch.stack((x, y), -1) - 1) @ matrix)
        return torch.cat((angles.sin(), angles.cos()), -1).permute(2, 0, 1)[None]


class PromptEncoder(nn.Module):
    """Holds what SAM knows of prompts. Used are the grid's positions and the vector that says "no mask was given"; the
    parameters for points, boxes and masks are there so that published weights fit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pe_layer = PositionalEncoding(CHANNELS)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, CHANNELS) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, CHANNELS)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, 2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, CHANNELS, 1),
        )
        self.no_mask_embed = nn.Embedding(1, CHANNELS)

    def positions(self, height: int, width: int) -> Tensor:
        """(1, 256, height, width)."""
        return self.pe_layer(height, width)

    def no_mask(self) -> Tensor:
        """(1, 256, 1, 1): the dense prompt where no mask is given, the same everywhere."""
        return self.no_mask_embed.weight[:, :, None, None]


class Layers(nn.Module):
    """Three linear layers with ReLU between them."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList((nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, out)))

    def forward(self, values: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(values)))))


class MaskDecoder(nn.Module):
    """Features and a goal's vector to mask logits at four times the grid's resolution.

    Args:
        hidden: width of the transformer's MLPs.
    """

    def __init__(self, hidden: int = 2048) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(CHANNELS, hidden=hidden)
        self.iou_token = nn.Embedding(1, CHANNELS)
        self.mask_tokens = nn.Embedding(MASKS, CHANNELS)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(CHANNELS, CHANNELS // 4, 2, 2),
            LayerNorm2d(CHANNELS // 4),
            nn.GELU(),
            nn.ConvTranspose2d(CHANNELS // 4, CHANNELS // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Layers(CHANNELS, CHANNELS // 8) for _ in range(MASKS))
        self.iou_prediction_head = Layers(CHANNELS, MASKS)

    def forward(self, features: Tensor, positions: Tensor, no_mask: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """One mask per image.

        Args:
            features: (B, 256, H, W) of the image encoder.
            positions: (1, 256, H, W).
            no_mask: (1, 256, 1, 1).
            guidance: (B, 256), each image's own goal.

        Returns:
            Logits (B, 1, 4H, 4W) and the IoU the decoder expects (B, 1).
        """
        masks, quality = self.all_masks(features, positions, no_mask, guidance)
        return masks[:, :1], quality[:, :1]

    def all_masks(
        self, features: Tensor, positions: Tensor, no_mask: Tensor, guidance: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, with SAM's three masks for ambiguous prompts: (B, 4, 4H, 4W) and (B, 4)."""
        batch, _, height, width = features.shape
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight)).expand(batch, -1, -1)
        queries = torch.cat((own, guidance[:, None].to(own.dtype)), 1)
        image = (features + no_mask).flatten(2).mT
        queries, image = self.transformer(queries, image, positions.flatten(2).mT)
        upscaled = self.output_upscaling(image.mT.unflatten(2, (height, width)))
        weights = [mlp(queries[:, 1 + index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)]
        masks = (torch.stack(weights, 1) @ upscaled.flatten(2)).unflatten(2, (4 * height, 4 * width))
        return masks, self.iou_prediction_head(queries[:, 0])
