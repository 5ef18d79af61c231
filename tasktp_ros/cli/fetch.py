# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Download a public model by name and make it a model of ours, which every command and node then finds by that name."""

import argparse
import json
import sys

from tasktp_ros.runtime.shipped import fetched_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp fetch`."""
    parser.add_argument("name", help="see `tasktp models`, such as svit-dense-tiny")
    parser.add_argument("--again", action="store_true", help="also where it is here already")
    parser.add_argument("--json", action="store_true", help="print what was fetched as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Fetch; see `tasktp fetch --help`."""
    from tasktp_ros.runtime.public_models import public_model

    model = public_model(arguments.name)
    file = fetched_models() / f"{model.name}.safetensors"
    if file.is_file() and not arguments.again:
        print(
            json.dumps({"model": model.name, "file": str(file)}) if arguments.json else f"{model.name} is here: {file}"
        )
        return 0
    from tqdm import tqdm

    from tasktp_ros.runtime.fetching import fetch

    with tqdm(unit="B", unit_scale=True, desc=model.name, file=sys.stderr, disable=None) as bar:

        def progress(have: int, total: int) -> None:
            bar.total = total or None
            bar.update(have - bar.n)

        file, imported = fetch(model, progress)
    source = imported.card.source
    if arguments.json:
        print(
            json.dumps(
                {"model": model.name, "file": str(file), "source": source, "report": imported.report.as_dict()},
                indent=1,
            )
        )
    else:
        print("\n".join(imported.report.lines()))
        print(
            f"{model.name}: {model.told}, licence {model.licence}, SHA-256 of the download {source['sha256']}\n{file}"
        )
    return 0
