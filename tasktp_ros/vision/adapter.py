# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ViT-Adapter: a convolutional spatial prior beside the transformer, which exchange features four times.

The transformer sees one scale; detection needs four. The prior supplies them (c: strides 8, 16, 32; c1: stride 4), each
*injector* writes it into the tokens, each *extractor* reads the tokens back, both by deformable attention.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.buckets import padded
from tasktp_ros.vision.cells import cell_count, masks_around
from tasktp_ros.vision.deformable import DeformableAttention, Shapes

INTERACTIONS = 4


class SpatialPrior(nn.Module):
    """Four scales of convolutional features from the image.

    Args:
        dim: channels C of every scale after the last 1x1 convolution.
        width: channels of the stem; the stride-2 convolutions have 2, 4 and 4 times as many.
    """

    def __init__(self, dim: int, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_conv_bn_relu(3, width, 2),
            *_conv_bn_relu(width, width, 1),
            *_conv_bn_relu(width, width, 1),
            nn.MaxPool2d(3, 2, 1),
        )
        self.conv2 = nn.Sequential(*_conv_bn_relu(width, 2 * width, 2))
        self.conv3 = nn.Sequential(*_conv_bn_relu(2 * width, 4 * width, 2))
        self.conv4 = nn.Sequential(*_conv_bn_relu(4 * width, 4 * width, 2))
        self.fc1 = nn.Conv2d(width, dim, 1)
        self.fc2 = nn.Conv2d(2 * width, dim, 1)
        self.fc3 = nn.Conv2d(4 * width, dim, 1)
        self.fc4 = nn.Conv2d(4 * width, dim, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 3, H, W) -> c1 (B, C, H/4, W/4) as a map; c2, c3, c4 as sequences (B, cells, C), strides 8, 16, 32."""
        stride4 = self.stem(image)
        stride8 = self.conv2(stride4)
        stride16 = self.conv3(stride8)
        stride32 = self.conv4(stride16)
        scales = ((self.fc2, stride8), (self.fc3, stride16), (self.fc4, stride32))
        return self.fc1(stride4), [to_sequence(fc(scale)) for fc, scale in scales]


class Injector(nn.Module):
    """x <- x + gamma * attention(LN x -> LN c): the prior written into the tokens. gamma starts at zero."""

    def __init__(self, dim: int, heads: int, ratio: float = 1.0) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))
        self.query_norm = nn.LayerNorm(dim, eps=1e-6)
        self.feat_norm = nn.LayerNorm(dim, eps=1e-6)
        self.attn = DeformableAttention(dim, heads, levels=3, ratio=ratio)

    def forward(
        self, tokens: Tensor, prior: Tensor, token_shapes: Shapes, prior_shapes: Shapes, near: Tensor | None = None
    ) -> Tensor:
        """tokens (B, N, C), prior (B, 21N/4, C) -> tokens.

        Args:
            near: (K,) int64, where `tokens` (B, K, C) holds only these; None = all.
        """
        found = self.attn(self.query_norm(tokens), self.feat_norm(prior), token_shapes, prior_shapes, near)
        return tokens + self.gamma * found


class Extractor(nn.Module):
    """c <- c + attention(LN c -> LN x), then c <- c + ConvFFN(LN c): the tokens read back into the prior."""

    def __init__(self, dim: int, heads: int, ratio: float = 1.0) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=1e-6)
        self.feat_norm = nn.LayerNorm(dim, eps=1e-6)
        self.attn = DeformableAttention(dim, heads, levels=1, ratio=ratio)
        self.ffn = ConvFFN(dim, dim // 4)
        self.ffn_norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(
        self, prior: Tensor, tokens: Tensor, token_shapes: Shapes, prior_shapes: Shapes, cells: Tensor | None = None
    ) -> Tensor:
        """prior (B, 21N/4, C), tokens (B, N, C) -> prior.

        Args:
            cells: (K,) int64, where `prior` (B, K, C) holds only these cells, with nothing around them; None = all.
        """
        prior = prior + self.attn(self.query_norm(prior), self.feat_norm(tokens), prior_shapes, token_shapes, cells)
        return prior + self.ffn(self.ffn_norm(prior), prior_shapes, cells)


class ConvFFN(nn.Module):
    """Feed-forward layer with a depthwise 3x3 convolution that the three scales share."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = _DepthwiseOnScales(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, prior: Tensor, prior_shapes: Shapes, cells: Tensor | None = None) -> Tensor:
        """(B, K, C) -> (B, K, C); `cells` (K,) says which of the scales' cells these are, None = all."""
        hidden = self.fc1(prior)
        if cells is None:
            return self.fc2(F.gelu(self.dwconv(hidden, prior_shapes)))
        scattered = hidden.new_zeros(hidden.shape[0], cell_count(prior_shapes), hidden.shape[2])
        around = self.dwconv(scattered.index_copy(1, cells, hidden), prior_shapes)
        return self.fc2(F.gelu(around.index_select(1, cells)))


