# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What set-up may change: the environment it made itself, with the Python that has it, and nothing behind a link."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tasktp_setup import place, steps

ROOT = Path(__file__).resolve().parents[1]
BASE = Path(sys.base_prefix, "bin", f"python{sysconfig.get_python_version()}")


@pytest.fixture
def checkout(tmp_path):
    """Only what `make` itself needs of a checkout, in a folder with a space in its name."""
    folder = tmp_path / "my ws" / "tasktp_ros"
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def make(folder, *words):
    """Runs make as a person does, whatever make runs these tests."""
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "SOURCE")
    kept = {name: value for name, value in os.environ.items() if name not in of_make}
    return subprocess.run(
        ["make", *words], cwd=folder, env=kept, capture_output=True, text=True, errors="backslashreplace", timeout=60
    )


def made_by_us(folder, home=BASE.parent, version=None, ros="false", python=BASE):
    """An environment as far as set-up looks at one."""
    version = version or sys.version.split()[0]
    for inside in ("bin", ".setup"):
        (folder / inside).mkdir(parents=True)
    lines = (f"home = {home}", f"include-system-site-packages = {ros}", f"version = {version}")
    (folder / "pyvenv.cfg").write_text("\n".join(lines) + "\n")
    (folder / "bin" / "pip").write_text(f'#!/bin/sh\n\'\'\'exec\' "{folder}/bin/python" "$0" "$@"\n')
    (folder / "bin" / "python").symlink_to(python)
    (folder / ".setup" / "packages").write_text("a stamp")
    (folder / "kept").touch()


@pytest.fixture
def environment(tmp_path, monkeypatch):
    folder = tmp_path / "my ws" / ".venv"
    folder.parent.mkdir()
    monkeypatch.setattr(place, "ENVIRONMENT", folder)
    monkeypatch.setattr(place, "run", lambda command, explain: None)
    return folder


@pytest.mark.parametrize("through", ["a link", "no link"])
@pytest.mark.parametrize("python", [[], [f"PYTHON={BASE}"]])
def test_what_another_made_is_left_as_it_is(checkout, tmp_path, through, python):
    """Also with the Python that runs the set-up inside it, as an active environment has it."""
    foreign = tmp_path / "shared" if through == "a link" else checkout / ".venv"
    subprocess.run([BASE, "-m", "venv", "--without-pip", foreign], check=True)
    if through == "a link":
        (checkout / ".venv").symlink_to(foreign)
    before = sorted(foreign.rglob("*"))
    for words in (["setup", *python], ["setup", f"PYTHON={foreign}/bin/python"], ["test"], ["clean"]):
        done = make(checkout, *words)
        assert sorted(foreign.rglob("*")) == before, words
        if words != ["clean"]:
            sentence = [line for line in done.stderr.splitlines() if line.startswith("set-up: .venv ")]
            assert done.returncode and len(sentence) == 1 and "run make again" in sentence[0], done.stderr
            assert "Traceback" not in done.stderr
    assert (checkout / ".venv").is_symlink() == (through == "a link")


@pytest.mark.parametrize("there", ["a broken link", "a file"])
def test_what_is_no_folder_is_refused(checkout, there):
    if there == "a file":
        (checkout / ".venv").write_text("precious")
    else:
        (checkout / ".venv").symlink_to("nowhere")
    done = make(checkout, "setup")
    assert done.returncode and "a folder is needed: remove it" in done.stderr
    assert os.path.lexists(checkout / ".venv")


def test_what_was_made_here_is_cleaned_away(checkout):
    made_by_us(checkout / ".venv")
    (checkout / "build").mkdir()
    assert make(checkout, "clean").returncode == 0
    assert not (checkout / ".venv").exists() and not (checkout / "build").exists()


def test_another_checkouts_environment_is_neither_made_anew_nor_cleaned_away(checkout, tmp_path):
    made_by_us(tmp_path / "other checkout")
    (checkout / ".venv").symlink_to(tmp_path / "other checkout")
    before = sorted((tmp_path / "other checkout").rglob("*"))
    assert make(checkout, "setup").returncode and make(checkout, "clean").returncode == 0
    assert sorted((checkout / ".venv").resolve().rglob("*")) == before and (checkout / ".venv").is_symlink()


def test_a_link_to_what_set_up_made_for_this_checkout_is_followed(environment, tmp_path):
    """Six gigabytes may well lie on another disk."""
    made_by_us(tmp_path / "large disk")
    environment.symlink_to(tmp_path / "large disk")
    place.check_place(current=True)
    with pytest.raises(steps.SetupError, match="nothing is changed through a link: remove the link"):
        place.check_place(current=False)


