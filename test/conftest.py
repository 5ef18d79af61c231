# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where tests find the data that lies beside the checkout and never in it."""

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktp_ros.runtime.threads import wait_asleep

wait_asleep()
# A shell that runs the tests in the background has them ignore SIGINT, and the processes they start as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Packages that a robot does without, by the names they are imported by: requirements/training.txt and development.txt.
DISPENSABLE = frozenset(
    "hypothesis lightning_fabric matplotlib mujoco onnx onnxruntime packaging PIL pycocotools scipy tensorboard timm".split()
)


def lacking(error: BaseException | None) -> str | None:
    """Why a test was skipped, where its error is, or comes from, that a dispensable package is not installed."""
    while error is not None:
        package = (error.name or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package in DISPENSABLE and importlib.util.find_spec(package) is None:
            return f"Skipped: not tested without {package}, which is not installed (see requirements/)"
        error = error.__cause__ or error.__context__
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Skip the files that cannot be imported where a robot's packages are all there is."""
    report = (yield).get_result()
    skip_lacking(report, getattr(report, "call", None))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: Any) -> Iterator[None]:
    """And the tests that come to what is lacking when they run."""
    report = (yield).get_result()
    skip_lacking(report, call)


def skip_lacking(report: Any, call: Any) -> None:
    reason = lacking(call.excinfo.value) if call and call.excinfo else None
    if reason:
        report.outcome, report.longrepr = "skipped", (report.fspath, 0, reason)


handed_over: list[int] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run in two processes, a file stays in one of them, and all that start nodes in the same one, first: two that
    drew the same DDS domain would hear each other, and together they take about half of the time.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group("nodes" if starts_nodes(item.path) else item.path.stem))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not starts_nodes(item.path))


def starts_nodes(path: Path) -> bool:
    return path.parent.name == "ros" or path.name == "test_latency.py"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test process hands its count over; see `pytest_testnodedown`."""
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["golden"] = golden_compared()  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    handed_over.append(getattr(node, "workeroutput", {}).get("golden", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"golden arrays compared: {golden_compared()}")


def golden_compared() -> int:
    """How many of the recorded arrays this process, and those whose count it was handed, have compared."""
    golden = sys.modules.get("golden")
    return sum(handed_over) + (golden.Golden.compared if golden else 0)


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory) -> Path:
    """Root of a data set of 12 training and 4 validation images of coloured boxes, with the rooms' categories."""
    from tiny_set import write_set

    root = tmp_path_factory.mktemp("tiny_set")
    write_set(root, "train", 12)
    write_set(root, "val", 4, seed=1)
    return root


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded numbers and real images; tests that need it are skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("TASKTP_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(
            f"recorded numbers and real images were not compared: no folder {folder} (TASKTP_SHARED names another)"
        )
    return folder
