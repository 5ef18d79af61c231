"""What stands in the sample's room, and what its walls and floor look like. Only shapes and colours, no method."""

import cv2
import numpy as np

from tasktp_ros.datasets.raycast import Floats, Solid

PIXELS_PER_METRE = 180
Colour = tuple[float, float, float]

WOOD, DARK_WOOD, WHITE, BLACK, STEEL = (
    (0.62, 0.42, 0.26),
    (0.36, 0.23, 0.15),
    (0.9, 0.9, 0.88),
    (0.06, 0.06, 0.07),
    (0.66, 0.68, 0.7),
)
TEAL, MUSTARD, BRICK, LEAF, CLAY = (
    (0.16, 0.42, 0.45),
    (0.85, 0.62, 0.2),
    (0.68, 0.27, 0.2),
    (0.22, 0.46, 0.2),
    (0.71, 0.4, 0.27),
)


def box(
    x: float,
    y: float,
    z: float,
    size: tuple[float, float, float],
    colour: Colour,
    yaw: float = 0.0,
    grain: float = 0.06,
) -> Solid:
    """A box whose bottom centre is (x, y, z); size in metres."""
    dx, dy, dz = size
    return Solid("box", (x, y, z + dz / 2), (dx / 2, dy / 2, dz / 2), colour, yaw, grain)


def tube(x: float, y: float, z: float, radius: float, height: float, colour: Colour) -> Solid:
    """An upright cylinder whose bottom centre is (x, y, z)."""
    return Solid("cylinder", (x, y, z + height / 2), (radius, radius, height / 2), colour, 0.0, 0.04)


def ball(x: float, y: float, z: float, half: tuple[float, float, float], colour: Colour, yaw: float = 0.0) -> Solid:
    """An ellipsoid around (x, y, z)."""
    return Solid("ellipsoid", (x, y, z), half, colour, yaw, 0.12)


def furniture() -> list[Solid]:
    """Everything in the room, metres."""
    random = np.random.default_rng(11)
    return [
        *_table(3.3, 3.35, 1.5, 0.85),
        *_chair(2.95, 2.72, 0.1),
        *_chair(3.65, 2.70, -0.15),
        *_chair(3.0, 4.0, np.pi - 0.1),
        *_chair(3.7, 4.02, np.pi + 0.2),
        *_on_table(3.3, 3.35),
        *_couch(0.62, 3.3),
        *_plant(0.5, 4.62, 1.0, random),
        *_plant(5.95, 4.55, 1.25, random),
        *_bookshelf(2.1, 4.83, random),
        *_kitchen(6.08, 2.6),
        *_television(4.75, 4.75),
        *_floor_things(),
    ]


