"""Rendered rooms: an indoor world drawn with MuJoCo, so that a detector can be trained and shipped without photos."""
