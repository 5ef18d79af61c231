"""A picture of the searches of a report: images until each object was found, and images that showed it in vain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasktp_ros.evaluation.plots import COLOURS, new_figure, save_figure


def plot_searches(report: Mapping[str, Any], path: Path) -> None:
    """Draw the first seed's searches, one row each; hollow marks are walks that ended without the object."""
    searches = next(iter(report["searches"].values()))
    methods = list(report["methods"])
    figure = new_figure(9.0, 1.2 + 0.26 * len(searches))
    runs, missed = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(searches))
    runs.plot([search["oracle"] for search in searches], rows, "|", color="0.5", markersize=12, label="first visible")
    height = 0.8 / len(methods)
    for number, (method, colour) in enumerate(zip(methods, COLOURS, strict=False)):
        shift = (number - (len(methods) - 1) / 2) * height
        found = [search["methods"][method] for search in searches]
        fill = [colour if one["found"] else "none" for one in found]
        runs.scatter([one["runs"] for one in found], rows + shift, c=fill, edgecolors=colour, s=22, label=method)
        missed.barh(rows + shift, [one["missed"] for one in found], height, color=colour, label=method)
    runs.set_yticks(rows, [f"{search['category']}, {search['scan']}" for search in searches], fontsize=7)
    runs.set_xlabel("images until found (hollow: never)")
    missed.set_xlabel("images that showed the object in vain")
    runs.legend(fontsize=7)
    for axes in (runs, missed):
        axes.set_xlim(left=0)
        axes.grid(alpha=0.25, axis="x")
    save_figure(figure, path)
