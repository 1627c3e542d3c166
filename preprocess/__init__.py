"""From published files to fairseq binarized data: ``palbert data --help`` and ``preprocess.download``."""

import fairseq_palbert.plugin  # noqa: F401  before fairseq, whose import would be loud
