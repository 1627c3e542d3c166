"""Download raw GLUE and convert it to fairseq binarized data."""

import fairseq_palbert.plugin  # noqa: F401  before fairseq, whose import logs much otherwise
