"""What a text must be to be classified."""

LONGEST = 2**20  # characters: one word of so many takes the tokenizer about 100 MB


def check_text(text: str) -> None:
    """Raises ValueError, whose message is a phrase, for a text that is too long or no Unicode."""
    if len(text) > LONGEST:
        raise ValueError(f"a text of more than {LONGEST:,} characters: cut it, the model reads its beginning alone")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a text with half a surrogate pair at character {error.start + 1}: correct it") from error
