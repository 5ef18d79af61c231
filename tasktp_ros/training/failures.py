# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What can befall a training from outside, told in one sentence that says how to go on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from tasktp_ros.errors import TrainingError
from tasktp_ros.files import readable, refusal
from tasktp_ros.training.progress import CHECKPOINT
from tasktp_ros.training.together import started_together

LAST_WORDS_SECONDS = 10.0


@contextmanager
def told_in_words(folder: Path, processes: int) -> Iterator[None]:
    """Turn a full disk, the death of a data loading process or of another training process into a TrainingError.

    Args:
        folder: of the training.
        processes: that train together.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = refusal(error) if isinstance(error, OSError) else error
        raise TrainingError(f"{readable(folder)} cannot be written: {reason}; {_way_on(folder)}") from error
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the GPU's memory does not suffice; {_way_on(folder)}, with a larger --accumulate"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" in str(error):
            raise TrainingError("a data loading process was ended from outside, perhaps for want of memory; "
                                f"{_way_on(folder)}") from error  # fmt: skip
        if processes > 1 and ("gloo" in str(error) or isinstance(error, torch.distributed.DistError)):
            if started_together():  # whoever started us knows more, says it, and ends us
                time.sleep(LAST_WORDS_SECONDS)
            raise TrainingError(
                f"another process of this training ended or cannot be reached; {_way_on(folder)}"
            ) from error
        raise


def _way_on(folder: Path) -> str:
    if (folder / CHECKPOINT).is_file():
        return f"the last checkpoint in {readable(folder)} is whole, continue from it with --resume"
    return "no checkpoint has been written yet, so begin again"
