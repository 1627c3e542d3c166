"""The SHA-256 of what a tokenizer does to text."""

import hashlib
import json
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import Model


def pipeline_sha256(tokenizer: Tokenizer) -> str:
    """The SHA-256 of normaliser, pre-tokenizer, model, and added tokens that texts are cut at, but not of the pieces.

    The model counts with its merges (BPE) or scores (Unigram). The digest is the same whatever files the tokenizer was
    read from: what is null, false or empty counts as absent, since files differ in it.
    """
    pre_tokenizer = _content(tokenizer.pre_tokenizer)
    pre_tokenizer.pop("trim_offsets", None)  # changes no token
    added = [[number, token.content, token.single_word, token.lstrip, token.rstrip, token.normalized]
             for number, token in tokenizer.get_added_tokens_decoder().items() if not token.special]
    parts = [_content(tokenizer.normalizer), pre_tokenizer, *_model(tokenizer.model), added]
    return hashlib.sha256(json.dumps(_present(parts), sort_keys=True).encode()).hexdigest()


def _content(part: Any) -> dict[str, Any]:
    """The settings of a part of a tokenizer, as tokenizer.json has them; none for None."""
    return json.loads(part.__getstate__()) if part else {}


def _model(model: Model) -> tuple[dict[str, Any], str]:
    """The settings, and the merges or scores as text, which takes a third of the time of reading them as JSON."""
    state = model.__getstate__().decode()
    settings, _, vocabulary = state.partition('"vocab":')
    if vocabulary.startswith("["):  # pieces with scores; settings follow
        return {}, state
    _, found, merges = vocabulary.rpartition('"merges":')
    return json.loads(settings.removesuffix(",") + "}"), merges if found else ""


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner not in (None, False, "", [])}
    return list(map(_present, value)) if isinstance(value, list) else value
