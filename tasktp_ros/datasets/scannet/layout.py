# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The layout of `.sens` files, version 4: little-endian, packed, no padding. Reader and writer share it."""

import struct

import numpy as np

VERSIONS = (3, 4)
"""Version 3 is the same without the inertial part."""
VERSION = 4
RAW, PNG, JPEG = 0, 1, 2
"""Colour compressions."""
RAW_DEPTH, ZLIB, OCCI = 0, 1, 2
"""Depth compressions; the last is proprietary."""
COLOUR_FORMATS = {RAW: "raw", PNG: "png", JPEG: "jpeg"}
DEPTH_SHIFT = 1000.0
"""Raw depth per metre."""
RATE = 30.0
"""Frames per second of the capture, which stands where timestamps cannot be used."""

PREFIX = struct.Struct("<IQ")
"""Version and length of the sensor's name, which follows."""
HEADER = np.dtype(
    [
        ("colour_intrinsic", "<f4", (4, 4)),
        ("colour_extrinsic", "<f4", (4, 4)),
        ("depth_intrinsic", "<f4", (4, 4)),
        ("depth_extrinsic", "<f4", (4, 4)),
        ("colour_compression", "<i4"),
        ("depth_compression", "<i4"),
        ("colour_width", "<u4"),
        ("colour_height", "<u4"),
        ("depth_width", "<u4"),
        ("depth_height", "<u4"),
        ("depth_shift", "<f4"),
        ("frames", "<u8"),
    ]
)
FRAME = np.dtype(
    [
        ("pose", "<f4", (4, 4)),
        ("colour_stamp", "<u8"),
        ("depth_stamp", "<u8"),
        ("colour_bytes", "<u8"),
        ("depth_bytes", "<u8"),
    ]
)
"""What precedes a frame's colour and depth bytes: camera to world (all -inf where tracking was lost), microseconds, sizes."""
COUNT = struct.Struct("<Q")
IMU = np.dtype(
    [
        ("rotation_rate", "<f8", 3),
        ("acceleration", "<f8", 3),
        ("magnetic_field", "<f8", 3),
        ("attitude", "<f8", 3),
        ("gravity", "<f8", 3),
        ("stamp", "<u8"),
    ]
)
"""An inertial sample: rad/s, g, microtesla, rad, g, microseconds."""
