"""Raw GLUE files to fairseq binarized data: ``python -m preprocess.glue --help`` and ``python -m preprocess.download --help``."""
