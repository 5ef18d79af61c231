# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Run the whole path on ROS 2 (camera, task goals, detector) and make a page of what was seen."""

import argparse
import importlib.util
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.datasets.sample import OFFICE_WALK
from tasktp_ros.files import readable
from tasktp_ros.runtime.default import DEFAULT_MODEL

if TYPE_CHECKING:
    from tasktp_ros.evaluation.processes import Nodes
    from tasktp_ros.nodes.demo_observer import DemoObserver, FrameResult, Picture
    from tasktp_ros.runtime.checkpoints import ModelCard

FIRST_RESULT_SECONDS = 90.0
STALL_SECONDS = 30.0
FRAME_SECONDS = 20.0  # the player's patience with one frame, pictures and changes of task included
UNUSABLE_SECONDS = FRAME_SECONDS + 2.0  # of complaints without a result: more than one frame is at fault
CONNECT_SECONDS = 1.5  # until senders know this reader, too
TASK_SECONDS = 5.0  # until a goal is in force
PICTURE_SECONDS = 4.0  # a part of a picture that is lost on the way is sent again only after seconds
PICTURE_TRIES = 3
PICTURE_FROM, PICTURE_LATEST = 0.2, 0.7  # of a task: a frame with something on it, or else any
LEAST_SHOWN = 0.2  # what is wrong four times of five is not worth a picture
SHOWN_SCORE = 0.35  # where a model does not say at which score its precision and recall balance
UNTRAINED = "untrained"
PAGE, NUMBERS = "index.html", "demo.json"
MOST_PROBLEMS = 5
UNKNOWN_LENGTH = 60  # frames assumed where a source does not say how many it has
CAMERA_SECONDS = 20.0


@dataclass(frozen=True)
class Task:
    """A goal sent on the way, and the share of the frames that have passed by then."""

    goal_id: str
    title: str
    text: str
    categories: tuple[str, ...]
    start: float


@dataclass
class Length:
    """How much is played: to the end of what ends first, 0 = without one. One of the two is given.

    live: frames come from a camera and carry the time of their arrival.
    """

    frames: int
    seconds: float
    live: bool
    begun: float | None = None

    def passed(self, seen: int) -> float:
        """Share of it that has passed with frame number `seen`, counted from 1; time counts from the first call on."""
        now = time.monotonic()
        self.begun = self.begun or now
        by_time = (now - self.begun) / self.seconds if self.seconds else 0.0
        return max(by_time, seen / self.frames if self.frames else 0.0)


