# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The methods by their names. A method enters itself, from its own file; nothing else lists them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tasktp_ros.vision.reducer import Reducer

Method = TypeVar("Method", bound=type[Reducer])
SHARED = ("dim", "num_classes", "presence")
"""What the network gives a method whose constructor names it; all other arguments are the method's options."""

REDUCERS: dict[str, type[Reducer]] = {}
"""By name the class of each method; filled when `tasktp_ros.reduction` is imported."""
PRESETS: dict[str, dict[str, Any]] = {}
"""By name the options that the name itself stands for."""


def register(name: str, **preset: Any) -> Callable[[Method], Method]:
    """Class decorator: enter a method under `name`, with the options that the name stands for.

    A constructor is given what it names of `dim` (token channels C), `num_classes` (categories) and `presence` (gates also
    estimate whether anything of the task is on the image). Its other arguments are options: they have defaults, their values are
    what JSON can hold, and a model's file remembers those that were chosen. A value that is wrong raises ValueError.

    Raises:
        ValueError: the name is taken.
    """

    def enter(method: Method) -> Method:
        if name in REDUCERS:
            raise ValueError(f"two token reduction methods are called {name!r}")
        REDUCERS[name], PRESETS[name] = method, preset
        return method

    return enter


def build_reducer(
    name: str, dim: int, num_classes: int, presence: bool = False, options: Mapping[str, Any] | None = None
) -> Reducer:
    """Build a method by name for tokens of `dim` channels and a vocabulary of `num_classes`.

    Args:
        presence: gates also estimate whether anything of the task is on the image, where the method can.
        options: of the method, by name; see its constructor.

    Raises:
        ValueError: unknown name or option, or a value that the method does not take.
    """
    _check_name(name)
    known, chosen = options_of(name), dict(options or {})
    for option in chosen:
        if option not in known:
            raise ValueError(f"method {name!r} has no option {option!r}; it has {', '.join(known) or 'none'}")
    given = {"dim": dim, "num_classes": num_classes, "presence": presence}
    wanted = inspect.signature(REDUCERS[name]).parameters
    shared = {key: given[key] for key in SHARED if key in wanted}
    try:
        return REDUCERS[name](**shared, **{**PRESETS[name], **chosen})
    except TypeError as error:
        raise ValueError(f"method {name!r} cannot be built with {chosen}: {error}") from error


def options_of(name: str) -> dict[str, Any]:
    """A method's options and their defaults under this name.

    Raises:
        ValueError: unknown name.
    """
    _check_name(name)
    parameters = inspect.signature(REDUCERS[name]).parameters
    defaults = {key: parameter.default for key, parameter in parameters.items() if key not in SHARED}
    return {key: PRESETS[name].get(key, default) for key, default in defaults.items()}


def is_task_aware(name: str) -> bool:
    """Whether what a method keeps depends on the task."""
    _check_name(name)
    return REDUCERS[name].task_aware


def _check_name(name: str) -> None:
    if name not in REDUCERS:
        raise ValueError(f"unknown reducer {name!r}; expected one of {', '.join(REDUCERS)}")
