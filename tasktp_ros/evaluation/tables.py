# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes docs/measured.md from the files in results/: `python -m tasktp_ros.evaluation.tables results docs/measured.md`.

No number is typed by hand; a test compares the page with the files.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasktp_ros.evaluation.speed_report import memory_text
from tasktp_ros.vision.reach import REACH_TITLES

STAGES = ("spatial_prior", "injector", "gates", "blocks", "extractor", "pyramid", "proposals", "box_head", "mask_head")
HEAD = """# Measured

Written by `python -m tasktp_ros.evaluation.tables results docs/measured.md` from the files in `results/`, which hold machine,
versions, commit, command and raw values. Rows of one table were measured in turns of one run; the machine is shared and
noisy, so compare rows, not tables.
"""
STREAM_TASKS = {"all": "all categories", "one": "one category"}
CONTENDERS = (("method", ""), ("dense", "dense"), ("dense_restricted", "dense, same restriction"))


def page(results: Path) -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for path in sorted([*results.glob("rooms_*.json"), *results.glob("eval_*.json")]):
        report = json.loads(path.read_text())
        parts += [_accuracy(path.name, report | each) for each in report.get("models", [{}])]
    for path in sorted(results.glob("search_*.json")):
        parts.append(_search(path.name, json.loads(path.read_text())))
    for path in sorted(results.glob("times_*.json")):
        parts.append(_times(path.name, json.loads(path.read_text())))
    for path in sorted(results.glob("stream_*.json")):
        parts.append(_stream(path.name, json.loads(path.read_text())))
    for path in sorted(results.glob("bench_*.json")):
        parts.append(_bench(path.name, json.loads(path.read_text())))
    for path in sorted(results.glob("memory_*.json")):
        parts.append(_memory(path.name, json.loads(path.read_text())))
    for path in sorted(results.glob("latency_*.json")):
        parts.append(_latency(path.name, json.loads(path.read_text())))
    for name in ("office_walk", "demo_sample"):
        path = results / f"{name}.json"
        if path.exists():
            parts.append(_walk(path.name, json.loads(path.read_text())))
    return "\n".join(parts)


def _accuracy(name: str, report: dict[str, Any]) -> str:
    """Precision and kept tokens per size of the category set."""
    setting = report["setting"]
    followed = f", {REACH_TITLES[setting['reach']]}" if setting.get("reach") else ""
    lines = [
        f"## Accuracy: {report['model']}{followed} on {report['images']} images of the {report['data']} {report['split']} set",
        "",
        f"`{report['command']}` ([{name}](../results/{name}), with every set's list); commit {report['commit']}. Means over the sets of a "
        "size, in per cent; only the set's categories count. Kept: tokens that gated blocks ran, of all images, of those with and "
        "without something of the set, and under a wrong set of the same size, of which nothing is on the image. Times are in the "
        "file only: processes shared the cores.",
        "",
        _row(
            [
                "categories",
                "model",
                "box AP",
                "AP50",
                "mask AP",
                "precision / recall at 0.5",
                "kept",
                "with",
                "without",
                "wrong set",
                "backbone GFLOPs",
            ]
        ),
        _row(["--:", "---", *["--:"] * 9]),
    ]
    for size, means in report["means"].items():
        for contender, title in CONTENDERS:
            if contender in means:
                wrong = means.get("kept_wrong_task") if contender == "method" else None
                lines.append(_accuracy_row(size, title or report["method"], means[contender], wrong))
    return "\n".join([*lines, ""])


def _accuracy_row(size: str, title: str, row: dict[str, Any], wrong: float | None) -> str:
    shares = [row.get("kept"), row.get("kept_with_target"), row.get("kept_without_target"), wrong]
    cells = ["-" if share is None else f"{share:.0%}" for share in shares]
    return _row(
        [size, title, f"{row['box_AP']:.1f}", f"{row['box_AP50']:.1f}", f"{row['mask_AP']:.1f}",
         " / ".join("-" if row[f"{half}_at_0.5"] < 0 else f"{row[f'{half}_at_0.5']:.1f}" for half in ("precision", "recall")), *cells, f"{row['backbone_gflops']:.2f}"]
    )  # fmt: skip


