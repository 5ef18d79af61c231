"""Compressed camera images without their message; the decoder is the one that bags and files use."""

from tasktp_ros.datasets.messages import compressed_pixels as decode

__all__ = ["decode"]
