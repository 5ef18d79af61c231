# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The page a demonstration leaves behind: what the robot saw, what it looked at, and what that cost.

One file that needs no network.
"""

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.files import replacing
from tasktp_ros.runtime.drawing import Drawable, draw_instances, shade_pruned

TASK_COLOURS = ("var(--one)", "var(--two)", "var(--three)", "var(--four)")
MOST_PROBLEMS = 10
STAGE_TITLES = {
    "preprocess": "resize", "spatial_prior": "spatial prior", "injector": "injectors", "gates": "gates",
    "blocks": "blocks",
    "extractor": "extractors", "pyramid": "pyramid", "proposals": "proposals", "box_head": "box head",
    "mask_head": "mask head", "postprocess": "results",
}  # fmt: skip

STYLE = """
:root { color-scheme: light dark; --paper: #f6f5f1; --card: #ffffff; --ink: #1d2327; --soft: #667077; --line: #dfded8;
  --one: #2f6f8f; --two: #c77b1c; --three: #2e8b57; --four: #8a5a9e; --warn: #8a4b00; --warnback: #fff2dc; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181b; --card: #1c2226; --ink: #e8ebec; --soft: #98a4ab;
  --line: #2e373d; --one: #62b0d4; --two: #eba94e; --three: #5cc58b; --four: #c596d8; --warn: #ffcf8a; --warnback: #3a2a12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: clamp(28px, 4vw, 42px); line-height: 1.15; margin: 0 0 10px; letter-spacing: -0.02em;
  font-weight: 650; }
h2 { font-size: 21px; margin: 52px 0 4px; letter-spacing: -0.01em; }
p { margin: 0 0 14px; max-width: 74ch; } .soft { color: var(--soft); }
.warn { background: var(--warnback); color: var(--warn); border-radius: 10px; padding: 12px 16px; margin: 20px 0 0;
  max-width: none; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 28px 0 0; }
.fact { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.fact b { display: block; font-size: 25px; font-weight: 620; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }
.fact span { color: var(--soft); font-size: 13.5px; }
.task { background: var(--card); border: 1px solid var(--line); border-radius: 16px; padding: 20px; margin: 18px 0 0;
  border-left: 5px solid var(--mine); }
.head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 6px 24px; align-items: baseline; }
.head h3 { margin: 0; font-size: 20px; } .head .kept { font-size: 15px; color: var(--soft); }
.head .kept b { color: var(--mine); font-size: 26px; font-weight: 640; font-variant-numeric: tabular-nums; }
.goal { color: var(--soft); margin: 2px 0 12px; }
.chip { display: inline-block; border: 1px solid var(--line); border-radius: 99px; padding: 1px 10px;
  margin: 0 4px 0 0; font-size: 13.5px;
  color: var(--ink); }
.trio { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
figure { margin: 0; } figure img { width: 100%; display: block; border-radius: 8px; background: #000; }
figcaption { font-size: 13.5px; color: var(--soft); margin-top: 5px; }
@media (max-width: 720px) { .trio { grid-template-columns: 1fr; } }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 16px; padding: 18px 20px;
  margin-top: 14px; overflow-x: auto; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px;
  font-family: inherit; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 15px; }
th, td { text-align: right; padding: 8px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 13.5px; } th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px;
  background: var(--mine); }
footer { margin-top: 48px; color: var(--soft); font-size: 13.5px; } code { font-size: 13px; overflow-wrap: anywhere; }
"""


class Picture(Drawable, Protocol):
    """A frame with what was found in it; `image` (H, W, 3) uint8 RGB."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""


def write_page(path: Path, report: Mapping[str, Any], pictures: Mapping[str, Picture]) -> Path:
    """Write the page for `report` (see `demo_report.summarise`) with one picture per task id; returns `path`."""
    title = "The task decides where a robot looks"
    body = [
        f"<h1>{title}</h1>",
        "<p class=soft>A camera's frames went through ROS 2 to the detector. On the way the robot was told four times "
        "what it is to do. Gates between the transformer blocks drop the image tokens that cannot matter for the task: "
        "the darker a square below, the fewer blocks computed it.</p>",
        _warning(report),
        _problems(report),
        _facts(report),
        "<h2>Four goals, one walk</h2>",
        _shown(report),
        *(_task(report, number, pictures) for number in range(len(report["tasks"]))),
        "<h2>Tokens kept, frame by frame</h2>",
        "<p class=soft>Share of all tokens that the gated blocks ran, mean over the blocks. A goal takes "
        "effect between two "
        "frames, without reloading or recompiling anything.</p>",
        f"<div class=card>{_kept_chart(report)}</div>",
        "<h2>Where the time goes</h2>",
        "<p class=soft>Median per stage of the detector, in milliseconds.</p>",
        f"<div class=card>{_stage_chart(report)}</div>",
        "<h2>The numbers</h2>",
        f"<div class=card>{_table(report)}</div>",
        _footer(report),
    ]
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title>"
        f"<style>{STYLE}</style><main>{''.join(body)}</main></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _warning(report: Mapping[str, Any]) -> str:
    if not report["untrained"]:
        return ""
    return (
        f"<p class=warn><b>{html.escape(report['model'])}.</b> This model has random weights: its boxes, names and "
        "choice of tokens mean nothing yet. What is real here is the path from camera to result and its timing.</p>"
    )


