# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A picture of the searches of a report: images and time until each object was found, and images that showed it in vain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasktp_ros.evaluation.plots import COLOURS, new_figure, save_figure


def plot_searches(report: Mapping[str, Any], path: Path) -> None:
    """Draw the first seed's searches, one row each; hollow marks are walks that ended without the object."""
    searches = next(iter(report["searches"].values()))
    methods = list(report["methods"])
    figure = new_figure(11.0, 1.8 + 0.26 * len(searches))
    runs, time, missed = figure.subplots(1, 3, sharey=True)
    rows = np.arange(len(searches))
    runs.plot([search["oracle"] for search in searches], rows, "|", color="0.5", markersize=12, label="first visible")
    height = 0.8 / len(methods)
    for number, (method, colour) in enumerate(zip(methods, COLOURS, strict=False)):
        shift = (number - (len(methods) - 1) / 2) * height
        found = [search["methods"][method] for search in searches]
        fill = [colour if one["found"] else "none" for one in found]
        runs.scatter([one["runs"] for one in found], rows + shift, c=fill, edgecolors=colour, s=22, label=method)
        time.barh(rows + shift, [one["milliseconds"] / 1000 for one in found], height, color=colour)
        missed.barh(rows + shift, [one["missed"] for one in found], height, color=colour)
    runs.set_yticks(rows, [f"{search['category']}, {search['scan']}" for search in searches], fontsize=7)
    runs.set_xlabel("images until found (hollow: never)")
    time.set_xlabel("seconds of detecting until then")
    missed.set_xlabel("images that showed the object in vain")
    figure.legend(*runs.get_legend_handles_labels(), fontsize=7, loc="outside upper center", ncols=4)
    for axes in (runs, time, missed):
        axes.set_xlim(left=0)
        if axes is not time:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25, axis="x")
    save_figure(figure, path)
