# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A public checkpoint to a model file of ours: loaded exactly, or refused in one sentence, and never changed in silence."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.files import readable
from tasktp_ros.runtime.checkpoints import ModelCard, save_model
from tasktp_ros.runtime.importing.container import read_checkpoint
from tasktp_ros.runtime.importing.families import UNUSED, Family, recognise, stripped, without_windows
from tasktp_ros.runtime.importing.report import Report
from tasktp_ros.runtime.importing.said import Said, what_is_said
from tasktp_ros.runtime.public_models import PublicModel, known_by_hash
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import PIXEL_MEAN, PIXEL_STD
from tasktp_ros.vision.sizes import DetectorConfig, size_config
from tasktp_ros.vision.vit import WINDOW

PREPROCESSOR = re.compile(r"data_preprocessor\.")
COUNTERS = "num_batches_tracked"
TRANSFORMER = ("backbone.blocks.", "backbone.patch_embed.", "backbone.pos_embed")
"""What a plain transformer fills of a detector."""


@dataclass(frozen=True)
class Wishes:
    """What may be asked of an import.

    Attributes:
        name: of the model; "" = the public model's, or the file's.
        file: what the file was called when it was published; "" = as it is called here.
        public: the public model that the file is; None = known by its SHA-256, or not at all.
        categories: names of the class rows, where the file does not say them.
        global_attention: leave windows out, an approximation.
        partial: write what fits; what is missing keeps random values.
    """

    name: str = ""
    file: str = ""
    public: PublicModel | None = None
    categories: tuple[str, ...] | None = None
    global_attention: bool = False
    partial: bool = False


@dataclass
class Imported:
    """A detector with its card and how it was made.

    Attributes:
        dtype: float type in which nothing of the file is lost.
    """

    detector: Detector
    card: ModelCard
    dtype: torch.dtype
    report: Report = field(default_factory=Report)


def import_model(path: Path, output: Path, wishes: Wishes | None = None) -> Imported:
    """Convert a foreign file and write it.

    Raises:
        ModelError: as :func:`convert`; nothing is written then.
    """
    imported = convert(path, wishes or Wishes())
    save_model(output, imported.detector, imported.card, imported.dtype)
    return imported


def convert(path: Path, wishes: Wishes) -> Imported:
    """A foreign file as a detector in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: the file cannot be read, is of no known network, says something this package does not do, or does
            not fit and `wishes.partial` is not set.
    """
    checkpoint = read_checkpoint(path)
    digest = sha256_of(path)
    public = wishes.public or known_by_hash(digest)
    tensors = stripped(checkpoint.tensors)
    said = what_is_said(checkpoint.meta)
    report = Report(unused=list(checkpoint.beside))
    if len(tensors) and next(iter(tensors)) not in checkpoint.tensors:
        report.renamed["`module.` taken off"] = len(tensors)
    tensors = _without_preprocessor(tensors, report)
    family = _family(path, recognise(tensors), said, wishes, public, report)
    check_said(path, said, size_config(family.size), report)
    vocabulary = _vocabulary(path, said, family, wishes, report)
    detector, dtype = _filled(path, tensors, family, len(vocabulary), wishes.partial, report)
    card = _card(path, digest, family, vocabulary, said, wishes, public, report)
    return Imported(detector, card, dtype, report)


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def check_said(path: Path, said: Said, config: DetectorConfig, report: Report) -> None:
    """Compare what the metadata says of images and attention with what this package does, and note what it leaves open.

    Raises:
        ModelError: it says something else.
    """
    file = readable(path)
    if said.version is not None and said.version.split(".")[0] in ("0", "1"):
        raise ModelError(
            f"{file} was written by mmdet {said.version}, which puts background first and samples otherwise: expected 2 or 3"
        )
    if said.rgb is False:
        raise ModelError(
            f"{file} was trained on images in BGR, this package feeds RGB: its scores would fall in silence"
        )
    for what, found, ours in (("mean", said.mean, PIXEL_MEAN), ("deviation", said.std, PIXEL_STD)):
        if found is not None and not _near(found, ours):
            raise ModelError(
                f"{file} was tested on images normalised with {what} {list(found)}, this package takes {list(ours)}"
            )
    if said.mean is None:
        report.assumed.append("images in RGB, with the usual mean and deviation of ImageNet")
    if said.heads is not None and said.heads != config.heads:
        raise ModelError(
            f"{file} has {said.heads} attention heads, which is no published network: expected {config.heads}"
        )
    if said.layer_scale is not None and said.layer_scale != config.layer_scale:
        raise ModelError(f"{file} contradicts itself: its settings and its weights disagree about layer scale")
    if config.windows and not said.windows:
        report.assumed.append(f"windows of {WINDOW} in all blocks but the last before each extractor, as released")


def _family(
    path: Path, family: Family, said: Said, wishes: Wishes, public: PublicModel | None, report: Report
) -> Family:
    """The family after what metadata says about windows, and what was wished."""
    config = size_config(family.size)
    period = config.depth // 4
    released = tuple(config.windows and number % period != 0 for number in range(1, config.depth + 1))
    if said.windows and not any(said.windows) and config.windows:
        family = without_windows(family)  # no approximation: trained that way
        family = Family(family.size, family.method, family.classes, f"a dense detector of size {family.size}")
        released = ()
    elif said.windows and said.windows != released:
        raise ModelError(
            f"{readable(path)} attends within windows in blocks where no published network does, so it cannot be run exactly"
        )
    if any(said.windows) and not said.window_sides <= {WINDOW}:
        raise ModelError(f"{readable(path)} has windows of {sorted(said.window_sides)}, expected {WINDOW}")
    if public is not None and (public.size, public.method) != (family.size, family.method):
        raise ModelError(
            f"{readable(path)} is not {public.name}: expected {public.size} {public.method}, found {family.told}"
        )
    if family.method == "svit":
        report.assumed.append(
            "gates decide without noise; the published code draws noise at test time, too, and was measured with it"
        )
    if wishes.global_attention:
        family = without_windows(family)
        report.assumed.append(
            "global attention in place of windows: an approximation, whose scores are not the published ones"
        )
    report.told = family.told
    return family


