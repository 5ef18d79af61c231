# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""List the models that are here, and those that `tasktp fetch` can bring."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp models`."""
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List; see `tasktp models --help`."""
    from tasktp_ros.runtime.public_models import public_models
    from tasktp_ros.runtime.shipped import UNTRAINED, fetched_models, model_file, shipped_models

    here = [name for name in shipped_models() if name != UNTRAINED]
    rows = [
        {
            "name": name,
            "state": "fetched" if (file := model_file(name)) and file.parent == fetched_models() else "here",
            "what": public_models()[name].told if name in public_models() else "shipped with this package",
            "file": str(file),
        }
        for name in here
    ]
    rows += [
        {
            "name": model.name,
            "state": "fetchable",
            "what": f"{model.size} {model.method}: {model.told}",
            "file": model.address,
        }
        for model in public_models().values()
        if model.name not in here
    ]
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(f"{row['name']:26} {row['state']:10} {row['what']}" for row in rows))
    return 0
