"""Entry point of `tasktp`: finds the subcommand's module and turns bad input into one sentence and exit status 2."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from tasktp_ros import __version__
from tasktp_ros.errors import TaskTPError, TrainingError
from tasktp_ros.runtime.threads import wait_asleep

COMMANDS = {
    "rooms": "tasktp_ros.cli.rooms",
    "train": "tasktp_ros.cli.train",
    "eval": "tasktp_ros.cli.eval",
    "search": "tasktp_ros.cli.search",
    "plot": "tasktp_ros.cli.plot",
    "detect": "tasktp_ros.cli.detect",
    "bench": "tasktp_ros.cli.bench",
    "convert": "tasktp_ros.cli.convert",
    "demo": "tasktp_ros.cli.demo",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the process's exit status: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    wait_asleep()
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except TaskTPError as error:
        print(f"tasktp {parsed.command}: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tasktp", description="Task-oriented token pruning: a detector that looks only for what the task needs."
    )
    parser.add_argument("--version", action="version", version=f"tasktp {__version__}")
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(module_name)
        summary = (module.__doc__ or "").strip().splitlines()[0]
        subparser = subcommands.add_parser(name, help=summary, description=summary)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
