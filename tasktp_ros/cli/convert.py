# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Turn a ScanNet recording, an RGB-D folder, images, a video or a bag into a rosbag2 or a .sens recording."""

import argparse
import errno
import json
import sqlite3
import sys
import time
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.files import readable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `tasktp convert`."""
    parser.add_argument(
        "source", help=".sens file or scan folder, RGB-D folder (color/ depth/ poses.txt K.txt), images, video or bag"
    )
    parser.add_argument(
        "destination", type=options.new_place, help="rosbag2 folder, or .sens file, to write; must not exist yet"
    )
    parser.add_argument(
        "--rate",
        type=options.number(0.001, 1000),
        help="Hz of the stamps (default: 30 for .sens, 5 for folders, a video's own)",
    )
    parser.add_argument("--format", choices=("mcap", "sqlite3"), default="mcap", help="storage of the bag")
    parser.add_argument("--raw", action="store_true", help="store decoded rgb8 images instead of JPEG (bags only)")
    parser.add_argument("--topic", help="which image topic to take where the source is a bag with several")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from tasktp_ros.datasets.frames import open_source

    started = time.monotonic()
    destination = arguments.destination
    with open_source(arguments.source, topic=arguments.topic, rate=arguments.rate) as source:
        if destination.suffix == ".sens":
            from tasktp_ros.datasets.scannet.from_frames import write_recording

            summary = write_recording(source, destination) | {"format": "sens"}
        else:
            from tasktp_ros.datasets.bags import BagWriter
            from tasktp_ros.datasets.to_bag import write_bag

            try:
                with BagWriter(destination, arguments.format) as writer:
                    summary = write_bag(source, writer, raw=arguments.raw)
            except OSError as error:
                error.filename = error.filename or (str(destination) if error.errno == errno.ENOSPC else None)
                raise
            except sqlite3.Error as error:
                raise OSError(f"{readable(destination)} cannot be written: {error}") from error
            summary["format"] = arguments.format
    files = [destination] if destination.is_file() else list(destination.iterdir())
    summary |= {"destination": str(destination), "bytes": sum(file.stat().st_size for file in files)}
    summary["seconds"] = round(time.monotonic() - started, 2)
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        _print_summary(summary)
    return 0


def _print_summary(summary: dict[str, Any]) -> None:
    for problem in summary["problems"]:
        print(f"tasktp convert: {problem}", file=sys.stderr)
    over = f" over {summary['duration']:.1f} s on {summary['topic']}" if "topic" in summary else ""
    parts = [f"{summary['frames']} frames{over}"]
    parts += [f"{summary[name]} {name}" for name in ("depth", "poses") if summary[name]]
    print(f"{summary['destination']}: {', '.join(parts)} ({summary['format']}, {summary['bytes'] / 1e6:.1f} MB)")
