# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A small BERT (Devlin et al., 2019) for sentence vectors, in numpy: a task manager need not load torch for it.

Reads the folder of a sentence-transformers model such as all-MiniLM-L6-v2: config.json, vocab.txt, model.safetensors.
"""

import json
import unicodedata
from pathlib import Path

import numpy as np

LONGEST = 64
"""Tokens of a sentence that are read; phrases of a goal are far shorter."""
_EPSILON_OF_NORM = 1e-12


class SentenceEncoder:
    """Turns sentences into vectors whose product is their likeness.

    Args:
        folder: the model's files.

    Raises:
        OSError, KeyError, ValueError: a file that is missing or not of this kind.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._weights = {name.removeprefix("bert."): w for name, w in load_file(folder / "model.safetensors").items()}
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._numbers = {word: number for number, word in enumerate(words)}
        for name in ("embeddings.word_embeddings.weight", f"encoder.layer.{self._layers - 1}.output.dense.weight"):
            self._weights[name]  # a model of another kind is refused here and not when it is used

    def encode(self, sentence: str) -> np.ndarray:
        """(C,) float32 of length 1: the mean of the tokens' last states."""
        x = self._embed(self.tokens(sentence))
        for layer in range(self._layers):
            x = self._block(x, f"encoder.layer.{layer}.")
        mean: np.ndarray = x.mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)

    def tokens(self, sentence: str) -> list[int]:
        """Numbers of the word pieces (Wu et al., 2016), [CLS] before and [SEP] after them."""
        pieces = [piece for word in _basic_words(sentence) for piece in self._pieces(word)]
        unknown = self._numbers["[UNK]"]
        framed = ["[CLS]", *pieces[: LONGEST - 2], "[SEP]"]
        return [self._numbers.get(piece, unknown) for piece in framed]

    def _pieces(self, word: str) -> list[str]:
        """The longest pieces from the left; one [UNK] for a word that cannot be put together."""
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in self._numbers), None)
            if end is None or len(word) > 100:
                return ["[UNK]"]
            pieces.append(prefix + word[start:end])
            start = end
        return pieces

    def _embed(self, tokens: list[int]) -> np.ndarray:
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][tokens]
        x = x + weights["embeddings.position_embeddings.weight"][: len(tokens)]
        return self._norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm.")

    def _block(self, x: np.ndarray, name: str) -> np.ndarray:
        x = self._norm(x + self._attention(x, name + "attention."), name + "attention.output.LayerNorm.")
        hidden = _gelu(self._linear(x, name + "intermediate.dense."))
        return self._norm(x + self._linear(hidden, name + "output.dense."), name + "output.LayerNorm.")

    def _attention(self, x: np.ndarray, name: str) -> np.ndarray:
        length, channels = x.shape
        query, key, value = (
            self._linear(x, f"{name}self.{part}.").reshape(length, self._heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(channels / self._heads)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        return self._linear(mixed.transpose(1, 0, 2).reshape(length, channels), name + "output.dense.")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        product: np.ndarray = x @ self._weights[name + "weight"].T + self._weights[name + "bias"]
        return product

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON_OF_NORM)
        normal: np.ndarray = centred / deviation * self._weights[name + "weight"] + self._weights[name + "bias"]
        return normal


def _basic_words(sentence: str) -> list[str]:
    """Lower case, no accents, punctuation apart."""
    plain = unicodedata.normalize("NFD", sentence.lower())
    spaced = [f" {c} " if _is_punctuation(c) else c for c in plain if unicodedata.category(c) != "Mn"]
    return "".join(spaced).split()


def _is_punctuation(letter: str) -> bool:
    return unicodedata.category(letter).startswith("P") or letter in "$+<=>^`|~"


def _gelu(x: np.ndarray) -> np.ndarray:
    """x times the normal distribution's share below x; the error function after Abramowitz and Stegun, 7.1.26 (1.5e-7)."""
    z = np.abs(x) / np.sqrt(2.0)
    t = 1.0 / (1.0 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1.0 - series * np.exp(-(z**2)))
    return np.asarray(0.5 * x * (1.0 + erf), dtype=np.float32)
