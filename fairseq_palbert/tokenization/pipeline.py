"""The SHA-256 of what a tokenizer does to text."""

import hashlib
import json
from typing import Any

from tokenizers import Tokenizer


def pipeline_sha256(tokenizer: Tokenizer) -> str:
    """The SHA-256 of normaliser, pre-tokenizer, model, and added tokens that texts are cut at, but not of the pieces.

    The model counts with its merges (BPE) or scores (Unigram). The digest is the same whatever files the tokenizer was
    read from: what is null, false or empty counts as absent, since files differ in it.
    """
    content = json.loads(tokenizer.to_str())
    added = [token for token in content["added_tokens"] if not token["special"]]
    pre_tokenizer = {name: value for name, value in (content["pre_tokenizer"] or {}).items()
                     if name != "trim_offsets"}  # which changes no token
    model = content["model"]
    vocabulary = model.pop("vocab")  # a list with scores, or a dictionary
    listed = [model.pop("merges", None), None if isinstance(vocabulary, dict) else vocabulary]
    parts = [*_present([content["normalizer"], pre_tokenizer, model, added]), *listed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner not in (None, False, "", [])}
    return list(map(_present, value)) if isinstance(value, list) else value
