# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Pictures of results: training curves, the threshold sweep (the paper's figure 2) and token masks (figure 3)."""

import csv
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import DataError, InputError
from tasktp_ros.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which colour-blind people can tell apart."""

PRECISIONS = {"val_AP50": "box AP50", "val_AP": "box AP", "val_mask_AP": "mask AP"}
"""Columns of a training's log, and what they are called in the plot."""


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, inches, that needs no display.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib (pip install matplotlib)") from error
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a picture beside its file first; the ending of the name chooses the format."""
    try:
        with replacing(path) as beside:
            figure.savefig(beside, dpi=130)
    except ValueError as error:
        raise InputError(f"cannot write {path}: {error}") from error


def plot_training(log: Path, path: Path, batches: Sequence[int] = ()) -> None:
    """Losses and, where it was measured, validation precision from a training's `log.csv`; stages are marked.

    Args:
        batches: images per step of each stage: precision and losses are drawn over image passes; () = over steps.

    Raises:
        DataError: the file is not a training log, or has more stages than `batches`.
    """
    try:
        with log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        places = _places(rows, batches)
        points = {name: [(place, float(row[name])) for place, row in zip(places, rows, strict=True) if row.get(name)]
                  for name in ("loss", "stage", *PRECISIONS)}  # fmt: skip
    except (OSError, KeyError, IndexError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{log} is not a training log: {error}") from error
    if not points["loss"]:
        raise DataError(f"{log} is not a training log: it has no losses")
    measured = [name for name in PRECISIONS if points[name]]
    panels = 2 if measured else 1
    figure = new_figure(7.5, 2.25 * panels)
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    axes[0].plot(*zip(*points["loss"], strict=True), color=COLOURS[0], linewidth=1)
    axes[0].set_ylabel("training loss")
    axes[0].set_yscale("log")
    for name, colour in zip(measured, COLOURS[1:], strict=False):
        axes[1].plot(*zip(*points[name], strict=True), "o-", color=colour, label=PRECISIONS[name], markersize=3)
    if measured:
        axes[1].set_ylabel("validation, %")
        axes[1].set_ylim(bottom=0)
        axes[1].legend(loc="upper left")
    axes[-1].set_xlabel("image passes" if batches else "step")
    for before, after in itertools.pairwise(points["stage"]):
        if after[1] != before[1]:
            for panel in axes:
                panel.axvline((before[0] + after[0]) / 2, color="0.7", linestyle=":")
    for panel in axes:
        panel.grid(alpha=0.25)
    save_figure(figure, path)


def _places(rows: Sequence[dict[str, str]], batches: Sequence[int]) -> list[int]:
    """Where each row of a log lies on the axis: its step, or the images that were passed by then."""
    if not batches:
        return [int(row["step"]) for row in rows]
    places, passed, last = [], 0, -1
    for row in rows:
        passed += (int(row["step"]) - last) * batches[int(float(row["stage"]))]
        last = int(row["step"])
        places.append(passed)
    return places


def plot_sweep(report: Path, path: Path) -> None:
    """Box AP and kept share over the gate threshold, one line per category set, from `tasktp eval --sweep`.

    Raises:
        DataError: the file is no such report.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(report.read_text())["sweep"]
        points = [(tuple(row["categories"]), row["threshold"], row["box"]["AP"], 100 * row["kept"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{report} is not a report of `tasktp eval`: {error}") from error
    if not points:
        raise DataError(f"{report} has no threshold sweep; run `tasktp eval` with --sweep")
    figure = new_figure(8.5, 3.2)
    precision, kept = figure.subplots(1, 2)
    for colour, chosen in zip(itertools.cycle(COLOURS), dict.fromkeys(point[0] for point in points), strict=False):
        title = chosen[0] if len(chosen) == 1 else f"{len(chosen)} categories"
        thresholds, found, shares = zip(*sorted(point[1:] for point in points if point[0] == chosen), strict=True)
        precision.plot(thresholds, found, "o-", color=colour, label=title)
        kept.plot(thresholds, shares, "o-", color=colour, label=title)
    for axes, title in ((precision, "box AP, %"), (kept, "tokens kept in gated blocks, %")):
        axes.set_xlabel("prune threshold")
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
    precision.legend()
    save_figure(figure, path)


def plot_tokens(pictures: Sequence[tuple[str, NDArray[np.uint8]]], path: Path) -> None:
    """Titled pictures (H, W, 3) uint8 RGB side by side."""
    height, width = pictures[0][1].shape[:2]
    figure = new_figure(3.6 * len(pictures), 3.6 * height / width + 0.4)
    for axes, (title, picture) in zip(np.atleast_1d(figure.subplots(1, len(pictures))), pictures, strict=True):
        axes.imshow(picture)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    save_figure(figure, path)
