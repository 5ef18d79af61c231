# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Token reduction methods, one file each, under one interface (`vision.reducer.Reducer`).

Every file of this folder is imported, and methods enter themselves (`registry.register`): a new one is a new file and nothing else.
"""

from importlib import import_module
from pkgutil import iter_modules

from tasktp_ros.reduction.registry import REDUCERS, build_reducer, is_task_aware, options_of, register
from tasktp_ros.vision.reducer import Reducer, ReductionState

__all__ = ["REDUCERS", "Reducer", "ReductionState", "build_reducer", "is_task_aware", "options_of", "register"]

register("dense")(Reducer)
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
