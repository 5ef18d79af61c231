# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a camera does to a picture: exposure, white balance, blur, vignette, noise."""

import cv2
import numpy as np
from numpy.typing import NDArray


def expose(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB as a drawn camera would have taken it; the same size."""
    height, width = picture.shape[:2]
    light = (picture.astype(np.float32) / 255.0) ** random.uniform(0.75, 1.2)
    gain = np.clip(random.uniform(0.38, 0.6) / max(float(light.mean()), 0.05), 0.55, 1.9)
    balance = 1.0 + random.uniform(-0.07, 0.07, 3)
    light *= (gain * balance).astype(np.float32)
    if random.random() < 0.5:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light *= (1.0 - random.uniform(0.05, 0.3) * (x**2 + y**2) / 2)[..., None].astype(np.float32)
    if random.random() < 0.4:
        light = cv2.GaussianBlur(light, (0, 0), float(random.uniform(0.3, 1.1)) * height / 480)
    if random.random() < 0.12:
        light = cv2.filter2D(light, -1, _motion(random, max(3, round(height / 60))))
    grain = float(random.uniform(0.003, 0.03))
    light += random.standard_normal(light.shape, dtype=np.float32) * grain
    return np.clip(light * 255.0, 0, 255).astype(np.uint8)


def _motion(random: np.random.Generator, length: int) -> NDArray[np.float32]:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(random.uniform(0, 180)), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return kernel / max(float(kernel.sum()), 1e-6)