TASKS = (
    Task("find_chair", "Find a chair", "find a chair", (), 0.0),
    Task("water_plants", "Water the plants", "water the plants", (), 1 / 4),
    Task("armchair_and_plant", "Words no rule knows", "look for an armchair and a houseplant", (), 1 / 2),
    Task("look_around", "Look around", "look around", (), 3 / 4),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `tasktp demo`."""
    parser.add_argument(
        "--source",
        help="rosbag2, folder of images, video, or camera: camera, camera:1 or /dev/video1 (default: the office walk that comes "
        "with the package)",
    )
    parser.add_argument("--topic", help="which image topic of a bag with several")
    parser.add_argument(
        "--output", type=options.folder, default="demo", help="folder for page, numbers and logs (default: demo)"
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="shipped model or .safetensors path (default: %(default)s)"
    )
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument("--frames", type=options.whole(0), default=0, help="frames to play at most (default: all)")
    parser.add_argument(
        "--seconds",
        type=options.number(0.1, 86400),
        help=f"seconds to play at most (default: {CAMERA_SECONDS:g} of a camera, all of anything else)",
    )
    parser.add_argument(
        "--results", type=options.file, help="also write the numbers, with machine and commit, to this file"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Play, measure, write the page; 0 done, 1 frames were lost, and errors as every command."""
    from tasktp_ros.errors import DataError
    from tasktp_ros.evaluation.processes import Nodes, own_graph, parameter_value

    missing = [name for name in ("rclpy", "vision_msgs", "tasktp_ros.msg") if not _installed(name)]
    if missing:
        raise DataError(f"the demonstration needs ROS 2, but {', '.join(missing)} is not installed: run `make setup`")
    output = arguments.output.absolute()
    _check_page(output)
    source = _source(arguments.source) if arguments.source else OFFICE_WALK
    for word in (source, output, arguments.model, arguments.topic or ""):
        parameter_value(word)
    os.environ.update(own_graph())
    started = time.monotonic()
    with Nodes(output / "logs") as nodes:
        report, pictures = _play(arguments, nodes, source, output)
    _write(arguments, output, report, pictures, started)
    lost = report["player"]["lost"]
    return 0 if not lost else 1


def shown_score(card: "ModelCard") -> float:
    """The score above which detections are shown: where precision and recall balance, at least 0.2; 0 for random weights."""
    if not card.trained:
        return 0.0
    return max(LEAST_SHOWN, float(card.measured.get("balance", {}).get("score", SHOWN_SCORE)))


def _source(text: str) -> Path:
    """Where a recording lies, from the root on; a camera as it was named. DataError for a camera that is not there."""
    from tasktp_ros.datasets.camera_frames import camera_device

    return Path(text).absolute() if camera_device(text) is None else Path(text)


def _check_page(output: Path) -> None:
    """Refuse to replace a page that is not a demonstration's."""
    from tasktp_ros.errors import InputError

    if (output / PAGE).exists() and not (output / NUMBERS).exists():
        raise InputError(
            f"{readable(output / PAGE)} is not the page of a demonstration: choose another folder by --output"
        )


def _play(
    arguments: argparse.Namespace, nodes: "Nodes", source: Path, output: Path
) -> tuple[dict[str, Any], dict[str, "Picture"]]:
    from tqdm import tqdm

    from tasktp_ros.nodes.demo_observer import PACE_TOPIC, DemoObserver
    from tasktp_ros.runtime.models import open_model
    from tasktp_ros.runtime.vocabularies import name_of_vocabulary

    card = open_model(arguments.model)[1]
    perception: dict[str, object] = {"autostart": True, "model": arguments.model, "reach": arguments.reach or ""}
    score = shown_score(card)
    perception |= {"score_threshold": score} | ({} if card.trained else {"max_detections": 6})
    length, images = _look_at(source, arguments)
    nodes.start("perception", perception)
    nodes.start("task_manager", {"autostart": True, "vocabulary": name_of_vocabulary(arguments.model)})
    observer = DemoObserver()
    summary = output / "logs" / "player.json"
    summary.unlink(missing_ok=True)
    try:
        _begin(observer, nodes)
        nodes.start(
            "player",
            {
                "source": source,
                "source_topic": arguments.topic or "",
                "stop_after": arguments.frames,
                "seconds": length.seconds,
                "stamps": "unique" if length.live else "now",
                "results": PACE_TOPIC,
                "results_type": "std_msgs/msg/Header",
                "timeout": FRAME_SECONDS,
                "wait": FIRST_RESULT_SECONDS,
                "summary": summary,
            },
        )
        with tqdm(total=length.frames or None, unit="frame", file=sys.stderr, disable=None) as progress:
            pictures = _watch(observer, nodes, length, progress)
        report = _report(observer, json.loads(summary.read_text()), source, nodes.complaints("perception"))
        for entry in report["tasks"]:
            entry["understood"] = _understood(entry["id"], entry["goal"], card.vocabulary)
        return report | {"images": images, "score_threshold": score, "calibrated": card.score_map is not None}, pictures
    finally:
        observer.close()


def _watch(observer: "DemoObserver", nodes: "Nodes", length: Length, progress: Any) -> dict[str, "Picture"]:
    """Follow the replay to its end: between two frames change the task when it is time, take one picture per task."""
    pictures: dict[str, Picture] = {}
    current = tries = seen = 0
    while (frame := _next_frame(observer, nodes, seen, length)) is not None:
        seen += 1
        share = length.passed(seen)
        progress.update()
        if observer.posing:
            picture = observer.picture(frame, PICTURE_SECONDS)
            if picture is not None and (frame.detections or frame.task_id not in pictures):
                pictures[frame.task_id] = picture
            observer.stop_posing()
        if current + 1 < len(TASKS) and share >= TASKS[current + 1].start:
            current, tries = current + 1, 0
            _change_task(observer, current)
        task = TASKS[current]
        passed = (share - task.start) * len(TASKS)
        due = passed >= (PICTURE_FROM if frame.detections else PICTURE_LATEST)
        done = task.goal_id in pictures and pictures[task.goal_id].names
        if due and not done and tries < PICTURE_TRIES:
            tries += 1
            observer.pose()
        observer.acknowledge(frame)
    if nodes.ended("player"):
        nodes.check("player")
    return pictures


def _next_frame(observer: "DemoObserver", nodes: "Nodes", seen: int, length: Length) -> "FrameResult | None":
    """The next frame that was answered; None once the player has ended.

    Raises:
        ProcessError: another node has ended, or nothing comes any more.
        DataError: perception says of one frame after another why it cannot use it.
    """
    from tasktp_ros.errors import DataError, ProcessError

    patience = STALL_SECONDS if seen else FIRST_RESULT_SECONDS
    deadline = time.monotonic() + patience
    complained: float | None = None
    while nodes.ended("player") is None:
        nodes.check("perception", "task_manager")
        frame: FrameResult | None = observer.spin(0.1, observer.next_frame)
        if frame is not None:
            return frame
        complaints = [] if seen else nodes.complaints("perception")
        complained = complained or (time.monotonic() if complaints else None)
        if complained and time.monotonic() > complained + UNUSABLE_SECONDS:
            raise DataError(f"no frame was answered: {complaints[-1]}")
        if time.monotonic() > deadline:
            raise ProcessError(
                f"no result for {patience:.0f} s after {seen}{f' of {length.frames}' if length.frames else ''} frames: "
                f"perception {nodes.last_words('perception')}"
            )
    return None


def _begin(observer: "DemoObserver", nodes: "Nodes") -> None:
    """Send the first goal once perception is there and the task manager is active, which its first task shows."""
    from tasktp_ros.errors import ProcessError

    deadline = time.monotonic() + FIRST_RESULT_SECONDS
    while observer.task_id is None or not observer.connected():
        nodes.check(*nodes.running)
        observer.spin(0.1)
        if time.monotonic() > deadline:
            raise ProcessError(
                f"no task manager or perception came up within {FIRST_RESULT_SECONDS:.0f} s: {nodes.last_words('perception')}"
            )
    observer.spin(CONNECT_SECONDS)
    _change_task(observer, 0)


def _change_task(observer: "DemoObserver", number: int) -> None:
    """Send a goal and wait until it is in force, which perception learns when we do, give or take a moment."""
    from tasktp_ros.nodes.qos import SETTLE_SECONDS

    task = TASKS[number]
    observer.send_goal(task.goal_id, task.text, list(task.categories), priority=number + 1)
    observer.spin(TASK_SECONDS, lambda: observer.task_id == task.goal_id)
    observer.spin(SETTLE_SECONDS)


def _look_at(path: Path, arguments: argparse.Namespace) -> tuple[Length, str]:
    """How much of a source is to be played, and how its first frame is stored, such as "640 x 480 px, yuv422_yuy2"."""
    from tasktp_ros.datasets.frames import open_source
    from tasktp_ros.errors import DataError

    with open_source(path, topic=arguments.topic, live=True) as source:
        first = next(iter(source), None)
        if first is None:
            raise source.nothing_readable()
        known = [first.encoding] if first.encoding else []
        with suppress(DataError):
            known.insert(0, f"{first.image.shape[1]} x {first.image.shape[0]} px")
        frames = 0 if source.live else source.length or UNKNOWN_LENGTH
        frames = min(frames or arguments.frames, arguments.frames or frames)
        seconds = arguments.seconds or (CAMERA_SECONDS if source.live else 0.0)
        return Length(frames, seconds, source.live), ", ".join(known)


def _report(observer: "DemoObserver", player: dict[str, Any], source: Path, complaints: list[str]) -> dict[str, Any]:
    from tasktp_ros.errors import DataError
    from tasktp_ros.evaluation.demo_report import summarise

    complete = (frame for frame in observer.frames if frame.complete)
    frames = sorted(complete, key=lambda frame: frame.stamp_ns)
    problems = [*player["problems"], *complaints]
    if not frames:
        raise DataError(
            f"no frame of {source} was answered: {'; '.join(problems[:MOST_PROBLEMS]) or 'nothing arrived'}"
        )
    report = summarise(frames, [(task.goal_id, task.title) for task in TASKS])
    for task, entry in zip(TASKS, report["tasks"], strict=True):
        entry["goal"] = task.text
    player["source"] = source.name
    return {
        "source": source.name,
        "problems": problems,
        "model": frames[-1].model,
        "reach": frames[-1].reach,
        "untrained": UNTRAINED in frames[-1].model,
        "player": player,
        **report,
    }


def _understood(goal_id: str, text: str, vocabulary: Sequence[str]) -> str:
    """Who turned a goal's words into categories, and why, as the task manager does it without its slow resolvers."""
    from tasktp_ros.tasks.words.build import NO_ENCODER, build_chain, shipped_rules

    said = build_chain(shipped_rules(vocabulary), NO_ENCODER).explain(goal_id, text)
    return f"{said.resolver}: {said.reason}" if said.found else ""


def _write(
    arguments: argparse.Namespace, output: Path, report: dict[str, Any], pictures: dict[str, "Picture"], started: float
) -> None:
    from tasktp_ros.evaluation.demo_page import write_page
    from tasktp_ros.evaluation.demo_report import table
    from tasktp_ros.evaluation.results import provenance

    report["wall_seconds"] = round(time.monotonic() - started, 1)
    command = shlex.join(["tasktp", *map(readable, sys.argv[1:])])
    report = {**provenance(), "command": command, **report}
    for problem in report["problems"][:MOST_PROBLEMS]:
        print(f"tasktp demo: {problem}", file=sys.stderr)
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(output / NUMBERS, arguments.results))
    page = write_page(output / PAGE, report, pictures)
    if not arguments.json:
        print(f"page: {page}")


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
