"""The settings beside a vocabulary in the Hub's layout, which ``transformers`` reads too.

What they say is applied, or has to agree with the vocabulary, since it may change ids.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ..errors import UserError
from ..json_files import read_json
from ..schema import BOOLEAN, OBJECT, Kind, check_fields, optional, text
from .native import Native
from .special_tokens import BEGIN, END, PADDING, UNKNOWN

CONFIG_FILE, SPECIAL_TOKENS_FILE, ADDED_TOKENS_FILE = (
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
REMEDY = "give the file that belongs to the vocabulary"
SPECIAL_TOKENS = {"cls_token": BEGIN, "sep_token": END, "pad_token": PADDING, "unk_token": UNKNOWN}
TOKEN = Kind("a text, or an object with its content", lambda value: isinstance(_content(value), str))
KINDS = {"do_lower_case": BOOLEAN, "strip_accents": optional(BOOLEAN), "tokenize_chinese_chars": BOOLEAN,
         "keep_accents": BOOLEAN, "add_prefix_space": BOOLEAN, "tokenizer_class": optional(text()),
         "added_tokens_decoder": OBJECT, **dict.fromkeys(SPECIAL_TOKENS, optional(TOKEN))}
# Of the classes of ``transformers``: those that read tokenizer.json as it is, and those of each kind of tokenizer.
GENERIC = ("PreTrainedTokenizer", "TokenizersBackend")
CLASSES = {"wordpiece": ("BertTokenizer", "MPNetTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                         "MobileBertTokenizer"),
           "gpt2_bpe": ("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer"),
           "sentencepiece": ("AlbertTokenizer",)}
# What a tokenizer does, by the setting that says so.
BEHAVIOUR: dict[str, dict[str, Callable[[Tokenizer], bool]]] = {
    "wordpiece": {"do_lower_case": lambda tokenizer: _normal(tokenizer, "A") == "a",
                  "strip_accents": lambda tokenizer: _normal(tokenizer, "é") == "e",
                  "tokenize_chinese_chars": lambda tokenizer: _normal(tokenizer, "語") != "語"},
    "gpt2_bpe": {"add_prefix_space": lambda tokenizer: tokenizer.pre_tokenizer.pre_tokenize_str("a")[0][0] != "a"},
    "sentencepiece": {"do_lower_case": lambda tokenizer: _normal(tokenizer, "A") == "a",
                      "keep_accents": lambda tokenizer: _normal(tokenizer, "é") != "e"},
}


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
    if from_json and of_class not in GENERIC:
        for name, does in BEHAVIOUR[native.name].items():
            if settings.get(name) not in (None, does(native.tokenizer)):
                raise UserError(f"{where}: {name} is {str(settings[name]).lower()}, and tokenizer.json beside it does "
                                "otherwise: correct the wrong one of the two")


def check_marks(tokenizer: Tokenizer, native: Native, where: str) -> None:
    """Raises UserError where the tokenizer would put other special tokens around sentences than are put here."""
    if tokenizer.post_processor is None:
        return
    begin, end = native.native_ids[BEGIN], native.native_ids[END]
    words = tokenizer.encode("a", add_special_tokens=False).ids
    one = [begin, *words, end]
    if (tokenizer.encode("a").ids != one
            or tokenizer.encode("a", "a").ids != [*one[:-1], *[end] * native.separators, *words, end]):
        raise UserError(f"{where}: its post_processor puts other special tokens around sentences than those of "
                        f"a {native.name} vocabulary: {REMEDY}")


def _added_tokens(folder: Path, settings: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """By content, the id, and whether texts are cut at the token."""
    added = {}
    if (folder / ADDED_TOKENS_FILE).is_file():
        added = {content: (number, True) for content, number in read_json(folder / ADDED_TOKENS_FILE, REMEDY).items()}
    for number, token in settings.get("added_tokens_decoder", {}).items():
        if isinstance(token, dict) and number.isdecimal():
            added[token.get("content")] = (int(number), not token.get("special"))
    return added


def _normal(tokenizer: Tokenizer, letter: str) -> str:
    return tokenizer.normalizer.normalize_str(letter) if tokenizer.normalizer else letter


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token
