"""A trained model that answers: PalbertPredictor in Python, ``python -m fairseq_palbert.serving`` on streams."""

from .predictor import PalbertPredictor, Prediction  # noqa: F401
