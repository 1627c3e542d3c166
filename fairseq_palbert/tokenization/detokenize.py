"""Remove the spaces around punctuation, as in CoLA and MRPC, by sacremoses."""

from collections.abc import Sequence

from ..errors import UserError


def detokenize(sentences: Sequence[str]) -> list[str]:
    """The sentences as they are written: can 't stop . is can't stop. Raises UserError where sacremoses is missing."""
    try:
        from sacremoses import MosesDetokenizer  # imported here, since few models need it
    except ImportError as error:
        raise UserError("the model needs texts to be detokenized: install sacremoses") from error
    detokenizer = MosesDetokenizer("en")
    # GLUE's texts were never escaped for Moses: an &amp; in them is text
    return [detokenizer.detokenize(sentence.split(), unescape=False) for sentence in sentences]
