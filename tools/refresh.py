# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Everything that has to be made anew when a model ships: results, docs and pictures, by one command.

    python tools/refresh.py coco-nano --photos data/photos --rooms data/rooms --walks data/walks --office office_walk

Before, the model's file and its dense twin's (coco-nano-dense) are put into weights/. Steps run one after the other and stop at the first
that fails; `--from` goes on there, `--list` only shows the commands. `--default` first makes it the model that is taken where none is named.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OFFICE_TASK = ("chair", "couch", "potted plant")
OFFICE_WALK = "tasktp_ros/datasets/office_walk"
PICTURE_FRAME = 27
"""Of that walk: a couch with a backpack between potted plants; no chair is in view."""


@dataclass(frozen=True)
class Step:
    """One command; `needs` are the folders without which it is left out."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()


def steps(model: str, photos: str, rooms: str, walks: str, office: str, runs: str, queries: str) -> list[Step]:
    """All steps for a model that lies in weights/ beside its dense twin; "" = not at hand."""
    dense, flat = f"{model}-dense", model.replace("-", "_")
    pair = ("--model", dense, "--model", model)
    found = [
        *(
            Step(f"calibrate {name}", ("calibrate", name, "--data", photos, "--output", f"results/calibration_{name}.json"), (photos,))
            for name in (dense, model)
        ),
        Step("eval dense", ("eval", "--model", dense, "--data", photos, "--subsets", "all", "--output", f"results/eval_{dense}.json"), (photos,)),
        Step("eval", ("eval", "--model", model, "--dense", dense, "--data", photos, "--sets", "2", "--output", f"results/eval_{model}.json"),
             (photos,)),
        Step("kept", ("kept", "--model", model, "--data", photos, "--output", f"results/kept_{model}.json"), (photos,)),
        *(
            Step(f"count {name}", ("count", photos, rooms, "--model", name, "--output", f"results/data_{name}.json"), (photos, rooms))
            for name in (dense, model)
        ),
        Step("bench", ("bench", "--table", "--size", model, "--threads", "1", "--output", f"results/performance_{model}.json")),
        Step("search", ("search", walks, *pair, "--queries", queries, "--output", f"results/search_{flat}.json", "--plot",
                        f"docs/{flat}_search.png"), (walks,)),
        Step("times", ("search", office, "--times", *OFFICE_TASK, "cup", *pair, "--output", "results/times_office_walk.json"), (office,)),
        Step("demo", ("demo", "--model", model, "--output", "demo", "--results", "results/demo_sample.json")),
        Step("office", ("demo", "--model", model, "--source", office, "--output", "demo-office", "--results", "results/office_walk.json"),
             (office,)),
        Step("sheet", ("sheet", f"docs/{flat}_office.jpg", "--model", model, "--task", *OFFICE_TASK, "--results", f"results/sheet_{model}.json")),
        Step("picture", ("plot", "tokens", OFFICE_WALK, f"docs/{flat}_tokens.jpg", "--frame", str(PICTURE_FRAME), "--model", model, "--tasks",
                         "potted plant", "couch", "chair", "all")),
        *(
            Step(f"curve {name}", ("plot", "training", f"{runs}/{name}/log.csv", f"docs/{name.replace('-', '_')}_training.png", "--recipe", name),
                 (runs,))
            for name in (dense, model)
        ),
        Step("card", ("card", dense, model, "--write", "--page", os.devnull)),
        Step("page", ("card", "--page", "docs/models.md")),
        Step("measured", ("-m", "tasktp_ros.evaluation.tables", "results", "docs/measured.md")),
    ]  # fmt: skip
    return [step for step in found if all(step.needs)]


def make_default(model: str, root: Path = ROOT) -> list[str]:
    """Name a model wherever the default one is named; returns the files that were changed.

    Raises:
        SystemExit: a file no longer has the line that names it.
    """
    vocabulary = model.split("-")[0]
    places = (
        ("tasktp_ros/runtime/default.py", r'(?m)^(DEFAULT_MODEL = ").*(")$', model),
        ("config/perception.yaml", r'(?m)^(    model: ").*(")$', model),
        ("config/perception.yaml", r'(?m)^(    vocabulary: ").*(")$', vocabulary),
        ("Makefile", r"(bench --table --size )\S+( --threads 1)", model),
        ("README.md", r'(TaskDetector\.load\(")[a-z-]+("\) )', model),
    )
    changed = []
    for name, pattern, word in places:
        file = root / name
        text, count = re.subn(pattern, rf"\g<1>{word}\g<2>", file.read_text())
        if count != 1:
            raise SystemExit(f"{name} names the default model {count} times by {pattern}, expected once")
        if text != file.read_text():
            file.write_text(text)
            changed.append(name)
    return changed


def run(step: Step) -> int:
    """Run a step in the checkout, with the `tasktp` of the Python that runs this."""
    beside = Path(sys.executable).with_name("tasktp")
    tasktp = str(beside) if beside.exists() else shutil.which("tasktp")
    if tasktp is None:
        raise SystemExit(
            "there is no tasktp beside this Python: run `make setup`, then .venv/bin/python tools/refresh.py"
        )
    program = [sys.executable] if step.command[0] == "-m" else [tasktp]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [*program, *step.command], cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, check=False
    ).returncode


def main(words: Sequence[str] | None = None) -> int:
    """Refresh; 0 done, else the exit status of the step that failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("model", help="name of a model in weights/, such as coco-nano; NAME-dense lies there, too")
    for name, what in (("photos", "data set that it is measured on"), ("rooms", "rendered rooms that it learned from, too"),
                       ("walks", "rendered walks"), ("office", "the whole office walk"), ("runs", "folder of its trainings")):  # fmt: skip
        parser.add_argument(
            f"--{name}", default="", metavar="FOLDER", help=f"{what} (default: leave out what needs it)"
        )
    parser.add_argument(
        "--queries", default="results/queries_rooms.json", help="of the search (default: results/queries_rooms.json)"
    )
    parser.add_argument(
        "--default", action="store_true", help="first make it the model that is taken where none is named"
    )
    parser.add_argument("--from", dest="first", default="", metavar="STEP", help="go on with this step")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="only these steps")
    parser.add_argument("--list", action="store_true", help="show the commands and do nothing")
    given = parser.parse_args(words)
    chosen = steps(given.model, given.photos, given.rooms, given.walks, given.office, given.runs, given.queries)
    names = [step.name for step in chosen]
    if unknown := [name for name in (*given.only, *filter(None, [given.first])) if name not in names]:
        parser.error(f"there is no step {unknown[0]!r}; with these folders they are {', '.join(names)}")
    chosen = chosen[names.index(given.first) :] if given.first else chosen
    chosen = [step for step in chosen if not given.only or step.name in given.only]
    if given.default and not given.list:
        print("named in", ", ".join(make_default(given.model)) or "nothing new", flush=True)
    for step in chosen:
        print(
            f"{step.name}: {shlex.join(('tasktp', *step.command) if step.command[0] != '-m' else ('python', *step.command))}",
            flush=True,
        )
        if not given.list and (status := run(step)):
            print(
                f"step {step.name!r} ended with status {status}; go on by --from {shlex.quote(step.name)}",
                file=sys.stderr,
            )
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
