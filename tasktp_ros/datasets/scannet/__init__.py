"""ScanNet's formats, read and written: `.sens` recordings, label and instance pictures, label tables."""

from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.datasets.scannet.sens import SensFile, SensFrame
from tasktp_ros.datasets.scannet.sens_writer import SensWriter

__all__ = ["Scan", "SensFile", "SensFrame", "SensWriter"]
