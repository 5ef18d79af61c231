"""The model that is used where none is named; in a file of its own, so that `--help` need not load torch."""

DEFAULT_MODEL = "rooms-nano"
DEFAULT_VOCABULARY = "rooms"
"""The vocabulary it was trained on."""
