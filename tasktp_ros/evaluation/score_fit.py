# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How probable it is that a detection is right: a score map fitted on images of which is known what they show.

Fitted on every second image and measured on the others, so that the numbers hold for images the fit has not seen.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.coco_ap import Truth
from tasktp_ros.evaluation.detect_set import as_results, detect_images
from tasktp_ros.evaluation.judged import LEAST_OVERLAP, Judged
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.runtime.task_detector import TaskDetector

BINS = 15
"""Equal parts of 0..1 in which the calibration error compares scores with what they come to."""
LEAST_DETECTIONS = 50
SURE = 0.5


def judge_images(
    detector: TaskDetector, dataset: CocoDataset, indices: Sequence[int], on_image: Callable[[], object] = lambda: None
) -> tuple[Judged, Judged]:
    """The network's detections of every second image, to fit on, and of the others, to measure on.

    Args:
        detector: its task becomes all categories, and it gives the network's own scores from then on.
        indices: of images.
        on_image: called after every image.
    """
    detector.set_task(None)
    detector.score_map = None
    results = []
    for index, found in detect_images(detector, dataset, indices):
        results += as_results(found, dataset.image_ids[index], dataset.category_ids)
        on_image()
    truth = Truth(dataset)
    halves = [[dataset.image_ids[index] for index in indices[first::2]] for first in (0, 1)]
    fitted_on, measured_on = (truth.judge(results, dataset.vocabulary, half) for half in halves)
    return fitted_on, measured_on


def fit(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> ScoreMap:
    """The score map under which what was right and wrong is the most likely.

    Right counts as (R + 1) / (R + 2) and wrong as 1 / (W + 2), with R and W of them (Platt, 1999), so that there is an optimum
    also where a score parts all right from all wrong detections.

    Args:
        scores: (N,) float, the network's own, 0..1.
        right: (N,) bool.

    Raises:
        DataError: fewer than 50 detections, none that is right, or scores that are not higher where detections are right.
    """
    hits = int(right.sum())
    if len(scores) < LEAST_DETECTIONS:
        raise DataError(
            f"scores stay as they are: {len(scores)} detections are too few to fit on, {LEAST_DETECTIONS} are needed"
        )
    if hits == 0:
        raise DataError(f"scores stay as they are: none of {len(scores)} detections is right (IoU {LEAST_OVERLAP})")
    # Scores of exactly 0 or 1 have no logit; a float32 knows no values nearer to 1 than this.
    logits = torch.special.logit(torch.from_numpy(np.asarray(scores, np.float64)), eps=2.0**-25)
    targets = torch.where(torch.from_numpy(right), (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2)).double()
    numbers = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([numbers], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.binary_cross_entropy_with_logits(numbers[0] * logits + numbers[1], targets)
        value.backward()
        return value

    optimiser.step(loss)
    scale, shift = numbers.detach().tolist()
    try:
        return ScoreMap(scale, shift)
    except ValueError as error:
        raise DataError("scores stay as they are: right detections do not score higher than wrong ones") from error


def quality(found: Judged, score_map: ScoreMap | None = None) -> dict[str, Any]:
    """What scores are worth, as they are or mapped.

    Returns:
        calibration_error: expected difference of score and share of right ones, 0..1, in 15 bins; bins: of those that hold
        any the number of detections, their mean score and the share that is right; detections; and, of those that score at
        least 0.5, precision and recall (0..1, None where there is nothing to count) of all and, under `of`, per category,
        there with the number of objects.
    """
    scores = _mapped(found, score_map)
    bins = [_bin(scores[inside], found.right[inside]) for inside in _binned(scores)]
    error = sum(row["detections"] * abs(row["score"] - row["right"]) for row in bins) / max(1, len(scores))
    of = {name: _at_sure(scores, found, number) for number, name in enumerate(found.names)}
    return {"detections": len(scores), "calibration_error": round(error, 5)} | _at_sure(scores, found) | {
        "of": of, "bins": bins}  # fmt: skip


def balance(fitted_on: Judged, measured_on: Judged, score_map: ScoreMap | None = None) -> dict[str, float]:
    """The score from which on precision and recall balance best: highest F1 on the first, measured on the second.

    Returns:
        score (rounded down to a hundredth), and its precision and recall, 0..1; 0 where nothing scores as much.
    """
    scores = _mapped(fitted_on, score_map)
    order = np.argsort(-scores, kind="stable")
    hits, claims = np.cumsum(fitted_on.right[order]), np.arange(1, len(scores) + 1)
    best = int(np.argmax(2 * hits / (claims + fitted_on.objects.sum())))
    score = float(np.floor(100 * scores[order[best]]) / 100)
    sure = _mapped(measured_on, score_map) >= score
    right, objects = int((sure & measured_on.right).sum()), int(measured_on.objects.sum())
    return {
        "score": score,
        "precision": round(right / max(1, int(sure.sum())), 5),
        "recall": round(right / max(1, objects), 5),
    }


def _mapped(found: Judged, score_map: ScoreMap | None) -> NDArray[np.float64]:
    """Scores (N,) as they are or as probabilities."""
    return found.scores if score_map is None else score_map.probabilities(found.scores).astype(np.float64)


def _binned(scores: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Per bin that holds any which scores (N,) it holds."""
    places = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    return [places == place for place in np.unique(places)]


def _bin(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, Any]:
    return {"detections": len(scores), "score": float(scores.mean()), "right": float(right.mean())}


def _at_sure(scores: NDArray[np.float64], found: Judged, category: int | None = None) -> dict[str, Any]:
    sure = scores >= SURE
    objects = int(found.objects.sum())
    if category is not None:
        sure, objects = sure & (found.categories == category), int(found.objects[category])
    hits, claims = int((sure & found.right).sum()), int(sure.sum())
    return {
        "objects": objects,
        "precision": round(hits / claims, 5) if claims else None,
        "recall": round(hits / objects, 5) if objects else None,
    }
