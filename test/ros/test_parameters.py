# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Parameters explain themselves, are checked before they are applied, and agree with the documented file."""

import importlib.util
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from harness import FAKE_PERCEPTION, LATCHED, REPOSITORY, SOON, NodeProcess, Robot, connect, eventually, picture
from tasktp_ros.msg import PruningStats
from vision_msgs.msg import Detection2DArray, LabelInfo

from tasktp_ros.errors import ModelError
from tasktp_ros.nodes.perception.loading import load_detector
from tasktp_ros.runtime.default import DEFAULT_MODEL

OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides")
TYPES = {bool: 1, int: 2, float: 3, str: 4, list: 9}


@pytest.fixture(scope="module")
def unconfigured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """The real perception node before it is configured."""
    log = tmp_path_factory.mktemp("plain") / "log"
    process = NodeProcess(log, ["-m", "tasktp_ros.nodes.perception"], "-r", "__ns:=/plain")
    yield process
    process.end()


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
    copy.write_text(text.replace("max_detections: 100", "max_detections: 7").replace(f'"{DEFAULT_MODEL}"', '"copied"'))
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
        ({"reach": "far"}, "reach must be one of blocks, network, frame, or empty for the model's own, not 'far'"),
        ({"execution": "fast"}, "execution can only be set while the node is unconfigured; it is active"),
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cuda:77"}, "'cuda:77'"),
        ({"device": "toaster"}, "unknown device 'toaster'; expected auto, cpu, cuda or cuda:N"),
        ({"execution": "fast"}, "execution must be one of dynamic, static, graphs, not 'fast'"),
        ({"model": "nosuch"}, "unknown model 'nosuch'; shipped models are"),
        ({"model": "/nowhere/none.safetensors"}, "/nowhere/none.safetensors does not exist"),
        ({"precision": "float16"}, "unknown precision 'float16'; expected auto, float32 or bfloat16"),
    ],
    ids=str,
)
def test_what_cannot_be_loaded_is_refused_when_it_is_set(
    robot: Robot, unconfigured: NodeProcess, change: dict, reason: str
) -> None:
    assert reason in robot.set("/plain/perception", **change)
    (name,) = change
    assert robot.get(name, "/plain/perception") in ("auto", DEFAULT_MODEL, "dynamic")
    assert robot.set("/plain/perception", device="cpu", precision="float32") == ""
    assert robot.set("/plain/perception", device="auto", precision="auto") == ""


def test_an_execution_that_the_device_cannot_have_is_refused_and_the_detector_runs_as_it_was_told(
    robot: Robot, unconfigured: NodeProcess
) -> None:
    assert robot.set("/plain/perception", device="cpu") == ""
    refused = robot.set("/plain/perception", execution="graphs")
    assert "execution 'graphs' needs a CUDA device, and this detector is on cpu" in refused
    assert robot.set("/plain/perception", device="auto") == ""
    told = SimpleNamespace(model="nano-untrained", device="cpu", precision="float32", execution="static", threads=1)
    assert load_detector(told).execution == "static"
    told.execution = "graphs"
    with pytest.raises(ModelError, match="needs a CUDA device"):
        load_detector(told)


def test_a_dumped_file_can_be_loaded_into_an_active_node(robot: Robot, fake: NodeProcess) -> None:
    values = {name: robot.get(name) for name in robot.parameters("perception")}
    assert values["model"] == "fake" and "cameras" in values and values["autostart"] is True
    for name, value in values.items():
        assert robot.set(**{name: value}) == "", name
    assert "read-only" in robot.set(autostart=False)


@pytest.mark.parametrize("empty", ["categories", "enabled_cameras"])
def test_an_empty_list_stands_for_the_default_where_that_names_nothing(
    robot: Robot, start: Callable[..., NodeProcess], empty: str
) -> None:
    process = start((FAKE_PERCEPTION,), "-r", "__ns:=/empty", model="fake", **{empty: "[]"})
    if empty == "enabled_cameras":
        assert process.process.wait(SOON) == 1
        process.says("parameter enabled_cameras must not be an empty list; its default is ['all']")
        return
    assert robot.transition("configure", "/empty/perception")
    assert robot.get("categories", "/empty/perception") == [""]
    assert "Traceback" not in process.log


@pytest.mark.parametrize("name", ["perception", "task_manager"])
def test_a_bond_is_refused_in_words_where_it_cannot_be_had(
    robot: Robot, start: Callable[..., NodeProcess], name: str
) -> None:
    if importlib.util.find_spec("bondpy"):
        pytest.skip("the refusal of a bond was not tried: bondpy is installed")
    process = start(["-m", f"tasktp_ros.nodes.{name}"], "-r", "__ns:=/bonded", bond=True)
    assert not robot.transition("configure", f"/bonded/{name}")
    assert "bondpy is not installed; install it, or set bond to false" in process.log
    assert "Traceback" not in process.log


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
        assert robot.set(score_threshold=0.5, reach="frame", prune_threshold=0.25) == ""
        assert names() == ["cup", "sink"]
        told = statistics.until(lambda one: one.prune_threshold == 0.25, "the new prune threshold")
        assert list(told.categories) == ["cup", "sink"] and told.reach == "frame"
        assert robot.set(reach="") == ""
        assert names() == ["cup", "sink"]
        statistics.until(lambda one: one.reach == "network", "the model's own reach")
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
