# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Camera messages to arrays and back, without copies where the encoding allows it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from tasktp_ros.datasets.messages import image_pixels
from tasktp_ros.nodes.compressed import decode


def image_to_rgb(message: Image) -> NDArray[np.uint8]:
    """Return a camera message's pixels as (H, W, 3) uint8 RGB of any strides; see :func:`image_pixels` for encodings and errors."""
    return image_pixels(message)


def compressed_to_rgb(message: CompressedImage) -> NDArray[np.uint8]:
    """Return the decoded pixels of a JPEG or PNG message as (H, W, 3) uint8 RGB; raises PictureError as above."""
    return decode(memoryview(message.data), message.format)


def fill_image(message: Image, header: Any, encoding: str, pixels: NDArray[Any]) -> Image:
    """Write an array into a message and return it.

    Args:
        message: filled in place; its buffer is replaced.
        header: used as it is, so that the result carries the camera's stamp and frame.
        encoding: "mono8" or "16UC1" for (H, W), "rgb8" for (H, W, 3).
        pixels: uint8, or uint16 for 16UC1.
    """
    pixels = np.ascontiguousarray(pixels)
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.is_bigendian = int(pixels.dtype.byteorder == ">")
    message.step = pixels.strides[0]
    del message.data[:]
    message.data.frombytes(pixels.data.cast("B"))
    return message
