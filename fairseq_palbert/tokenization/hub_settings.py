"""The settings beside a vocabulary in the Hub's layout, which ``transformers`` reads too.

What they say is applied, or has to agree with the vocabulary, since it may change ids.
"""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ..errors import UserError
from ..json_files import read_json
from ..schema import BOOLEAN, Kind, check_fields, optional, text
from .library_errors import refused
from .native import Native
from .special_tokens import BEGIN, END, PADDING, UNKNOWN

CONFIG_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE = (
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
REMEDY = "give the file that belongs to the vocabulary"
SPECIAL_TOKENS = {"cls_token": BEGIN, "sep_token": END, "pad_token": PADDING, "unk_token": UNKNOWN}
TOKEN = Kind("a text, or an object with its content", lambda value: isinstance(_content(value), str))
ADDED = Kind("an object of objects with a content, by id", lambda value: isinstance(value, dict) and all(
    number.isdecimal() and len(number) < 10 and isinstance(token, dict) and isinstance(_content(token), str)
    for number, token in value.items()))
KINDS = {"do_lower_case": BOOLEAN, "strip_accents": optional(BOOLEAN), "tokenize_chinese_chars": BOOLEAN,
         "keep_accents": BOOLEAN, "add_prefix_space": BOOLEAN, "tokenizer_class": optional(text()),
         "added_tokens_decoder": ADDED, **dict.fromkeys(SPECIAL_TOKENS, optional(TOKEN))}
# Of the classes of ``transformers``: those that read tokenizer.json as it is, and those of each kind of tokenizer.
GENERIC = ("PreTrainedTokenizer", "TokenizersBackend")
CLASSES = {"wordpiece": ("BertTokenizer", "MPNetTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                         "MobileBertTokenizer"),
           "gpt2_bpe": ("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer"),
           "sentencepiece": ("AlbertTokenizer",)}


def read_settings(folder: Path) -> dict[str, Any]:
    """The content of tokenizer_config.json, with the special tokens of special_tokens_map.json where it has none.

    Raises UserError for a file that is no JSON object, and for a field of another type.
    """
    settings: dict[str, Any] = {}
    for name in (SPECIAL_TOKENS_FILE, CONFIG_FILE):
        if (folder / name).is_file():
            content = read_json(folder / name, REMEDY)
            try:
                check_fields(content, KINDS, exact=False)
            except ValueError as error:
                raise UserError(f"{folder / name}: {error}: {REMEDY}") from error
            settings |= content
    return settings


def check_settings(folder: Path, settings: dict[str, Any], native: Native, from_json: bool) -> None:
    """Raises UserError where the settings contradict the vocabulary, or ask for what is not done here.

    ``from_json``: the vocabulary was read from tokenizer.json, which says itself what is done to a text.
    """
    where = folder / CONFIG_FILE
    of_class = (settings.get("tokenizer_class") or GENERIC[0]).removesuffix("Fast")
    if of_class not in (*GENERIC, *CLASSES[native.name]):
        raise UserError(f"{where}: tokenizer_class is {of_class}, and a {native.name} vocabulary is read as that of "
                        f"{', '.join(CLASSES[native.name])}: {REMEDY}")
    for name, place in SPECIAL_TOKENS.items():
        token, own = settings.get(name), native.tokenizer.id_to_token(native.native_ids[place])
        if token is not None and _content(token) != own:
            raise UserError(f"{where}, or {SPECIAL_TOKENS_FILE}: {name} is {_content(token):.60}, and that of a "
                            f"{native.name} vocabulary is {own}: {REMEDY}")
    for content, (number, cuts) in _added_tokens(folder, settings).items():
        known = native.tokenizer.get_vocab(with_added_tokens=True).get(content) == number
        if not known or cuts and not from_json:
            raise UserError(f"{folder} adds the token {content!r:.60} to its vocabulary: save the tokenizer by "
                            "transformers' save_pretrained, whose tokenizer.json has it")
    if from_json:
        with refused(f"tokenizer.json in {folder} is damaged"):
            marked, behaviour = _adds_our_marks(native), _behaviour(native)
        if not marked:
            raise UserError(f"{folder}/tokenizer.json: its post_processor puts other special tokens around sentences "
                            f"than those of a {native.name} vocabulary: {REMEDY}")
        for name, done in behaviour.items():
            if of_class not in GENERIC and settings.get(name) not in (None, done):
                raise UserError(f"{where}: {name} is {str(settings[name]).lower()}, and tokenizer.json beside it does "
                                "otherwise: correct the wrong one of the two")


def _adds_our_marks(native: Native) -> bool:
    """Whether the tokenizer would put the special tokens around sentences that are put here, if any."""
    tokenizer, begin, end = native.tokenizer, native.native_ids[BEGIN], native.native_ids[END]
    if tokenizer.post_processor is None:
        return True
    words = tokenizer.encode("a", add_special_tokens=False).ids
    pair = [begin, *words, *[end] * native.separators, *words, end]
    return tokenizer.encode("a").ids == [begin, *words, end] and tokenizer.encode("a", "a").ids == pair


def _added_tokens(folder: Path, settings: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """By content, the id, and whether texts are cut at the token."""
    added = {}
    if (folder / ADDED_TOKENS_FILE).is_file():
        added = {content: (number, True) for content, number in read_json(folder / ADDED_TOKENS_FILE, REMEDY).items()}
    return added | {token["content"]: (int(number), not token.get("special"))
                    for number, token in settings.get("added_tokens_decoder", {}).items()}


def _behaviour(native: Native) -> dict[str, bool]:
    """What the tokenizer does, by the setting that says so."""
    lower, accent, chinese = (_normal(native.tokenizer, letter) for letter in "Aé語")
    if native.name == "wordpiece":
        return {"do_lower_case": lower == "a", "strip_accents": accent == "e",
                "tokenize_chinese_chars": chinese != "語"}
    if native.name == "sentencepiece":
        return {"do_lower_case": lower == "a", "keep_accents": accent != "e"}
    cut = native.tokenizer.pre_tokenizer
    return {"add_prefix_space": cut is not None and cut.pre_tokenize_str("a")[0][0] != "a"}


def _normal(tokenizer: Tokenizer, letter: str) -> str:
    return tokenizer.normalizer.normalize_str(letter) if tokenizer.normalizer else letter


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token