def _vocabulary(path: Path, said: Said, family: Family, wishes: Wishes, report: Report) -> tuple[str, ...]:
    """Category names in the order of the class rows."""
    if family.classes == 0:
        return wishes.categories or COCO
    names = wishes.categories or said.classes
    if names is None and family.classes == len(COCO):
        report.assumed.append("COCO's 80 categories in the order of their ids, background last")
        return COCO
    if names is None:
        raise ModelError(
            f"{readable(path)} does not say what its {family.classes} categories are: give them with --categories"
        )
    if len(names) != family.classes or len(set(names)) != len(names):
        raise ModelError(
            f"{readable(path)} has {family.classes} categories, but {len(set(names))} different names for them"
        )
    return tuple(names)


def _filled(
    path: Path, tensors: dict[str, Tensor], family: Family, classes: int, partial: bool, report: Report
) -> tuple[Detector, torch.dtype]:
    """The network with the file's weights, and the float type that holds them without loss."""
    with torch.device("meta"):
        detector = build_detector(family.size, family.method, classes)
    wanted = detector.state_dict()
    fitting: dict[str, Tensor] = {}
    kinds = set()
    for foreign, tensor in tensors.items():
        name = foreign if family.classes else f"backbone.{foreign}"
        if name not in wanted:
            (report.unused if UNUSED.match(foreign) else report.left_over).append(foreign)
        elif tensor.shape != wanted[name].shape:
            report.wrong_shape.append(f"{name} {list(tensor.shape)}, needed {list(wanted[name].shape)}")
        elif not tensor.is_floating_point() and wanted[name].is_floating_point():
            report.wrong_shape.append(f"{name} {tensor.dtype}, needed float32")
        elif tensor.is_floating_point() and not tensor.float().isfinite().all():
            report.not_finite.append(name)
        else:
            if tensor.dtype != wanted[name].dtype:
                kind = str(tensor.dtype).removeprefix("torch.")
                report.cast[kind] = report.cast.get(kind, 0) + 1
            if tensor.is_floating_point():
                kinds.add(tensor.dtype)
            fitting[name] = tensor.to(wanted[name].dtype)
    if not family.classes:
        report.renamed["`backbone.` put before"] = len(fitting)
    report.converted = len(fitting)
    found = tensors if family.classes else {f"backbone.{name}" for name in tensors}
    missing = [name for name in wanted if name not in found and name.startswith("" if family.classes else TRANSFORMER)]
    report.missing = [name for name in missing if not name.endswith(COUNTERS)]
    fitting |= {name: torch.zeros((), dtype=torch.int64) for name in missing if name.endswith(COUNTERS)}
    if not (report.whole or partial):
        raise ModelError(
            f"{readable(path)} is {report.told}, but does not fit: {report.faults}; nothing was written (--partial takes what fits)"
        )
    dtype = torch.float16 if kinds == {torch.float16} else torch.float32
    if len(fitting) == len(wanted):
        detector.load_state_dict(fitting, assign=True)
        return detector.eval(), dtype
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = build_detector(family.size, family.method, classes)
    detector.load_state_dict(fitting, strict=False)
    return detector.eval(), torch.float32


def _card(
    path: Path,
    digest: str,
    family: Family,
    vocabulary: tuple[str, ...],
    said: Said,
    wishes: Wishes,
    public: PublicModel | None,
    report: Report,
) -> ModelCard:
    source: dict[str, Any] = {"file": wishes.file or readable(path.name), "sha256": digest}
    source["licence"] = public.licence if public else "unknown"
    if public:
        source |= {"name": public.name, "address": public.address}
        if family.classes and report.whole and not wishes.global_attention:
            source["published"] = public.published
    source["assumed"] = list(report.assumed)
    if not report.whole:
        source["partial"] = report.missing + report.left_over + report.wrong_shape + report.not_finite
    size = size_config(family.size).input_size
    scale = said.scale and (said.scale[1], said.scale[0])
    name = wishes.name or (public.name if public else readable(path.name).split(".")[0])
    return ModelCard(
        name=name,
        size=family.size,
        method=family.method,
        vocabulary_name="coco" if vocabulary == COCO else "own",
        vocabulary=vocabulary,
        trained=bool(family.classes) and report.whole,
        input_size=scale if scale and scale != (size.short, size.long) else None,
        source=source,
    )


def _without_preprocessor(tensors: Mapping[str, Tensor], report: Report) -> dict[str, Tensor]:
    """Without the normalisation that mmengine may store as tensors, which must be ours.

    Raises:
        ModelError: it is another.
    """
    for name in filter(PREPROCESSOR.match, tensors):
        report.unused.append(name)
        ours = {"mean": PIXEL_MEAN, "std": PIXEL_STD}.get(name.rpartition(".")[2])
        if ours is not None and not _near(tensors[name].flatten().tolist(), ours):
            raise ModelError(
                f"the file's {name} is {tensors[name].flatten().tolist()}, this package takes {list(ours)}"
            )
    return {name: tensor for name, tensor in tensors.items() if not PREPROCESSOR.match(name)}


def _near(found: Sequence[float], ours: Sequence[float]) -> bool:
    return len(found) == len(ours) and all(abs(a - b) < 0.01 for a, b in zip(found, ours, strict=True))
