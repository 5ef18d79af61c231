# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Patterns drawn from a seed, light grey where a part's colour shall tint them, so that no picture must be shipped."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128
"""Width and height of every pattern, pixels."""

Pattern = Callable[[np.random.Generator], NDArray[np.uint8]]


def _grey(values: NDArray) -> NDArray[np.uint8]:
    """(S, S) brightness in 0..1 to (S, S, 3) uint8."""
    level = np.clip(values * 255, 0, 255).astype(np.uint8)
    return np.repeat(level[:, :, None], 3, axis=2)


def _noise(random: np.random.Generator, columns: int, rows: int) -> NDArray[np.float64]:
    """Smooth (S, S) noise in 0..1 with so many lumps across and down."""
    small = random.random((max(rows, 1), max(columns, 1))).astype(np.float32)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1).astype(np.float64)


def _steps() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.indices((SIDE, SIDE))
    return rows, columns


def wood(random: np.random.Generator) -> NDArray[np.uint8]:
    """Grain along the rows."""
    grain = _noise(random, int(random.integers(2, 6)), int(random.integers(24, 60)))
    rings = np.sin((_steps()[0] / SIDE + 0.3 * _noise(random, 3, 3)) * random.uniform(20, 60))
    return _grey(0.78 + 0.16 * grain + 0.05 * rings)


def planks(random: np.random.Generator) -> NDArray[np.uint8]:
    """Boards side by side with dark joints."""
    rows, columns = _steps()
    count = int(random.integers(3, 9))
    board = rows * count // SIDE
    shade = random.uniform(0.72, 1.0, count)[board]
    offset = random.integers(0, SIDE, count)[board]
    joints = (rows * count % SIDE < count) | ((columns + offset) % SIDE < 2)
    picture = shade * (0.85 + 0.15 * _noise(random, 4, 50))
    return _grey(np.where(joints, 0.5, picture))


