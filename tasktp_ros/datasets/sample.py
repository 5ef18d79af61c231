"""The sample: a short drive through a rendered flat that comes with the package, so that it can be tried without a robot.

`python -m tasktp_ros.datasets.rooms.sample_walk` drew it.
"""

from pathlib import Path

SAMPLE = Path(__file__).with_name("sample_walk")
"""A rosbag2 with compressed images, camera info and poses."""