def _problems(report: Mapping[str, Any]) -> str:
    """What the nodes complained of on the way."""
    problems = report["problems"]
    if not problems:
        return ""
    told = "".join(f"<li>{html.escape(problem)}</li>" for problem in problems[:MOST_PROBLEMS])
    more = len(problems) - MOST_PROBLEMS
    return f"<div class=warn><b>On the way:</b><ul>{told}</ul>{f'and {more} more' if more > 0 else ''}</div>"


def _shown(report: Mapping[str, Any]) -> str:
    """From which score on detections are drawn, and what that means."""
    if report["untrained"]:
        return ""
    score = report["score_threshold"]
    meaning = f"scores above {score:.2f}"
    if report["calibrated"]:
        meaning = f"is right with a probability above {100 * score:.0f} %, by the model's own estimate"
    return f"<p class=soft>Boxes and masks are drawn of what {meaning}.</p>"


def _facts(report: Mapping[str, Any]) -> str:
    player = report["player"]
    facts = [
        (
            f"{report['frames']} / {player['frames_sent']}",
            "frames answered, in order" if player["order_kept"] else "frames answered",
        ),
        (str(player["lost"] + report["dropped_by_perception"]), "frames lost or dropped"),
        (_number(report["frames_per_second"]), "frames/s in lock step"),
        (_number(report["stamp_to_result_milliseconds"]["median"]) + " ms", "image stamp to result, median"),
        (_number(report["overhead_milliseconds"]["median"]) + " ms", "of it in the node around the detector"),
    ]
    return (
        "<div class=facts>"
        + "".join(f"<div class=fact><b>{value}</b><span>{name}</span></div>" for value, name in facts)
        + "</div>"
    )


def _task(report: Mapping[str, Any], number: int, pictures: Mapping[str, Picture]) -> str:
    task = report["tasks"][number]
    chips = "".join(f"<span class=chip>{html.escape(name)}</span>" for name in task["categories"][:12]) or (
        "<span class=chip>all categories</span>"
    )
    goal = f"Told: “{html.escape(task['goal'])}”" if task["goal"] else "Told the category itself"
    if task.get("understood"):
        goal += f" &nbsp; understood by {html.escape(task['understood'])}"
    picture = pictures.get(task["id"])
    trio = (
        _trio(picture)
        if picture is not None
        else "<p class=soft>No picture was taken: too few frames under this task.</p>"
    )
    return (
        f"<section class=task style='--mine:{TASK_COLOURS[number % len(TASK_COLOURS)]}'><div class=head>"
        f"<h3>{html.escape(task['title'])}</h3>"
        f"<span class=kept><b>{_percent(task['kept_share'])}</b> of tokens kept, "
        f"{_number(task['detect_milliseconds']['median'])} ms per frame</span></div>"
        f"<p class=goal>{goal} &nbsp; {chips}</p>{trio}</section>"
    )


def _trio(picture: Picture) -> str:
    kept = shade_pruned(picture.image, picture.token_mask_image())
    boxes = draw_instances(picture.image, picture)
    named = (("the camera's image", picture.image), ("tokens kept", kept), ("boxes and masks", boxes))
    figures = "".join(
        f"<figure><img alt='{name}' src='{_data_address(image)}'><figcaption>{name}</figcaption></figure>"
        for name, image in named
    )
    return f"<div class=trio>{figures}</div>"


def _data_address(image: NDArray[np.uint8]) -> str:
    height, width = image.shape[:2]
    scale = min(1.0, 640 / width)
    if scale < 1.0:
        image = np.asarray(
            cv2.resize(image, (640, max(1, round(height * scale))), interpolation=cv2.INTER_AREA), np.uint8
        )
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _kept_chart(report: Mapping[str, Any]) -> str:
    """Kept share per frame, one colour per task."""
    shares, tasks = report["values"]["kept_share"], report["values"]["task_id"]
    width, height, left, top = 1100, 250, 46, 26
    step = (width - left - 10) / max(1, len(shares))
    inner = height - top - 30
    parts = []
    for percent in (0, 25, 50, 75, 100):
        y = top + inner * (1 - percent / 100)
        parts.append(
            f"<line x1={left} x2={width} y1={y:.1f} y2={y:.1f} stroke='var(--line)'/><text x=4 "
            f"y={y + 4:.1f}>{percent} %</text>"
        )
    colours = {task["id"]: TASK_COLOURS[number % len(TASK_COLOURS)] for number, task in enumerate(report["tasks"])}
    titles = {task["id"]: task["title"] for task in report["tasks"]}
    previous = None
    for index, (share, task) in enumerate(zip(shares, tasks, strict=True)):
        x, y, colour = left + index * step, top + inner * (1 - share), colours.get(task, "var(--soft)")
        wide = max(0.6, step - (2 if step > 5 else 0))
        parts.append(
            f"<rect x={x:.1f} y={y:.1f} width={wide:.1f} height={inner * share:.1f} rx=1.5 fill='{colour}'>"
            f"<title>frame {index}: {100 * share:.1f} % kept</title></rect>"
        )
        if task != previous:
            parts.append(
                f"<text x={x:.1f} y=14 style='fill:{colour};font-weight:600'>{html.escape(titles.get(task, task))}"
                "</text>"
            )
            previous = task
    parts.append(
        f"<text x={left} y={height - 6}>frame 0</text><text x={width} y={height - 6} text-anchor=end>frame "
        f"{len(shares) - 1}</text>"
    )
    return f"<svg viewBox='0 0 {width} {height}' role=img aria-label='tokens kept per frame'>{''.join(parts)}</svg>"


