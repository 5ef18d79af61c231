# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Train a model by a recipe, in stages that resume; run again with --resume after any stop."""

import argparse
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError
from tasktp_ros.files import check_folder, check_utf8

if TYPE_CHECKING:
    from tasktp_ros.datasets.mixed import Source
    from tasktp_ros.training.fine_tuning import Tuning
    from tasktp_ros.training.recipes import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp train`."""
    parser.add_argument(
        "recipe",
        help="such as rooms-nano-dense or coco-tiny-tasktp, see --list; with --categories a new name for the model",
        nargs="?",
    )
    parser.add_argument("--list", action="store_true", help="print all recipes and their stages")
    parser.add_argument("--data", nargs="+", metavar="PATH[=WEIGHT]",
                        help="data sets in COCO's layout, and how often images are drawn from each (default: 1)")  # fmt: skip
    parser.add_argument("--labelled", type=said_to_be_labelled, nargs="+", default=[], metavar="PATH=NAMES",
                        help="what is labelled on the images of a data set: all, names such as cup,bottle, or all,-cup "
                        "(default: what its file says)")  # fmt: skip
    parser.add_argument("--categories", nargs="+", metavar="NAME",
                        help="fine-tune --init on the first data set, which is labelled for these; new ones are added")  # fmt: skip
    parser.add_argument("--split", default="train", help="split to train on (default: train)")
    parser.add_argument(
        "--output", type=options.folder, help="folder for checkpoint, logs and model (default: runs/RECIPE)"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue from the folder's checkpoint")
    again.add_argument("--overwrite", action="store_true", help="replace what the folder holds of an earlier training")
    parser.add_argument(
        "--init", default="", metavar="MODEL", help="start from this model; none = from scratch (default: the recipe's)"
    )
    parser.add_argument("--teacher", type=Path, metavar="NANODET.json",
                        help="learn from this finished detector, too, and begin with its first layers (docs/training.md)")  # fmt: skip
    parser.add_argument(
        "--method", help="another token reduction method than the recipe's, such as evit (docs/methods.md)"
    )
    parser.add_argument("--option", type=options.of_method, nargs="+", default=[], metavar="NAME=VALUE",
                        help="of the method, such as kept=0.7 or top=4; the model's file remembers them")  # fmt: skip
    parser.add_argument("--freeze", choices=["detector"], help="train only the gates")
    parser.add_argument("--gates", help="released gate configuration: final or plain (default: the recipe's)")
    parser.add_argument("--steps", type=options.whole(1), help="at most so many steps per stage, to try it out")
    parser.add_argument(
        "--batch", type=options.whole(1, 65536), help="images per step, over all processes (default: the stage's)"
    )
    parser.add_argument(
        "--rate", type=options.number(0, 100, ends=False), help="peak learning rate (default: the stage's)"
    )
    parser.add_argument(
        "--accumulate", type=options.whole(1, 65536), default=1, help="parts a process cuts its batch into (default: 1)"
    )
    parser.add_argument("--seed", type=options.seed, default=0)
    parser.add_argument("--device", type=options.kind_of_device, default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--processes", type=options.whole(1, 1024), default=1, help="GPUs, or CPU processes, per machine (default: 1)"
    )
    parser.add_argument(
        "--machines",
        type=options.whole(1, 65536),
        default=1,
        help="machines; start the same command on each with torchrun",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "bf16-mixed", "16-mixed", "32-true"),
        default="auto",
        help="default: bf16-mixed where that is much faster here, else 32-true",
    )
    parser.add_argument(
        "--workers",
        type=options.whole(0, 1024),
        default=1,
        help="data loading processes per training process (default: 1)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=options.whole(1),
        default=200,
        metavar="STEPS",
        help="also the most that is lost (default: 200)",
    )
    parser.add_argument(
        "--check-every",
        type=options.whole(0),
        default=0,
        metavar="STEPS",
        help="measure AP this often (default: at the end of a stage)",
    )
    parser.add_argument(
        "--check-images",
        type=options.whole(0),
        default=200,
        help="validation images for that; 0 = never (default: 200)",
    )


def weighted(text: str) -> tuple[Path, float]:
    """A path with its weight, from PATH=WEIGHT or PATH; a folder whose name has a "=" is taken as it is."""
    path, sign, weight = text.rpartition("=")
    if not sign or Path(text).is_dir():
        return Path(text), 1.0
    try:
        return Path(path), options.number(0, 1e6, ends=False)(weight)
    except argparse.ArgumentTypeError as error:
        raise InputError(f"--data must be PATH or PATH=WEIGHT, where a weight {error}") from None


def said_to_be_labelled(text: str) -> tuple[Path, tuple[str, ...]]:
    """A path with what is labelled there, see `label_scope.chosen_scope`."""
    path, sign, names = text.rpartition("=")
    found = tuple(name.strip() for name in names.split(","))
    if not (sign and path and all(found)):
        raise argparse.ArgumentTypeError(f"must be PATH=all or PATH=NAME,NAME, got {text[: options.LONGEST_SHOWN]!r}")
    return Path(path), found


def run(arguments: argparse.Namespace) -> int:
    """Train; see `tasktp train --help`."""
    from tasktp_ros.training.recipes import RECIPES, recipe_named

    if arguments.list:
        print("\n".join(describe(recipe) for recipe in RECIPES.values()))
        return 0
    if arguments.recipe is None or arguments.data is None:
        raise InputError("name a recipe and --data, the data set's folder; `tasktp train --list` shows the recipes")
    tuning = _tuning(arguments)
    recipe = recipe_named(arguments.recipe) if tuning is None else tuning.recipe(arguments.recipe)
    recipe = _adapted(recipe, arguments)
    sources = _sources(arguments)
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise InputError(f"training needs Lightning Fabric (pip install lightning-fabric): {error}") from error
    from tasktp_ros.training.nanodet import read_nanodet
    from tasktp_ros.training.run import train
    from tasktp_ros.training.together import train_together
    from tasktp_ros.training.trainer import Run

    folder = arguments.output or Path("runs") / recipe.name
    check_folder(folder)
    check_utf8(folder, "the names of models")
    _check_gpus(arguments.device, arguments.processes)
    together = arguments.processes * arguments.machines
    precision = chosen_precision(arguments.precision, arguments.device)
    if arguments.machines == 1 and arguments.processes > 1 and "LOCAL_RANK" not in os.environ:
        return train_together([*arguments.words, "--precision", precision], arguments.processes)
    fabric = Fabric(
        accelerator=arguments.device,
        devices=arguments.processes,
        num_nodes=arguments.machines,
        strategy="ddp" if together > 1 else "auto",
        precision=precision,
    )
    teacher = None if arguments.teacher is None else read_nanodet(arguments.teacher)
    settings = Run(
        folder,
        seed=arguments.seed,
        checkpoint_every=arguments.checkpoint_every,
        evaluate_every=arguments.check_every,
        workers=arguments.workers,
        micro_batches=arguments.accumulate,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
    )
    model = train(recipe, settings, fabric, sources, arguments.split, arguments.init, arguments.check_images, tuning,
                  teacher)  # fmt: skip
    if fabric.is_global_zero:
        print(f"trained {model}")
    return 0


def _tuning(arguments: argparse.Namespace) -> "Tuning | None":
    """What --categories asks for; None without it."""
    if arguments.categories is None:
        return None
    from tasktp_ros.training.fine_tuning import tuning_of
    from tasktp_ros.training.recipes import RECIPES

    name = arguments.recipe
    if name in RECIPES or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name):
        raise InputError(
            f"--categories makes a new model, which needs a name of its own, such as my-cups; got {name!r}"
        )
    if arguments.freeze or arguments.gates:
        raise InputError("--categories trains the whole model as it was trained: leave --freeze and --gates out")
    if arguments.teacher:
        raise InputError("--categories learns from the model of --init itself: leave --teacher out")
    if arguments.method or arguments.option:
        raise InputError("--categories trains a model with its own method: leave --method and --option out")
    return tuning_of(arguments.init, arguments.categories)


def _sources(arguments: argparse.Namespace) -> list["Source"]:
    """The data sets with what is said of them."""
    from tasktp_ros.datasets.mixed import Source

    said = {os.path.abspath(path): names for path, names in arguments.labelled}
    sources = [
        Source(path, weight, said.pop(os.path.abspath(path), None)) for path, weight in map(weighted, arguments.data)
    ]
    if said:
        raise InputError(f"--labelled speaks of {next(iter(said))}, which is not among --data")
    return sources


def chosen_precision(asked: str, device: str) -> Any:
    """A name that Fabric knows: on processors without bf16 arithmetic its emulation would take ten times as long."""
    import torch

    from tasktp_ros.runtime.precision import choose_device, choose_precision

    if asked != "auto":
        return asked
    return "bf16-mixed" if choose_precision("auto", choose_device(device)) is torch.bfloat16 else "32-true"


def _check_gpus(device: str, processes: int) -> None:
    """Each process on GPUs needs one of its own."""
    import torch

    gpus = torch.cuda.device_count()
    if processes > gpus and (device == "cuda" or (device == "auto" and gpus)):
        raise InputError(f"--processes is {processes}, but this machine has {gpus} GPU{'s' * (gpus != 1)}")


def describe(recipe: "Recipe") -> str:
    """One recipe as text, a line per stage."""
    lines = [f"{recipe.name}: {recipe.size}, {recipe.method}, {recipe.vocabulary} categories"]
    for stage in recipe.stages:
        length = f"{stage.steps} steps" if stage.steps else f"{stage.epochs:g} epochs"
        sizes = ", ".join(f"{height}x{width}" for height, width in stage.inputs[:1] + stage.inputs[1:][-1:])
        lines.append(
            f"  {stage.name:10} {stage.objective:10} {length:12} of {stage.batch} images, {sizes}, rate {stage.rate:g}"
        )
    return "\n".join(lines)


def _adapted(recipe: "Recipe", arguments: argparse.Namespace) -> "Recipe":
    from tasktp_ros.training.recipes import gate_recipe_named
    from tasktp_ros.training.run import shortened

    if arguments.method or arguments.option:
        recipe = recipe.with_method(arguments.method or recipe.method, {**recipe.options, **dict(arguments.option)})
    if arguments.steps is not None:
        recipe = shortened(recipe, arguments.steps)
    if arguments.gates:
        recipe = replace(recipe, gates=gate_recipe_named(arguments.gates))
    changes = {
        key: value
        for key, value in (("batch", arguments.batch), ("rate", arguments.rate), ("freeze", arguments.freeze))
        if value
    }
    return replace(recipe, stages=tuple(replace(stage, **changes) for stage in recipe.stages))
