# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Write backbone and pyramid of a model as ONNX, compared with ours in ONNX Runtime before it is called done."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from tasktp_ros.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp export`."""
    parser.add_argument("model", help="name of a model that is here, or a .safetensors file")
    parser.add_argument("--output", type=onnx_file, required=True, metavar="OUT", help="OUT.onnx")
    parser.add_argument(
        "--image", type=options.sides, default=(480, 640), metavar="HxW", help="of the camera (default: 480x640)"
    )
    parser.add_argument("--capacity", type=options.share, default=1.0,
                        help="share of the tokens that gated blocks have rows for (default: 1, always enough)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def onnx_file(text: str) -> Path:
    """An ONNX file that will be written."""
    if not text.endswith(".onnx"):
        raise argparse.ArgumentTypeError(f"must be a file that ends in .onnx, got {text[: options.LONGEST_SHOWN]!r}")
    return options.file(text)


def run(arguments: argparse.Namespace) -> int:
    """Export; see `tasktp export --help`."""
    from tasktp_ros.runtime.export import export_onnx
    from tasktp_ros.runtime.models import open_model
    from tasktp_ros.vision.image import frame_for

    network, card = open_model(arguments.model)
    height, width = arguments.image
    frame = frame_for(height, width, card.resize())
    exported = export_onnx(network, card, arguments.output, frame, arguments.capacity)
    if arguments.json:
        print(json.dumps({"output": str(arguments.output), **asdict(exported)}, indent=1))
    else:
        shapes = ", ".join(
            f"{name} {'x'.join(map(str, shape))}" for name, shape in (exported.inputs | exported.outputs).items()
        )
        print(
            f"{arguments.output}: {card.label}, {shapes}; differs from ours by at most {exported.largest_difference:.1e} deviations"
        )
    return 0
