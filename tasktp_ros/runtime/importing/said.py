# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a checkpoint's metadata says about the network, read as data: mmcv and mmengine store their whole configuration as text.

Weights alone do not tell how images were normalised, which row is which category, or whether attention was cut into windows. Where
the file says so, it is believed; where it says something that this code does not do, it is refused.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """What metadata says; None = nothing.

    Attributes:
        classes: category names in the order of the class rows.
        version: of mmdet.
        mean, std: of the test images' normalisation, in the order of the channels.
        rgb: images are turned from BGR to RGB before.
        scale: (longer, shorter) side px of the test images.
        windows: per block, whether it attends within a window; () = the text does not say.
        window_sides: sides of those windows.
        layer_scale: blocks have it.
        heads: attention heads of the blocks.
    """

    classes: tuple[str, ...] | None = None
    version: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    rgb: bool | None = None
    scale: tuple[int, int] | None = None
    windows: tuple[bool, ...] = ()
    window_sides: frozenset[int] = frozenset()
    layer_scale: bool | None = None
    heads: int | None = None


def what_is_said(meta: Mapping[str, Any]) -> Said:
    """Read the metadata of mmcv 1.x (`CLASSES`, `config`) or mmengine (`dataset_meta`, `cfg`)."""
    dataset = meta.get("dataset_meta")
    names = meta.get("CLASSES") or (
        dataset.get("classes", dataset.get("CLASSES")) if isinstance(dataset, Mapping) else None
    )
    classes = tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
    version = meta.get("mmdet_version")
    tree = _settings(meta.get("config", meta.get("cfg")))
    tested = _test_pipeline(tree)
    normalise = next((step for step in _steps(tested) if step.get("type") == "Normalize"), None)
    if normalise is None:
        normalise = next((part for part in _steps(tree.get("model")) if "bgr_to_rgb" in part and "mean" in part), {})
    if not normalise and tested is None and isinstance(tree.get("img_norm_cfg"), dict):
        normalise = tree["img_norm_cfg"]
    backbone = next((part for part in _steps(tree.get("model")) if "embed_dim" in part), {})
    windows = backbone.get("window_attn")
    depth = backbone.get("depth", 12)
    if isinstance(windows, bool):
        windows = [windows] * (depth if isinstance(depth, int) else 12)
    sides = backbone.get("window_size")
    sides = sides if isinstance(sides, list) else [sides]
    heads, scaled = backbone.get("num_heads"), backbone.get("layer_scale")
    turned = normalise.get("to_rgb", normalise.get("bgr_to_rgb"))
    return Said(
        classes,
        version if isinstance(version, str) else None,
        _numbers(normalise.get("mean")),
        _numbers(normalise.get("std")),
        turned if isinstance(turned, bool) else None,
        _scale(tested),
        tuple(map(bool, windows)) if isinstance(windows, list) else (),
        frozenset(side for side in sides if isinstance(side, int)),
        scaled if isinstance(scaled, bool) else None,
        heads if isinstance(heads, int) else None,
    )


def _settings(text: Any) -> dict[str, Any]:
    """The assignments of a configuration's text, with `dict(...)` as dictionaries; what is no value is None."""
    if not isinstance(text, str):
        return {}
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _value(node.value, found)
    return found


def _value(node: ast.AST, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, known) for item in node.elts]
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, known)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_value(key, known): _value(value, known) for key, value in pairs if isinstance(key, ast.Constant)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        made: dict[str, Any] = {}
        for keyword in node.keywords:
            value = _value(keyword.value, known)
            made |= (
                value
                if keyword.arg is None and isinstance(value, dict)
                else {}
                if keyword.arg is None
                else {keyword.arg: value}
            )
        return made
    return None


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries in a part of a configuration, outermost first."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _steps(inner)


def _test_pipeline(tree: Mapping[str, Any]) -> Any:
    """How test images are prepared. Training's way is of no matter: DINOv2's large network was trained with another mean than
    its published scores were measured with."""
    data = tree.get("data")
    test = data.get("test") if isinstance(data, dict) else None
    inside = test.get("pipeline") if isinstance(test, dict) else None
    return inside or tree.get("test_pipeline")


def _scale(tested: Any) -> tuple[int, int] | None:
    for step in _steps(tested):
        scale = step.get("img_scale", step.get("scale"))
        if isinstance(scale, list) and len(scale) == 2 and all(isinstance(side, int) for side in scale):
            return max(scale), min(scale)
    return None


def _numbers(values: Any) -> tuple[float, ...] | None:
    if isinstance(values, list) and values and all(isinstance(value, int | float) for value in values):
        return tuple(float(value) for value in values)
    return None