def tiles(random: np.random.Generator) -> NDArray[np.uint8]:
    """Square tiles with a joint of another brightness."""
    rows, columns = _steps()
    count = int(random.integers(2, 7))
    shade = 0.92 + 0.08 * random.random((count, count))[rows * count // SIDE, columns * count // SIDE]
    step = SIDE / count
    joints = (rows % step < 2) | (columns % step < 2)
    return _grey(np.where(joints, random.uniform(0.5, 0.75), shade))


def checks(random: np.random.Generator) -> NDArray[np.uint8]:
    """A chess board or a tablecloth's crossing bands."""
    rows, columns = _steps()
    count = int(random.integers(3, 10))
    across, down = (columns * count // SIDE) % 2, (rows * count // SIDE) % 2
    dark = random.uniform(0.35, 0.75)
    value = (across ^ down).astype(float) if random.random() < 0.5 else (across + down) / 2
    return _grey(dark + (1 - dark) * value)


def stripes(random: np.random.Generator) -> NDArray[np.uint8]:
    """Bands of two or three brightnesses."""
    rows, columns = _steps()
    count = int(random.integers(4, 14))
    shades = random.uniform(0.45, 1.0, int(random.integers(2, 4)))
    shades[0] = 1.0
    along = columns if random.random() < 0.6 else rows
    return _grey(shades[(along * count // SIDE) % len(shades)])


def fabric(random: np.random.Generator) -> NDArray[np.uint8]:
    """A weave with soft wear."""
    rows, columns = _steps()
    period = int(random.integers(3, 7))
    weave = ((rows // period + columns // period) % 2) * 0.08
    return _grey(0.8 + weave + 0.08 * _noise(random, 5, 5) + 0.05 * random.random((SIDE, SIDE)))


def dots(random: np.random.Generator) -> NDArray[np.uint8]:
    """Spots on a plain ground, for bedding and pots."""
    picture = np.full((SIDE, SIDE), 1.0)
    step = int(random.integers(14, 32))
    shade = float(random.uniform(0.4, 0.8))
    for row in range(step // 2, SIDE, step):
        for column in range(step // 2, SIDE, step):
            cv2.circle(picture, (column, row), step // 4, shade, -1)
    return _grey(picture)


def marble(random: np.random.Generator) -> NDArray[np.uint8]:
    """Veins in a light stone."""
    field = _noise(random, 5, 5) + 0.5 * _noise(random, 11, 11)
    veins = np.abs(np.sin(field * random.uniform(8, 16))) ** 0.35
    return _grey(0.7 + 0.28 * veins)


def speckles(random: np.random.Generator) -> NDArray[np.uint8]:
    """Granite for worktops."""
    return _grey(0.72 + 0.28 * random.random((SIDE, SIDE)) ** 2 - 0.15 * (random.random((SIDE, SIDE)) < 0.12))


def brick(random: np.random.Generator) -> NDArray[np.uint8]:
    """A wall of bricks."""
    rows, columns = _steps()
    high = int(random.integers(8, 13))
    row = rows * high // SIDE
    column = ((columns + (row % 2) * SIDE // high) * high // (2 * SIDE)) % high
    shade = 0.7 + 0.3 * random.random((high, high))[row % high, column]
    joints = (rows * high % SIDE < high * 2) | ((columns + (row % 2) * SIDE // high) * high % (2 * SIDE) < high * 2)
    return _grey(np.where(joints, 0.95, shade * 0.85))


def carpet(random: np.random.Generator) -> NDArray[np.uint8]:
    """A pile: fine noise over soft patches."""
    return _grey(0.7 + 0.15 * random.random((SIDE, SIDE)) + 0.15 * _noise(random, 8, 8))


def oriental(random: np.random.Generator) -> NDArray[np.uint8]:
    """A rug with a border and a medallion in its own colours."""
    colours = random.integers(60, 256, (4, 3)).tolist()
    picture = np.full((SIDE, SIDE, 3), colours[0], np.uint8)
    for number, inset in enumerate((6, 12, 20)):
        cv2.rectangle(picture, (inset, inset), (SIDE - inset, SIDE - inset), colours[(number + 1) % 4], -1)
    for number, radius in enumerate((34, 24, 12)):
        diamond = np.array([[64 - radius, 64], [64, 64 - radius], [64 + radius, 64], [64, 64 + radius]])
        cv2.fillPoly(picture, [diamond], colours[(number + 2) % 4])
    return picture


def wallpaper(random: np.random.Generator) -> NDArray[np.uint8]:
    """A repeated small flower or leaf."""
    picture = np.full((SIDE, SIDE), 0.95)
    step = int(random.choice([16, 32, 64]))
    shade = float(random.uniform(0.7, 0.88))
    petals = int(random.integers(3, 7))
    for row in range(0, SIDE, step):
        for column in range(0, SIDE, step):
            x, y = column + step // 2 if (row // step) % 2 else column + step // 4, row + step // 2
            for petal in range(petals):
                angle = 360.0 * petal / petals
                cv2.ellipse(picture, (x, y), (step // 3, step // 10 + 1), angle, 0, 200, shade, -1)
    return _grey(picture)


def plaster(random: np.random.Generator) -> NDArray[np.uint8]:
    """A painted wall that is not quite even."""
    return _grey(0.92 + 0.05 * _noise(random, 6, 6) + 0.03 * random.random((SIDE, SIDE)))


def wicker(random: np.random.Generator) -> NDArray[np.uint8]:
    """Plaited cane for baskets."""
    rows, columns = _steps()
    period = int(random.integers(8, 16))
    phase = (columns // period + rows // (period // 2)) % 2
    arc = np.sin(np.pi * (columns % period) / period)
    return _grey(np.where(phase == 0, 0.6 + 0.4 * arc, 0.55 + 0.2 * arc))


def picture(random: np.random.Generator) -> NDArray[np.uint8]:
    """An abstract painting or a landscape in full colour."""
    canvas = np.full((SIDE, SIDE, 3), random.integers(60, 256, 3), np.uint8)
    if random.random() < 0.4:
        horizon = int(random.integers(45, 95))
        canvas[:horizon] = np.linspace(random.integers(80, 200, 3), random.integers(150, 256, 3), horizon)[:, None]
        canvas[horizon:] = random.integers(30, 180, 3)
        centre = (int(random.integers(20, 108)), int(random.integers(15, horizon)))
        cv2.circle(canvas, centre, int(random.integers(6, 16)), random.integers(180, 256, 3).tolist(), -1)
        for _ in range(int(random.integers(1, 4))):
            left, peak = int(random.integers(-20, 90)), int(random.integers(15, horizon - 5))
            hill = np.array([[left, horizon], [left + 35, peak], [left + 80, horizon]])
            cv2.fillPoly(canvas, [hill], random.integers(20, 170, 3).tolist())
        return canvas
    for _ in range(int(random.integers(5, 16))):
        colour = random.integers(0, 256, 3).tolist()
        first, second = random.integers(0, SIDE, (2, 2))
        if random.random() < 0.4:
            cv2.rectangle(canvas, first.tolist(), second.tolist(), colour, -1)
        elif random.random() < 0.6:
            cv2.circle(canvas, first.tolist(), int(random.integers(5, 35)), colour, -1)
        else:
            cv2.line(canvas, first.tolist(), second.tolist(), colour, int(random.integers(2, 12)))
    return canvas


def screen(random: np.random.Generator) -> NDArray[np.uint8]:
    """A desktop with windows and text, a film picture, or a dark menu."""
    kind = random.random()
    if kind < 0.3:
        return picture(random)
    dark = kind < 0.6
    canvas = np.full((SIDE, SIDE, 3), random.integers(10, 60, 3) if dark else random.integers(90, 230, 3), np.uint8)
    cv2.rectangle(canvas, (0, 118), (SIDE, SIDE), random.integers(20, 120, 3).tolist(), -1)
    for _ in range(int(random.integers(1, 4))):
        left, top = int(random.integers(2, 60)), int(random.integers(2, 50))
        right, bottom = left + int(random.integers(40, 66)), top + int(random.integers(35, 62))
        ground = 40 if dark else 245
        cv2.rectangle(canvas, (left, top), (right, bottom), (ground, ground, ground), -1)
        cv2.rectangle(canvas, (left, top), (right, top + 6), random.integers(40, 220, 3).tolist(), -1)
        for line in range(top + 11, bottom - 3, 6):
            colour = random.integers(90, 256, 3) if dark else random.integers(0, 150, 3)
            cv2.line(
                canvas, (left + 3, line), (left + int(random.integers(12, right - left)), line), colour.tolist(), 2
            )
    return canvas


def cover(random: np.random.Generator) -> NDArray[np.uint8]:
    """A book's cover: a light or dark ground, a title block and a figure."""
    canvas = np.full((SIDE, SIDE, 3), random.integers(150, 256, 3), np.uint8)
    ink = random.integers(0, 110, 3).tolist()
    for line in range(int(random.integers(1, 4))):
        half = int(random.integers(20, 50))
        cv2.rectangle(canvas, (64 - half, 16 + 14 * line), (64 + half, 24 + 14 * line), ink, -1)
    colour = random.integers(0, 256, 3).tolist()
    if random.random() < 0.5:
        cv2.circle(canvas, (64, 86), int(random.integers(12, 32)), colour, -1)
    else:
        cv2.rectangle(canvas, (20, 66), (108, 110), colour, -1)
    return canvas


def keys(random: np.random.Generator) -> NDArray[np.uint8]:
    """Dark keys on a lighter ground."""
    canvas = np.full((SIDE, SIDE), 0.75)
    rows, columns = 5, 14
    dark = float(random.uniform(0.08, 0.3))
    for row in range(rows):
        for column in range(columns):
            left, top = column * SIDE // columns, row * SIDE // rows
            cv2.rectangle(canvas, (left + 1, top + 2), (left + 7, top + 22), dark, -1)
    cv2.rectangle(canvas, (38, 105), (92, 125), dark, -1)
    return _grey(canvas)


def dial(random: np.random.Generator) -> NDArray[np.uint8]:
    """A clock's face with hours, without hands."""
    canvas = np.full((SIDE, SIDE), 1.0)
    for hour in range(12):
        angle = np.pi * hour / 6
        outer, inner = (54, 40 if hour % 3 == 0 else 46)
        ends = [(int(64 + r * np.sin(angle)), int(64 - r * np.cos(angle))) for r in (inner, outer)]
        cv2.line(canvas, ends[0], ends[1], 0.05, 5 if hour % 3 == 0 else 3)
    return _grey(canvas)


def leaf(random: np.random.Generator) -> NDArray[np.uint8]:
    """Mottled green-grey with a lighter rib."""
    mottle = 0.75 + 0.25 * _noise(random, 8, 8)
    mottle[:, 60:68] = 1.0
    return _grey(mottle)


PATTERNS: dict[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (
        wood,
        planks,
        tiles,
        checks,
        stripes,
        fabric,
        dots,
        marble,
        speckles,
        brick,
        carpet,
        oriental,
        wallpaper,
        plaster,
        wicker,
        picture,
        screen,
        cover,
        keys,
        dial,
        leaf,
    )
}
"""Every pattern by its name: a generator in, (SIDE, SIDE, 3) uint8 rgb out."""
