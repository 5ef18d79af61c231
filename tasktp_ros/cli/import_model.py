# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Turn a public checkpoint (mmdetection's of ViT-Adapter, SViT or TaskTP; DeiT's) into a model file, exactly or not at all."""

import argparse
import json
import re
from pathlib import Path

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp import`."""
    parser.add_argument(
        "file", type=Path, help="checkpoint of PyTorch (.pth, .pth.tar, .pt) or safetensors; nothing in it is run"
    )
    parser.add_argument(
        "--output", type=safetensors_file, required=True, metavar="OUT", help="model file to write, OUT.safetensors"
    )
    parser.add_argument("--name", default="", help="of the model (default: the public model's, or the file's)")
    parser.add_argument(
        "--of", metavar="NAME", help="the public model that the file is, for licence and scores; see `tasktp models`"
    )
    parser.add_argument(
        "--categories",
        nargs="+",
        metavar="NAME",
        help="names of the class rows in their order, where the file has none",
    )
    parser.add_argument("--attention", choices=("published", "global"), default="published",
                        help="global: leave windows out, an approximation that can have gates and needs a fine-tuning")  # fmt: skip
    parser.add_argument("--partial", action="store_true", help="write what fits, and name what does not")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def safetensors_file(text: str) -> Path:
    """A model file that will be written."""
    if not text.endswith(".safetensors"):
        raise argparse.ArgumentTypeError(
            f"must be a file that ends in .safetensors, got {text[: options.LONGEST_SHOWN]!r}"
        )
    return options.file(text)


def run(arguments: argparse.Namespace) -> int:
    """Import; see `tasktp import --help`."""
    from tasktp_ros.runtime.importing.convert import Wishes, import_model
    from tasktp_ros.runtime.public_models import public_model

    if arguments.name and not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", arguments.name):
        raise InputError(f"--name must be a name such as my-detector, got {arguments.name[: options.LONGEST_SHOWN]!r}")
    wishes = Wishes(
        name=arguments.name,
        public=public_model(arguments.of) if arguments.of else None,
        categories=tuple(arguments.categories) if arguments.categories else None,
        global_attention=arguments.attention == "global",
        partial=arguments.partial,
    )
    imported = import_model(arguments.file, arguments.output, wishes)
    card = imported.card
    if arguments.json:
        told = {"model": card.name, "size": card.size, "method": card.method, "trained": card.trained}
        print(
            json.dumps(
                {"output": str(arguments.output), **told, "source": card.source, "report": imported.report.as_dict()},
                indent=1,
            )
        )
    else:
        print("\n".join(imported.report.lines()))
        print(f"{arguments.output}: {card.label}, {card.size} {card.method}, licence {card.source['licence']}")
    return 0
