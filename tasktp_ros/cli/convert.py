"""Turn a folder of images, a video, an RGB-D folder or a bag into a rosbag2."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktp_ros.datasets.bags import BagWriter
    from tasktp_ros.datasets.frames import Frame, FrameSource
    from tasktp_ros.datasets.rgbd_folder import RgbdExtras

COLOR_TOPIC = "/camera/color/image_raw"
DEPTH_TOPIC = "/camera/depth/image_raw"
WORLD_FRAME = "map"
JPEG_QUALITY = 92


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `tasktp convert`."""
    parser.add_argument("source", help="folder of images, video, RGB-D folder (color/ depth/ poses.txt K.txt) or bag")
    parser.add_argument("destination", help="the rosbag2 folder to write; must not exist yet")
    parser.add_argument("--rate", type=float, help="Hz of the header stamps (default: 5 for folders, a video's own)")
    parser.add_argument("--format", choices=("mcap", "sqlite3"), default="mcap", help="storage of the bag")
    parser.add_argument("--raw", action="store_true", help="store decoded rgb8 images instead of JPEG")
    parser.add_argument("--topic", help="which image topic to take where the source is a bag with several")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from tasktp_ros.datasets.bags import BagWriter
    from tasktp_ros.datasets.frames import open_source

    started = time.monotonic()
    with (
        open_source(arguments.source, topic=arguments.topic, rate=arguments.rate) as source,
        BagWriter(arguments.destination, arguments.format) as writer,
    ):
        summary = _convert(source, writer, raw=arguments.raw)
    size = sum(file.stat().st_size for file in Path(arguments.destination).iterdir())
    summary |= {"destination": arguments.destination, "format": arguments.format, "bytes": size}
    summary["seconds"] = round(time.monotonic() - started, 2)
    if arguments.json:
        print(json.dumps(summary, indent=2))
    else:
        _print_summary(summary)
    return 0


def _convert(source: "FrameSource", writer: "BagWriter", *, raw: bool) -> dict[str, Any]:
    from tqdm import tqdm

    from tasktp_ros.datasets import records
    from tasktp_ros.datasets.frames import FolderSource
    from tasktp_ros.datasets.rgbd_folder import read_extras
    from tasktp_ros.errors import DataError

    extras = None
    files: list[Path] = []
    if isinstance(source, FolderSource):
        files = source.files
        extras = read_extras(source.path, files)
    topic, message_type = (
        (COLOR_TOPIC, records.IMAGE) if raw else (f"{COLOR_TOPIC}/compressed", records.COMPRESSED_IMAGE)
    )
    counts = {"frames": 0, "depth": 0, "poses": 0}
    first_ns = last_ns = 0
    for frame in tqdm(source, total=source.length, unit="frame", file=sys.stderr, disable=None):
        try:
            record = _color_record(frame, files[frame.index] if files else None, raw=raw)
        except DataError as error:
            source.problems.append(f"frame {frame.index} was skipped: {error}")
            continue
        writer.write(topic, message_type, frame.stamp_ns, record)
        if extras is not None:
            _write_extras(writer, frame, extras, counts)
        first_ns = first_ns if counts["frames"] else frame.stamp_ns
        last_ns = frame.stamp_ns
        counts["frames"] += 1
    if not counts["frames"]:
        raise DataError(f"{source.description} has no readable frame: {'; '.join(source.problems) or 'it is empty'}")
    duration = (last_ns - first_ns) / records.NANOSECONDS
    return {"source": str(source.path), "topic": topic, **counts, "duration": duration, "problems": source.problems}


def _color_record(frame: "Frame", file: Path | None, *, raw: bool) -> bytes:
    import cv2
    import numpy as np

    from tasktp_ros.datasets import records

    if raw:
        return frame.decoded().record
    if frame.message_type == records.COMPRESSED_IMAGE:
        return frame.record
    if file is not None and file.suffix.lower() in (".jpg", ".jpeg"):
        encoded = np.fromfile(file, np.uint8)
    else:
        bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        encoded = np.asarray(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1], np.uint8)
    return records.compressed_record(encoded, frame.stamp_ns, frame.frame_id)


def _write_extras(writer: "BagWriter", frame: "Frame", extras: "RgbdExtras", counts: dict[str, int]) -> None:
    from tasktp_ros.datasets import records
    from tasktp_ros.datasets.rgbd_folder import read_depth, scaled_intrinsics

    size = (frame.image.shape[0], frame.image.shape[1])
    if extras.intrinsics is not None:
        info_topic = COLOR_TOPIC.replace("image_raw", "camera_info")
        writer.write_camera_info(info_topic, frame.stamp_ns, frame.frame_id, size, extras.intrinsics)
    depth_file = extras.depth[frame.index]
    if depth_file is not None:
        depth = read_depth(depth_file)
        record = records.image_record(depth, frame.stamp_ns, frame.frame_id, "16UC1")
        writer.write(DEPTH_TOPIC, records.IMAGE, frame.stamp_ns, record)
        counts["depth"] += 1
        if extras.intrinsics is not None:
            depth_size = (depth.shape[0], depth.shape[1])
            info_topic = DEPTH_TOPIC.replace("image_raw", "camera_info")
            intrinsics = scaled_intrinsics(extras.intrinsics, size, depth_size)
            writer.write_camera_info(info_topic, frame.stamp_ns, frame.frame_id, depth_size, intrinsics)
    if extras.poses is not None:
        writer.write_pose(frame.stamp_ns, WORLD_FRAME, frame.frame_id, extras.poses[frame.index])
        counts["poses"] += 1


def _print_summary(summary: dict[str, Any]) -> None:
    for problem in summary["problems"]:
        print(f"tasktp convert: {problem}", file=sys.stderr)
    parts = [f"{summary['frames']} frames over {summary['duration']:.1f} s on {summary['topic']}"]
    parts += [f"{summary[name]} {name}" for name in ("depth", "poses") if summary[name]]
    print(f"{summary['destination']}: {', '.join(parts)} ({summary['format']}, {summary['bytes'] / 1e6:.1f} MB)")
