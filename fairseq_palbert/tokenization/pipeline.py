"""The SHA-256 of what a tokenizer does to text."""

import hashlib
import json
from typing import Any

from tokenizers import Tokenizer


def pipeline_sha256(tokenizer: Tokenizer) -> str:
    """The SHA-256 of normaliser, pre-tokenizer, model, and added tokens that texts are cut at, but not of the pieces.

    It is the same whatever files the tokenizer was read from: what is null, false or empty counts as absent, since
    files differ in it.
    """
    content = json.loads(tokenizer.to_str())
    model = {name: value for name, value in content["model"].items() if not isinstance(value, dict)}  # without vocab
    added = [token for token in content["added_tokens"] if not token["special"]]
    parts = [content["normalizer"], _without_offsets(content["pre_tokenizer"]), model, added]
    return hashlib.sha256(json.dumps(_present(parts), sort_keys=True).encode()).hexdigest()


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner not in (None, False, "", [])}
    return list(map(_present, value)) if isinstance(value, list) else value


def _without_offsets(pre_tokenizer: dict[str, Any] | None) -> dict[str, Any]:
    """The pre-tokenizer without ``trim_offsets``, which changes no token."""
    return {name: value for name, value in (pre_tokenizer or {}).items() if name != "trim_offsets"}
