"""``python -m fairseq_palbert.evaluation``: score a checkpoint under exit rules. See ``cli``."""
