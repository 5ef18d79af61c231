"""The model that is used where none is named; in a file of its own, so that `--help` need not load torch."""

DEFAULT_MODEL = "rooms-nano"
DEFAULT_VOCABULARY = "rooms"
"""The vocabulary it was trained on."""
EARLY_STOP = 0.09
"""Probability that suits rooms-nano: chosen on validation images, of which half without the searched category stop by it, and
one in twenty-five of those on which the category would have been found."""
