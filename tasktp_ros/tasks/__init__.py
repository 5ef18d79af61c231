"""What a robot may look for: vocabularies, task sets, and goals turned into them."""
