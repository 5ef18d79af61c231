# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""How long what is missing would take, from what the others took."""

from collections.abc import Sequence
from statistics import mean

from tasktp_ros.papers.plan import Contender
from tasktp_ros.papers.records import Record


def seconds_for(contender: Contender, records: Sequence[Record], passes: int) -> float | None:
    """What training and evaluating a contender would take on the machine that made the records; None = nobody knows.

    By the contenders of the same method where there are some, or else by all that were trained.
    """
    per_pass, per_size = _paces(contender, records)
    if per_size is None or (contender.trained and per_pass is None):
        return None
    return (passes * (per_pass or 0.0) if contender.trained else 0.0) + per_size * len(contender.sizes)


def _paces(contender: Contender, records: Sequence[Record]) -> tuple[float | None, float | None]:
    """Seconds per image of a training, and per size of the category sets of an evaluation."""
    alike = [record for record in records if record["contender"]["method"] == contender.method]
    trained = [one for one in records if one["training"] and one["training"]["seconds"]]
    training = [one for one in trained if one in alike] or trained
    paces = [one["training"]["seconds"] / one["training"]["image_passes"] for one in training]
    sizes = [one["seconds"] / len(one["accuracy"]) for one in alike or records]
    return (mean(paces) if paces else None), (mean(sizes) if sizes else None)
