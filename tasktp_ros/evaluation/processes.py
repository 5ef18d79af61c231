# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The nodes of a demonstration as child processes: started, watched and always put away."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tasktp_ros.errors import InputError, ProcessError
from tasktp_ros.files import check_folder, check_utf8
from tasktp_ros.workers import end_with_parent

END_SECONDS = 3.0
LOG_FORM = {
    "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] [{time}] [{name}]: {message}",
    "RCUTILS_COLORIZED_OUTPUT": "0",
}
_COMPLAINT = re.compile(r"\[(?:ERROR|FATAL)\] \[[^]]*\] \[[^]]*\]: (.*)")


def own_graph() -> dict[str, str]:
    """Environment of a ROS graph nobody else on this machine or network is in."""
    return {"ROS_DOMAIN_ID": str(random.SystemRandom().randint(1, 100)), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


class Nodes:
    """Child processes by name, inside `with`; each writes its log to a file of `folder`.

    Args:
        folder: made where it is missing.
        environment: what the nodes' environment has beyond this process's.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._environment = {**os.environ, **LOG_FORM, **(environment or {})}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, parameters: Mapping[str, object]) -> None:
        """Start node `name` of this package with ROS parameters; raises InputError where ROS cannot carry one."""
        command = [sys.executable, "-m", f"tasktp_ros.nodes.{name}", "--ros-args"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={parameter_value(value)}"]
        with self.log(name).open("wb") as log:
            # A session of its own: Ctrl-C then reaches the parent, which ends its children in order.
            self.running[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def log(self, name: str) -> Path:
        """The log file of a node."""
        return self.folder / f"{name}.log"

    def ended(self, name: str) -> int | None:
        """Exit status of a node that ended, negative for a signal; None while it runs."""
        return self.running[name].poll()

    def check(self, *names: str) -> None:
        """Raise ProcessError, naming the node and its last words, if one of `names` has ended."""
        for name in names:
            status = self.ended(name)
            if status is not None:
                raise ProcessError(f"{name} {_how(status)}: {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The last line that a node logged, and where the log is."""
        lines = [line for line in self.log(name).read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return f"its last line in {self.log(name)} is {lines[-1].strip()!r}"
        try:
            check_folder(self.folder)
        except InputError as error:
            return str(error)
        return f"{self.log(name)} is empty"

    def complaints(self, name: str) -> list[str]:
        """What a node has logged as an error, each message once, in the order of their first time."""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return list(dict.fromkeys(found[1] for line in lines if (found := _COMPLAINT.match(line))))

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self.running.values():
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def resources(process: int) -> dict[str, float]:
    """Memory held by a process (rss_mib) and its number of threads; zeros once it has ended."""
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        return {"rss_mib": int(lines.get("VmRSS", "0").split()[0]) / 1024, "threads": int(lines["Threads"])}
    return {"rss_mib": 0.0, "threads": 0}


def parameter_value(value: object) -> str:
    """A parameter as ROS's command line has it, where the YAML parser takes an unquoted `run #3` or `true` for something else.

    Raises:
        InputError: a text that is not UTF-8, which ROS's parameters cannot carry.
    """
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(parameter_value, value))}]"
    text = str(value)
    check_utf8(text, "ROS's parameters")
    plain = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