def _search(name: str, report: dict[str, Any]) -> str:
    """Object search: the headline seed, and the spread of the number of images over all seeds."""
    seed, headline = next(iter(report["seeds"].items()))
    lines = [
        f"## Object search: {report['scans']} walks",
        "",
        f"`{report['command']}` ([{name}](../results/{name}), with every search); commit {report['commit']}. Sums over "
        f"{headline['queries']} searches (seed {seed}), located = verified; a perfect detector needs {headline['oracle_runs']} images. "
        "Kept: tokens that gated blocks ran on images with and without the target. Saved: milliseconds against the first row, by "
        "needing fewer images and by being faster on each.",
        "",
        _row(["method", "#Runs", "time ms", "of first", "ms/run", "found", "false alarms", "kept with", "without",
              "saved: fewer runs", "faster runs", f"{len(report['seeds'])} seeds: #Runs", "time ms", "of first", "found",
              "false alarms", f"seed {seed}, claimed: #Runs", "found"]),
        _row(["---", *["--:"] * 17]),
    ]  # fmt: skip
    over_seeds = report["over_seeds"]["verified"]
    first = next(iter(over_seeds))
    for label, row in headline["verified"].items():
        spread, claimed = over_seeds[label], headline["claimed"][label]
        shares = ["-" if row[key] is None else f"{row[key]:.0%}" for key in ("kept_with_target", "kept_without_target")]
        lines.append(
            _row([label, str(row["runs"]), f"{row['milliseconds']:.0f}",
                  f"{row['milliseconds'] / headline['verified'][first]['milliseconds']:.2f}", f"{row['milliseconds_per_run']:.1f}",
                  f"{row['success_rate']:.0%}", str(row["false_alarms"]), *shares, f"{row['saved_by_fewer_runs']:.0f}",
                  f"{row['saved_by_faster_runs']:.0f}", _spread(spread["runs"]), _spread(spread["milliseconds"]),
                  f"{spread['milliseconds'][0] / over_seeds[first]['milliseconds'][0]:.2f}",
                  f"{spread['success_rate'][0]:.0%}", f"{spread['false_alarms'][0]:.1f}", str(claimed["runs"]), f"{claimed['success_rate']:.0%}"])
        )  # fmt: skip
    return "\n".join([*lines, ""])


def _times(name: str, report: dict[str, Any]) -> str:
    """Time per image of a search along a recording without labels."""
    lines = [
        f"## Time per image: {report['images']} images of {report['data']}, which has no labels",
        "",
        f"`{report['command']}` ([{name}](../results/{name})); commit {report['commit']}. One image per three seconds, each searched for "
        f"{', '.join(report['categories'])} in turn. Nobody knows what is there, so a claim may be true or not.",
        "",
        _row(["method", "ms/run", "of first", "kept", "claims"]),
        _row(["---", *["--:"] * 4]),
    ]
    first = next(iter(report["rows"].values()))["milliseconds_per_run"]
    for label, row in report["rows"].items():
        kept = "-" if row["kept"] is None else f"{row['kept']:.0%}"
        time = row["milliseconds_per_run"]
        lines.append(_row([label, f"{time:.1f}", f"{time / first:.2f}", kept, str(row["claims"])]))
    return "\n".join([*lines, ""])


def _stream(name: str, report: dict[str, Any]) -> str:
    """Streams along walks, against every image for itself."""
    setting = report["setting"]
    lines = [
        f"## Streams: {report['model']} along {report['walks']} walks, reach {setting['reach']}",
        "",
        f"`{report['command']}` ([{name}](../results/{name})); commit {report['commit']}. Entering: tokens that the first block ran. "
        "Of first: median over frames of the time against the first row's, measured in turns. Found: of the objects that come into view and "
        "stay for half a second, those found (score 0.5, box IoU 0.5), and frames until then; later: than by the first row, of what both "
        "find; only: found by the first row only, by this one only. Resets: all tokens enter.",
        "",
        _row(["frames/s", "task", "method", "box AP", "AP50", "ms", "of first", "entering", "kept", "found", "frames until: median",
              "worst", "later: median", "worst", "only first / this", "resets"]),
        _row(["--:", "---", "---", *["--:"] * 12, "---"]),
    ]  # fmt: skip
    for rate, kinds in report["rates"].items():
        for kind, rows in kinds.items():
            lines += [_stream_row(rate, STREAM_TASKS[kind], label, row) for label, row in rows.items()]
    return "\n".join([*lines, ""])


def _stream_row(rate: str, task: str, label: str, row: dict[str, Any]) -> str:
    until, against = row["frames_until_found"], row["against_first"]
    frames = [until["median"], until["worst"], against["frames_later"]["median"], against["frames_later"]["worst"]]
    return _row([rate, task, label, f"{row['box_AP']:.1f}", f"{row['box_AP50']:.1f}", f"{row['milliseconds']:.1f}",
                 f"{row['of_first']:.2f}", f"{row['entered']:.0%}", f"{row['kept']:.0%}", f"{row['found']} of {row['sightings']}",
                 *("-" if number is None else f"{number:g}" for number in frames),
                 f"{against['only_first']} / {against['only_this']}",
                 ", ".join(f"{count} {reason}" for reason, count in row["resets"].items()) or "-"])  # fmt: skip


def _spread(values: Sequence[float]) -> str:
    return f"{values[0]:.1f} ± {values[1]:.1f}"


def _bench(name: str, report: dict[str, Any]) -> str:
    setting = report["setting"]
    height, width = setting["image"]
    title = f"{setting['size']} on {setting['device']}, {setting['precision']}, image {height} x {width}"
    lines = [
        f"## Stages: {title}",
        "",
        f"`{report['command']}`, {setting['threads']} threads, medians of {setting['rounds']} frames "
        f"([{name}](../results/{name})); commit {report['commit']}. Milliseconds, below them GFLOPs "
        "(a multiply-add is two; convolutions and products only).",
        "",
        _row(["", "kept", "total", "x dense", *(stage.replace("_", " ") for stage in STAGES)]),
        _row(["---", *["--:"] * (3 + len(STAGES))]),
    ]
    for row in report["rows"]:
        kept = "-" if row["kept"] is None else f"{row['kept']:.0%}"
        lines.append(
            _row([row["name"], kept, f"{row['milliseconds']:.1f}", f"{row['speedup']:.2f}", *_cells(row["stages"])])
        )
        lines.append(_row(["", "", f"{row['gflops']['total']:.2f} G", "", *_cells(row["gflops"])]))
    return "\n".join([*lines, ""])


