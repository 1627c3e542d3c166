"""Settings of an encoder as flags of ``fairseq-train``, and back."""

from collections.abc import Mapping
from typing import Any

from ... import numbers_from_text
from ...errors import UserError
from ...modules.encoder import ENCODER_KINDS
from ...modules.pondering import HEADS_KINDS
from ...schema import check_fields, optional
from .names import ENCODER_FIELDS

KINDS = {setting: optional(ENCODER_KINDS[name]) for name, setting in ENCODER_FIELDS.items()}
KINDS["pooling"] = optional(HEADS_KINDS["pooling"])


def encoder_flags(source: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The flags of the settings that are not None; settings of other parts than the encoder and its pooling have none.

    Raises UserError, which begins with ``source``, for a value of another type or out of range.
    """
    try:
        check_fields(settings, KINDS, exact=False)
    except ValueError as error:
        raise UserError(f"{source}: {error}: convert or train it again") from error
    return tuple(word for setting in KINDS if settings.get(setting) is not None
                 for word in ("--" + setting.replace("_", "-"), str(settings[setting])))


def settings_of(source: str, flags: Any) -> dict[str, Any]:
    """The settings that a list of flags and their values gives.

    Raises UserError, which begins with ``source``, for anything else than flags of ``encoder_flags``.
    """
    names = {"--" + setting.replace("_", "-"): setting for setting in KINDS}
    if not isinstance(flags, list) or len(flags) % 2 or not all(isinstance(word, str) for word in flags):
        raise UserError(f"{source}: its flags are no list of names and values: convert the encoder again")
    for flag in flags[::2]:
        if flag not in names:
            raise UserError(f"{source}: {flag!r:.60} is no flag of an encoder: convert the encoder again")
    return {names[flag]: _value(text) for flag, text in zip(flags[::2], flags[1::2])}


def _value(text: str) -> int | float | str:
    for parsed in (numbers_from_text.integer, numbers_from_text.finite_float):
        try:
            return parsed(text)
        except ValueError:
            pass
    return text
