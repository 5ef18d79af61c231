"""What a `pip install` puts below share/, where a colcon build puts it as well; the rest is in pyproject.toml."""

from glob import glob

from setuptools import setup

FOLDERS = ("config", "launch", "rviz", "weights")

setup(
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/tasktp_ros"]),  # where ROS looks the package up
        ("share/tasktp_ros", ["package.xml"]),
        *((f"share/tasktp_ros/{folder}", sorted(glob(f"{folder}/*.*"))) for folder in FOLDERS),
    ]
)