def test_an_empty_folder_is_filled_through_a_link_as_well(environment, tmp_path):
    place.check_place(current=False)
    (tmp_path / "large disk").mkdir()
    environment.symlink_to(tmp_path / "large disk")
    (environment / place.LOCK).touch()
    place.check_place(current=False)


def test_nothing_is_emptied_through_a_link(environment, tmp_path):
    made_by_us(tmp_path / "shared", version="3.9.1")
    environment.symlink_to(tmp_path / "shared")
    with pytest.raises(steps.SetupError, match="remove the link"):
        place.create_environment(ros=False)
    assert (tmp_path / "shared" / "kept").exists()


@pytest.mark.parametrize("name", ["a:b", "Müller", "a;b", "a,b", "ws (copy)", "a[1]", 'say "a"', "a\\b", b"caf\xe9"])
def test_a_folder_in_which_ros_cannot_build_is_refused_before_work_starts(checkout, name):
    folder = Path(os.fsdecode(os.path.join(os.fsencode(checkout.parent), os.fsencode(name))))
    checkout.rename(folder)
    done = make(folder, "setup")
    assert done.returncode and "move the checkout and run make again" in done.stderr and "Traceback" not in done.stderr
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("name", ["my ws", "a+b c@d=e~f-1_2.x"])
def test_a_folder_in_which_ros_can_build_is_taken(environment, monkeypatch, name):
    monkeypatch.setattr(place, "ROOT", Path("/home/me", name))
    place.check_place(current=True)


def test_an_environment_that_fits_is_kept(environment):
    made_by_us(environment)
    place.create_environment(ros=False)
    assert (environment / "kept").exists()


@pytest.mark.parametrize("trait", [{"version": "3.9.1"}, {"ros": "true"}, {"python": "/a/python/that/was/removed"}])
def test_an_environment_of_another_kind_or_python_is_made_anew(environment, trait):
    """The wheels' libraries beside those of a ROS that is sourced later would be mixed in one process."""
    made_by_us(environment, **trait)
    (environment / "build").mkdir()
    place.create_environment(ros=False)
    assert not (environment / "kept").exists() and not (environment / "build").exists()
    assert list((environment / ".setup").iterdir()) == [], "what is done is written down here, and makes it ours"


def test_an_environment_that_was_moved_is_made_anew(environment):
    made_by_us(environment.parent / "before")
    (environment.parent / "before").rename(environment)
    place.create_environment(ros=False)
    assert not (environment / "kept").exists()


def test_emptying_that_is_broken_off_leaves_no_stamp_and_is_still_ours(environment, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    made_by_us(environment, version="3.9.1")
    monkeypatch.setattr(shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        place.create_environment(ros=False)
    assert list((environment / ".setup").iterdir()) == []
    place.check_place(current=False)


@pytest.fixture
def other_python(tmp_path):
    """One that the running Python is not."""
    home = tmp_path / "other" / "bin"
    home.mkdir(parents=True)
    (home / "python3.99").touch()
    return home / "python3.99"


@pytest.mark.parametrize("prefix", [sys.base_prefix, "/somewhere/.venv"])
def test_an_environment_keeps_its_python_unless_another_is_named(environment, other_python, monkeypatch, prefix):
    monkeypatch.setattr(sys, "executable", str(BASE))
    monkeypatch.setattr(sys, "prefix", prefix)
    base = None if prefix == sys.base_prefix else str(BASE)  # never a virtual environment's own
    assert place.other_interpreter(named=False, ros=False) == base
    made_by_us(environment, home=other_python.parent, version="3.99.1")
    assert place.other_interpreter(named=False, ros=False) == str(other_python)
    assert place.other_interpreter(named=True, ros=False) == base
    assert place.other_interpreter(named=False, ros=True) == base, "an environment of another kind is of no use"
    other_python.unlink()
    assert place.other_interpreter(named=False, ros=False) == base


def test_make_says_which_python_was_named(checkout):
    assert "--this-python" not in make(checkout, "-n", "setup").stdout
    assert "--this-python" in make(checkout, "-n", "setup", f"PYTHON={BASE}").stdout


@pytest.mark.parametrize("source", ["", "run #3", 'a "b" $HOME `c`', "it's $(here)"])
def test_make_hands_paths_over_as_they_are(checkout, source):
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ruff", "mypy"):
        (programs / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$PATH" > said\n')
        (programs / name).chmod(0o755)
    assert make(checkout, "-o", "setup", "lint").returncode == 0
    done = make(checkout, "-o", "setup", "demo", *([f"SOURCE={source}"] if source else []))
    assert done.returncode == 0, done.stderr
    *said, path = (checkout / "said").read_text().splitlines()
    assert said == ["-m", "tasktp_ros.cli.main", "demo", *(["--source", source] if source else [])]
    assert path.startswith(f"{programs}:")
