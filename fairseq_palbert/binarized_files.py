"""The files by which a folder of binarized data is known."""

from pathlib import Path

PROVENANCE_FILE = "glue.json"
FAIRSEQS_LOG = Path("input0", "preprocess.log")  # of fairseq's own script, whose data have no PROVENANCE_FILE
