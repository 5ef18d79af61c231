# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Entry point of `tasktp`: finds the subcommand's module and turns whatever goes wrong into one sentence and a status."""

import argparse
import importlib
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from tasktp_ros import __version__
from tasktp_ros.cli.options import OptionError, Parser
from tasktp_ros.errors import ProcessError, TaskTPError, TrainingError
from tasktp_ros.files import readable, refusal
from tasktp_ros.runtime.threads import wait_asleep
from tasktp_ros.workers import has_the_word

COMMANDS = {
    "rooms": "tasktp_ros.cli.rooms",
    "train": "tasktp_ros.cli.train",
    "eval": "tasktp_ros.cli.eval",
    "calibrate": "tasktp_ros.cli.calibrate",
    "kept": "tasktp_ros.cli.kept",
    "count": "tasktp_ros.cli.count",
    "card": "tasktp_ros.cli.card",
    "sheet": "tasktp_ros.cli.sheet",
    "search": "tasktp_ros.cli.search",
    "stream": "tasktp_ros.cli.stream",
    "vltp": "tasktp_ros.cli.vltp",
    "tables": "tasktp_ros.cli.tables",
    "plot": "tasktp_ros.cli.plot",
    "detect": "tasktp_ros.cli.detect",
    "bench": "tasktp_ros.cli.bench",
    "latency": "tasktp_ros.cli.latency",
    "convert": "tasktp_ros.cli.convert",
    "import": "tasktp_ros.cli.import_model",
    "fetch": "tasktp_ros.cli.fetch",
    "models": "tasktp_ros.cli.models",
    "export": "tasktp_ros.cli.export",
    "goal": "tasktp_ros.cli.goal",
    "plan": "tasktp_ros.cli.plan",
    "demo": "tasktp_ros.cli.demo",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the process's exit status: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    wait_asleep()
    for stream in (sys.stdout, sys.stderr):  # a name that is not UTF-8 can be printed, too
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    program = "tasktp"
    try:
        parsed = _parser().parse_args(arguments)
        program = f"tasktp {parsed.command}"
        parsed.words = list(sys.argv[1:] if arguments is None else arguments)
        with _terminated_as_interrupted():
            return int(parsed.run(parsed))
    except OptionError as error:
        return _failed(2, error.program, str(error))
    except TaskTPError as error:
        return _failed(1 if isinstance(error, TrainingError | ProcessError) else 2, program, str(error))
    except ModuleNotFoundError as error:
        if (error.name or "tasktp_ros").startswith("tasktp_ros"):
            raise
        return _failed(2, program, f"this needs the Python package {error.name}, which is not installed")
    except UnicodeEncodeError as error:
        return _failed(2, program, f"{error.object[:200]!r} is not UTF-8, which is needed here: rename it")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        return _failed(1, program, f"stopped by the system: {refusal(error)}")


def _failed(status: int, program: str, sentence: str) -> int:
    if has_the_word():
        print(f"{program}: {readable(sentence)}", file=sys.stderr)
    return status


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a command like Ctrl-C, so that what it has started is put away."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
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
