# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Turns any source of frames into a `.sens` recording, so that one code path serves ScanNet and everything else."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tasktp_ros.datasets.frame import Frame, FrameSource
from tasktp_ros.datasets.scannet.sens_writer import SensWriter
from tasktp_ros.datasets.to_bag import encoded
from tasktp_ros.errors import DataError


def write_recording(source: FrameSource, path: Path) -> dict[str, Any]:
    """Write all frames of a source; JPEG and PNG pictures are stored as they are.

    Frames without depth get one of zeros. Depth pictures of another size than the first one's are an error.

    Returns:
        Counts and the problems met on the way.

    Raises:
        DataError: no frame can be read, or a picture changes its size or format on the way.
    """
    extras = source.extras()
    frames = iter(tqdm(source, total=source.length, unit="frame", file=sys.stderr, disable=None))
    first = next(frames, None)
    if first is None:
        raise source.nothing_readable()
    size, kind = (first.image.shape[0], first.image.shape[1]), encoded(first)[1]
    depth = None if extras is None else extras.readable_depth(first.index, [])
    depth_size = size if depth is None else (depth.shape[0], depth.shape[1])
    intrinsics = None if extras is None else extras.intrinsics
    depth_intrinsics = None if extras is None else extras.depth_intrinsics(size, depth_size)
    counts = {"frames": 0, "depth": 0, "poses": 0}
    path.parent.mkdir(parents=True, exist_ok=True)
    matrices = (_square(intrinsics), _square(depth_intrinsics))
    with SensWriter(path, size, depth_size, *matrices, name=source.path.name, colour_format=kind) as writer:
        frame: Frame | None = first
        while frame is not None:
            colour, format_here = encoded(frame)
            if format_here != kind or frame.image.shape[:2] != size:
                raise DataError(f"frame {frame.index} of {source.path} is {format_here} of {frame.image.shape[:2]} px, unlike "
                                f"the first, {kind} of {size} px")  # fmt: skip
            depth = None if extras is None else extras.readable_depth(frame.index, source.problems)
            pose = None if extras is None else extras.pose(frame.index)
            counts["depth"] += depth is not None
            counts["poses"] += pose is not None
            writer.write(
                colour,
                np.zeros(depth_size, np.uint16) if depth is None else depth,
                pose,
                max(0, frame.stamp_ns // 1000),
            )
            counts["frames"] += 1
            frame = next(frames, None)
    return {"source": str(source.path), **counts, "problems": source.problems}


def _square(intrinsics: NDArray[np.float64] | None) -> NDArray[np.float64]:
    matrix = np.eye(4)
    if intrinsics is not None:
        matrix[:3, :3] = intrinsics
    return matrix
