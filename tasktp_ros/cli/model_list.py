# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Lists of models in one command, also of methods that need no training on the weights of a dense one."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError

HELP = "also run these methods, which have nothing to learn, on the weights of every dense model of the list: tome, atc, ats, ..."


def add_methods(parser: argparse.ArgumentParser) -> None:
    """Declare `--method` and `--option`."""
    parser.add_argument("--method", nargs="+", default=[], metavar="NAME", help=f"{HELP} (docs/methods.md)")
    parser.add_argument("--option", type=options.of_method, nargs="+", default=[], metavar="NAME=VALUE",
                        help="of these methods, such as kept=0.7")  # fmt: skip


def worn(models: Sequence[str], arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Files of the models' dense weights with each of the methods that were asked for; those that are there stay.

    Args:
        folder: to write them to. A file is as old as the model it was made of, so that parts of an evaluation still fit it.

    Raises:
        InputError: no model is dense, or a method is unknown or has to learn first.
    """
    if not arguments.method:
        return []
    from tasktp_ros.reduction import build_reducer
    from tasktp_ros.runtime.models import open_model
    from tasktp_ros.runtime.shipped import model_file
    from tasktp_ros.training.starts import dressed
    from tasktp_ros.vision.sizes import size_config

    cards = {model: open_model(model)[1] for model in models}
    dense = [model for model, card in cards.items() if card.method == "dense"]
    if not dense:
        raise InputError(f"--method runs on a dense model's weights, and of {', '.join(models)} none is dense")
    found = []
    for model in dense:
        card, source = cards[model], model_file(model)
        dim = size_config(card.size).dim
        for method in arguments.method:
            chosen = dict(arguments.option)
            try:
                reducer = build_reducer(method, dim, len(card.vocabulary), options=chosen)
            except ValueError as error:
                raise InputError(str(error)) from error
            modules = reducer.published_modules().values()
            if sum(parameter.numel() for module in modules for parameter in module.parameters()) > dim:
                raise InputError(
                    f"--method {method} has to learn first: `tasktp train RECIPE --method {method}`, then give its model"
                )
            path = folder / f"{card.name}-with-{method}.safetensors"
            if not path.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                dressed(model, method, chosen, path)
                if source is not None:
                    state = source.stat()
                    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
            found.append(str(path))
    return found
