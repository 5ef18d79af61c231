"""Every published size, and ours, as one short factory each: all numbers of a network are visible here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tasktp_ros.reduction import build_reducer
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.heads import RoIConfig
from tasktp_ros.vision.image import InputSize
from tasktp_ros.vision.proposals import ProposalConfig


@dataclass(frozen=True)
class DetectorConfig:
    """A network's widths; what is not here is the same for all sizes (12 blocks, patch 16, four interactions).

    Attributes:
        dim, heads: token channels and attention heads.
        deformable_heads: heads of the adapter's deformable attention.
        stem_width: channels of the spatial prior's stem.
        pyramid_channels: channels of the feature pyramid and the heads' regions.
        input_size: how images are resized.
    """

    dim: int
    heads: int
    deformable_heads: int = 6
    stem_width: int = 64
    pyramid_channels: int = 256
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    regions: RoIConfig = field(default_factory=RoIConfig)
    input_size: InputSize = field(default_factory=lambda: InputSize(short=800, long=1333))


def nano() -> DetectorConfig:
    """For two CPU cores: under 6 M parameters; 128 is the widest multiple of 32 that stays there (docs/measured.md)."""
    return DetectorConfig(
        dim=128,
        heads=4,
        deformable_heads=4,
        stem_width=32,
        pyramid_channels=96,
        proposals=ProposalConfig(per_level=100, total=64),
        regions=RoIConfig(box_hidden=256, mask_channels=64, mask_convs=2, samples=2),
        input_size=InputSize(short=240, long=320),
    )


def deit_tiny() -> DetectorConfig:
    """DeiT-T with ViT-Adapter: 28.06 M parameters."""
    return DetectorConfig(dim=192, heads=3)


def deit_small() -> DetectorConfig:
    """DeiT-S with ViT-Adapter: 47.79 M parameters."""
    return DetectorConfig(dim=384, heads=6)


def deit_base() -> DetectorConfig:
    """DeiT-B with ViT-Adapter as in TaskTP's code (6 deformable heads, full value width)."""
    return DetectorConfig(dim=768, heads=12)


SIZES: dict[str, Callable[[], DetectorConfig]] = {
    "nano": nano,
    "deit_tiny": deit_tiny,
    "deit_small": deit_small,
    "deit_base": deit_base,
}


def size_config(size: str) -> DetectorConfig:
    """Configuration of a size by name.

    Raises:
        ValueError: unknown name.
    """
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}; expected one of {', '.join(SIZES)}")
    return SIZES[size]()


def build_detector(size: str, reducer: str, num_classes: int) -> Detector:
    """A fresh network in training mode, on the CPU, float32.

    Args:
        size: "nano", "deit_tiny", "deit_small" or "deit_base".
        reducer: name of a token reduction method in `tasktp_ros.reduction.REDUCERS`, such as "tasktp".
        num_classes: categories without background.

    Raises:
        ValueError: unknown size or reducer, or no category.
    """
    config = size_config(size)
    if num_classes < 1:
        raise ValueError(f"a detector needs at least one category, got {num_classes}")
    backbone = Backbone(
        config.dim,
        config.heads,
        config.deformable_heads,
        config.stem_width,
        build_reducer(reducer, config.dim, num_classes),
    )
    return Detector(backbone, config.dim, num_classes, config.pyramid_channels, config.proposals, config.regions)
