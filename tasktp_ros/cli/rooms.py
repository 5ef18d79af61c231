# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Render furnished rooms: pictures to train and test on (COCO layout), or a robot's walks (ScanNet layout)."""

import argparse
import json
import time

from tasktp_ros.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp rooms`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="kind")
    images = kinds.add_parser("images", help="single pictures with boxes and masks, COCO layout")
    images.add_argument(
        "folder", type=options.folder, help="where the set goes; run again to continue or to enlarge it"
    )
    images.add_argument("--split", choices=("train", "val", "test"), default="train",
                        help="never the same flats (default: train)")  # fmt: skip
    images.add_argument("--count", type=options.whole(1), default=1000, help="pictures (default: 1000)")
    walks = kinds.add_parser("walks", help="drives through flats: colour, depth, poses, labels, ScanNet layout")
    walks.add_argument("folder", type=options.folder, help="where the scans go; run again to continue")
    walks.add_argument("--count", type=options.whole(1, 9999), default=30, help="walks (default: 30)")
    walks.add_argument(
        "--frames", type=options.whole(1), default=300, help="frames of each, 30 per second (default: 300)"
    )
    for kind in (images, walks):
        _add_common(kind)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=options.sides, default=(480, 640), metavar="HxW", help="px (default: 480x640)")
    parser.add_argument("--seed", type=options.seed, default=0, help="same seed, same rooms (default: 0)")
    parser.add_argument("--workers", type=options.workers, default=2, help="processes (default: 2)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Render; see `tasktp rooms --help`."""
    from tasktp_ros.datasets.rooms.images import ImageSet, write_image_set
    from tasktp_ros.datasets.rooms.walks import WalkSet, write_walks

    height, width = arguments.size
    started = time.perf_counter()
    if arguments.kind == "walks":
        walks = WalkSet(arguments.folder, arguments.count, arguments.frames, height, width, arguments.seed)
        report = write_walks(walks, arguments.workers)
        summary = f"{report['scans']} scans with {report['frames']} frames in {report['folder']}"
    else:
        images = ImageSet(arguments.folder, arguments.split, arguments.count, height, width, arguments.seed)
        report = write_image_set(images, arguments.workers)
        summary = f"{report['images']} images with {report['annotations']} objects in {report['file']}"
    report["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(report, indent=1) if arguments.json else summary)
    return 0
