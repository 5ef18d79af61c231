"""Where tests find the data that lies beside the checkout and never in it."""

import os
import signal
from pathlib import Path

import pytest

from tasktp_ros.runtime.threads import wait_asleep

wait_asleep()
# A shell that runs the tests in the background has them ignore SIGINT, and the processes they start as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
