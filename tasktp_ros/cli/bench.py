# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Time the stages of a network beside the dense model and torchvision's Mask R-CNN, and count their GFLOPs."""

import argparse
from typing import TYPE_CHECKING

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError

if TYPE_CHECKING:
    from tasktp_ros.evaluation.speed import SpeedRow

COLUMNS = (
    ("prior", ("spatial_prior",)),
    ("inject", ("injector",)),
    ("gates", ("gates",)),
    ("blocks", ("blocks",)),
    ("extract", ("extractor",)),
    ("pyramid", ("pyramid",)),
    ("propose", ("proposals",)),
    ("box", ("box_head",)),
    ("mask", ("mask_head",)),
    ("in+out", ("preprocess", "postprocess")),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp bench`."""
    parser.add_argument("--size", default="nano", help="nano, deit_tiny, deit_small or deit_base (default: nano)")
    parser.add_argument("--method", default="tasktp", help="token reduction method to compare with dense")
    parser.add_argument("--image", type=options.sides, default=(480, 640), metavar="HxW",
                        help="size of the image in px (default: 480x640)")  # fmt: skip
    parser.add_argument("--input", type=options.sides, metavar="SHORTxLONG",
                        help="sides in px that it is scaled to (default: the size's)")  # fmt: skip
    parser.add_argument("--keep", type=options.share, nargs="+", default=[1.0, 0.5, 0.25, 0.1], metavar="SHARE",
                        help="shares of tokens to force the gates to (default: 1 0.5 0.25 0.1)")  # fmt: skip
    parser.add_argument("--rounds", type=options.whole(1), default=20, help="counted frames per row (default: 20)")
    parser.add_argument("--detections", type=options.whole(0, 1000), default=20, help="of every row (default: 20)")
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--threads", type=options.threads, help="CPU threads (default: torch's)")
    parser.add_argument("--no-peer", action="store_true", help="leave torchvision's Mask R-CNN out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=options.file, help="also write the JSON with machine and command to this file")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; see `tasktp bench --help`."""
    import numpy as np
    import torch
    from tqdm import tqdm

    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.speed import as_records, measure_speed

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    image = np.random.default_rng(0).integers(0, 255, (*arguments.image, 3), dtype=np.uint8)
    try:
        with tqdm(total=arguments.rounds, desc="rounds", disable=None, leave=False) as progress:
            rows, device, precision = measure_speed(
                image,
                arguments.size,
                ["dense"] + ([arguments.method] if arguments.method != "dense" else []),
                arguments.keep,
                arguments.rounds,
                arguments.device,
                arguments.precision,
                arguments.detections,
                not arguments.no_peer,
                arguments.input,
                lambda: progress.update(),
            )
    except ValueError as error:
        raise InputError(str(error)) from error
    setting = {"size": arguments.size, "image": list(arguments.image), "input": arguments.input, "device": device, "precision": precision,
               "threads": torch.get_num_threads(), "rounds": arguments.rounds}  # fmt: skip
    report = provenance() | {"setting": setting, "rows": as_records(rows)}
    hand_over(report, lambda: table(rows, setting), as_json=arguments.json, files=(arguments.output,))
    return 0


def table(rows: "list[SpeedRow]", setting: dict) -> str:
    """Medians as text: milliseconds per stage, and counted GFLOPs below them."""
    from tasktp_ros.evaluation.speed import PEER

    width = max(len(row.name) for row in rows)
    names = [name for name, _ in COLUMNS]
    lines = [
        "{size}, image {image[0]} x {image[1]}, {device} ({threads} threads), {precision}, medians of {rounds}".format(
            **setting
        ),
        "",
        f"{'milliseconds':{width}}  kept  total   x  " + " ".join(f"{name:>7}" for name in names),
    ]
    for row in rows:
        kept = "   -" if row.kept is None else f"{row.kept:4.0%}"
        cells = [_cell(row.stages, stages) for _, stages in COLUMNS]
        speedup = rows[0].milliseconds / row.milliseconds
        lines.append(f"{row.name:{width}}  {kept} {row.milliseconds:6.1f} {speedup:4.2f} " + " ".join(cells))
    lines += ["", f"{'GFLOPs':{width}}        total      " + " ".join(f"{name:>7}" for name in names)]
    for row in rows:
        cells = [_cell(row.gflops, stages) for _, stages in COLUMNS]
        lines.append(f"{row.name:{width}}       {row.gflops['total']:6.2f}      " + " ".join(cells))
    if any(row.name == PEER for row in rows):
        lines += ["", f"{PEER} has random weights and finds nothing, so its mask head does not run."]
    return "\n".join(lines)


def _cell(values: dict[str, float], stages: tuple[str, ...]) -> str:
    present = [values[stage] for stage in stages if stage in values]
    return f"{sum(present):7.2f}" if present else "      -"
