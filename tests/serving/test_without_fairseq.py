"""An exported model predicts without fairseq, and loads no other heavy package."""

import json
import subprocess
import sys
from pathlib import Path

from fairseq_palbert.serving import PalbertPredictor

HEAVY = {"fairseq", "hydra", "omegaconf", "matplotlib", "scipy", "sklearn", "tensorboard", "transformers", "preprocess"}
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys

class WithoutFairseq:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "fairseq":
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, WithoutFairseq)
from fairseq_palbert.serving import PalbertPredictor
import fairseq_palbert.serving.cli
answers = PalbertPredictor.from_pretrained(sys.argv[1]).predict(json.load(sys.stdin), batch=1)
json.dump([[vars(answer) for answer in answers], list(sys.modules)], sys.stdout)
"""


def test_an_exported_folder_predicts_where_fairseq_cannot_be_imported(exported, pairs):
    folder = exported("RTE")
    run = subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], input=json.dumps(pairs), cwd=ROOT,
                         capture_output=True,
                         text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    answers, loaded = json.loads(run.stdout)
    assert not HEAVY & {name.split(".")[0] for name in loaded}
    here = PalbertPredictor.from_pretrained(folder).predict(pairs, batch=1)
    assert answers == [vars(answer) | {"probabilities": list(answer.probabilities)} for answer in here]
