# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""The papers' tables as Markdown, ours beside theirs, and the page whose tables are made from records.

In the page a table stands between `<!-- table NAME -->` and `<!-- end -->`; the prose around is written by hand.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.selectivity import KINDS
from tasktp_ros.papers import published
from tasktp_ros.papers.estimate import seconds_for
from tasktp_ros.papers.plan import ALL, PLAN, THRESHOLDS, Contender
from tasktp_ros.papers.records import Bench, Record, missing, read_benches, read_search
from tasktp_ros.papers.rows import NOTHING, OTHER_RUN, Rows, markdown, number, share, spread
from tasktp_ros.papers.search_table import search_table

BLOCK = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
TITLES = {one.key: one.title for one in PLAN}
SUBSETS = ("40", "10", "1")
OURS = ("box AP", "mask AP")
PAPER = ("paper: box AP", "mask AP")
Table = Callable[[Bench, Rows], str]


def table_1(bench: Bench, rows: Rows) -> str:
    """TaskTP's table I."""
    letter = published.letter_of(bench.size)
    theirs, subsets = published.TASKTP_1[letter], published.TASKTP_1_SUBSETS[letter]
    lines = []
    for key in ("dense-start", "dense", "svit", "evit", "evovit", "dynamicvit", "tome-untrained", "tome", "atc-untrained", "atc",
                "tasktp", "tasktp-network"):  # fmt: skip
        beside = theirs.get(key)
        if beside is None and not rows.of(key):
            continue
        lines.append([rows.title(key, TITLES[key]), "all", *_scores(rows, key), rows.fps(key), rows.speedup(key),
                      *_effort(rows, key), *_published(beside)])  # fmt: skip
    for key in ("tasktp", "tasktp-network", "dense"):
        part = "restricted" if key == "dense" else "accuracy"
        title = "dense, told the set" if key == "dense" else TITLES[key]
        for size in SUBSETS:
            beside = subsets[size] if key == "tasktp" else None
            if not rows.scores(key, "box_AP", size, part):
                continue
            lines.append([rows.title(key, title), size, *_differences(rows, key, size, part), rows.fps(key, size), rows.speedup(key, size),
                          *_effort(rows, key, size, part), *_published(beside, sign=True)])  # fmt: skip
    head = ["", "categories", *OURS, "frames/s", "x dense", "kept", "GFLOPs", *PAPER, "frames/s"]
    return f"{markdown(head, lines)}\n\n{_claims(rows)}"


def _differences(rows: Rows, key: str, size: str, part: str) -> list[str]:
    """Against dense trained on, on the same categories; in brackets against dense that is told the set."""
    cells = []
    for name in ("box_AP", "mask_AP"):
        plain = spread(rows.above_dense(key, name, size, False, part), sign=True)
        told = spread(rows.above_dense(key, name, size, True, part), sign=True)
        cells.append(plain if key == "dense" else f"{plain} ({told})")
    return cells


def _claims(rows: Rows) -> str:
    """Precision and recall at score 0.5 of dense and TaskTP."""
    told = []
    for key in ("dense", "tasktp"):
        halves = [spread(rows.scores(key, f"{half}_at_0.5")) for half in ("precision", "recall")]
        told.append(f"{TITLES[key]} {halves[0]} and {halves[1]}")
    return f"Precision and recall at score 0.5, per cent: {'; '.join(told)} (paper: 67.2 and 73.1; 66.8 and 73.3)."


def ablation(theirs: dict[str, published.Ablation], titles: dict[str, str]) -> Table:
    """A table of TaskTP's options: accuracy with all categories, frames per second with all and with one."""

    def table(bench: Bench, rows: Rows) -> str:
        lines = [
            [rows.title(key, titles[key]), *_scores(rows, key), rows.fps(key), rows.fps(key, "1"),
             share(rows.scores(key, "kept")), share(rows.scores(key, "kept", "1")),
             number(beside.box), number(beside.mask), number(beside.fps_all), number(beside.fps_one)]
            for key, beside in theirs.items()
        ]  # fmt: skip
        return markdown(["", *OURS, "frames/s, all", "one", "kept, all", "one", *PAPER, "frames/s, 80", "one"], lines)

    return table


