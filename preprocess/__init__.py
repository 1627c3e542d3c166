"""From published files to fairseq binarized data: ``python -m preprocess.glue --help`` and ``preprocess.download``."""
