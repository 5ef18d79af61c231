"""What the launch files share: their arguments and the check of them, and starting nodes of which none is left behind.

launch runs under its own Python, so nothing here loads torch, OpenCV or numpy.
"""