def _walk(name: str, report: dict[str, Any]) -> str:
    player = report["player"]
    lines = [
        f"## Through the nodes: {player['frames_sent']} frames of {report['source']}",
        "",
        f"`{report['command']}` ([{name}](../results/{name})); commit {report['commit']}. {player['frames_sent']} frames sent in lock "
        f"step, {player['results_received']} results, {player['lost']} lost, {report['dropped_by_perception']} dropped, order "
        f"{'kept' if player['order_kept'] else 'broken'}, headers {'equal' if player['headers_equal'] else 'different'}, "
        f"{report['frames_per_second']} frames/s. Overhead is the node's share: image received to detections published, "
        "without detecting.",
        "",
        _row(["task", "frames", "kept", "detect ms, median / p95", "stamp to result ms", "overhead ms"]),
        _row(["---", *["--:"] * 5]),
    ]
    lines.extend(
        _task_row(task["title"], task["frames"], f"{task['kept_share']:.0%}", task)
        for task in report["tasks"]
        if task["frames"]
    )
    return "\n".join([*lines, _task_row("all", report["frames"], "", report), ""])


def _task_row(title: str, frames: int, kept: str, numbers: dict[str, Any]) -> str:
    times = (numbers[f"{name}_milliseconds"] for name in ("detect", "stamp_to_result", "overhead"))
    return _row([title, str(frames), kept, *(f"{time['median']:.1f} / {time['p95']:.1f}" for time in times)])


def _memory(name: str, report: dict[str, Any]) -> str:
    """What a process takes, and whether it grows."""
    told = memory_text(report["memory"]).replace("\n", " ")
    return "\n".join([
        f"## Memory: {report['memory']['model']}", "",
        f"`{report['command']}` ([{name}](../results/{name}), with samples); commit {report['commit']}.", "",
        f"{told[:1].upper()}{told[1:]}", "",
    ])  # fmt: skip


def _latency(name: str, report: dict[str, Any]) -> str:
    """How old results are, and what a soak held."""
    lines = [
        f"## Age of results: {report['model']} and stand-ins",
        "",
        f"`{report['command']}` ([{name}](../results/{name}), with histograms); commit {report['commit']}. Images of "
        f"{report['image'][0]} x {report['image'][1]}. Age: image stamped to detections received by another process. Waiting: in the "
        f"node without detecting. Late: waited for more than one period and {report['margin_milliseconds']:g} ms.",
        "",
    ]
    if report["rows"]:
        lines += [
            _row(["detector", "cameras", "Hz", "results/s", "detect ms", "age ms, median / p95 / max", "waiting, median / p95", "late",
                  "answered per camera"]),
            _row(["---", *["--:"] * 8]),
        ]  # fmt: skip
    for row in report["rows"]:
        if not row["age"]:
            continue
        age, waiting = row["age"], row["waiting"]
        lines.append(
            _row([row["detector"], str(len(row["sent"])), f"{row['rate']:g}", f"{row['results_per_second']:.1f}",
                  f"{row['detect']['median']:.1f}", f"{age['median']:.1f} / {age['p95']:.1f} / {age['max']:.1f}",
                  f"{waiting['median']:.1f} / {waiting['p95']:.1f}", f"{row['late']:.1%}", ", ".join(map(str, row["answered"]))])
        )  # fmt: skip
    if loads := _load([row.get("load") for row in report["rows"]]):
        lines += ["", loads.strip()]
    if soak := report["soak"]:
        first, last, growth = soak["windows"][0], soak["windows"][-1], soak["growth"]
        lines.append(
            f"{soak['minutes']:g} minutes, {soak['cameras']} cameras at {soak['rate']:g} Hz, tasks that change, {soak['results']} results: "
            f"memory {first['rss_mib']:.1f} MiB at first and {last['rss_mib']:.1f} at last, threads {first['threads']:g} and "
            f"{last['threads']:g}, median age {first['age_median']:.1f} and {last['age_median']:.1f} ms; from the second fifth to the last "
            f"{growth['rss_mib']:+.1f} MiB, {growth['threads']:+g} threads, {growth['age_median']:+.1f} ms."
            + _load([window.get("load") for window in soak["windows"]])
        )
    return "\n".join([*lines, ""])


def _load(loads: Sequence[float | None]) -> str:
    """How busy the machine was, where that was noted."""
    known = [load for load in loads if load is not None]
    return f" Load of the machine: {min(known):.1f} to {max(known):.1f} processes that wanted a core." if known else ""


def _cells(values: dict[str, float]) -> list[str]:
    return [f"{values[stage]:.2f}" if stage in values else "-" for stage in STAGES]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(Path(sys.argv[1])))
