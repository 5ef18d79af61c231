# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Set-up refuses hopeless machines in one sentence, does nothing twice, and goes on where it was broken off."""

import ast
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tasktp_setup import build, machine, packages, plan, steps

ROOT = Path(__file__).resolve().parents[1]

GOOD = {
    "version": (3, 11),
    "absent": frozenset(["rclpy"]),
    "programs": frozenset(["cc", "c++"]),
    "headers": True,
    "architecture": "x86_64",
    "distribution": "",
    "room": 50e9,
    "ready": False,
}
WITH_ROS = {"distribution": "jazzy", "absent": frozenset()}


@pytest.mark.parametrize(
    "facts",
    [{}, {"room": 1e9, "ready": True}, WITH_ROS, {**WITH_ROS, "architecture": "aarch64", "version": (3, 15)}],
)
def test_a_good_machine_passes(facts):
    machine.check_machine(machine.Machine(**{**GOOD, **facts}))


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"version": (3, 9)}, "Python 3.9 is too old: install Python 3.10"),
        ({"absent": frozenset(["ensurepip"])}, "apt install python3-venv"),
        ({"absent": frozenset(["venv"])}, "apt install python3-venv"),
        ({"programs": frozenset(["c++"])}, "no compiler `cc` was found: install one .apt install build-essential"),
        ({"programs": frozenset(["cc"])}, r"no compiler `c\+\+`"),
        ({"headers": False}, "Python.h.* apt install python3-dev"),
        ({"architecture": "aarch64"}, "wheels for x86_64 only, not for aarch64: install ROS 2"),
        ({"version": (3, 15)}, "wheels up to Python 3.14, and this is 3.15"),
        ({"distribution": "jazzy"}, "ROS 2 jazzy is sourced, .* PYTHON=/usr/bin/python3"),
        ({"room": 3e9}, "3.0 GB of disk are free and 8 are needed"),
    ],
)
def test_a_hopeless_machine_is_told_the_remedy(facts, sentence):
    with pytest.raises(steps.SetupError, match=sentence.replace(".* ", ".*")) as refused:
        machine.check_machine(machine.Machine(**{**GOOD, **facts}))
    assert str(refused.value).count("\n") == 0


def test_an_old_python_can_still_read_the_program():
    """Annotations and syntax newer than the oldest Python would end in a traceback instead of the sentence."""
    tools = ROOT / "tools"
    for path in [tools / "setup.py", *(tools / "tasktp_setup").rglob("*.py")]:
        text = path.read_text()
        ast.parse(text, feature_version=(3, 7))
        assert path.name == "__init__.py" or "from __future__ import annotations" in text


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: ... [Errno 28] No space left on device", "the disk is full"),
        ("... NewConnectionError ... Temporary failure in name resolution", "check the network"),
        ("ERROR: No matching distribution found for torch==2.14.0", "check the network"),
        ("ResolutionImpossible", "setup.log says why"),
    ],
)
def test_a_failed_download_is_explained(output, sentence):
    assert sentence in packages.explain_pip(output)


class Counted:
    """Steps that count how often they ran."""

    def __init__(self, names="abc"):
        self.ran, self.inputs, self.broken = [], dict.fromkeys(names, "1"), ""

    def run(self, stamps):
        def does(name):
            def run():
                self.ran.append(name)
                if name == self.broken:
                    raise KeyboardInterrupt

            return run

        planned = [steps.Step(name, name, (value,), does(name)) for name, value in self.inputs.items()]
        self.ran.clear()
        steps.run_steps(planned, stamps)
        return "".join(self.ran)


def test_nothing_is_done_twice_and_a_change_redoes_what_follows(tmp_path):
    counted = Counted()
    assert counted.run(tmp_path) == "abc"
    assert counted.run(tmp_path) == ""
    counted.inputs["b"] = "2"
    assert counted.run(tmp_path) == "bc"
    assert counted.run(tmp_path) == ""


def test_a_broken_off_set_up_goes_on_where_it_stopped(tmp_path):
    counted = Counted()
    counted.broken = "b"
    with pytest.raises(KeyboardInterrupt):
        counted.run(tmp_path)
    counted.broken = ""
    assert counted.run(tmp_path) == "bc"


@pytest.fixture
def commands(monkeypatch):
    """What would have been run."""
    said = []
    for module in (packages, build):
        monkeypatch.setattr(module, "run", lambda command, explain: said.append(command))
    return said


def test_the_pip_that_came_with_python_installs_only_a_newer_one(commands):
    """That of Python 3.10 searches without end for versions that fit together."""
    packages.install(packages.requirement_files(ros_sourced=False))
    assert [("requirements/pip.txt" in command, "requirements/runtime.txt" in command) for command in commands] == [
        (True, False),
        (False, True),
    ]


def test_what_one_python_built_goes_with_its_environment(commands):
    """CMake's cache names the Python it was made with; another one's messages cannot be built beside it."""
    build.colcon(ROOT, "tasktp_ros")
    (command,) = commands
    for option in ("--build-base", "--log-base", "--install-base"):
        folder = Path(command[command.index(option) + 1])
        assert build.ENVIRONMENT in (folder, *folder.parents), option


def test_a_package_that_pip_was_killed_in_is_installed_again(tmp_path):
    """Its metadata is there before its shared files, and pip would take it for complete."""
    for name, files in {"whole": ("METADATA", "INSTALLER", "RECORD"), "half": ("METADATA", "RECORD")}.items():
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        for file in files:
            (tmp_path / f"{name}-1.0.dist-info" / file).touch()
    (tmp_path / "half").mkdir()
    packages.forget_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"whole-1.0.dist-info", "half"}


def test_a_sourced_ros_is_used_and_not_doubled():
    with_ros, without = packages.requirement_files(True), packages.requirement_files(False)
    assert not any("wheels" in word or "pins" in word for word in with_ros)
    assert "requirements/beside_ros.txt" in with_ros and "requirements/beside_ros.txt" not in without
    assert "requirements/wheels.txt" in without and "requirements/pins.txt" in without
    assert "paths" in {step.name for step in plan.plan({})}
    assert "paths" not in {step.name for step in plan.plan({"ROS_DISTRO": "jazzy"})}
    assert plan.plan({})[0].inputs != plan.plan({"ROS_DISTRO": "jazzy"})[0].inputs


def test_build_paths_of_the_wheels_are_replaced():
    text = '"/opt/python/cp311-cp311/include/python3.11;/opt/python/x/lib/python3.11/site-packages/numpy/_core/include"'
    assert packages._replace_build_paths(text, "/here/python", "/here/numpy") == '"/here/python;/here/numpy"'


def test_every_pin_is_asked_for_and_every_requirement_pinned():
    def names(*files):
        lines = [line for file in files for line in (ROOT / "requirements" / f"{file}.txt").read_text().splitlines()]
        words = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
        return {word.split("[")[0].split("=")[0].split(">")[0] for word in words}

    pinned, asked = names("pins"), names("runtime", "training", "wheels", "development")
    assert {name for name in asked if not name.startswith("types-")} <= pinned
    assert pinned <= asked | {"colcon-core"}


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_every_python_gets_one_pin_of_each_package(version):
    lines = (ROOT / "requirements" / "pins.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate({"python_version": version})]
    assert sorted(here) == sorted({pin.name for pin in pins})
