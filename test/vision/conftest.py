"""The recorded numbers as a fixture, and a closing line that says how many of them were compared."""

from pathlib import Path

import pytest
import torch
from golden import Golden


@pytest.fixture
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden")


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"golden arrays compared: {Golden.compared}")
