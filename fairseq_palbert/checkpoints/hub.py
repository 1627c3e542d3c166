"""Download pretrained weights from the Hugging Face Hub."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

from ..compat.hugging_face import CONNECTION_ERRORS
from ..errors import UserError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
SETTINGS = ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
            "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "modules.json", "*_Pooling/config.json"]
WEIGHTS = (["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"],
           ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"])


def fetch(name: str) -> Path:
    """Downloads the model ``name``, such as "google-bert/bert-base-uncased", and returns its folder.

    Only the files that conversion reads are downloaded, and each once. Raises UserError for a name that the Hub does
    not have, and where the Hub cannot be reached.
    """
    if not HUB_ID.fullmatch(name):
        raise UserError(f"{name}: no such file or folder, and not a valid name of a model on the Hugging Face Hub")
    try:
        for weights in WEIGHTS:  # older repositories have the second alone
            folder = Path(snapshot_download(name, allow_patterns=SETTINGS + weights))
            if any(any(folder.glob(pattern)) for pattern in weights):
                break
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(f"{name}: no such file or folder here, and no model of this name on the Hugging Face Hub (or a "
                        "private one: log in)") from error
    except CONNECTION_ERRORS as error:
        raise UserError(f"{name}: no such file or folder here, and the Hugging Face Hub cannot be reached "
                        f"({type(error).__name__}): give the folder of the weights instead") from error
    return folder
