"""Turn an object of a SuperGLUE file into rows of texts.

A layout is a pure function of one JSON object. Each of its rows is a text by column; rows of an object without a label,
as in test splits, have no column ``label``. A layout raises ValueError, whose message is a phrase, for an object of
another form.

The benchmark leaves the form of the text to its user. Here:

- COPA: a row a choice; the premise ends in "What was the cause?" or "What happened as a result?".
- MultiRC: a row an answer, which stands after its question.
- ReCoRD: a row an entity, each text once. It takes the place of "@placeholder"; what follows each "@highlight" becomes
  a sentence of the passage.
- WiC: the word stands in brackets: "Businessmen of every [ stripe ] joined in ."
- WSC: the noun phrase stands in asterisks, the pronoun in brackets: "* Mark * told Pete that [ he ] won ."

Marks stand apart from the word, so that its tokens stay what they are.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..numbers_from_text import integer
from ..schema import SHORT

Object = dict[str, Any]
Row = dict[str, str]
Span = tuple[int, int]  # the first character, and the one after the last

COPA_QUESTIONS = {"cause": "What was the cause?", "effect": "What happened as a result?"}
PLACEHOLDER = "@placeholder"
BRACKETS, ASTERISKS = "[]", "**"
ENDS_OF_SENTENCES = ".,;:!?"


def boolq(value: Object) -> list[Row]:
    return [{"passage": _text(value, "passage"), "question": _text(value, "question")} | _boolean_label(value)]


def copa(value: Object) -> list[Row]:
    """Two rows; the label says whether the choice is the right one."""
    question, idx = _text(value, "question"), str(_whole(value, "idx"))
    if question not in COPA_QUESTIONS:
        raise ValueError(f"question is {question!r:.60}, and should be cause or effect")
    right = _whole(value, "label", 0, 1) if "label" in value else None
    return [{"premise": f"{_text(value, 'premise')} {COPA_QUESTIONS[question]}", "choice": _text(value, choice),
             "idx": idx, "candidate": str(place)} | (_label(place == right) if right is not None else {})
            for place, choice in enumerate(("choice1", "choice2"))]


def multirc(value: Object) -> list[Row]:
    passage = _field(value, "passage", dict)
    return [{
        "passage": _text(passage, "text"),
        "question_and_answer": f"{_text(question, 'question')} {_text(answer, 'text')}",
        "question_idx": f"{_whole(value, 'idx')}-{_whole(question, 'idx')}", "answer_idx": str(_whole(answer, "idx")),
    } | ({"label": str(_whole(answer, "label", 0, 1))} if "label" in answer else {})
        for question in _objects(passage, "questions") for answer in _objects(question, "answers")]


def record(value: Object) -> list[Row]:
    """The label says whether the entity is the text of one of the query's answers. An entity's ``end`` is included."""
    passage = _field(value, "passage", dict)
    text = _text(passage, "text")
    entities = dict.fromkeys(_entity(text, span) for span in _objects(passage, "entities"))
    ended = re.sub(r"(?<=[^\s.?!\"'])\s*@highlight\s*", ". ", text)
    sentences = re.sub(r"\s*@highlight\s*", " ", ended).strip()
    rows = []
    for query in _objects(value, "qas"):
        cloze, idx = _text(query, "query"), str(_whole(query, "idx"))
        if PLACEHOLDER not in cloze:
            raise ValueError(f"query {idx} has no {PLACEHOLDER}")
        answers = {_in_one_line(_text(answer, "text")) for answer in _objects(query, "answers")} \
            if "answers" in query else None
        if answers is not None and not answers & entities.keys():
            raise ValueError(f"query {idx} has no answer that is an entity of the passage")
        rows += [{"passage": sentences, "query": cloze.replace(PLACEHOLDER, entity), "idx": idx, "entity": entity}
                 | (_label(entity in answers) if answers is not None else {}) for entity in entities]
    return rows


def wic(value: Object) -> list[Row]:
    """``start`` and ``end`` count characters; ``end`` is that after the word, which is often inflected."""
    sentences = {}
    for name, first, last in (("sentence1", "start1", "end1"), ("sentence2", "start2", "end2")):
        text = _text(value, name)
        end = _whole(value, last, 1, len(text))
        sentences[name] = _marked(text, [((_whole(value, first, 0, end - 1), end), BRACKETS)])
    return [sentences | _boolean_label(value)]


def wsc(value: Object) -> list[Row]:
    text, target = _text(value, "text"), _field(value, "target", dict)
    noun, pronoun = (_span_of_words(text, target, name) for name in ("span1", "span2"))
    return [{"text": _marked(text, [(noun, ASTERISKS), (pronoun, BRACKETS)])} | _boolean_label(value)]


LAYOUTS: dict[str, Callable[[Object], list[Row]]] = {  # of ``split_content.LAYOUTS``
    "BoolQ": boolq, "COPA": copa, "MultiRC": multirc, "ReCoRD": record, "WiC": wic, "WSC": wsc,
}


def _field(value: Object, name: str, kind: type) -> Any:
    if name not in value:
        raise ValueError(f"has no {name}")
    if not isinstance(value[name], kind):
        described = {str: "a text", dict: "an object", list: "a list"}[kind]
        raise ValueError(f"{name} is {SHORT.repr(value[name])}, and should be {described}")
    return value[name]


def _text(value: Object, name: str) -> str:
    return _field(value, name, str)


def _objects(value: Object, name: str) -> list[Object]:
    objects = _field(value, name, list)
    if not objects or not all(isinstance(item, dict) for item in objects):
        raise ValueError(f"{name} is {SHORT.repr(objects)}, and should be a list of one object or more")
    return objects


def _whole(value: Object, name: str, low: int = 0, high: int | None = None) -> int:
    """A whole number, or a text of its digits."""
    if name not in value:
        raise ValueError(f"has no {name}")
    try:
        return integer("" if isinstance(value[name], bool) else str(value[name]), low, high)
    except ValueError as error:
        raise ValueError(f"{name} is {SHORT.repr(value[name])}, and should be a whole number from {low}"
                         f"{'' if high is None else f' to {high}'}") from error


def _boolean_label(value: Object) -> Row:
    """The label true or false, which is a text in some copies of the data, with a capital letter or without."""
    if "label" not in value:
        return {}
    spelt = str(value["label"]).lower()
    if spelt not in ("true", "false"):
        raise ValueError(f"label is {SHORT.repr(value['label'])}, and should be true or false")
    return {"label": spelt}


def _label(positive: bool) -> Row:
    return {"label": str(positive).lower()}


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _entity(text: str, span: Object) -> str:
    end = _whole(span, "end", 0, len(text) - 1)
    return _in_one_line(text[_whole(span, "start", 0, end):end + 1])


def _span_of_words(text: str, target: Object, name: str) -> Span:
    """Where the words of the span stand nearest to its index, which counts words between blanks.

    Upper and lower case are alike, and punctuation at the end does not count: the official files differ from their text
    in both. Words that the text does not have are those from the index on.
    """
    tokens = [match.span() for match in re.finditer(r"\S+", text)]
    first = _whole(target, f"{name}_index", 0, len(tokens) - 1)
    words = _text(target, f"{name}_text").rstrip(ENDS_OF_SENTENCES).split()
    if not words:
        raise ValueError(f"{name}_text has no word")
    pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)"
    places = [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]
    return min(places, key=lambda place: abs(place[0] - tokens[first][0]),
               default=(tokens[first][0], tokens[first:first + len(words)][-1][1]))


def _marked(text: str, spans: Sequence[tuple[Span, str]]) -> str:
    """The text with a mark before and after each span; one that lies in another one is marked inside its marks."""
    edges = [(start, 1, -end, f"{marks[0]} ") for (start, end), marks in spans]
    edges += [(end, 0, -start, f" {marks[1]}") for (start, end), marks in spans]
    for place, _, _, mark in sorted(edges, reverse=True):
        text = text[:place] + mark + text[place:]
    return text
