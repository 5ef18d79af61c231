# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What can be set on the perception node, when, and what is refused with which reason.

Changes are checked as a whole before any of them is applied: a refused set changes nothing.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from tasktp_ros.errors import TaskError
from tasktp_ros.nodes.parameters import declare, without_blanks
from tasktp_ros.runtime.default import DEFAULT_MODEL
from tasktp_ros.runtime.execution import EXECUTIONS
from tasktp_ros.tasks.vocabulary import resolve_categories
from tasktp_ros.vision.reach import REACHES

ALL_CAMERAS = "all"
TRANSPORTS = ("auto", "raw", "compressed")
MODES = ("detect", "segment")
LOADING = ("model", "device", "precision", "execution", "threads", "mode", "segmenter", "guidance")


@dataclass(frozen=True)
class Settings:
    """The parameters of the perception node, as documented in `config/perception.yaml`."""

    cameras: list[str]
    transport: str
    mode: str
    segmenter: str
    guidance: str
    model: str
    device: str
    precision: str
    execution: str
    threads: int
    score_threshold: float
    prune_threshold: float
    reach: str
    stream: bool
    max_detections: int
    categories: list[str]
    enabled_cameras: list[str]
    no_frames_after: float
    stale_after: float

    @property
    def task_categories(self) -> list[str] | None:
        """The categories of the task parameter, None for all."""
        return without_blanks(self.categories) or None

    def enabled(self, camera: str) -> bool:
        """Tell whether a camera's frames are to be detected on."""
        return camera in self.enabled_cameras or self.enabled_cameras == [ALL_CAMERAS]


def declare_settings(node: Node) -> None:
    """Declare every parameter of :class:`Settings`."""
    declare(node, "cameras", ["image"], "Image topics; several share one model.", read_only=True)
    declare(
        node,
        "transport",
        "auto",
        "Message type of the image topics: raw (Image), compressed (CompressedImage), or auto (what is being sent).",
        constraints="auto, raw or compressed",
        read_only=True,
    )
    only_unconfigured = "can be set while the node is unconfigured"
    declare(
        node,
        "mode",
        "detect",
        "detect, or segment: a goal in words on task_goal gets its mask on goal_mask, other goals are detected as ever.",
        constraints=f"{' or '.join(MODES)}; {only_unconfigured}",
    )
    declare(node, "segmenter", "", "Path of a segmenter's file, for mode segment.", constraints=only_unconfigured)
    declare(
        node,
        "guidance",
        "table",
        "What makes the segmenter's vector of a goal in words: its own table, or a folder of embeddings or of a language model.",
        constraints=f"table, cached:FOLDER, sentence:FOLDER or mllm:FOLDER; {only_unconfigured}",
    )
    declare(
        node,
        "model",
        DEFAULT_MODEL,
        "Name of a shipped or fetched model, or path of a weights file.",
        constraints=only_unconfigured,
    )
    declare(node, "device", "auto", "Where the model runs: auto, cpu, cuda, cuda:1, ...", constraints=only_unconfigured)
    declare(
        node,
        "precision",
        "auto",
        "Number format of the model: auto, float32 or bfloat16.",
        constraints=only_unconfigured,
    )
    declare(
        node,
        "execution",
        "dynamic",
        "How frames are run, which changes their time, not their results: dynamic (on what there is), static (in static shapes), "
        "graphs (likewise, from CUDA graphs).",
        constraints=f"{', '.join(EXECUTIONS)}; {only_unconfigured}",
    )
    declare(
        node,
        "threads",
        0,
        "CPU threads of the model; 0: all cores but one, which is left to the robot.",
        minimum=0,
        maximum=1024,
        constraints=only_unconfigured,
    )
    declare(node, "score_threshold", 0.5, "Detections below this score are left out.", minimum=0.0, maximum=1.0)
    declare(
        node,
        "prune_threshold",
        0.5,
        "A token is kept when its gate's score for the task exceeds this; a task may bring its own.",
        minimum=0.0,
        maximum=1.0,
        constraints="greater than 0 and less than 1",
    )
    declare(
        node,
        "reach",
        "",
        "How far the task is followed: blocks (as published), network (everything after a gate works around kept tokens), "
        "frame (and a frame without anything of the task is left early); empty: what the model was trained for.",
        constraints=f"{', '.join(REACHES)}, or empty",
    )
    declare(
        node,
        "stream",
        False,
        "The first block runs only around what a camera's last frame kept, and on a share in turn.",
    )
    declare(node, "max_detections", 100, "Most detections per image.", minimum=1, maximum=1000)
    declare(
        node,
        "categories",
        [""],
        "The task: category names of the model's vocabulary, [''] for all. Until the next message on task_categories.",
    )
    declare(
        node,
        "enabled_cameras",
        [ALL_CAMERAS],
        "Which of `cameras` are detected on: ['all'], or some of them, [''] for none.",
    )
    declare(
        node, "no_frames_after", 2.0, "Seconds without a frame until diagnostics warn.", minimum=0.1, maximum=3600.0
    )
    declare(
        node,
        "stale_after",
        1.0,
        "Seconds between an image's stamp and its arrival until diagnostics warn.",
        minimum=0.001,
        maximum=1e9,
    )