class _DepthwiseOnScales(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, prior: Tensor, prior_shapes: Shapes) -> Tensor:
        scales = split_scales(prior, prior_shapes)
        return torch.cat([to_sequence(self.dwconv(scale)) for scale in scales], dim=1)


class Interaction(nn.Module):
    """The injector before and the extractor after three blocks; the last interaction has two more extractors."""

    def __init__(self, dim: int, heads: int, last: bool, ratio: float = 1.0) -> None:
        super().__init__()
        self.injector = Injector(dim, heads, ratio)
        self.extractor = Extractor(dim, heads, ratio)
        if last:
            self.extra_extractors = nn.Sequential(*(Extractor(dim, heads, ratio) for _ in range(2)))

    def inject(
        self, tokens: Tensor, prior: Tensor, token_shapes: Shapes, prior_shapes: Shapes, near: Tensor | None = None
    ) -> Tensor:
        """Write the prior into all tokens, or only into `near` (K,) int64, while the others keep their value.

        Returns:
            The tokens (B, N, C).
        """
        if near is None:
            return self.injector(tokens, prior, token_shapes, prior_shapes)
        if len(near) == 0:
            return tokens
        near = padded(near, tokens.shape[1])
        updated = self.injector(tokens.index_select(1, near), prior, token_shapes, prior_shapes, near)
        return tokens.index_copy(1, near, updated)

    def extract(
        self, prior: Tensor, tokens: Tensor, token_shapes: Shapes, prior_shapes: Shapes, cells: Tensor | None = None
    ) -> Tensor:
        """Run the extractor, and the extra ones where there are any, on all cells of the prior or only `cells` (K,) int64.

        Returns:
            The prior (B, 21N/4, C).
        """
        if cells is not None and len(cells) == 0:
            return prior
        updated = prior
        if cells is not None:
            cells = padded(cells, prior.shape[1])
            updated = prior.index_select(1, cells)
        for extractor in (self.extractor, *getattr(self, "extra_extractors", ())):
            updated = extractor(updated, tokens, token_shapes, prior_shapes, cells)
        return updated if cells is None else prior.index_copy(1, cells, updated)


def cells_around(kept: Tensor, token_shape: tuple[int, int], margin: int = 1) -> Tensor:
    """The prior's cells, of strides 8, 16 and 32, on kept tokens and the tokens up to `margin` steps from them.

    Args:
        kept: (B, N) bool; a token that any image of the batch keeps counts.
        token_shape: (height, width) of the token map, both even.

    Returns:
        (K,) int64, ascending; none where no token is kept.
    """
    scales = masks_around(kept.any(0, keepdim=True), token_shape, (8, 16, 32), margin)
    return torch.cat([scale.flatten() for scale in scales]).nonzero()[:, 0]


def tokens_around(kept: Tensor, token_shape: tuple[int, int], margin: int = 1) -> Tensor:
    """Likewise the kept tokens and those around them: (B, N) bool -> (K,) int64, ascending."""
    return masks_around(kept.any(0, keepdim=True), token_shape, (16,), margin)[0].flatten().nonzero()[:, 0]


def to_sequence(scale: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C), row-major; a view of a channels-last map."""
    return scale.flatten(2).transpose(1, 2)


def split_scales(sequence: Tensor, shapes: Shapes) -> list[Tensor]:
    """Inverse of concatenated :func:`to_sequence`: (B, sum h * w, C) -> one (B, C, h, w) per shape, as views."""
    parts = sequence.split([height * width for height, width in shapes], dim=1)
    return [part.unflatten(1, shape).permute(0, 3, 1, 2) for part, shape in zip(parts, shapes, strict=True)]


def _conv_bn_relu(channels_in: int, channels_out: int, stride: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
    return conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)


def initialise_convolutions(module: nn.Module) -> None:
    """Fresh convolutions as in ViT-Adapter: normal with the variance that keeps activations' scale, zero biases."""
    for child in module.modules():
        if isinstance(child, (nn.Conv2d, nn.ConvTranspose2d)):
            fan_out = child.kernel_size[0] * child.kernel_size[1] * child.out_channels // child.groups
            nn.init.normal_(child.weight, std=math.sqrt(2.0 / fan_out))
            if child.bias is not None:
                nn.init.zeros_(child.bias)
