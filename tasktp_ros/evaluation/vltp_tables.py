# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's tables 3 to 8 on our data: what each row prunes, and the paper's numbers for it; `vltp_measure` has ours.

Positions are the paper's, of a network of 32 blocks, and are scaled to the depth of the model at hand. GFLOPs count a
multiply-add once, as the paper does: SAM ViT-H's encoder then has its 2976.
"""

from dataclasses import dataclass

PAPER_DEPTH = 32


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        label: as the paper words it.
        model: which model it is of, a key of `MODELS`.
        places, rates: the paper's stages.
        gflops, miou: the paper's, on RIO common; None where it has none.
        pruner: another way to prune than VLTP's, by its name.
        budget: label of the table's row that has as many GFLOPs as this one gets; "" = stages are those of `places`.
    """

    label: str
    model: str
    places: tuple[int, ...]
    rates: tuple[float, ...]
    gflops: float | None
    miou: float | None
    pruner: str = ""
    budget: str = ""


def _two(rate: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return (16, 24), (rate, rate)


def _peers(budget: str) -> tuple[Row, ...]:
    """Table 7's baselines at the GFLOPs of a row of VLTP's; the paper has each at one number of GFLOPs only, which is given."""
    return (
        Row("random", "half", (), (), 2297, 38.2, "random", budget),
        Row("CTS", "cts", (), (), 2232, 35.7, "cts", budget),
        Row("DToP", "dtop", (), (), 1892, 36.3, "dtop", budget),
        Row("SViT", "svit", (), (), 1935, 33.5, "svit", budget),
    )


BASELINE = Row("no pruning", "dense", (), (), 2976, 60.4)
TABLES: dict[int, tuple[Row, ...]] = {
    3: (
        BASELINE,
        Row("direct", "dense", *_two(0.5), 2227, 39.5),
        Row("prune decoder trained", "prune", *_two(0.5), 2227, 50.3),
        Row("both decoders trained", "half", *_two(0.5), 2227, 60.1),
    ),
    4: (
        Row("50 %", "half", *_two(0.5), 2227, 60.1),
        Row("70 %, zero shot", "half", *_two(0.7), 1930, 57.1),
        Row("70 %, tuned", "tuned", *_two(0.7), 1930, 59.6),
        Row("80 %, zero shot", "half", *_two(0.8), 1782, 52.1),
        Row("80 %, tuned", "tuned", *_two(0.8), 1782, 59.4),
        Row("90 %, zero shot", "half", *_two(0.9), 1636, 39.76),
        Row("90 %, tuned", "tuned", *_two(0.9), 1636, 51.3),
    ),
    5: (
        BASELINE,
        Row("8", "half", (8,), (0.2,), 2529, 59.8),
        Row("8", "half", (8,), (0.4,), 2083, 53.1),
        Row("8, 16", "half", (8, 16), (0.2, 0.4), 2232, 58.8),
        Row("8, 16", "half", (8, 16), (0.2, 0.6), 1783, 53.7),
        Row("16, 24", "half", *_two(0.5), 2227, 60.1),
        Row("16, 24", "half", *_two(0.8), 1782, 58.9),
        Row("8, 16, 24", "half", (8, 16, 24), (0.2, 0.4, 0.4), 2232, 58.9),
        Row("8, 16, 24", "half", (8, 16, 24), (0.2, 0.4, 0.6), 1853, 53.0),
        Row("8, 16, 24", "half", (8, 16, 24), (0.5, 0.5, 0.5), 1860, 53.3),
    ),
    6: (
        Row("one stage", "half", (16,), (0.5,), 2221, 59.8),
        Row("two stages", "half", *_two(0.5), 2227, 60.1),
        Row("one stage", "half", (16,), (0.7,), 1923, 58.2),
        Row("two stages", "half", *_two(0.7), 1930, 59.6),
        Row("one stage", "half", (16,), (0.8,), 1775, 56.8),
        Row("two stages", "half", *_two(0.8), 1782, 59.4),
    ),
    7: (
        BASELINE,
        Row("VLTP 50 %", "half", *_two(0.5), 2227, 60.1),
        *_peers("VLTP 50 %"),
        Row("VLTP 80 %", "tuned", *_two(0.8), 1782, 59.4),
        *_peers("VLTP 80 %"),
    ),
    8: (
        BASELINE,
        Row("VLTP 50 %", "half", *_two(0.5), 2227, 60.1),
        Row("VLTP 80 %", "tuned", *_two(0.8), 1782, 59.4),
    ),
}
PAPER_8 = {
    BASELINE.label: {"common": 60.4, "uncommon": 37.2},
    "VLTP 50 %": {"common": 60.1, "uncommon": 37.5},
    "VLTP 80 %": {"common": 59.4, "uncommon": 37.6},
}
"""Table 8's mIoU of SAM ViT-H on RIO's two test sets, by the labels of its rows here."""
MODELS = {
    "dense": "a segmenter that was not trained for pruning (rooms-vltp-nano-dense)",
    "prune": "one whose prune decoder alone was trained (rooms-vltp-nano --freeze detector)",
    "half": "one with both decoders trained at half of the tokens",
    "tuned": "one that was then trained at fewer (rooms-vltp-nano)",
    "cts": "one trained with CTS instead (rooms-vltp-nano-cts)",
    "dtop": "one trained with DToP instead (rooms-vltp-nano-dtop)",
    "svit": "one trained with SViT instead (rooms-vltp-nano-svit)",
}
