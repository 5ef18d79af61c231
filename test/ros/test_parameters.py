"""Parameters explain themselves, are checked before they are applied, and agree with the documented file."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from harness import LATCHED, REPOSITORY, NodeProcess, Robot, connect, eventually, picture
from tasktp_ros.msg import PruningStats
from vision_msgs.msg import Detection2DArray, LabelInfo

OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides")
TYPES = {bool: 1, int: 2, float: 3, str: 4, list: 9}


@pytest.mark.parametrize("name", ["perception", "task_manager"])
def test_the_documented_file_has_every_parameter_with_its_type_and_default(
    robot: Robot, start: Callable[..., NodeProcess], name: str
) -> None:
    documented = yaml.safe_load((REPOSITORY / "config" / "perception.yaml").read_text())
    values = documented[f"/**/{name}"]["ros__parameters"]
    start(["-m", f"tasktp_ros.nodes.{name}"])
    declared = robot.parameters(name)
    own = {key: descriptor for key, descriptor in declared.items() if not key.startswith(OF_ROS)}
    assert sorted(own) == sorted(values)
    for key, value in values.items():
        assert own[key].description, key
        assert own[key].type == TYPES[type(value)], key
        assert robot.get(key, name) == value, key


def test_a_copy_of_the_documented_file_reaches_a_node_in_any_namespace(
    robot: Robot, start: Callable[..., NodeProcess], tmp_path: Path
) -> None:
    text = (REPOSITORY / "config" / "perception.yaml").read_text()
    copy = tmp_path / "copy.yaml"
    copy.write_text(text.replace("max_detections: 100", "max_detections: 7").replace('"rooms-nano"', '"copied"'))
    for namespace in ("", "/robot1"):
        start(["-m", "tasktp_ros.nodes.perception"], "--params-file", str(copy), "-r", f"__ns:={namespace or '/'}")
        assert robot.get("max_detections", f"{namespace}/perception") == 7
        assert robot.get("model", f"{namespace}/perception") == "copied"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"score_threshold": 1.5}, "score_threshold"),
        ({"score_threshold": math.nan}, "score_threshold"),
        ({"prune_threshold": 0.0}, "greater than 0 and less than 1"),
        ({"prune_threshold": 1.0}, "greater than 0 and less than 1"),
        ({"prune_threshold": math.nan}, "prune_threshold"),
        ({"early_stop": math.nan}, "early_stop"),
        ({"early_stop": 1.5}, "early_stop"),
        ({"max_detections": 0}, "max_detections"),
        ({"categories": ["cup", "unicorn"]}, "unknown categories 'unicorn'"),
        ({"enabled_cameras": ["left"]}, "names 'left'; the cameras are image"),
        ({"model": "other"}, "only be set while the node is unconfigured; it is active"),
        ({"cameras": ["left"]}, "read-only"),
        ({"score_threshold": "much"}, "type"),
    ],
)
def test_a_bad_value_is_refused_with_its_reason_and_changes_nothing(
    robot: Robot, fake: NodeProcess, change: dict, reason: str
) -> None:
    (name,) = change
    before = robot.get(name)
    assert reason in robot.set(**change)
    assert robot.get(name) == before


def test_thresholds_and_task_change_from_the_next_frame_on(robot: Robot, fake: NodeProcess) -> None:
    detections = robot.listen(Detection2DArray, "detections").connected()
    statistics = robot.listen(PruningStats, "pruning").connected()
    with robot.camera() as camera:
        connect(camera, detections, statistics)

        def names() -> list[str]:
            camera.publish(picture())
            return [found.results[0].hypothesis.class_id for found in detections.next().detections]

        assert robot.set(categories=["sink", "cup", "cup", ""]) == ""
        assert names() == ["cup", "sink"]
        assert robot.set(max_detections=1) == ""
        assert names() == ["cup"]
        assert robot.set(max_detections=100, score_threshold=0.95) == ""
        assert names() == []
        assert robot.set(score_threshold=0.5, early_stop=0.95) == ""
        assert names() == []
        assert robot.set(early_stop=0.0, sparse_extractors=True, prune_threshold=0.25) == ""
        assert names() == ["cup", "sink"]
        told = statistics.until(lambda one: one.prune_threshold == 0.25, "the new prune threshold")
        assert list(told.categories) == ["cup", "sink"]
        assert robot.set(categories=[""], prune_threshold=0.5) == ""
        assert names() == []
    detections.close()
    statistics.close()


def test_the_vocabulary_is_latched_with_the_threshold_in_force(robot: Robot, fake: NodeProcess) -> None:
    labels = robot.listen(LabelInfo, "label_info", LATCHED)
    first = labels.next()
    assert [(label.class_id, label.class_name) for label in first.class_map[:2]] == [(0, "person"), (1, "bicycle")]
    assert len(first.class_map) == 80 and first.threshold == 0.5
    assert robot.set(score_threshold=0.25) == ""
    assert labels.next().threshold == 0.25
    assert robot.set(score_threshold=0.5) == ""
    labels.close()


def test_a_disabled_camera_is_not_read_and_can_be_enabled_again(robot: Robot, fake: NodeProcess) -> None:
    assert robot.set(enabled_cameras=[""]) == ""
    eventually(lambda: robot.node.count_subscribers("image") == 0, "nobody reads the camera")
    assert robot.set(enabled_cameras=["image"]) == ""
    eventually(lambda: robot.node.count_subscribers("image") == 1, "the camera is read again")
    assert robot.set(enabled_cameras=["all"]) == ""