def _table(x: float, y: float, width: float, depth: float) -> list[Solid]:
    legs = [
        box(x + sx * (width / 2 - 0.07), y + sy * (depth / 2 - 0.07), 0, (0.06, 0.06, 0.71), DARK_WOOD)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return [box(x, y, 0.71, (width, depth, 0.04), WOOD, grain=0.12), *legs]


def _chair(x: float, y: float, yaw: float) -> list[Solid]:
    cosine, sine = np.cos(yaw), np.sin(yaw)

    def at(dx: float, dy: float) -> tuple[float, float]:
        return x + cosine * dx - sine * dy, y + sine * dx + cosine * dy

    legs = [box(*at(dx, dy), 0, (0.035, 0.035, 0.44), DARK_WOOD, yaw) for dx in (-0.18, 0.18) for dy in (-0.18, 0.18)]
    posts = [box(*at(dx, -0.19), 0.44, (0.035, 0.035, 0.42), DARK_WOOD, yaw) for dx in (-0.18, 0.18)]
    slats = [box(*at(0, -0.19), z, (0.36, 0.025, 0.1), WOOD, yaw) for z in (0.56, 0.74)]
    return [box(*at(0, 0), 0.44, (0.42, 0.42, 0.04), MUSTARD, yaw), *legs, *posts, *slats]


def _on_table(x: float, y: float) -> list[Solid]:
    z = 0.75
    cup = [tube(x - 0.5, y - 0.15, z, 0.042, 0.095, BRICK), tube(x + 0.05, y - 0.28, z, 0.042, 0.095, WHITE)]
    coffee = [tube(x - 0.5, y - 0.15, z + 0.095, 0.035, 0.001, (0.15, 0.08, 0.04))]
    bottle = [
        tube(x - 0.25, y + 0.2, z, 0.04, 0.2, (0.1, 0.35, 0.2)),
        tube(x - 0.25, y + 0.2, z + 0.2, 0.015, 0.09, (0.1, 0.35, 0.2)),
    ]
    bowl = [
        ball(x - 0.02, y + 0.12, z + 0.05, (0.15, 0.15, 0.06), (0.82, 0.84, 0.86)),
        ball(x - 0.07, y + 0.12, z + 0.12, (0.042, 0.042, 0.042), (0.8, 0.14, 0.1)),
        ball(x + 0.03, y + 0.15, z + 0.12, (0.042, 0.042, 0.042), (0.93, 0.52, 0.1)),
        ball(x + 0.01, y + 0.06, z + 0.12, (0.042, 0.042, 0.042), (0.6, 0.75, 0.16)),
    ]
    laptop = [
        box(x + 0.45, y - 0.02, z, (0.34, 0.24, 0.018), STEEL, 0.25, 0.02),
        box(x + 0.45, y - 0.02, z + 0.018, (0.29, 0.15, 0.002), BLACK, 0.25, 0.1),
        box(x + 0.415, y + 0.115, z + 0.015, (0.34, 0.014, 0.22), (0.12, 0.2, 0.34), 0.25, 0.15),
    ]
    book = [
        box(x - 0.35, y - 0.28, z, (0.17, 0.23, 0.03), TEAL, 0.5),
        box(x - 0.34, y - 0.28, z + 0.03, (0.15, 0.21, 0.025), MUSTARD, 0.3),
    ]
    return [*cup, *coffee, *bottle, *bowl, *laptop, *book]


def _couch(x: float, y: float) -> list[Solid]:
    length = 2.0
    cushions = [
        box(x + 0.08, y + dy, 0.34, (0.66, length / 2 - 0.14, 0.14), (0.21, 0.5, 0.53), 0.0, 0.1)
        for dy in (-0.46, 0.46)
    ]
    arms = [box(x, y + dy, 0.06, (0.86, 0.2, 0.55), TEAL, 0.0, 0.1) for dy in (-length / 2, length / 2)]
    backpack = [
        ball(x - 0.02, y - 0.45, 0.68, (0.13, 0.17, 0.24), (0.75, 0.3, 0.16), 0.3),
        ball(x + 0.12, y - 0.42, 0.6, (0.06, 0.13, 0.11), (0.6, 0.2, 0.12), 0.3),
    ]
    pillow = [
        ball(x - 0.12, y + 0.6, 0.64, (0.1, 0.22, 0.19), MUSTARD, 0.2),
        ball(x - 0.08, y + 0.25, 0.62, (0.09, 0.2, 0.17), WHITE, -0.2),
    ]
    base = [
        box(x, y, 0.06, (0.84, length, 0.28), TEAL, 0.0, 0.1),
        box(x - 0.34, y, 0.3, (0.2, length, 0.5), TEAL, 0.0, 0.1),
    ]
    return [*base, *cushions, *arms, *backpack, *pillow]


def _plant(x: float, y: float, height: float, random: np.random.Generator) -> list[Solid]:
    solids = [
        tube(x, y, 0, 0.17, 0.32, CLAY),
        tube(x, y, 0.32, 0.15, 0.002, (0.16, 0.11, 0.08)),
        tube(x, y, 0.3, 0.02, height - 0.6, DARK_WOOD),
    ]
    for _ in range(26):
        angle, out, up = random.uniform(0, 2 * np.pi), random.uniform(0.02, 0.24), random.uniform(0.45, 1.0)
        green = tuple(float(value) for value in np.array(LEAF) * random.uniform(0.7, 1.35))
        place = (x + out * np.cos(angle), y + out * np.sin(angle), height * up)
        solids.append(ball(*place, (0.13, 0.05, 0.06), (green[0], green[1], green[2]), angle))
    return solids


def _bookshelf(x: float, y: float, random: np.random.Generator) -> list[Solid]:
    width, height = 1.1, 1.9
    solids = [box(x, y + 0.14, 0, (width, 0.02, height), DARK_WOOD)]
    solids += [box(x + dx, y, 0, (0.03, 0.3, height), WOOD) for dx in (-width / 2, width / 2)]
    palette = np.array([BRICK, TEAL, MUSTARD, WHITE, (0.25, 0.25, 0.4), LEAF, (0.5, 0.16, 0.3)])
    for shelf in range(5):
        z = 0.04 + shelf * 0.46
        solids.append(box(x, y, z - 0.03, (width, 0.3, 0.03), WOOD))
        left = x - width / 2 + 0.05
        while shelf < 4 and left < x + width / 2 - random.uniform(0.1, 0.4):
            thick, tall = random.uniform(0.03, 0.07), random.uniform(0.2, 0.36)
            red, green, blue = palette[random.integers(len(palette))] * random.uniform(0.8, 1.1)
            solids.append(box(left + thick / 2, y - 0.02, z, (thick * 0.93, 0.2, tall), (red, green, blue)))
            left += thick
    return [*solids, tube(x + 0.35, y, 1.9, 0.07, 0.22, (0.3, 0.45, 0.6)), ball(x - 0.3, y, 2.0, (0.1, 0.1, 0.1), CLAY)]


def _kitchen(x: float, y: float) -> list[Solid]:
    fronts = [box(x - 0.3, y - 0.9 + 0.6 * k, 0.12, (0.02, 0.56, 0.7), WHITE, grain=0.02) for k in range(4)]
    handles = [box(x - 0.32, y - 0.9 + 0.6 * k, 0.72, (0.02, 0.2, 0.02), STEEL) for k in range(4)]
    counter = [
        box(x, y, 0, (0.58, 2.4, 0.86), (0.8, 0.8, 0.78)),
        box(x - 0.01, y, 0.86, (0.64, 2.44, 0.04), (0.3, 0.29, 0.28), grain=0.2),
    ]
    sink = [
        box(x - 0.02, y + 0.3, 0.9, (0.42, 0.6, 0.004), STEEL),
        box(x - 0.02, y + 0.36, 0.904, (0.34, 0.4, 0.002), (0.35, 0.36, 0.38)),
    ]
    tap = [tube(x + 0.2, y + 0.36, 0.9, 0.018, 0.28, STEEL), box(x + 0.11, y + 0.36, 1.16, (0.2, 0.025, 0.02), STEEL)]
    microwave = [
        box(x + 0.03, y - 0.75, 0.9, (0.38, 0.5, 0.3), STEEL, grain=0.02),
        box(x - 0.165, y - 0.8, 0.93, (0.01, 0.34, 0.23), BLACK),
    ]
    small = [
        tube(x - 0.1, y - 0.2, 0.9, 0.045, 0.1, MUSTARD),
        tube(x - 0.02, y - 0.07, 0.9, 0.04, 0.1, WHITE),
        tube(x + 0.1, y - 0.3, 0.9, 0.045, 0.26, BRICK),
    ]
    fridge = [
        box(x - 0.02, y - 1.75, 0, (0.66, 0.7, 1.85), WHITE, grain=0.015),
        box(x - 0.36, y - 1.48, 0.75, (0.03, 0.03, 0.5), STEEL),
        box(x - 0.355, y - 1.75, 0.66, (0.005, 0.7, 0.012), (0.4, 0.4, 0.4)),
    ]
    return [*counter, *fronts, *handles, *sink, *tap, *microwave, *small, *fridge]


def _television(x: float, y: float) -> list[Solid]:
    return [
        box(x, y, 0.08, (1.5, 0.4, 0.4), DARK_WOOD, grain=0.12),
        box(x, y + 0.05, 0.48, (0.4, 0.16, 0.02), BLACK),
        box(x, y + 0.06, 0.56, (1.1, 0.04, 0.62), BLACK, grain=0.0),
        box(x, y + 0.038, 0.585, (1.04, 0.01, 0.57), (0.1, 0.16, 0.26), grain=0.25),
        tube(x + 0.62, y - 0.03, 0.48, 0.06, 0.17, (0.55, 0.6, 0.68)),
    ]


def _floor_things() -> list[Solid]:
    return [
        ball(1.75, 3.5, 0.12, (0.12, 0.12, 0.12), (0.85, 0.35, 0.12)),
        box(5.1, 3.9, 0, (0.24, 0.42, 0.62), (0.25, 0.3, 0.5), 0.4),
        box(5.1, 3.9, 0.62, (0.03, 0.2, 0.12), BLACK, 0.4),
        box(1.55, 2.55, 0, (0.5, 0.5, 0.04), WOOD, 0.2),
        box(1.55, 2.55, 0.04, (0.4, 0.3, 0.26), CLAY, 0.2, 0.15),
    ]


def surfaces(size: tuple[float, float, float]) -> dict[str, Floats]:
    """RGB float32 textures in 0..1 of the room's six sides; see `raycast.Room` for their directions."""
    x, y, z = size
    walls = {name: _wall(length, z) for name, length in (("west", y), ("east", y), ("south", x), ("north", x))}
    _window(walls["west"], 1.0, 0.9, 1.5, 1.25)
    _window(walls["south"], 1.4, 0.9, 1.7, 1.25)
    _painting(walls["west"], 3.0, 1.25, 1.1, 0.7, 3)
    _painting(walls["north"], 2.95, 1.3, 0.55, 0.75, 4)
    _painting(walls["north"], 3.65, 1.45, 0.5, 0.5, 5)
    _tiles(walls["east"], 1.3, 2.5, 0.9, 0.6)
    _door(walls["north"], 0.15, 0.9)
    _clock(walls["east"], 4.35, 1.9)
    return {**walls, "floor": _floor(x, y), "ceiling": np.full((64, 64, 3), 0.93, np.float32)}


def _wall(length: float, height: float) -> Floats:
    rows, columns = round(height * PIXELS_PER_METRE), round(length * PIXELS_PER_METRE)
    noise = np.random.default_rng(rows + columns).standard_normal((rows, columns)).astype(np.float32)
    plaster = 1 + 0.10 * cv2.GaussianBlur(noise, (0, 0), 3) + 0.5 * cv2.GaussianBlur(noise, (0, 0), 40)
    wall = np.array([0.86, 0.83, 0.77], np.float32) * plaster[..., None]
    corner = np.minimum(np.arange(columns), np.arange(columns)[::-1]) / PIXELS_PER_METRE
    wall *= (1 - 0.22 * np.exp(-corner / 0.25))[None, :, None]
    wall[-round(0.09 * PIXELS_PER_METRE) :] = 0.95
    return np.asarray(wall, np.float32)


def _region(wall: Floats, left: float, bottom: float, width: float, height: float) -> Floats:
    """The part of a wall's texture, metres from its first column and from the floor; a view."""
    bottom_row = wall.shape[0] - round(bottom * PIXELS_PER_METRE)
    top_row, first = bottom_row - round(height * PIXELS_PER_METRE), round(left * PIXELS_PER_METRE)
    return wall[top_row:bottom_row, first : first + round(width * PIXELS_PER_METRE)]


def _window(wall: Floats, left: float, bottom: float, width: float, height: float) -> None:
    view = _region(wall, left, bottom, width, height)
    rows, columns = view.shape[:2]
    fall = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    view[:] = (1 - fall) * np.array([0.95, 1.15, 1.5], np.float32) + fall * np.array([1.45, 1.5, 1.5], np.float32)
    hills = (0.74 + 0.06 * np.sin(np.linspace(0, 7, columns)) + 0.03 * np.sin(np.linspace(1, 23, columns))) * rows
    view[np.arange(rows)[:, None] > hills[None, :]] = (0.5, 0.72, 0.42)
    cv2.rectangle(view, (0, 0), (columns - 1, rows - 1), (1.05, 1.05, 1.03), 18)
    cv2.line(view, (columns // 2, 0), (columns // 2, rows), (1.05, 1.05, 1.03), 9)


def _painting(wall: Floats, left: float, bottom: float, width: float, height: float, seed: int) -> None:
    view = _region(wall, left, bottom, width, height)
    rows, columns = view.shape[:2]
    random = np.random.default_rng(seed)
    view[:] = (0.93, 0.9, 0.84)
    for _ in range(9):
        centre = (int(random.integers(columns)), int(random.integers(rows)))
        colour = [BRICK, TEAL, MUSTARD, (0.2, 0.22, 0.35), LEAF][int(random.integers(5))]
        cv2.circle(view, centre, int(random.uniform(0.08, 0.3) * rows), colour, cv2.FILLED, cv2.LINE_AA)
    cv2.rectangle(view, (0, 0), (columns - 1, rows - 1), (0.97, 0.97, 0.95), 22)
    cv2.rectangle(view, (0, 0), (columns - 1, rows - 1), DARK_WOOD, 9)


def _tiles(wall: Floats, left: float, width: float, bottom: float, height: float) -> None:
    view = _region(wall, left, bottom, width, height)
    view[:] = (0.75, 0.86, 0.86)
    view[:: round(0.15 * PIXELS_PER_METRE)] = 0.97
    view[:, :: round(0.15 * PIXELS_PER_METRE)] = 0.97


def _door(wall: Floats, left: float, width: float) -> None:
    view = _region(wall, left, 0.0, width, 2.05)
    rows, columns = view.shape[:2]
    view[:] = (0.55, 0.38, 0.25)
    for top, bottom in ((0.06, 0.45), (0.52, 0.94)):
        cv2.rectangle(
            view,
            (round(0.16 * columns), round(top * rows)),
            (round(0.84 * columns), round(bottom * rows)),
            (0.46, 0.31, 0.2),
            4,
        )
    cv2.rectangle(view, (0, 0), (columns - 1, rows - 1), (0.93, 0.92, 0.9), 16)
    cv2.circle(view, (round(0.86 * columns), round(0.5 * rows)), 6, STEEL, cv2.FILLED, cv2.LINE_AA)


def _clock(wall: Floats, left: float, bottom: float) -> None:
    view = _region(wall, left, bottom, 0.36, 0.36)
    middle = view.shape[0] // 2
    cv2.circle(view, (middle, middle), middle - 2, (0.97, 0.97, 0.95), cv2.FILLED, cv2.LINE_AA)
    cv2.circle(view, (middle, middle), middle - 4, BLACK, 4, cv2.LINE_AA)
    for end, thick in (((middle, 14), 3), ((middle + 15, middle + 8), 4)):
        cv2.line(view, (middle, middle), end, BLACK, thick, cv2.LINE_AA)


def _floor(x: float, y: float) -> Floats:
    rows, columns = round(y * PIXELS_PER_METRE), round(x * PIXELS_PER_METRE)
    random = np.random.default_rng(2)
    floor = np.zeros((rows, columns, 3), np.float32)
    plank, length = round(0.14 * PIXELS_PER_METRE), round(1.1 * PIXELS_PER_METRE)
    for top in range(0, rows, plank):
        for left in range(-int(random.integers(length)), columns, length):
            tone = np.array([0.64, 0.47, 0.31]) * random.uniform(0.86, 1.1)
            piece = floor[top : top + plank - 1, max(0, left) : max(0, left + length - 1)]
            piece[:] = tone
    veins = cv2.GaussianBlur(random.standard_normal((rows, columns)).astype(np.float32), (0, 0), sigmaX=22, sigmaY=1)
    floor *= 1 + 0.9 * veins[..., None]
    floor += 0.12 * (floor == 0)
    rug = floor[
        round(2.35 * PIXELS_PER_METRE) : round(4.25 * PIXELS_PER_METRE),
        round(1.25 * PIXELS_PER_METRE) : round(2.35 * PIXELS_PER_METRE),
    ]
    weave = 1 + 0.08 * random.standard_normal(rug.shape[:2]).astype(np.float32)
    rug[:] = np.array([0.74, 0.68, 0.58]) * weave[..., None]
    for inset, colour in ((8, BRICK), (26, TEAL)):
        cv2.rectangle(rug, (inset, inset), (rug.shape[1] - inset, rug.shape[0] - inset), colour, 7)
    return floor
