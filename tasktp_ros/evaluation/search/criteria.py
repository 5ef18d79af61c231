"""When a searched object counts as found, by name; for programs that only name one: no pictures are read."""

CRITERIA = ("verified", "claimed", "lenient")
"""verified: a claim whose mask overlaps a visible instance by IoU 0.5; claimed: any claim; lenient: its box, by 0.25."""
