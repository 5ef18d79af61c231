# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Every kind of thing a rendered room may hold, by name, and where each belongs."""

from typing import Literal, TypeAlias

import numpy as np

from tasktp_ros.datasets.rooms import (
    appliances,
    bathroom,
    beds_tables,
    books_clocks,
    distractors,
    electronics,
    luggage,
    seating,
    storage,
    tableware,
)
from tasktp_ros.datasets.rooms.shapes import Builder, Thing

Place: TypeAlias = Literal["floor", "wall", "surface"]

CATEGORIES: dict[str, tuple[Builder, ...]] = {
    "backpack": (luggage.backpack,),
    "suitcase": (luggage.suitcase, luggage.suitcase, luggage.lying_case),
    "bottle": (tableware.wine_bottle, tableware.water_bottle, tableware.flask, tableware.pump_bottle),
    "cup": (tableware.cup,),
    "bowl": (tableware.bowl,),
    "chair": (
        seating.kitchen_chair,
        seating.kitchen_chair,
        seating.office_chair,
        seating.shell_chair,
        seating.bar_chair,
        seating.armchair,
    ),
    "couch": (seating.couch,),
    "potted plant": (tableware.potted_plant,),
    "bed": (beds_tables.bed,),
    "dining table": (beds_tables.table, beds_tables.table, beds_tables.round_table),
    "toilet": (bathroom.toilet,),
    "tv": (electronics.standing_tv, electronics.wall_tv),
    "laptop": (electronics.laptop,),
    "microwave": (appliances.microwave,),
    "oven": (appliances.stove, appliances.built_in_oven),
    "sink": (bathroom.wall_basin, bathroom.wall_basin, bathroom.kitchen_sink, bathroom.vessel_basin),
    "refrigerator": (appliances.refrigerator,),
    "book": (books_clocks.lying_book, books_clocks.standing_book, books_clocks.open_book),
    "clock": (books_clocks.wall_clock, books_clocks.alarm_clock, books_clocks.mantel_clock),
    "vase": (tableware.vase,),
}
"""The builders of each category; a builder named twice is drawn twice as often."""

DISTRACTORS: dict[str, Builder] = {**storage.BUILDERS, **distractors.BUILDERS}
"""Things that no detector is asked for, by kind."""

WALL_HEIGHTS: dict[str, tuple[float, float]] = {
    "wall clock": (1.5, 1.9),
    "wall tv": (0.8, 1.2),
    "picture frame": (1.2, 1.6),
    "mirror": (0.95, 1.2),
    "curtain": (0.3, 0.7),
    "wall shelf": (1.2, 1.6),
    "towel": (0.7, 1.1),
}
"""Kinds that hang on a wall, and from where to where their lower edge may be, metres above the floor."""

_SURFACE = {
    "bottle",
    "cup",
    "bowl",
    "vase",
    "laptop",
    "microwave",
    "book",
    "alarm clock",
    "mantel clock",
    "standing tv",
    "kitchen sink",
    "vessel basin",
    "table lamp",
    "candle",
    "plate",
    "fruit",
    "phone",
    "remote",
    "toy blocks",
    "tissue box",
    "kettle",
    "keyboard",
}


def place_of(thing: Thing) -> Place:
    """Where a thing belongs: on the floor, with its back on a wall, or on a surface of another thing."""
    if thing.kind in WALL_HEIGHTS:
        return "wall"
    if thing.kind in _SURFACE or thing.category in _SURFACE:
        return "surface"
    if thing.category == "potted plant" and thing.size[2] < 0.45:
        return "surface"
    return "floor"


def build(kind: str, random: np.random.Generator) -> Thing:
    """Draw a thing of a category (one of its looks) or of a distractor's kind.

    Raises:
        KeyError: for a name that is in neither `CATEGORIES` nor `DISTRACTORS`.
    """
    if kind in CATEGORIES:
        builders = CATEGORIES[kind]
        return builders[int(random.integers(len(builders)))](random)
    return DISTRACTORS[kind](random)
