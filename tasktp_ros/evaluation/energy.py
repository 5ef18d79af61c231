# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Energy as the processor itself counts it, where the system lets it be read (Intel's and AMD's RAPL through /sys/class/powercap)."""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
MICRO = 1e-6


class EnergyMeter:
    """Counts the joules of all processor packages, of whatever runs on them."""

    def __init__(self, root: Path = POWERCAP) -> None:
        places = sorted(root.glob("intel-rapl:*")) if root.is_dir() else []
        packages = [place / "energy_uj" for place in places if place.name.count(":") == 1]
        self._counters = [counter for counter in packages if _read(counter) is not None]

    @property
    def readable(self) -> bool:
        """Whether this machine tells."""
        return bool(self._counters)

    def joules(self) -> float | None:
        """Since some moment in the past; a counter begins anew now and then. None where the machine does not tell."""
        values = [value for counter in self._counters if (value := _read(counter)) is not None]
        return sum(values) * MICRO if values else None


def _read(counter: Path) -> int | None:
    try:
        return int(counter.read_text())
    except (OSError, ValueError):
        return None