def figure_2(bench: Bench, rows: Rows) -> str:
    """Thresholds of TaskTP's gates; on the first set of each size."""
    lines = []
    for record in rows.of("tasktp")[:1]:
        for threshold in sorted(THRESHOLDS):
            for size, row in record["sweep"].get(f"{threshold:g}", {}).items():
                lines.append([f"{threshold:g}", size, number(row["box_AP"]), number(row["mask_AP"]), rows.fps("tasktp", f"{size} at {threshold:g}"),
                              share([row["kept"]]), number(row["backbone_gflops"], 2)])  # fmt: skip
    return markdown(["threshold", "categories", *OURS, "frames/s", "kept", "GFLOPs"], lines)


def removing(bench: Bench, rows: Rows) -> str:
    """SViT's table 2."""
    lines = [[rows.title(key, TITLES[key]), *_scores(rows, key), rows.fps(key), *_published(beside, digits=2)]
             for key, beside in published.SVIT_2.items()]  # fmt: skip
    return markdown(["", *OURS, "frames/s", *PAPER, "frames/s"], lines)


def svit_options(theirs: dict[str, dict[str, published.Published]]) -> Table:
    """SViT's tables 3 and 4."""

    def table(bench: Bench, rows: Rows) -> str:
        own = theirs.get(published.letter_of(bench.size), theirs["T"])
        lines = [[rows.title(key, TITLES[key]), *_scores(rows, key), rows.fps(key), *_effort(rows, key), number(beside.box), number(beside.mask)]
                 for key, beside in own.items()]  # fmt: skip
        return markdown(["", *OURS, "frames/s", "kept", "GFLOPs", *PAPER], lines)

    return table


def speeds(bench: Bench, rows: Rows) -> str:
    """SViT's table 5."""
    lines = [
        [rows.title(key, TITLES[key]), *_scores(rows, key), rows.fps(key), rows.speedup(key), rows.fps(key, of="backbone"),
         rows.speedup(key, of="backbone"), number(beside.box), number(beside.mask), number(beside.fps, 2), number(beside.backbone_fps, 2)]
        for key, beside in published.SVIT_5[published.letter_of(bench.size)].items()
    ]  # fmt: skip
    return markdown(
        ["", *OURS, "frames/s", "x dense", "backbone frames/s", "x dense", *PAPER, "frames/s", "backbone frames/s"],
        lines,
    )


def gates(bench: Bench, rows: Rows) -> str:
    """What gates keep: with the target in view, without, under a wrong set, and of the target's own tokens."""
    lines = []
    for key, title in TITLES.items():
        kinds = [record["kept"]["kinds"] for record in rows.of(key) if record["kept"]]
        if not kinds:
            continue
        kept = [share([found[kind]["kept"] for found in kinds if kind in found]) for kind in KINDS]
        own = [found["shown"]["own"] for found in kinds if found.get("shown", {}).get("own") is not None]
        lines.append([rows.title(key, title), *kept, share(own)])
    return markdown(["kept of all tokens under", *KINDS.values(), "of the one category's own tokens"], lines)


def all_contenders(bench: Bench, rows: Rows) -> str:
    """Every contender, with what it brings along."""
    lines = [
        [rows.title(key, title), str(rows.of(key)[0]["model"]["brings"]), *_scores(rows, key), rows.fps(key), rows.speedup(key),
         rows.fps(key, of="backbone"), *_effort(rows, key)]
        for key, title in TITLES.items() if rows.of(key)
    ]  # fmt: skip
    return markdown(
        ["", "parameters it brings", *OURS, "frames/s", "x dense", "backbone frames/s", "kept", "GFLOPs"], lines
    )


def _scores(rows: Rows, key: str) -> list[str]:
    return [spread(rows.scores(key, name)) for name in ("box_AP", "mask_AP")]


def _effort(rows: Rows, key: str, size: str = ALL, part: str = "accuracy") -> list[str]:
    return [share(rows.scores(key, "kept", size, part)), spread(rows.scores(key, "backbone_gflops", size, part)[:1], 2)]


def _published(beside: published.Published | None, digits: int = 1, sign: bool = False) -> list[str]:
    if beside is None:
        return [NOTHING] * 3
    return [number(beside.box, sign=sign), number(beside.mask, sign=sign), number(beside.fps, digits)]


