# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The errors a caller can meet: each carries one sentence saying what was wrong, what was expected, and where."""


class TaskTPError(ValueError):
    """Base of all errors that bad input causes; the `tasktp` command prints its sentence and exits with status 2."""


class ModelError(TaskTPError):
    """A weights file that is missing, truncated, foreign or does not fit the network it names."""


class InputError(TaskTPError):
    """An image whose shape, dtype or size cannot be detected on."""


class TaskError(TaskTPError):
    """A task set, goal or prune threshold outside what the model's vocabulary allows."""


class DataError(TaskTPError):
    """A bag, folder, video or data set that cannot be read."""


class PictureError(DataError, InputError):
    """A picture or camera message whose pixels cannot be read."""


class ProcessError(TaskTPError):
    """A process of ours that ended when it should not have."""


class TrainingError(TaskTPError):
    """A training that had to stop: a loss that is not finite, or someone asked; the last checkpoint is whole."""
