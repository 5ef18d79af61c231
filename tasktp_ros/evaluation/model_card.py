# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes docs/models.md: for every model that was measured its data, what it is good and bad at, and how to measure that again.

No number is typed by hand: they come from the model's file and from the result files about its weights.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasktp_ros.evaluation.model_facts import NEEDED, read_facts, weights_mark, whole_set
from tasktp_ros.evaluation.selectivity import per_gate, title_of
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.models import open_model
from tasktp_ros.runtime.shipped import find_model
from tasktp_ros.tasks.vocabulary import ROOMS
from tasktp_ros.vision.reach import REACH_TITLES

HEAD = """# Models

Written by `tasktp card --page docs/models.md` from the models' files and the files in `results/` that are about these very weights.
Each model says the same of itself in its file (`ModelCard.measured`).
"""
EXTREMES, TELLING = 6, 10
"""Categories that are named as the best and the worst, and the objects from which on a precision tells something."""
SHARE = "share of the image's tokens"


def page(models: Iterable[str], results: Path) -> str:
    """The whole page as Markdown; models that were not evaluated are only named.

    Raises:
        DataError: result files about other weights than the model's.
    """
    parts, unmeasured = [HEAD], []
    for name in models:
        card = open_model(name)[1]
        facts = read_facts(results, card.name, weights_mark(name))
        if set(NEEDED) <= set(facts):
            parts.append(section(card, facts, name))
        else:
            unmeasured.append(f"`{card.name}`")
    if unmeasured:
        parts.append(f"Not measured in this form: {', '.join(unmeasured)}; see [measured.md](measured.md).\n")
    return "\n".join(parts)


def section(card: ModelCard, facts: dict[str, dict[str, Any]], model: str) -> str:
    """One model's part of the page."""
    parts = [_head(card, model), _data(facts.get("data")), _accuracy(facts["eval"]), _categories(facts["eval"], facts.get("kept")),
             _scores(card, facts.get("calibration")), _gates(facts.get("kept")), _times(facts.get("performance")), _walk(facts.get("sheet")),
             _again(card, facts)]  # fmt: skip
    return "\n".join(part for part in parts if part)


def _head(card: ModelCard, model: str) -> str:
    file = find_model(model)
    megabytes = "" if file is None else f", {file.stat().st_size / 1e6:.1f} MB, weights {weights_mark(model)}"
    size = card.resize()
    stop = f" (stop_below {', '.join(f'{share:.3g}' for share in card.stop_below)})" if card.stop_below else ""
    passes = card.measured.get("trained_with", {})
    trained = f"Trained on {passes['images']:,} images, {passes['image_passes']:,} image passes." if passes else ""
    if "taught_by" in card.source:
        trained += f" Its first layers are those of, and it learned from, {card.source['taught_by']}."
    return "\n".join([
        f"## {card.name}",
        "",
        f"Size `{card.size}`, method `{card.method}`, {len(card.vocabulary)} categories ({card.vocabulary_name}){megabytes}. Images are "
        f"scaled to {size.short} x {size.long} px at most; reach {card.reach}{stop}. {trained}",
        "",
    ])  # fmt: skip


def _data(report: dict[str, Any] | None) -> str:
    if report is None:
        return ""
    rows = [[row["data"], row["split"], f"{row['images']:,}", f"{row['objects']:,}", f"{row['with_mask'] / max(1, row['objects']):.0%}",
             _licences(row)] for row in report["sets"]]  # fmt: skip
    return _table("### What it learned from",
                  ["data", "split", "images", "objects", "with a mask", "licences of the images"], rows, right=(2, 3, 4))  # fmt: skip


def _licences(row: dict[str, Any]) -> str:
    """Licences with their number of images; drawn pictures have none."""
    if not row["licences"]:
        return "drawn by `tasktp rooms`"
    return "; ".join(f"{name.removesuffix(' License')} {count:,}" for name, count in row["licences"].items())


def _accuracy(report: dict[str, Any]) -> str:
    """Means per size of the category set, and the household categories beside the rest."""
    contenders = (
        ("method", report["method"]),
        ("dense", report["dense"]),
        ("dense_restricted", f"{report['dense']}, same restriction"),
    )
    rows = []
    for size, means in report["means"].items():
        for key, title in contenders:
            if key in means:
                row = means[key]
                rows.append([size, title, *(_number(row[name]) for name in ("box_AP", "box_AP50", "mask_AP", "precision_at_0.5",
                                                                            "recall_at_0.5"))])  # fmt: skip
    text = _table(f"### What it finds on {report['images']} images of {report['data']} {report['split']}",
                  ["categories", "model", "box AP", "AP50", "mask AP", "precision at 0.5", "recall at 0.5"], rows, right=(0, 2, 3, 4, 5, 6))  # fmt: skip
    box = whole_set(report)["box"]
    household = [name for name in report["vocabulary"] if name in ROOMS]
    others = [name for name in report["vocabulary"] if name not in ROOMS]
    if household and others:
        text += (f"\nThe {len(household)} household categories that rendered rooms have, too: box AP {_mean(box['AP_of'], household)}, AP50 "
                 f"{_mean(box['AP50_of'], household)}; the other {len(others)}: {_mean(box['AP_of'], others)}, "
                 f"{_mean(box['AP50_of'], others)}. All in per cent.\n")  # fmt: skip
    return text


