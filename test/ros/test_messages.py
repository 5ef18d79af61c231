# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The messages on the wire: ours as documented, and vision_msgs field for field as the official package has it."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="messages were not compared: ROS 2 is not installed")
pytest.importorskip("vision_msgs.msg", reason="messages were not compared: vision_msgs is not built (make setup)")

from builtin_interfaces.msg import Duration
from harness import eventually
from rclpy.qos import DurabilityPolicy, QoSProfile

ROOT = Path(__file__).resolve().parents[2]
KEPT = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
VISION_MSGS = {
    "Point2D": "x:double y:double",
    "Pose2D": "position:vision_msgs/Point2D theta:double",
    "BoundingBox2D": "center:vision_msgs/Pose2D size_x:double size_y:double",
    "BoundingBox2DArray": "header:std_msgs/Header boxes:sequence<vision_msgs/BoundingBox2D>",
    "BoundingBox3D": "center:geometry_msgs/Pose size:geometry_msgs/Vector3",
    "BoundingBox3DArray": "header:std_msgs/Header boxes:sequence<vision_msgs/BoundingBox3D>",
    "VisionClass": "class_id:uint16 class_name:string",
    "LabelInfo": "header:std_msgs/Header class_map:sequence<vision_msgs/VisionClass> threshold:float",
    "VisionInfo": "header:std_msgs/Header method:string database_location:string database_version:int32",
    "ObjectHypothesis": "class_id:string score:double",
    "ObjectHypothesisWithPose": "hypothesis:vision_msgs/ObjectHypothesis pose:geometry_msgs/PoseWithCovariance",
    "Classification": "header:std_msgs/Header results:sequence<vision_msgs/ObjectHypothesis>",
    "Detection2D": "header:std_msgs/Header results:sequence<vision_msgs/ObjectHypothesisWithPose> "
    "bbox:vision_msgs/BoundingBox2D id:string",
    "Detection2DArray": "header:std_msgs/Header detections:sequence<vision_msgs/Detection2D>",
    "Detection3D": "header:std_msgs/Header results:sequence<vision_msgs/ObjectHypothesisWithPose> "
    "bbox:vision_msgs/BoundingBox3D id:string",
    "Detection3DArray": "header:std_msgs/Header detections:sequence<vision_msgs/Detection3D>",
}
# Of vision_msgs 4.1.1 as Jazzy releases it, computed from its definitions with Jazzy's generator.
OFFICIAL_HASHES = {
    "Point2D": "RIHS01_eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "Pose2D": "RIHS01_b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "BoundingBox2D": "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "BoundingBox2DArray": "RIHS01_2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691",
    "BoundingBox3D": "RIHS01_bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "BoundingBox3DArray": "RIHS01_a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6",
    "VisionClass": "RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "LabelInfo": "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "VisionInfo": "RIHS01_95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
    "ObjectHypothesis": "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "ObjectHypothesisWithPose": "RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "Classification": "RIHS01_f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143",
    "Detection2D": "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "Detection3D": "RIHS01_ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "Detection3DArray": "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
}
OURS = {
    "TaskGoal": "id:string text:string categories:sequence<string> action:uint8 priority:int32 "
    "time_to_live:builtin_interfaces/Duration",
    "TaskCategories": "stamp:builtin_interfaces/Time task_id:string vocabulary:string names:sequence<string> "
    "prune_threshold:float revision:uint64",
    "PruningStats": "header:std_msgs/Header camera:string model:string task_id:string task_revision:uint64 "
    "categories:sequence<string> prune_threshold:float reach:string total_tokens:uint32 kept_tokens:sequence<uint32> "
    "stage_names:sequence<string> stage_milliseconds:sequence<float> detect_milliseconds:float "
    "latency_milliseconds:float frames:uint64 dropped_frames:uint64",
}


def fields(package: str, name: str) -> str:
    message = getattr(importlib.import_module(f"{package}.msg"), name)
    return " ".join(f"{field}:{kind}" for field, kind in message.get_fields_and_field_types().items())


