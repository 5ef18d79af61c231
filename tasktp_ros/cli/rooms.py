"""Render furnished rooms: a detection set in COCO's layout to train and test on."""

import argparse
import json
import time
from pathlib import Path

from tasktp_ros.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp rooms`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="images")
    images = kinds.add_parser("images", help="single pictures with boxes and masks, COCO layout")
    images.add_argument("folder", type=Path, help="where the set goes; run again to continue or to enlarge it")
    images.add_argument("--split", default="train", help="train, val or test: never the same flats (default: train)")
    images.add_argument("--count", type=int, default=1000, help="pictures (default: 1000)")
    _add_common(images)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="480x640", metavar="HxW", help="px (default: 480x640)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same rooms (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Render; see `tasktp rooms --help`."""
    from tasktp_ros.cli.bench import sides
    from tasktp_ros.datasets.rooms.images import ImageSet, write_image_set

    height, width = sides("--size", arguments.size)
    if arguments.count < 1 or arguments.workers < 1 or arguments.seed < 0:
        raise InputError("--count and --workers must be at least 1, and --seed not negative")
    started = time.perf_counter()
    wanted = ImageSet(arguments.folder, arguments.split, arguments.count, height, width, arguments.seed)
    report = write_image_set(wanted, arguments.workers)
    report["seconds"] = round(time.perf_counter() - started, 1)
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        print(f"{report['images']} images with {report['annotations']} objects in {report['file']}")
    return 0
