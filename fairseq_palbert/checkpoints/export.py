"""``palbert export``: export a checkpoint for serving or for ``transformers``."""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from ..definitions.packaged import recorded
from ..errors import UserError
from ..families import Family
from ..files import check_replaceable, file_sha256, write_json, written_folder
from ..models.training_start import pooling_of
from ..tasks.sentence_task import SentenceConfig
from ..tasks.trained_task import trained_task
from ..tokenization import Vocabulary
from ..tokenization.identity import check_identity, identity_in, identity_of
from ..tokenization.vocabulary import DICTIONARY_FILE
from .configuration import model_configuration
from .formats.checkpoint_file import read_checkpoint
from .formats.encoder_source import POOLER, SEGMENTS, TOKENS, shape_of
from .formats.hugging_face_folder import check_expressible, write_encoder, write_model_card, write_tokenizer
from .formats.model_folder import ModelCard, write_model
from .formats.names import ENCODER, NETWORK
from .loading import read_trained, trained_model

EXPORT_FILE = "export.json"
REMEDY = "give its own by --vocab"
POOLERS = NETWORK + "pooler.copies."


def export_model(checkpoint: Path, vocab: Path, out: Path, overwrite: bool = False) -> None:
    """Writes the whole early-exit model of a checkpoint of ``fairseq-train`` to the folder ``out``.

    ``vocab`` is the folder of the vocabulary that the training data was made with. ``palbert predict`` and ``palbert
    evaluate`` read ``out``. Raises UserError for a checkpoint that is not a trained model, and for another vocabulary.
    """
    state, trained_with = read_trained(checkpoint)
    if not isinstance(trained_with, SentenceConfig):
        raise UserError(f"{checkpoint}: trained with --task parity, and served are models of text alone: score it with "
                        "palbert evaluate")
    task = trained_task(str(checkpoint), state)
    model = trained_model(checkpoint, state, trained_with, task)
    check_replaceable(out, overwrite, EXPORT_FILE)
    with written_folder(out) as folder:
        vocabulary = _write_vocabulary(checkpoint, state, vocab, folder)
        write_model(folder, model.network, ModelCard(
            family=model.family,
            glue_task=task.name,
            labels=list(task.labels),
            definition=recorded(task),
            max_positions=trained_with.max_positions,
            tokenizer=vocabulary.record,
            dictionary=identity_of(vocabulary).dictionary,
            prior=None if model.prior is None else model.prior.tolist(),
            updates=model.updates,
            holdout_fraction=trained_with.holdout_fraction,
            train_examples=trained_with.train_examples,
            detokenized=identity_in(state).detokenized,
        ))
        summary = _write_record(folder, checkpoint, model.network.state_dict(), [])
    print(summary)


def export_hugging_face(checkpoint: Path, vocab: Path, out: Path, overwrite: bool = False) -> None:
    """Writes encoder and pooler of a checkpoint, trained or converted, to a folder that ``transformers`` loads.

    ``vocab`` is the folder of the vocabulary that the training data was made with. Of a model with a pooler for each
    layer, the last layer's is written, since the pooler of ``transformers`` reads the last layer. Raises UserError for
    a checkpoint that is not a model of this project, for another vocabulary, and for an encoder that ``transformers``
    does not have.
    """
    state = read_checkpoint(checkpoint)
    configuration = model_configuration(str(checkpoint), state)
    family = configuration.family
    if TOKENS not in state["model"]:
        raise UserError(f"{checkpoint}: has no token embedding, so there is no encoder to export")
    weights, left_out, last = _encoder_and_last_pooler(state["model"])
    check_replaceable(out, overwrite, EXPORT_FILE)
    with written_folder(out) as folder:
        vocabulary = _write_vocabulary(checkpoint, state, vocab, folder)
        (folder / DICTIONARY_FILE).unlink()  # of use to fairseq alone
        shape = shape_of(str(checkpoint), family, configuration.encoder, len(weights[TOKENS]))
        check_expressible(str(checkpoint), family, shape, vocabulary)
        written = write_encoder(folder, family, shape, weights, vocabulary)
        write_tokenizer(folder, vocabulary, shape)
        pooling = pooling_of(state)
        remarks = _remarks(family, weights, last, pooling, identity_in(state).detokenized)
        write_model_card(folder, remarks, pooling, shape.hidden)
        summary = _write_record(folder, checkpoint, written, left_out, remarks)
    print(summary)