def _categories(report: dict[str, Any], kept: dict[str, Any] | None) -> str:
    """What it is good and bad at."""
    scores = whole_set(report)
    box, half = scores["box"], scores["box"].get("at_half_of", {})
    known = [name for name in report["vocabulary"] if box["AP_of"][name] >= 0]
    order = sorted(known, key=lambda name: -box["AP50_of"][name])
    gates = kept["of"] if kept else {}
    head = ["category", "objects", "box AP", "AP50", "mask AP", "precision at 0.5", "recall at 0.5"]
    head += ["kept, in view", "of its own", "kept, not in view"] if gates else []
    rows = []
    for name in order:
        of, gate = half.get(name, {}), gates.get(name, {})
        cells = [name, str(of.get("objects", "-")), _number(box["AP_of"][name]), _number(box["AP50_of"][name]),
                 _number(scores["mask"]["AP_of"][name]), _number(of.get("precision", -1)), _number(of.get("recall", -1)),
                 *(_percent(gate.get(key)) for key in ("kept_shown", "own", "kept_absent"))]  # fmt: skip
        rows.append(cells[: len(head)])
    telling = [name for name in order if half.get(name, {}).get("objects", 0) >= TELLING]
    best, worst = (
        ", ".join(f"{name} {box['AP50_of'][name]:.0f}" for name in names) or "none"
        for names in (telling[:EXTREMES], telling[::-1][:EXTREMES])
    )
    text = f"### Per category\n\nOf categories with at least {TELLING} objects the best by AP50: {best}; the worst: {worst}.\n"
    return text + "\n" + _table("", head, rows, right=tuple(range(1, len(head))))


def _scores(card: ModelCard, report: dict[str, Any] | None) -> str:
    """What scores are worth, before and after the map."""
    if report is None or "scores" not in report:
        return ""
    scores = report["scores"]
    if "refused" in scores:
        return f"### What its scores are worth\n\nCalibration error {scores['before']['calibration_error']:.3f}. {scores['refused']}\n"
    before, after, balance = scores["before"], scores["after"], scores["balance"]
    rows = [[f"{one['score']:.2f}", str(one["detections"]), _percent(one["right"])] for one in after["bins"]]
    in_force = "" if card.score_map is not None else " The model's file holds no map yet."
    text = (f"### What its scores are worth\n\nFitted on one half of {report['images']} images, measured on the other: calibration error "
            f"{before['calibration_error']:.3f} before the score map, {after['calibration_error']:.3f} with it.{in_force} At score 0.5 "
            f"precision {_percent(before['precision'])} and recall {_percent(before['recall'])} before, "
            f"{_percent(after['precision'])} and {_percent(after['recall'])} with it; they balance (highest F1) at {balance['score']:.2f}: "
            f"{_percent(balance['precision'])} and {_percent(balance['recall'])}.\n\n")  # fmt: skip
    return text + _table("", ["mean score, mapped", "boxes", "of them right"], rows, right=(0, 1, 2))


def _gates(report: dict[str, Any] | None) -> str:
    if report is None:
        return ""
    rows = [[title_of(kind, report), str(row["looks"]), _percent(row["kept"]), per_gate(row),
             _percent(row["own"]), _percent(row["left"]), f"{row['milliseconds']:.1f}",
             "-" if row["joules"] is None else f"{row['joules']:.3f}"] for kind, row in report["kinds"].items()]  # fmt: skip
    energy = (
        ""
        if any(row["joules"] is not None for row in report["kinds"].values())
        else " This machine does not tell energy."
    )
    intro = (f"Reach {report['reach']} ({REACH_TITLES[report['reach']]}), {report['images']} images of {report['data']} {report['split']}. "
             f"Kept: {SHARE}. Of its own: of the pixels of the task's objects, those whose tokens were kept. Left: frames of which a gate "
             f"let nothing through. Milliseconds are medians of {report['setting']['threads']} threads.{energy}")  # fmt: skip
    return _table(f"### What its gates keep\n\n{intro}", ["task", "looks", "kept", "per gate", "of its own", "left", "ms", "joules"], rows,
                  right=(1, 2, 3, 4, 5, 6, 7))  # fmt: skip


def _times(report: dict[str, Any] | None) -> str:
    if report is None:
        return ""
    setting = report["setting"]
    rows = [
        [row["name"], "-" if row["kept"] is None else f"{row['kept']:.0%}", f"{row['milliseconds']:.1f}"]
        for row in report["rows"]
    ]
    machine = f"{report['machine']['processor']}, {setting['threads']} threads, {setting['precision']}"
    return _table(f"### Times\n\n{machine}; commit {report['commit']}.", ["", "kept", "ms"], rows, right=(1, 2))


def _walk(report: dict[str, Any] | None) -> str:
    """Along a real walk without labels: a picture and counts, from which everyone can judge."""
    if report is None:
        return ""
    asked = ", ".join(report["task"]) if report["task"] else "everything"
    found = ", ".join(f"{name} on {row['images']}" for name, row in report["of"].items()) or "nothing"
    return (f"### On a real walk\n\n{report['images']} images of {report['source']}, asked for {asked}, score {report['score']:g}: something "
            f"on {report['with_any']} of them ({found}). Nobody has labelled them; these are evenly spread, not chosen:\n\n"
            f"![Frames of the walk with what was found]({report['picture']})\n")  # fmt: skip


def _again(card: ModelCard, facts: dict[str, dict[str, Any]]) -> str:
    commands = "\n".join(report["command"] for report in facts.values())
    return f"### Again\n\n[How `{card.name}` is trained](training.md). These commands measured it:\n\n```\n{commands}\n```\n"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int]) -> str:
    marks = ["--:" if place in right else "---" for place in range(len(head))]
    lines = [f"{title}\n"] if title else []
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in (head, marks, *rows)), ""])


def _mean(values: dict[str, float], names: Sequence[str]) -> str:
    known = [values[name] for name in names if values[name] >= 0]
    return f"{sum(known) / len(known):.1f}" if known else "-"


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 0 else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