def read_settings(node: Node, changes: Iterable[Parameter] = ()) -> Settings:
    """Return the node's parameters with some changes laid over them."""
    values: dict[str, Any] = {field.name: node.get_parameter(field.name).value for field in fields(Settings)}
    values.update((change.name, change.value) for change in changes if change.name in values)
    return Settings(**values)


def refuse(settings: Settings, changed: Iterable[str], state: str, vocabulary: Sequence[str] | None) -> str:
    """Return why these settings cannot be taken, or an empty string.

    Args:
        settings: with the changes.
        changed: names of the changed parameters.
        state: label of the lifecycle state.
        vocabulary: of the loaded model, None while there is none.
    """
    locked = sorted(set(LOADING).intersection(changed))
    if locked and state != "unconfigured":
        return f"{', '.join(locked)} can only be set while the node is unconfigured; it is {state}: clean it up first"
    if settings.mode not in MODES:
        return f"mode must be {' or '.join(MODES)}, not {settings.mode!r}"
    if not 0.0 < settings.prune_threshold < 1.0:
        return f"prune_threshold must be greater than 0 and less than 1, not {settings.prune_threshold:g}"
    if settings.reach and settings.reach not in REACHES:
        return f"reach must be one of {', '.join(REACHES)}, or empty for the model's own, not {settings.reach!r}"
    if settings.execution not in EXECUTIONS:
        return f"execution must be one of {', '.join(EXECUTIONS)}, not {settings.execution!r}"
    for name in ("score_threshold", "no_frames_after", "stale_after"):
        if not math.isfinite(getattr(settings, name)):
            return f"{name} must be a finite number, not {getattr(settings, name)}"
    return _refuse_cameras(settings) or _refuse_categories(settings, vocabulary)


def _refuse_cameras(settings: Settings) -> str:
    if settings.transport not in TRANSPORTS:
        return f"transport must be one of {', '.join(TRANSPORTS)}, not {settings.transport!r}"
    if not settings.cameras or not all(name.strip() for name in settings.cameras):
        return f"cameras must name at least one topic and no empty ones, not {settings.cameras}"
    if settings.enabled_cameras == [ALL_CAMERAS]:
        return ""
    unknown = [name for name in without_blanks(settings.enabled_cameras) if name not in settings.cameras]
    if unknown:
        return f"enabled_cameras names {', '.join(map(repr, unknown))}; the cameras are {', '.join(settings.cameras)}"
    return ""


def _refuse_categories(settings: Settings, vocabulary: Sequence[str] | None) -> str:
    if vocabulary is None:
        return ""
    try:
        resolve_categories(settings.task_categories, vocabulary)
    except TaskError as error:
        return str(error)
    return ""
