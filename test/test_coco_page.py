# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Every command of docs/coco.md runs, from the first to the last: on a few images, small networks and a server of our own."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from foreign import SMALL, mmcv_file, random_state, small_sizes
from tiny_set import write_set

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.evaluation import accuracy
from tasktp_ros.runtime import public_models
from tasktp_ros.runtime.checkpoints import load_model
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.training import recipes
from tasktp_ros.training.run import shortened
from tasktp_ros.vision import sizes
from tasktp_ros.vision.image import InputSize

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "coco.md"
FEW = ["--device", "cpu", "--precision", "32-true", "--workers", "0"]
STAND_INS = {
    "git": "import os, sys; os.makedirs(sys.argv[-1])",
    "make": "",
    "ros2": "",
    "curl": "import os, sys, urllib.request as r\n"
    "u = sys.argv[-1].replace('http://images.cocodataset.org', os.environ['SERVER'])\n"
    "open(os.path.basename(u), 'wb').write(r.build_opener(r.ProxyHandler({})).open(u).read())",
}


def commands() -> list[str]:
    """The lines of the page's fenced blocks."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def name_all_categories(file: Path) -> None:
    """Make the boxes' categories those of COCO that have their names."""
    content = json.loads(file.read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    for annotation in content["annotations"]:
        annotation["category_id"] = COCO.index(names[annotation["category_id"]]) + 1
    content["categories"] = [{"id": number, "name": name} for number, name in enumerate(COCO, start=1)]
    file.write_text(json.dumps(content))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """COCO's three archives with a few images, and two checkpoints in the layout they were published in."""
    place, source = tmp_path / "server", tmp_path / "source"
    for folder in ("zips", "annotations", "models"):
        (place / folder).mkdir(parents=True)
    for split, count in (("train2017", 4), ("val2017", 2)):
        write_set(source, split, count)
        name_all_categories(source / "annotations" / f"instances_{split}.json")
        with zipfile.ZipFile(place / "zips" / f"{split}.zip", "w") as archive:
            for picture in sorted((source / split).iterdir()):
                archive.write(picture, f"{split}/{picture.name}")
    with zipfile.ZipFile(place / "annotations" / "annotations_trainval2017.zip", "w") as archive:
        for file in (source / "annotations").iterdir():
            archive.write(file, f"annotations/{file.name}")
    for method in ("dense", "svit"):
        state = random_state(build_detector("deit_tiny", method, 80))
        mmcv_file(place / "models" / f"{method}.pth", state, settings=" ", optimizer=False)
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=place))
    threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Networks of a few channels, images of a few pixels, one step per stage."""
    small_sizes(monkeypatch)
    tiny = replace(SMALL, input_size=InputSize(64, 96))
    monkeypatch.setitem(sizes.SIZES, "deit_tiny", lambda: tiny)
    for name in ("coco-tiny-gates", "coco-tiny-tasktp"):
        short = shortened(recipes.RECIPES[name], 1)
        stages = tuple(replace(stage, inputs=((64, 96),), batch=2) for stage in short.stages)
        monkeypatch.setitem(recipes.RECIPES, name, replace(short, stages=stages))
    monkeypatch.setattr(accuracy, "in_processes", lambda work, jobs, _workers: map(work, jobs))


def test_from_the_first_line_to_the_last(server, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    for name, code in STAND_INS.items():
        (home / "bin" / name).write_text(f"#!{sys.executable}\n{code}\n")
        (home / "bin" / name).chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    known = {
        name: replace(model, address=f"{server}/models/{model.method}.pth")
        for name, model in public_models.public_models().items()
        if name in ("svit-tiny", "svit-dense-tiny")
    }
    monkeypatch.setattr(public_models, "public_models", lambda: known)
    environment = {**os.environ, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "SERVER": server}
    clone = home / "tasktp_ros"
    done = []
    for line in commands():
        words = shlex.split(line)
        if words[0] == "tasktp":
            words = [str(tmp_path / "source" / "val2017" / "1.jpg") if word == "photo.jpg" else word for word in words]
            words += {"train": FEW, "fetch": []}.get(words[1], ["--precision", "float32"])
            monkeypatch.chdir(clone)
            assert main(words[1:]) == 0, line
        else:
            line = line.replace("<this repository>", str(ROOT))
            folder = clone if clone.is_dir() else home
            run = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True)
            assert run.returncode == 0, (line, run.stderr)
        done.append(words[1] if words[0] == "tasktp" else words[0])
    assert done == ["git", "fetch", "detect", "ros2", "mkdir", "fetch", "eval", "train", "train", "eval"]
    assert len(list((clone / "coco" / "train2017").iterdir())) == 4 and not list((clone / "coco").glob("*.zip"))
    report = json.loads((clone / "results" / "table1_tiny.json").read_text())
    assert {"dense", "method"} <= set(report["sets"][0])
    dense, _ = load_model(tmp_path / "cache" / "tasktp_ros" / "models" / "svit-dense-tiny.safetensors")
    gated, card = load_model(clone / "runs" / "coco-tiny-gates" / "coco-tiny-gates.safetensors")
    trained = gated.state_dict()
    assert card.source["licence"] == "Apache-2.0" and card.source["started_from"] == "svit-dense-tiny"
    assert card.method == "tasktp" and any("selectors" in name for name in trained)
    for name, tensor in dense.state_dict().items():
        assert (trained[name] - tensor).abs().max() < 1e-3, f"gates alone were trained, but {name} changed"


def test_the_page_names_only_commands_and_models_that_exist():
    text = PAGE.read_text()
    for name in re.findall(r"`((?:svit|deit|vit-adapter)-[a-z0-9-]*[a-z0-9])`", text):
        assert name in public_models.public_models(), name
    for name in re.findall(r"coco-[a-z0-9]+-[a-z0-9-]*(?:tasktp|gates)", text):
        assert name in recipes.RECIPES, name
