# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Arrows between the parts point one way, as docs/layout.md draws them."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "tasktp_ros").rglob("*.py")
}
# From the top: what lies lower is imported by what lies higher, never the other way round.
LAYERS = [
    {"cli", "nodes"},
    {"runtime", "evaluation", "training", "detectors", "segmenters", "papers"},
    {"reduction", "tasks", "datasets", "guidance"},
    {"vision"},
    {"errors", "files", "workers"},
]


def at_import(nodes: Iterable[ast.AST]) -> Iterator[ast.ImportFrom]:
    """The imports that run when a file is imported: none within functions, none for type checkers alone."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_import(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from at_import(ast.iter_child_nodes(node))


def imports() -> dict[str, set[str]]:
    """For each file of ours, by its module's name, the files of ours that it imports."""
    arrows: dict[str, set[str]] = {}
    for module, path in FILES.items():
        found = arrows.setdefault(module, set())
        for node in at_import(ast.parse(path.read_text()).body):
            named = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            found |= named or {str(node.module)} & FILES.keys()
    return arrows


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_no_file_and_no_part_imports_itself_around_a_circle():
    arrows = imports()
    assert len(arrows) > 100
    TopologicalSorter(arrows).prepare()  # raises CycleError, which names the circle
    parts: dict[str, set[str]] = {}
    for module, others in arrows.items():
        parts.setdefault(part(module), set()).update(part(other) for other in others if part(other))
    for name, others in parts.items():
        others.discard(name)
    TopologicalSorter(parts).prepare()


def test_what_lies_lower_knows_nothing_of_what_lies_higher():
    height = {name: -depth for depth, layer in enumerate(LAYERS) for name in layer}
    arrows = [
        (module, other) for module, others in imports().items() for other in others if part(module) and part(other)
    ]
    assert {part(module) for pair in arrows for module in pair} <= height.keys(), "each part has its layer"
    upwards = [pair for pair in arrows if height[part(pair[0])] < height[part(pair[1])]]
    assert upwards == []


def test_the_network_loads_no_method_of_token_reduction():
    """Though the detectors are still found under the name by which they were published."""
    modules = [name for name in FILES if part(name) == "vision"]
    code = "import sys, importlib as i; [i.import_module(n) for n in sys.argv[1:]]; print([n for n in sys.modules if 'tasktp_ros.reduction' in n])"
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
    from tasktp_ros import detectors
    from tasktp_ros.vision import sizes

    assert sizes.build_detector is detectors.build_detector
    assert not hasattr(sizes, "build_something_else")