def _encoder_and_last_pooler(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str], int | None]:
    """The tensors of the encoder and the last pooler, the names of all others, and the last pooler's index.

    The index counts from 0, and is None where there is no pooler.
    """
    poolers = {int(name.removeprefix(POOLERS).split(".")[0]) for name in tensors if name.startswith(POOLERS)}
    last = max(poolers, default=None)
    ours = {name: tensor for name, tensor in tensors.items() if name.startswith((ENCODER, f"{POOLERS}{last}."))}
    renamed = {name.replace(f"{POOLERS}{last}.", POOLER): tensor for name, tensor in ours.items()}
    return renamed, [name for name in tensors if name not in ours], last


def _write_vocabulary(checkpoint: Path, state: dict[str, Any], vocab: Path, folder: Path) -> Vocabulary:
    """Saves the vocabulary of ``vocab`` in ``folder``, with as many entries as the checkpoint embeds, and returns it.

    Raises UserError where the checkpoint was trained with another vocabulary, or embeds fewer entries.
    """
    trained, vocabulary = identity_in(state), Vocabulary(vocab)
    check_identity(str(checkpoint), trained, vocab, vocab, identity_of(vocabulary, trained.entries), REMEDY)
    vocabulary.save(folder, trained.entries)
    return Vocabulary(folder)


def _remarks(family: Family, weights: dict[str, Tensor], last_pooler: int | None, pooling: str | None,
             detokenized: bool | None) -> list[str]:
    """What a user of the Hugging Face folder has to know."""
    remarks = []
    if family.has_segments and SEGMENTS not in weights:
        remarks.append(f"{family.tensors['embed_segments']} is written as zeros: this encoder has no segments")
    if last_pooler is None:
        remarks.append("the checkpoint has no pooler: load with AutoModel.from_pretrained(FOLDER, "
                       "add_pooling_layer=False)")
    elif last_pooler > 0:
        remarks.append(f"of the {last_pooler + 1} poolers, one a layer, the last layer's is written: the pooler of "
                       "transformers reads the last layer")
    if pooling == "mean":
        remarks.append("pool by the mean over a sentence's tokens, with special tokens and without padding: "
                       "pooler_output of AutoModel reads the first token instead, on which this model was not trained")
    elif pooling == "first":
        as_theirs = "" if last_pooler is None else ", as pooler_output of AutoModel does"
        remarks.append(f"pool by the first token{as_theirs}")
    if detokenized:
        remarks.append("remove the spaces around punctuation from texts first, as sacremoses' MosesDetokenizer does: "
                       "this model was trained so")
    return remarks


def _write_record(folder: Path, checkpoint: Path, written: Iterable[str], left_out: Iterable[str],
                  remarks: Iterable[str] = ()) -> str:
    """Records in EXPORT_FILE which tensors were written or left out, and returns a summary of a few lines."""
    record = {"checkpoint": str(checkpoint), "sha256": file_sha256(checkpoint), "written": list(written),
              "left_out": list(left_out), "remarks": list(remarks)}
    write_json(folder / EXPORT_FILE, record)
    return "\n".join([f"tensors written: {_counted(written)}", f"tensors left out: {_counted(left_out)}", *remarks])


def _counted(names: Iterable[str]) -> str:
    """Counts tensors by module: network.classifier.copies.0.1.bias and its .weight -> network.classifier (2)."""
    modules = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{module} ({count})" for module, count in modules.items()) or "none"


FORMS = {"safetensors": export_model, "hugging-face": export_hugging_face}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palbert export",
        description="Export a checkpoint of this plugin for serving or for transformers.",
        epilog="Example: palbert export runs/RTE/seed1/checkpoints/checkpoint_best.pt --vocab bert --out model writes "
               "the folder that palbert predict reads.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path,
                        help="checkpoint of fairseq-train or palbert convert")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--vocab", type=Path, metavar="DIR",
                        help="folder of the vocabulary (default: beside CHECKPOINT)")
    parser.add_argument("--to", choices=FORMS, default="safetensors",
                        help="safetensors: the whole early-exit model (the default); hugging-face: encoder and pooler, "
                             "for transformers")
    parser.add_argument("--overwrite", action="store_true", help="replace DIR where this command made it before")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    FORMS[args.to](args.checkpoint, args.vocab or args.checkpoint.parent, args.out, args.overwrite)
