"""The messages on the wire: ours as documented, and vision_msgs field for field as the official package has it."""

import importlib
import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not built (make setup)")

ROOT = Path(__file__).resolve().parents[2]
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
OURS = {
    "TaskGoal": "id:string text:string categories:sequence<string> action:uint8 priority:int32 "
    "time_to_live:builtin_interfaces/Duration",
    "TaskCategories": "stamp:builtin_interfaces/Time task_id:string vocabulary:string names:sequence<string> "
    "prune_threshold:float revision:uint64",
    "PruningStats": "header:std_msgs/Header camera:string model:string task_id:string task_revision:uint64 "
    "categories:sequence<string> prune_threshold:float total_tokens:uint32 kept_tokens:sequence<uint32> "
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
    pytest.importorskip("tasktp_ros.msg", reason="the messages of this package are not built (make setup)")
    assert fields("tasktp_ros", name) == OURS[name]


def test_constants_of_a_goal():
    from tasktp_ros.msg import TaskGoal

    assert (TaskGoal.START, TaskGoal.CANCEL, TaskGoal().action) == (0, 1, TaskGoal.START)


def type_hashes(prefix: Path) -> dict[str, str]:
    """RIHS01 hashes that the generator wrote beside the messages."""
    found = {}
    for path in prefix.glob("share/vision_msgs/msg/*.json"):
        for entry in json.loads(path.read_text()).get("type_hashes", []):
            found[entry["type_name"]] = entry["hash_string"]
    return found


def test_vision_msgs_has_the_official_type_hashes():
    """Two DDS nodes only talk when these are equal; compared where the official package is installed beside ours."""
    import os

    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    official = [p for p in prefixes if str(p).startswith("/opt/ros") and type_hashes(p)]
    if not official:
        pytest.skip("no official vision_msgs is installed here (/opt/ros), only field order was checked")
    import subprocess
    import sys

    ours = ROOT / "interfaces" / "vision_msgs"
    build = ROOT / "build" / "hash_check"
    subprocess.run(
        ["colcon", "--log-base", str(build / "log"), "build", "--base-paths", str(ours), "--build-base", str(build),
         "--install-base", str(build / "install"), "--merge-install",
         "--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF"],
        check=True, capture_output=True,
    )  # fmt: skip
    expected = type_hashes(official[0])
    assert type_hashes(build / "install") == expected and len(expected) == len(VISION_MSGS)
