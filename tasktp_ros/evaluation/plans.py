# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a plan saves along recorded walks: the set of its running step, against all categories and against one set for the whole plan.

Each walk has a plan of its own: the categories that come into view at different times, in that order, are its targets, and a step ends
when its target is located, verified by the labels. All ways to choose the set see the same images, in turns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasktp_ros.datasets.scannet.labels import LabelMap
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.evaluation.search.measure import WARM_UP, model_milliseconds
from tasktp_ros.evaluation.search.protocol import CERTAIN, judge
from tasktp_ros.evaluation.search.steps import Sight, look
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.plans import RunningPlan, make_plan, make_step

SETS = ("step", "union", "all")
"""What the detector is asked for: the running step's target, all targets of the plan, all categories."""


@dataclass(frozen=True)
class Walked:
    """One walk with one way to choose the set.

    Attributes:
        images: images of each step, counting the one on which it ended.
        milliseconds: of the detections of each step, from the input on the device to boxes and masks.
        kept: mean share of tokens that gated blocks ran, of each step; None without gates.
        done: steps that ended.
    """

    images: list[int]
    milliseconds: list[float]
    kept: list[float | None]
    done: int


def targets(sights: Sequence[Sight], most: int) -> list[str]:
    """Categories in the order they come into view, at most one of an image; fewer than asked for where there are no more."""
    found: list[str] = []
    for sight in sights:
        new = sorted(set(sight.masks) - set(found))
        if new and len(found) < most:
            found.append(new[0])
    return found


class PlanWalk:
    """A plan that is carried out along one walk.

    Args:
        plan_targets: one category for each step.
        chosen: one of :data:`SETS`.
    """

    def __init__(self, plan_targets: Sequence[str], chosen: str, vocabulary: Sequence[str]) -> None:
        self._targets = plan_targets
        self._chosen = chosen
        steps = [make_step(f"find {name}", [name], [f"located {name}"], vocabulary) for name in plan_targets]
        self._plan = RunningPlan(make_plan("walk", steps))
        self._plan.begin(0.0)
        self._seen: list[list[tuple[float, float | None]]] = [[]]

    @property
    def over(self) -> bool:
        """Whether all steps have ended."""
        return bool(self._plan.over)

    @property
    def categories(self) -> list[str] | None:
        """What the detector is asked for now."""
        return {"step": list(self._plan.step.categories or ()), "union": list(self._targets), "all": None}[self._chosen]

    def take(self, number: int, found: Any, sight: Sight) -> None:
        """Go on with what was detected on image `number`."""
        target = self._targets[len(self._plan.records) - 1]
        result = judge(found, target, sight, model_milliseconds(found), found.kept)
        self._seen[-1].append((result.milliseconds, result.kept))
        reason = self._plan.why_after_frame(float(number), {target} if result.verified else set())
        if reason:
            self._plan.advance(float(number), reason)
            if not self._plan.over:
                self._seen.append([])

    def result(self) -> Walked:
        """What it came to."""
        kept = [[share for _, share in step if share is not None] for step in self._seen]
        return Walked(
            images=[len(step) for step in self._seen],
            milliseconds=[round(sum(time for time, _ in step), 3) for step in self._seen],
            kept=[round(float(np.mean(shares)), 4) if shares else None for shares in kept],
            done=sum(record.ended is not None for record in self._plan.records),
        )


def walk_plans(
    scans: Sequence[Scan], labels: LabelMap, detector: TaskDetector, every: int, steps: int
) -> Iterator[dict[str, Any] | None]:
    """Carry out one plan per scan; None for a scan where too little comes into view.

    Args:
        every: frames between two images.
        steps: of each plan.
    """
    detector.score_threshold = float(np.nextafter(np.float32(CERTAIN), np.float32(0)))
    warm = False
    for scan in scans:
        with scan.open() as recording:
            numbers = range(0, len(recording), every)
            sights = [look(scan, number, labels) for number in numbers]
            chosen = targets(sights, steps)
            if len(chosen) < steps:
                yield None
                continue
            walks = {name: PlanWalk(chosen, name, detector.vocabulary) for name in SETS}
            for number, sight in zip(numbers, sights, strict=True):
                image = recording[number].color
                for _ in range(0 if warm else WARM_UP):
                    detector.detect(image)
                warm = True
                for walk in walks.values():
                    if not walk.over:
                        detector.set_task(walk.categories)
                        walk.take(number, detector.detect(image), sight)
                if all(walk.over for walk in walks.values()):
                    break
        results = {name: vars(walk.result()) for name, walk in walks.items()}
        yield {"scan": scan.name, "targets": chosen, "images": len(numbers), "sets": results}


def summary(walks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over the walks for each way to choose the set; also over the steps that all of them have ended."""
    rows = {}
    for name in SETS:
        mine = [walk["sets"][name] for walk in walks]
        common = [min(walk["sets"][other]["done"] for other in SETS) for walk in walks]
        kept = [
            (share, count)
            for one in mine
            for share, count in zip(one["kept"], one["images"], strict=True)
            if share is not None
        ]
        images = sum(sum(one["images"]) for one in mine)
        rows[name] = {
            "steps": sum(len(walk["targets"]) for walk in walks),
            "located": sum(one["done"] for one in mine),
            "images": images,
            "milliseconds": round(sum(sum(one["milliseconds"]) for one in mine), 1),
            "milliseconds_per_image": round(sum(sum(one["milliseconds"]) for one in mine) / images, 2)
            if images
            else None,
            "kept": round(sum(s * c for s, c in kept) / sum(c for _, c in kept), 4) if kept else None,
            "common_steps": sum(common),
            "common_images": sum(sum(one["images"][:count]) for one, count in zip(mine, common, strict=True)),
            "common_milliseconds": round(
                sum(sum(one["milliseconds"][:count]) for one, count in zip(mine, common, strict=True)), 1
            ),
        }
    return rows


def table(report: Mapping[str, Any]) -> str:
    """The numbers as Markdown."""
    titles = {"step": "the running step's set", "union": "one set for the plan", "all": "all categories"}
    lines = [
        "| the detector looks for | steps located | images | ms | ms/image | kept | steps all have located: images | ms |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, row in report["rows"].items():
        kept = "-" if row["kept"] is None else f"{100 * row['kept']:.0f}%"
        lines.append(
            f"| {titles[name]} | {row['located']} of {row['steps']} | {row['images']} | {row['milliseconds']:.0f} | "
            f"{row['milliseconds_per_image']} | {kept} | {row['common_images']} ({row['common_steps']} steps) | "
            f"{row['common_milliseconds']:.0f} |"
        )
    return "\n".join(lines)
