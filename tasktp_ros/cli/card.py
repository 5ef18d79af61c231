# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Write a model's card: into its file what was measured of it, and the page of models in the docs."""

import argparse
from pathlib import Path

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp card`."""
    parser.add_argument("models", nargs="*", help="shipped names or .safetensors files (default: all that ship)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of eval_NAME.json, kept_NAME.json, calibration_NAME.json, "
                        ""
                        "data_NAME.json, performance_NAME.json and sheet_NAME.json (default: results)")  # fmt: skip
    parser.add_argument("--write", action="store_true", help="write what was measured into the models' files")
    parser.add_argument(
        "--page", type=options.file, help="write the page of all these models to this file (default: print it)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write; see `tasktp card --help`."""
    from tasktp_ros.evaluation.model_card import page
    from tasktp_ros.evaluation.model_facts import read_facts, weights_mark, with_measured
    from tasktp_ros.files import replacing
    from tasktp_ros.runtime.checkpoints import load_model, save_model
    from tasktp_ros.runtime.shipped import UNTRAINED, find_model, shipped_models

    if not arguments.results.is_dir():
        raise InputError(f"{arguments.results} is no folder of results")
    models = arguments.models or [name for name in shipped_models() if name != UNTRAINED]
    for name in models if arguments.write else ():
        file = find_model(name)
        if file is None:
            raise InputError(f"{name} has no file that could be written")
        network, card = load_model(file)
        written = with_measured(card, read_facts(arguments.results, card.name, weights_mark(file)))
        if written != card:
            save_model(file, network, written)
    text = page(models, arguments.results)
    if arguments.page:
        with replacing(arguments.page) as beside:
            beside.write_text(text)
    else:
        print(text, end="")
    return 0
