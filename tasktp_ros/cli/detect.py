# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Find a task's categories in one image, print them, and draw them if asked."""

import argparse
import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tasktp_ros.cli import options
from tasktp_ros.files import readable
from tasktp_ros.runtime.default import DEFAULT_MODEL
from tasktp_ros.runtime.execution import EXECUTIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPOSED_FRAMES = 15  # until a webcam has found its exposure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp detect`."""
    parser.add_argument("image", type=Path, help="JPEG or PNG file, or camera: camera, camera:1 or /dev/video1")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="shipped name or .safetensors file")
    parser.add_argument("--task", nargs="+", metavar="NAME", help="categories to look for (default: all)")
    parser.add_argument(
        "--score", type=options.share, default=0.5, help="detections score more than this (default: 0.5)"
    )
    parser.add_argument("--threshold", type=options.share, default=0.5, help="tokens score more than this to be kept")
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument("--execution", choices=EXECUTIONS, default="dynamic",
                        help="how the frame is run, which changes its time, not its result (default: dynamic)")  # fmt: skip
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument(
        "--draw", type=options.picture(), metavar="FILE", help="write the image with boxes, masks and kept tokens"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Detect and print; see `tasktp detect --help`."""
    from tasktp_ros import TaskDetector
    from tasktp_ros.datasets.pictures import write_picture
    from tasktp_ros.runtime.drawing import draw_overlay
    from tasktp_ros.runtime.threads import use_threads

    use_threads(0)
    image = camera_image(arguments.image)
    image = read_image(arguments.image) if image is None else image
    detector = TaskDetector.load(arguments.model, arguments.device, arguments.precision)
    detector.set_task(arguments.task, threshold=arguments.threshold)
    detector.score_threshold, detector.reach = arguments.score, arguments.reach or detector.reach
    detector.execution = arguments.execution
    found = detector.detect(image)
    if arguments.json:
        rows = zip(found.names, found.scores.tolist(), found.boxes.tolist(), strict=True)
        objects = [{"name": name, "score": score, "box": box} for name, score, box in rows]
        print(json.dumps({"model": detector.label, "reach": found.reach, "execution": detector.execution, "kept": found.kept, "timings": found.timings,
                          "objects": objects}))  # fmt: skip
    else:
        print(f"{detector.label}: {len(found)} found, {found.timings['total']:.0f} ms, reach {found.reach}, kept tokens "
              + " ".join(f"{share:.0%}" for share in found.kept))  # fmt: skip
        for name, score, (left, top, right, bottom) in zip(found.names, found.scores, found.boxes, strict=True):
            print(f"{score:.2f}  {name:<16} {left:6.0f} {top:6.0f} {right:6.0f} {bottom:6.0f}")
    if arguments.draw:
        write_picture(arguments.draw, draw_overlay(image, found))
    return 0


def camera_image(source: Path) -> "NDArray[np.uint8] | None":
    """(H, W, 3) uint8 RGB of what a camera sees; None where `source` names none.

    Raises:
        DataError: the camera cannot be had or delivers nothing.
    """
    from tasktp_ros.datasets.camera_frames import CameraSource, camera_device

    device = camera_device(source)
    if device is None:
        return None
    with CameraSource(device) as camera:
        frames = list(islice(camera, EXPOSED_FRAMES))
        if not frames:
            raise camera.nothing_readable()
    return frames[-1].image


def read_image(path: Path) -> "NDArray[np.uint8]":
    """(H, W, 3) uint8 RGB of a picture file, as stored; says on standard error where it asks to be turned.

    Raises:
        PictureError: it cannot be read.
    """
    from tasktp_ros.datasets.pictures import decode_picture, orientation, read_bytes

    stored = read_bytes(path)
    pixels = decode_picture(stored, str(path))
    if orientation(stored) != 1:
        print(f"{readable(path)} has an orientation tag, which is not followed: its pixels are taken as stored (to turn the file for "
              "good: mogrify -auto-orient)", file=sys.stderr)  # fmt: skip
    return pixels


def read_frame(path: Path, number: int) -> "NDArray[np.uint8]":
    """(H, W, 3) uint8 RGB of a recording's frame, counted from 0.

    Raises:
        DataError: no such recording, or it has no frame of that number that can be read.
    """
    from tasktp_ros.datasets.frames import open_source
    from tasktp_ros.errors import DataError

    with open_source(path) as source:
        frame = next((frame for frame in source if frame.index == number), None)
    if frame is None:
        raise DataError(f"{readable(path)} has no frame {number} that can be read")
    return frame.image
