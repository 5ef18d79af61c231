# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From parameters to a detector. Torch is imported here and not at start: an unconfigured node stays small."""

from collections.abc import Iterable
from typing import Any

from tasktp_ros.errors import ModelError
from tasktp_ros.nodes.perception.parameters import Settings


def load_detector(settings: Settings) -> Any:
    """Load the model that the parameters name, to run as they say.

    Raises:
        ModelError: it cannot be loaded, or not be run so on its device.
    """
    from tasktp_ros.runtime.task_detector import TaskDetector
    from tasktp_ros.runtime.threads import use_threads

    use_threads(settings.threads)
    detector = TaskDetector.load(settings.model, device=settings.device, precision=settings.precision)
    detector.execution = settings.execution
    return detector


def load_segmenter(settings: Settings) -> Any:
    """The segmenter that the parameters name, with its guidance: by default its table behind the package's task rules.

    Raises:
        ModelError: no segmenter, or one that cannot be loaded.
        InputError: guidance that cannot be opened.
    """
    if not settings.segmenter:
        raise ModelError("mode segment needs the parameter segmenter: the path of a segmenter's file")
    from tasktp_ros.guidance.named import open_named
    from tasktp_ros.nodes.perception.segmentation import GoalSegmentation
    from tasktp_ros.runtime.task_segmenter import TaskSegmenter
    from tasktp_ros.tasks.words.build import shipped_rules

    segmenter = TaskSegmenter.load(settings.segmenter, device=settings.device)
    segmenter.guidance = open_named(settings.guidance, str(segmenter.device))
    if segmenter.guidance is None:
        rules = shipped_rules(segmenter.card.vocabulary)
        segmenter.understand(lambda sentence: rules.resolve("", sentence, ()))
    return GoalSegmentation(segmenter)


def check_loading(settings: Settings, changed: Iterable[str]) -> None:
    """Check that this machine can load what changed parameters ask for, without loading it.

    Raises:
        ModelError: no such model, device or precision, or no device for an execution.
        InputError: guidance that names no source.
    """
    import torch

    from tasktp_ros.guidance.named import check_named
    from tasktp_ros.runtime.execution import check_execution
    from tasktp_ros.runtime.precision import choose_device, choose_precision
    from tasktp_ros.runtime.shipped import find_model

    if "model" in changed:
        find_model(settings.model)
    if {"device", "execution"}.intersection(changed):
        check_execution(settings.execution, choose_device(settings.device).type)
    if "guidance" in changed:
        check_named(settings.guidance)
    if "precision" in changed and settings.precision != "auto":
        choose_precision(settings.precision, torch.device("cpu"))