def _stage_chart(report: Mapping[str, Any]) -> str:
    """One row per stage, one bar per task."""
    tasks = [task for task in report["tasks"] if task["stage_milliseconds"]]
    stages = [name for name in STAGE_TITLES if any(name in task["stage_milliseconds"] for task in tasks)]
    top = max((task["stage_milliseconds"].get(name, 0.0) for task in tasks for name in stages), default=1.0) or 1.0
    bar, gap, left, width = 9, 12, 110, 1100
    row = bar * len(tasks) + gap
    parts = []
    for line, name in enumerate(stages):
        y = line * row + 4
        parts.append(f"<text x=0 y={y + row / 2:.1f}>{STAGE_TITLES[name]}</text>")
        for number, task in enumerate(tasks):
            value = task["stage_milliseconds"].get(name, 0.0)
            long = (width - left - 70) * value / top
            at = y + number * bar
            colour = TASK_COLOURS[report["tasks"].index(task) % len(TASK_COLOURS)]
            parts.append(
                f"<rect x={left} y={at:.1f} width={max(long, 1):.1f} height={bar - 2} rx=2 fill='{colour}'>"
                f"<title>{html.escape(task['title'])}: {value:.2f} ms</title></rect>"
            )
        values = " / ".join(f"{task['stage_milliseconds'].get(name, 0.0):.1f}" for task in tasks)
        longest = max(task["stage_milliseconds"].get(name, 0.0) for task in tasks)
        parts.append(
            f"<text x={left + (width - left - 70) * longest / top + 8:.1f} y={y + row / 2:.1f}>{values}</text>"
        )
    return (
        f"<svg viewBox='0 0 {width + 60} {len(stages) * row + 8}' role=img aria-label='time per "
        f"stage'>{''.join(parts)}</svg>"
    )


def _table(report: Mapping[str, Any]) -> str:
    rows = []
    for number, task in enumerate(report["tasks"]):
        blocks = (
            ""
            if not task["kept_tokens"]
            else " / ".join(f"{count:.0f}" for count in dict.fromkeys(task["kept_tokens"]))
        )
        rows.append(
            f"<tr style='--mine:{TASK_COLOURS[number % len(TASK_COLOURS)]}'><td><span class=dot>"
            f"</span>{html.escape(task['title'])}</td>"
            f"<td>{task['frames']}</td><td>{_percent(task['kept_share'])}</td><td>{blocks} of "
            f"{task['total_tokens']}</td>"
            f"<td>{_pair(task['detect_milliseconds'])}</td><td>{_pair(task['stamp_to_result_milliseconds'])}</td>"
            f"<td>{_pair(task['overhead_milliseconds'])}</td></tr>"
        )
    head = (
        "<tr><th>task</th><th>frames</th><th>kept</th><th>tokens kept per gate</th><th>detect, ms</th>"
        "<th>stamp to result, ms</th>"
        "<th>node's overhead, ms</th></tr>"
    )
    return (
        f"<table>{head}{''.join(rows)}</table><p class=soft style='margin:10px 0 0'>Median / 95th percentile. "
        "Frames that posed for a picture are left out of the times.</p>"
    )


def _footer(report: Mapping[str, Any]) -> str:
    machine = report.get("machine", {})
    parts = [
        f"Source {html.escape(report['source'])}, model {html.escape(report['model'])}, reach {html.escape(report['reach'])}.",
        f"Measured on {html.escape(str(machine.get('processor', '?')))}, {machine.get('cores', '?')} cores"
        + (f", {html.escape(str(machine['gpu']))}" if machine.get("gpu") else "")
        + f", at commit {html.escape(str(report.get('commit')))}, {html.escape(str(report.get('date', '')))}.",
        f"<br><code>{html.escape(report.get('command', ''))}</code>",
    ]
    return f"<footer>{' '.join(parts)}</footer>"


def _pair(numbers: Mapping[str, float | None]) -> str:
    return f"{_number(numbers['median'])} / {_number(numbers['p95'])}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
