# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Numbers of latency: what counts as late, what as starved, what as growth; and one short run with real nodes."""

import json

import pytest

from tasktp_ros.cli.main import main
from tasktp_ros.evaluation.latency import EDGES, MARGIN, Answer, soak_report, spread, summarise, table


def answer(camera: int = 0, at: float = 0.0, node: float = 30.0, detect: float = 20.0, dropped: int = 0) -> Answer:
    return Answer(camera, at, node + 2.0, node, detect, dropped)


def test_a_result_is_late_that_waited_for_more_than_a_period_and_the_margin():
    in_time, late = answer(node=20 + 100 + MARGIN), answer(node=20 + 101 + MARGIN)
    row = summarise([in_time, in_time, in_time, late], [8], rate=10, seconds=2)
    assert row["late"] == 0.25 and row["period_milliseconds"] == 100 and row["results_per_second"] == 2
    assert row["detect"]["median"] == 20 and row["way"]["max"] == 2 and row["waiting"]["max"] == 101 + MARGIN


def test_a_starved_camera_is_seen():
    answers = [answer(0, at=100.0 * number, dropped=number) for number in range(10)] + [
        answer(1, at=5.0),
        answer(1, at=705.0),
    ]
    row = summarise(answers, [20, 20, 20], rate=10, seconds=1)
    assert row["answered"] == [10, 2, 0] and row["dropped"] == [9, 0, 0]
    assert row["longest_gap_milliseconds"] == [100.0, 700.0, None]


def test_histograms_lose_no_value():
    values = [0.0, 1.9, 2.0, 999.0, 1000.0, 1e6]
    numbers = spread(values)
    assert sum(numbers["histogram"]) == len(values) and len(numbers["histogram"]) == len(EDGES)
    assert numbers["histogram"][0] == 2 and numbers["histogram"][-1] == 2 and numbers["max"] == 1e6
    assert spread([]) == {}


@pytest.mark.parametrize(("per_sample", "grown"), [(0.0, 0.0), (1.0, 60.0)])
def test_growth_is_from_the_second_fifth_to_the_last(per_sample, grown):
    samples = [{"at": 1000.0 * number, "rss_mib": 500 + per_sample * number, "threads": 20, "load": number / 10}
               for number in range(101)]  # fmt: skip
    samples[0]["rss_mib"] = 9999.0  # while it warms up
    answers = [answer(at=100.0 * number) for number in range(1000)]
    report = soak_report(samples, answers)
    assert report["growth"] == {"rss_mib": pytest.approx(grown, abs=1), "threads": 0, "age_median": 0}
    assert [report["windows"][number]["load"] for number in (0, -1)] == [0.25, 9.75], "how busy the machine was"
    assert sum(window["results"] for window in report["windows"]) >= 1000 and len(report["windows"]) == 20


def test_a_table_is_made_of_settings_without_results_too():
    row = {"detector": "model", "rate": 10.0} | summarise([], [5], rate=10, seconds=1)
    assert "model" in table({"rows": [row], "soak": None})
    assert table({"rows": [], "soak": None}) == ""


def test_the_command_measures_real_nodes_and_watches_them(tmp_path, capsys):
    pytest.importorskip("rclpy", reason="no node was run: ROS 2 is not installed")
    pytest.importorskip("tasktp_ros.msg", reason="no node was run: the messages are not built (make setup)")
    output = tmp_path / "latency.json"
    words = ["latency", "--model", "nano-untrained", "--stand-ins", "3", "--rates", "20", "--cameras", "2", "--seconds", "3",
             "--minutes", "0.1", "--soak-rate", "5", "--image", "48x64", "--logs", str(tmp_path / "logs"), "--output", str(output)]  # fmt: skip
    assert main(words) == 0
    assert "soak of" in capsys.readouterr().out
    report = json.loads(output.read_text())
    assert [row["detector"] for row in report["rows"]] == ["nano-untrained", "stand-in, 3 ms"]
    for row in report["rows"]:
        assert sum(row["answered"]) > 0 and len(row["answered"]) == len(row["sent"]) == 2
        assert sum(row["age"]["histogram"]) == sum(row["answered"])
        assert row["detect"]["median"] >= 3
    assert report["soak"]["results"] > 0 and report["soak"]["windows"][-1]["rss_mib"] > 50
    assert report["reach"] == "blocks" and report["image"] == [48, 64]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rates", "0"], "--rates must be a number between 0.1 and 1000"),
        (["--cameras", "17"], "--cameras must be a whole number"),
        (["--model", "none"], "unknown model 'none'"),
        (["--source", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, capsys):
    assert main(["latency", *words]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors and errors.count("\n") == 1
