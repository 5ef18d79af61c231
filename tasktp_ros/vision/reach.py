# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How far a task is followed: the one choice between what was published and what is fastest, without loading the network."""

REACHES = ("blocks", "network", "frame")
"""blocks: gates prune blocks alone, as published. network: extractors, injectors, pyramid, proposals and heads work around kept
tokens as well. frame: as network, and a frame is left at the first gate that sees nothing of the task."""

REACH_TITLES = dict(zip(REACHES, ("as published", "whole network", "all the way"), strict=True))
"""What tables and pages call them."""


def check_reach(reach: str) -> str:
    """`reach` if it is one of `REACHES`.

    Raises:
        ValueError: it is not.
    """
    if reach not in REACHES:
        raise ValueError(f"unknown reach {reach!r}; expected one of {', '.join(REACHES)}")
    return reach
