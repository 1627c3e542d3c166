"""Serve an exported model: PalbertPredictor in Python, ``palbert predict`` on streams."""

from .predictor import PalbertPredictor, Prediction  # noqa: F401
