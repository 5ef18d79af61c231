# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the package says about itself agrees, wherever it is said."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import tasktp_ros

ROOT = Path(__file__).resolve().parents[1]


def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def test_version_and_licence_agree():
    assert manifest().findtext("version") == tasktp_ros.__version__
    assert manifest().findtext("license") == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
    assert {"member_of_group", "buildtool_depend"} <= {element.tag for element in manifest()}


def test_every_source_file_bears_the_licence():
    """In the words that ament_copyright looks for."""
    folders = ("tasktp_ros", "test", "tools", "launch", "scripts")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".cmake", ".cpp")
    ]
    first = (
        'Copyright 2026 tasktp_ros contributors\n#\n# Licensed under the Apache License, Version 2.0 (the "License");'
    )
    bare = [path for path in files if (text := path.read_text()) and first not in text[:200].replace("//", "#")]
    assert len(files) > 200 and bare == []


def test_every_ros_package_that_is_imported_is_declared():
    declared = {element.text for element in manifest() if element.tag.endswith("depend")}
    imported = set()
    for path in (ROOT / "tasktp_ros").rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and len(words) > 1:
                imported.add(words[1].split(".")[0])
    ros = {name for name in imported if name.endswith("_msgs") or name in ("rclpy", "ament_index_python")}
    assert ros <= declared


def test_only_the_nodes_import_ros():
    for path in (ROOT / "tasktp_ros").rglob("*.py"):
        if "nodes" not in path.parts:
            text = path.read_text()
            assert "import rclpy" not in text and "from rclpy" not in text, path


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, tasktp_ros; print([m for m in ('torch', 'rclpy', 'cv2', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where `pip install .` put what it installs."""
    pytest.importorskip(
        "setuptools",
        minversion="77",
        reason="the wheel was not built: this environment's setuptools cannot build the project",
    )
    folder = tmp_path_factory.mktemp("wheel")
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run([str(word) for word in wheel], check=True, capture_output=True)
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target]
    subprocess.run([str(word) for word in (*install, *folder.glob("*.whl"))], check=True, capture_output=True)
    return target


def run_installed(target: Path, code: str, **environ: str) -> str:
    code = f"import sys; sys.path.insert(0, {str(target)!r}); {code}"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, cwd=target, env={**os.environ, **environ})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheel_brings_the_command(installed):
    said = run_installed(installed, "from tasktp_ros.cli.main import main; main(['--version'])")
    assert said == f"tasktp {tasktp_ros.__version__}"
    assert (installed / "bin" / "tasktp").exists()
    run_installed(installed, "from tasktp_ros.tasks.rules import *")


def test_the_wheel_brings_what_ros_looks_for(installed):
    """Configuration, launch files, views and models lie where a colcon build has them, and the index knows the package."""
    pytest.importorskip("ament_index_python", reason="the package was not looked up: ROS 2 is not installed")
    code = "from ament_index_python import get_package_share_directory as share; print(share('tasktp_ros'))"
    folder = Path(run_installed(installed, code, AMENT_PREFIX_PATH=str(installed)))
    for name in ("config", "launch", "rviz", "weights"):
        shipped = {path.name for path in (ROOT / name).iterdir() if path.is_file()}
        assert shipped and shipped == {path.name for path in (folder / name).iterdir() if path.is_file()}, name
    assert (folder / "package.xml").read_text() == (ROOT / "package.xml").read_text()


def test_colcon_builds_it_as_what_it_is():
    """Neither setup.py nor pyproject.toml makes it a pure Python package, which would have no messages."""
    pytest.importorskip("colcon_ros", reason="the package's type was not asked for: colcon is not installed")
    code = "import sys; from colcon_core.command import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "--log-base", "/dev/null", "list", "--base-paths", ROOT]
    done = subprocess.run(words, capture_output=True, text=True)
    assert [line.split("\t")[::2] for line in done.stdout.splitlines()] == [["tasktp_ros", "(ros.ament_cmake)"]], (
        done.stderr
    )


def test_the_changelog_is_in_the_form_that_releases_read():
    changelog = pytest.importorskip(
        "catkin_pkg.changelog", reason="the changelog was not read: catkin_pkg is not installed"
    )
    pytest.importorskip("docutils", reason="the changelog was not read: docutils is not installed")
    versions = [
        version for version, _, _ in changelog.get_changelog_from_path(str(ROOT / "CHANGELOG.rst")).foreach_version()
    ]
    assert tasktp_ros.__version__ in versions


def test_the_manifest_is_valid_and_says_who_and_where():
    package = pytest.importorskip(
        "catkin_pkg.package", reason="the manifest was not checked: catkin_pkg is not installed"
    )
    warnings: list[str] = []
    parsed = package.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    parsed.validate(warnings=warnings)
    assert (
        warnings == []
        and parsed.authors
        and {url.type for url in parsed.urls} == {"website", "repository", "bugtracker"}
    )


@pytest.mark.parametrize("place", ["plain", "my ws", "l" * 130])
def test_an_installed_program_starts_with_the_python_it_was_built_with(tmp_path, place):
    """Wherever that lies: the kernel reads no first line with a space in it, and none that is long."""
    source, python = tmp_path / "source", tmp_path / place / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nNAMED=here exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    source.mkdir()
    (source / "told.py").write_text("import os, sys\n\ndef main():\n    print(os.environ['NAMED'], *sys.argv[1:])\n")
    (source / "CMakeLists.txt").write_text(f"""
        cmake_minimum_required(VERSION 3.16)
        project(told NONE)
        include("{ROOT}/scripts/install_program.cmake")
        install_program(told told bin)
    """)
    installed = tmp_path / "installed"
    configure = ["cmake", "-S", source, "-B", tmp_path / "build", f"-DPython3_EXECUTABLE={python}"]
    for words in (configure, ["cmake", "--install", tmp_path / "build", "--prefix", installed]):
        subprocess.run([str(word) for word in words], check=True, capture_output=True)
    told = [installed / "bin" / "told", "two words"]
    done = subprocess.run(told, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(source)})
    assert done.stdout.strip() == "here two words", done.stderr


def test_what_a_robot_lacks_is_skipped_with_its_name(tmp_path):
    """`colcon test` on a robot has what rosdep brings, and Lightning Fabric is not among that."""
    (tmp_path / "sitecustomize.py").write_text("""
import importlib.machinery as machinery

found = machinery.PathFinder.find_spec

def find_spec(cls, name, path=None, target=None):
    return None if name.split(".")[0] == "mujoco" else found(name, path, target)

machinery.PathFinder.find_spec = classmethod(find_spec)
""")
    (tmp_path / "test_drawing.py").write_text("import mujoco\n")
    (tmp_path / "test_asking.py").write_text(
        "def test_one():\n    import mujoco.viewer\n\ndef test_two():\n    import nothing\n"
    )
    (tmp_path / "conftest.py").write_text((ROOT / "test" / "conftest.py").read_text())
    words = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", tmp_path]
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env={**kept, "PYTHONPATH": paths})
    assert done.stdout.count("not tested without mujoco, which is not installed") == 2, done.stdout
    assert "1 failed, 2 skipped" in done.stdout and "No module named 'nothing'" in done.stdout
