# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Count images, objects and licences of the data sets that a model learns from."""

import argparse
from pathlib import Path
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp count`."""
    parser.add_argument("data", type=Path, nargs="+", help="data sets in COCO's layout")
    parser.add_argument(
        "--model",
        default="",
        help="count only categories of this model, a shipped name or a .safetensors file (default: all)",
    )
    parser.add_argument("--output", type=options.file, help="write the counts to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Count; see `tasktp count --help`."""
    from tasktp_ros.evaluation.data_count import count_sets
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.runtime.models import open_model

    card = open_model(arguments.model)[1] if arguments.model else None
    counted = count_sets(arguments.data, card.vocabulary if card else None)
    report = provenance() | {"model": card.name if card else None, "sets": counted}
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def table(report: dict[str, Any]) -> str:
    """A line per split, and the licences below it."""
    lines = []
    for row in report["sets"]:
        lines.append(f"{row['data']} {row['split']}: {row['images']} images, {row['objects']} objects of {len(row['of'])} categories, "
                     f"{row['with_mask']} with a mask")  # fmt: skip
        lines += [f"  {count:>7} images: {name}" for name, count in row["licences"].items()]
    return "\n".join(lines)