TABLES: dict[str, tuple[str, Table]] = {
    "tasktp-1": ("TaskTP, table I (paper: COCO, RTX 4090)", table_1),
    "tasktp-3": ("TaskTP, table III: categories k", ablation(published.TASKTP_3, TITLES | {"tasktp": "TaskTP, k = 2"})),
    "tasktp-4": ("TaskTP, table IV: embedding", ablation(published.TASKTP_4, TITLES)),
    "tasktp-5": ("TaskTP, table V: pseudo-label rules", ablation(published.TASKTP_5, TITLES | {"tasktp": "TaskTP, both rules"})),
    "tasktp-figure-2": ("TaskTP, figure 2 (a picture in the paper)", figure_2),
    "svit-2": ("SViT, table 2: removing and preserving (paper: COCO, A100)", removing),
    "svit-3": ("SViT, table 3: rate and reactivation", svit_options(published.SVIT_3)),
    "svit-4": ("SViT, table 4: gate", svit_options(published.SVIT_4)),
    "svit-5": ("SViT, table 5: speed (paper: COCO, A100)", speeds),
    "gates": ("What gates keep", gates),
    "all": ("All contenders", all_contenders),
}  # fmt: skip
SEARCH = "tasktp-2"


def label(bench: Bench, records: dict[str, Record]) -> str:
    """What was measured on what, by which machine."""
    rows = Rows(records)
    times = rows.any(lambda record: record["times"])
    trained = f"trained from {bench.dense} ({bench.dense_weights}) on {bench.passes} images of {' + '.join(bench.data)}"
    taught = f", also by {bench.teacher}" if bench.teacher else ""
    said = (
        f"{bench.size}, {trained}{taught}; AP on {bench.images} images of {bench.data[0].split('=')[0]} {bench.split}"
    )
    if times is None:
        return f"{said}; not timed."
    machine, setting = times["machine"], times["setting"]
    chip = (
        machine["gpu"]
        if str(setting["device"]).startswith("cuda")
        else f"{machine['processor']} ({', '.join(machine['flags'])})"
    )
    return (
        f"{said}; times on {setting['images']} of them, {chip}, {setting['threads']} threads, {setting['precision']}, in turns. "
        f"Backbone GFLOPs; {OTHER_RUN} = timed in another run than dense."
    )


def one_table(name: str, results: Path) -> str:
    """A table of every bench, each under what it is about.

    Raises:
        DataError: unknown name.
    """
    if name not in (*TABLES, SEARCH):
        raise DataError(f"no table is called {name!r}; there are {', '.join((*TABLES, SEARCH))}")
    parts = []
    for bench, records in read_benches(results).items():
        if name == SEARCH:
            parts += search_table(bench, read_search(results, bench))
        else:
            parts += [f"*{label(bench, records)}*", TABLES[name][1](bench, Rows(records))]
    return "\n\n".join(parts) if parts else "Nothing has been measured for this yet."


def everything(results: Path) -> str:
    """All tables of all benches, and what is missing of each."""
    names = [*list(TABLES)[:1], SEARCH, *list(TABLES)[1:]]
    titles = {name: title for name, (title, _) in TABLES.items()} | {
        SEARCH: "TaskTP, table II: search (paper: ScanNet)"
    }
    parts = [f"## {titles[name]}\n\n{one_table(name, results)}" for name in names]
    for bench, records in read_benches(results).items():
        parts.append(f"## Missing of {bench.name}\n\n{told_missing(bench, records)}")
    return "\n\n".join(parts)


def told_missing(bench: Bench, records: dict[str, Record], plan: Sequence[Contender] = PLAN) -> str:
    """Which contenders have no record, and how long these would take where it is known from the others."""
    lacking = missing(records, plan)
    if not lacking:
        return "Nothing."
    times = {one.name: seconds_for(one, list(records.values()), bench.passes) for one in lacking}
    known = [seconds for seconds in times.values() if seconds is not None]
    lines = [f"* {one.name} ({one.group}): {one.title}{_minutes(times[one.name])}" for one in lacking]
    whole = f"; together about {sum(known) / 3600:.1f} hours on that machine" if known else ""
    return "\n".join([f"{len(lacking)} of {len(plan)}{whole}.", "", *lines])


def _minutes(seconds: float | None) -> str:
    return "" if seconds is None else f", about {seconds / 60:.0f} minutes"


def renewed(page: str, results: Path) -> str:
    """A page with its tables made anew.

    Raises:
        DataError: it has none, or one that nobody knows.
    """
    if not BLOCK.search(page):
        raise DataError("the page has no table: expected lines such as <!-- table tasktp-1 --> and <!-- end -->")
    return BLOCK.sub(lambda found: f"{found[1]}\n{one_table(found[2], results)}\n\n{found[3]}", page)