@pytest.mark.parametrize("name", VISION_MSGS)
def test_vision_msgs_has_the_official_fields_in_the_official_order(name):
    assert fields("vision_msgs", name) == VISION_MSGS[name]


@pytest.mark.parametrize("name", OURS)
def test_our_messages(name):
    pytest.importorskip(
        "tasktp_ros.msg",
        reason="our messages were not compared: the messages of this package are not built (make setup)",
    )
    assert fields("tasktp_ros", name) == OURS[name]


def test_constants_of_a_goal():
    from tasktp_ros.msg import TaskGoal

    assert (TaskGoal.START, TaskGoal.CANCEL, TaskGoal().action) == (0, 1, TaskGoal.START)


@pytest.mark.parametrize("name", VISION_MSGS)
def test_vision_msgs_announces_the_official_type(robot, name):
    """The compiled type support tells every other participant this hash; other ones do not understand each other."""
    publisher = robot.speaker(getattr(importlib.import_module("vision_msgs.msg"), name), f"announced_{name}")
    try:
        (announced,) = eventually(lambda: robot.node.get_publishers_info_by_topic(f"announced_{name}"), "the topic")
        hash_ = getattr(announced, "topic_type_hash", None)
        if hash_ is None or hash_.version < 1:
            pytest.skip("this ROS distribution has no type hashes, only field order was checked")
        assert str(hash_) == OFFICIAL_HASHES[name]
    finally:
        robot.silence(publisher)


def type_hashes(prefix: Path) -> dict[str, str]:
    """RIHS01 hashes that the generator wrote beside the messages of vision_msgs below a prefix."""
    found = {}
    for path in prefix.glob("share/vision_msgs/msg/*.json"):
        for entry in json.loads(path.read_text()).get("type_hashes", []):
            package, _, name = entry["type_name"].split("/")
            if package == "vision_msgs":
                found[name] = entry["hash_string"]
    return found


def test_our_vision_msgs_is_the_installed_official_one(tmp_path):
    """Built from our definitions, compared with a vision_msgs that is not ours, where one is installed."""
    manifest = ROOT / "interfaces" / "vision_msgs" / "package.xml"
    prefixes = [Path(part) for part in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    installed = [prefix for prefix in prefixes if (prefix / "share" / "vision_msgs" / "package.xml").exists()]
    official = [p for p in installed if (p / "share/vision_msgs/package.xml").read_text() != manifest.read_text()]
    if not official:
        pytest.skip("no official vision_msgs is installed here, ours was compared with its recorded type hashes")
    expected = type_hashes(official[0])
    if not expected:
        pytest.skip("the official vision_msgs of this ROS distribution has no type hashes")
    build = [
        sys.executable, "-c", "import sys; from colcon_core.command import main; sys.exit(main())",
        "--log-base", tmp_path / "log", "build", "--base-paths", manifest.parent, "--build-base", tmp_path / "build",
        "--install-base", tmp_path / "install", "--merge-install",
        "--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    environment = {**os.environ, "CMAKE_PREFIX_PATH": os.pathsep.join(map(str, prefixes))}
    built = subprocess.run([str(word) for word in build], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    assert type_hashes(tmp_path / "install") == expected
    assert set(expected) == set(VISION_MSGS)


def test_another_process_reads_every_field_of_a_goal_as_it_was_sent(robot, start):
    from tasktp_ros.msg import TaskGoal

    start([Path(__file__).parent / "goal_mirror.py"])
    mirrored = robot.listen(TaskGoal, "mirrored_goal", KEPT)
    goals = robot.speaker(TaskGoal, "goal", KEPT)
    try:
        sent = TaskGoal(
            id="küche/1", text="bring me the cup ☕", categories=["cup", "", "dining table"], action=TaskGoal.CANCEL,
            priority=-(2**31), time_to_live=Duration(sec=2**31 - 1, nanosec=999_999_999),
        )  # fmt: skip
        goals.publish(sent)
        goals.publish(TaskGoal())
        assert mirrored.next() == sent
        assert mirrored.next() == TaskGoal()
    finally:
        mirrored.close()
        robot.silence(goals)
