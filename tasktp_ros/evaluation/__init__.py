"""Measuring: speed and FLOPs of a network, and what a run of it looked like."""
