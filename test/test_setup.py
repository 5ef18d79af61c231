"""Set-up refuses hopeless machines in one sentence, does nothing twice, and goes on where it was broken off."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def setup():
    specification = importlib.util.spec_from_file_location("tasktp_setup", ROOT / "tools" / "setup.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["tasktp_setup"] = module
    specification.loader.exec_module(module)
    return module


def check(setup, version=(3, 11), missing=(), free=50e9, ready=False):
    setup.check_machine(
        version,
        lambda name: None if name in missing else object(),
        lambda name: None if name in missing else f"/usr/bin/{name}",
        int(free),
        ready,
    )


def test_a_good_machine_passes(setup):
    check(setup)
    check(setup, free=1e9, ready=True)


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        ({"version": (3, 9)}, "Python 3.9 is too old: install Python 3.10"),
        ({"missing": ("ensurepip",)}, "apt install python3-venv"),
        ({"missing": ("venv",)}, "apt install python3-venv"),
        ({"missing": ("cc",)}, "no compiler `cc` was found: install one .apt install build-essential"),
        ({"missing": ("c++",)}, r"no compiler `c\+\+`"),
        ({"free": 3e9}, "3.0 GB of disk are free and 8 are needed"),
    ],
)
def test_a_hopeless_machine_is_told_the_remedy(setup, machine, sentence):
    with pytest.raises(setup.SetupError, match=sentence) as refused:
        check(setup, **machine)
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: ... [Errno 28] No space left on device", "the disk is full"),
        ("... NewConnectionError ... Temporary failure in name resolution", "check the network"),
        ("ERROR: No matching distribution found for torch==2.14.0", "check the network"),
        ("ResolutionImpossible", "setup.log says why"),
    ],
)
def test_a_failed_download_is_explained(setup, output, sentence):
    assert sentence in setup.explain_pip(output)


class Counted:
    """Steps that count how often they ran."""

    def __init__(self, setup, names="abc"):
        self.setup, self.ran, self.inputs, self.broken = setup, [], dict.fromkeys(names, "1"), ""

    def run(self, stamps):
        def does(name):
            def run():
                self.ran.append(name)
                if name == self.broken:
                    raise KeyboardInterrupt

            return run

        steps = [self.setup.Step(name, name, (value,), does(name)) for name, value in self.inputs.items()]
        self.ran.clear()
        self.setup.run_steps(steps, stamps)
        return "".join(self.ran)


def test_nothing_is_done_twice_and_a_change_redoes_what_follows(setup, tmp_path):
    steps = Counted(setup)
    assert steps.run(tmp_path) == "abc"
    assert steps.run(tmp_path) == ""
    steps.inputs["b"] = "2"
    assert steps.run(tmp_path) == "bc"
    assert steps.run(tmp_path) == ""


def test_a_broken_off_set_up_goes_on_where_it_stopped(setup, tmp_path):
    steps = Counted(setup)
    steps.broken = "b"
    with pytest.raises(KeyboardInterrupt):
        steps.run(tmp_path)
    steps.broken = ""
    assert steps.run(tmp_path) == "bc"


def test_a_sourced_ros_is_used_and_not_doubled(setup):
    with_ros, without = setup.requirement_files(True), setup.requirement_files(False)
    assert not any("wheels" in word or "pins" in word for word in with_ros)
    assert "requirements/wheels.txt" in without and "requirements/pins.txt" in without
    assert "paths" in {step.name for step in setup.plan({})}
    assert "paths" not in {step.name for step in setup.plan({"ROS_DISTRO": "jazzy"})}
    assert setup.plan({})[0].inputs != setup.plan({"ROS_DISTRO": "jazzy"})[0].inputs


def test_build_paths_of_the_wheels_are_replaced(setup):
    text = '"/opt/python/cp311-cp311/include/python3.11;/opt/python/x/lib/python3.11/site-packages/numpy/_core/include"'
    assert setup._replace_build_paths(text, "/here/python", "/here/numpy") == '"/here/python;/here/numpy"'


def test_every_pin_is_asked_for_and_every_requirement_pinned():
    def names(*files):
        lines = [line for file in files for line in (ROOT / "requirements" / f"{file}.txt").read_text().splitlines()]
        words = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
        return {word.split("[")[0].split("=")[0].split(">")[0] for word in words}

    pinned, asked = names("pins"), names("runtime", "wheels", "development")
    assert {name for name in asked if not name.startswith("types-")} <= pinned
    assert pinned <= asked | {"colcon-core"}
