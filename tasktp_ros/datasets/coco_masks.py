# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""COCO's outlines of objects: polygons, and run lengths with or without compression.

pycocotools trusts what it decodes: run lengths that end too early leave memory in the mask as it was, and a polygon that
reaches far out ends the process. So outlines are checked first, and run lengths decoded here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

FARTHEST = 100_000.0
"""Largest coordinate of a polygon, px."""


def check_outline(outline: Any, height: int, width: int) -> None:
    """Refuse an outline that cannot be decoded for an image of `height` x `width` px.

    Args:
        outline: a list of polygons [x1, y1, x2, y2, ...], or {"size": [height, width], "counts": run lengths}.

    Raises:
        ValueError: with what is wrong about it.
    """
    if isinstance(outline, list):
        _check_polygons(outline)
    else:
        _runs(outline, height, width)


def decode_outline(outline: Any, height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) bool mask of an outline; raises ValueError as :func:`check_outline` does."""
    if isinstance(outline, list):
        _check_polygons(outline)
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outline, height, width))).astype(np.bool_)
    runs = _runs(outline, height, width)
    inside = np.zeros(len(runs), np.bool_)
    inside[1::2] = True
    return np.repeat(inside, runs).reshape(width, height).T


def _check_polygons(polygons: list[Any]) -> None:
    for polygon in polygons:
        _check_polygon(polygon)


def _check_polygon(polygon: Any) -> None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError("a polygon needs at least three points of two numbers")
    try:
        points = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a polygon's points must be numbers: {error}") from error
    if points.ndim != 1 or not np.isfinite(points).all():
        raise ValueError("a polygon's points must be finite numbers")
    if np.abs(points).max() > FARTHEST:
        raise ValueError(f"a polygon reaches farther than {FARTHEST:.0f} px")


def _runs(outline: Any, height: int, width: int) -> NDArray[np.int64]:
    """Run lengths down the columns, in turns outside and inside the object."""
    if not isinstance(outline, dict) or "size" not in outline or "counts" not in outline:
        raise ValueError("it is neither a list of polygons nor an object with size and counts")
    if outline["size"] != [height, width]:
        raise ValueError(f"its mask is for {outline['size']} px, the image has {[height, width]}")
    counts, pixels = outline["counts"], height * width
    if isinstance(counts, (str, bytes)):
        runs = _decompress(counts)
    elif isinstance(counts, list) and all(type(count) is int and 0 <= count <= pixels for count in counts):
        runs = np.array(counts, np.int64)
    else:
        raise ValueError("its run lengths must be compressed text, or whole numbers that fit into the image")
    if not len(runs) or runs.min() < 0 or runs.sum() != pixels:
        raise ValueError("its run lengths do not add up to the image")
    return runs


def _decompress(text: str | bytes) -> NDArray[np.int64]:
    """Run lengths from COCO's text: five bits a character, lowest first; from the fourth on relative to two before."""
    try:
        codes = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        codes = np.array([-1])
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("its compressed run lengths are damaged")
    last = np.flatnonzero(codes & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    places = np.arange(len(codes)) - np.repeat(first, last - first + 1)
    if places.max() > 6:
        raise ValueError("its compressed run lengths are damaged")
    runs = np.add.reduceat((codes & 31) << (5 * places), first)
    runs -= np.where(codes[last] & 16, np.int64(1) << (5 * (last - first + 1)), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
