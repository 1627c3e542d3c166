"""Each mistake in a task file is one line with file, line and remedy, and nothing is written."""

import pytest

from fairseq_palbert.definitions.split_content import SPLITS

LINE_OF_METRIC = 'metric = "accuracy"'
BAD = {  # the text, its replacement, and a part of the message
    "no TOML": ('"accuracy"', "accuracy", "tickets.toml: no TOML (Invalid value (at line 4, column 10))"),
    "a key twice": (LINE_OF_METRIC, 'name = "a"', "no TOML (Cannot overwrite a value (at line 4, column 11))"),
    "no end of a text": ('"tickets"', '"tickets', "no TOML (Illegal character"),
    "a number too long": ('"accuracy"', "1" * 5000, "no TOML (Exceeds the limit (4300 digits)"),
    "lists too deep": ('"accuracy"', "[" * 100_000, "no TOML ("),
    "unknown key": ("label =", "lable =", "line 3: lable is not known: choose from name, sentences, label, labels"),
    "unknown key, of which the package's own are no choice": (
        "label =", "lable =", "positive, splits, groups, format, encoding, columns, delimiter, pattern, layout:"),
    "unknown key of a split": ('"train.csv"', '{ file = "train.csv", rws = 3 }',
                               "line 7: splits.train.rws is not known: choose from file, format"),
    "unknown table": ("[splits]", "[groupes]\na = 1\n[splits]", "line 6: groupes is not known"),
    "no name": ('name = "tickets"\n', "", "tickets.toml: name is missing: it should be a name"),
    "no sentences": ('sentences = ["text"]\n', "", "sentences is missing: it should be a list of 1 to 2"),
    "no label": ('label = "category"\n', "", "label is missing: it should be a column's name"),
    "no metric": (LINE_OF_METRIC, "", "metric is missing"),
    "no splits": ("[splits]", "[groups]", "splits is missing"),
    "no file of a split": ('"train.csv"', "{ rows = 3 }", "line 7: splits.train.file is missing"),
    "name with a slash": ('"tickets"', '"../tickets"',
                          "line 1: name is '../tickets', and should be a name of at most 100"),
    "name with a blank": ('"tickets"', '"my tickets"', "line 1: name is 'my tickets'"),
    "name of another script": ('"tickets"', '"été"', "line 1: name is 'été'"),
    "no text as name": ('"tickets"', "3", "line 1: name is 3"),
    "name like a flag": ('"tickets"', '"-tickets"', "digits, - and _ that does not begin with -"),
    "name of a task of the package": ('"tickets"', '"RTE"', "name = 'RTE' is that of a task of the package"),
    "a benchmark": (LINE_OF_METRIC, LINE_OF_METRIC + '\nbenchmark = "GLUE"',
                    "benchmark is for the package's own tasks: leave it out"),
    "a folder": (LINE_OF_METRIC, LINE_OF_METRIC + '\nfolder = "RTE"', "folder is for the package's own tasks"),
    "the form of the Hub": ("[splits]", '[hub]\nsentences = ["a"]\nlabel = "b"\n[splits]', "hub is for the package's"),
    "three sentences": ('["text"]', '["a", "b", "c"]',
                        "line 2: sentences is ['a', 'b', 'c'], and should be a list of 1"),
    "no list of sentences": ('["text"]', '"text"', "line 2: sentences is 'text', and should be a list"),
    "column 0": ('"category"', "0", "line 3: label is 0, and should be a column's name, or its number from 1"),
    "a column twice": ('["text"]', '["category"]', "line 2: sentences and label name a column twice"),
    "names and numbers": ('["text"]', "[1]",
                          "line 2: sentences, label and groups: columns are all names, or all numbers"),
    "numbers in JSON": ('["text"]\nlabel = "category"', '[1]\nlabel = 2\nformat = "jsonl"',
                        "line 2: sentences, label and"),
    "one label": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = ["card"]', "line 5: labels is ['card'], and should be"),
    "1,001 labels": (LINE_OF_METRIC, f"{LINE_OF_METRIC}\nlabels = {list(range(1001))}", "a list of 2 to 1000 labels"),
    "a label twice": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = ["card", "fees", "card"]',
                      "labels has 'card' twice"),
    "a label and its number": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = [1, "1"]', "line 5: labels has '1' twice"),
    "a reserved label": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = ["card", "<unk>"]',
                         "line 5: labels has '<unk>', which fairseq keeps for itself: rename it"),
    "an empty label": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = ["card", ""]', "line 5: labels is ['card', '']"),
    "a label with blanks": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = ["card", " fees"]',
                            "labels is ['card', ' fees']"),
    "a float as label": (LINE_OF_METRIC, LINE_OF_METRIC + "\nlabels = [0.5, 1.5]", "labels is [0.5, 1.5]"),
    "labels of elsewhere": (LINE_OF_METRIC, LINE_OF_METRIC + '\nlabels = "from valid"', "labels is 'from valid'"),
    "labels and scores": (LINE_OF_METRIC, 'metric = "mse"\nlabels = ["card", "fees"]\nscore_range = [0, 5]',
                          "line 5: labels and score_range: a classification has labels"),
    "scores and labels of train": (LINE_OF_METRIC, 'metric = "mse"\nlabels = "from train"\nscore_range = [0, 5]',
                                   "line 5: labels and score_range: a classification has labels"),
    "a range from above": (LINE_OF_METRIC, 'metric = "mse"\nscore_range = [5, 0]',
                           "line 5: score_range: the first number"),
    "a range without end": (LINE_OF_METRIC, 'metric = "mse"\nscore_range = [0, inf]',
                            "line 5: score_range is [0, inf]"),
    "a range of three": (LINE_OF_METRIC, 'metric = "mse"\nscore_range = [0, 1, 2]', "line 5: score_range is [0, 1, 2]"),
    "unknown metric": ('"accuracy"', '"acuracy"', "line 4: metric 'acuracy': choose from accuracy, f1, macro_f1"),
    "metric of a regression": ('"accuracy"', '"pearson"', "line 4: metric 'pearson': choose from accuracy"),
    "metric of a classification": (LINE_OF_METRIC, LINE_OF_METRIC + "\nscore_range = [0, 5]",
                                   "line 4: metric 'accuracy': choose from pearson, spearman"),
    "a metric twice": ('"accuracy"', '"accuracy, accuracy"', "line 4: metric names one twice"),
    "no metric named": ('"accuracy"', '""', "line 4: metric '': choose from"),
    "F1 without its label": ('"accuracy"', '"f1"', "positive is missing: f1 and groups need it, such as positive ="),
    "another label's F1": ('"accuracy"', '"f1"\npositive = "yes"\nlabels = ["card", "fees"]',
                           "line 5: positive is 'yes', which is none of the labels"),
    "a positive label of a regression": (LINE_OF_METRIC, 'metric = "mse"\nscore_range = [0, 5]\npositive = "1"',
                                         "line 6: positive is a label, and a regression has none"),
    "a count of groups without groups": ('"train.csv"', '{ file = "train.csv", groups = 3 }',
                                         "line 7: splits.train.groups is a count of groups, and there is no [groups]"),
    "another score": (LINE_OF_METRIC, LINE_OF_METRIC + '\nscore = "last"',
                      "line 5: score is 'last', and should be one of"),
    "groups without an answer": ("[splits]", '[groups]\ncolumn = "id"\n[splits]', "line 6: groups.answer is missing"),
    "no table of groups": (LINE_OF_METRIC, LINE_OF_METRIC + '\ngroups = "id"', "line 5: groups is 'id', and should be"),
    "unknown split": ("valid =", "dev =", "line 8: splits.dev: a split is named train, valid, valid1 to valid9, test"),
    "no table of splits": ("[splits]", "[groups]", "splits is missing"),
    "splits as a text": ('[splits]\ntrain = "train.csv"\nvalid = "valid.csv"', 'splits = "a"', "line 6: splits is 'a'"),
    "a split that is no text": ('"valid.csv"', "true", "line 8: splits.valid should be a table of file, format"),
    "all of train": ('"valid.csv"', "1.0", "line 8: splits.valid is 1.0: give a file, or for valid and test a part"),
    "nothing of train": ('"valid.csv"', "0", "line 8: splits.valid is 0: give a file"),
    "NaN of train": ('"valid.csv"', "nan", "line 8: splits.valid is nan: give a file"),
    "less than nothing of train": ('"valid.csv"', "-0.1", "line 8: splits.valid is -0.1: give a file"),
    "a part of itself": ('"train.csv"', "0.5", "line 7: splits.train is 0.5: give a file"),
    "parts that are all of train": ('"valid.csv"', "0.5\ntest = 0.5",
                                    "line 6: splits: the parts of train leave nothing"),
    "a part of no train": ('train = "train.csv"\nvalid = "valid.csv"', 'valid = 0.5\ntest = "test.csv"',
                           "there is no splits.train"),
    "no split": ('train = "train.csv"\nvalid = "valid.csv"', "", "there is no splits.train"),
    "train without labels": ('"train.csv"', '{ file = "train.csv", labelled = false }',
                             "line 7: splits.train: only a test split may be without labels"),
    "no ending": ('"train.csv"', '"train"', "line 7: splits.train: train has none of the endings .tsv, .tsv.gz, .csv"),
    "unknown ending": ('"train.csv"', '"train.xlsx"', 'train.xlsx has none of the endings .tsv, .tsv.gz, .csv, '),
    "unknown format": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "xml"',
                       "line 5: format is 'xml', and should be one of"),
    "unknown encoding": (LINE_OF_METRIC, LINE_OF_METRIC + '\nencoding = "utf-9"',
                         "line 5: encoding is 'utf-9', and should be"),
    "an encoding of bytes": (LINE_OF_METRIC, LINE_OF_METRIC + '\nencoding = "hex"',
                             "a text encoding that Python knows"),
    "a compression": (LINE_OF_METRIC, LINE_OF_METRIC + '\nencoding = "zip"', "line 5: encoding is 'zip'"),
    "an encoding that is a module": (LINE_OF_METRIC, LINE_OF_METRIC + '\nencoding = "aliases"',
                                     "encoding is 'aliases'"),
    "two delimiters": (LINE_OF_METRIC, LINE_OF_METRIC + '\ndelimiter = ";;"',
                       "line 5: delimiter is ';;', and should be a"),
    "a quote as delimiter": (LINE_OF_METRIC, LINE_OF_METRIC + "\ndelimiter = '\"'", "line 5: delimiter is '\"'"),
    "a line end as delimiter": (LINE_OF_METRIC, LINE_OF_METRIC + '\ndelimiter = "\\n"', "line 5: delimiter is '\\n'"),
    "a delimiter of JSON": ('"train.csv"', '{ file = "train.jsonl", delimiter = ";" }',
                            "line 7: splits.train: delimiter is for the format csv, and the file's is jsonl"),
    "a delimiter of no file": (LINE_OF_METRIC, LINE_OF_METRIC + '\ndelimiter = ";"\nformat = "tsv"',
                               "line 5: delimiter is for the format csv, and no file has it"),
    "lines without a pattern": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "lines"',
                                'format = "lines" needs a pattern'),
    "a pattern of CSV": (LINE_OF_METRIC, LINE_OF_METRIC + '\npattern = "(?P<text>.*)"',
                         "line 5: pattern is for the format lines"),
    "no regular expression": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "lines"\npattern = "(?P<text>"',
                              "line 6: pattern is no regular expression (missing ), unterminated subpattern"),
    "a pattern of another Python": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "lines"\npattern = "(?P<text>[[a]])"',
                                    "line 6: pattern is no regular expression (Possible nested set at position 10)"),
    "a pattern without groups": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "lines"\npattern = "(.*) (.*)"',
                                 "line 6: pattern should name 'text' once, and names none"),
    "a pattern without the label": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "lines"\npattern = "(?P<text>.*)"',
                                    "line 6: pattern should name 'category' once, and names text"),
    "columns without the label": (LINE_OF_METRIC, LINE_OF_METRIC + '\ncolumns = ["id", "text"]',
                                  "line 5: columns should name 'category' once, and names id, text"),
    "a column named twice": (LINE_OF_METRIC, LINE_OF_METRIC + '\ncolumns = ["text", "text", "category"]',
                             "line 5: columns should name 'text' once"),
    "columns and numbers": ('["text"]\nlabel = "category"', '[1]\nlabel = 2\ncolumns = ["a", "b"]',
                            "line 2: sentences, label"),
    "unknown layout": (LINE_OF_METRIC, LINE_OF_METRIC + '\nformat = "json"\nlayout = "MRC"',
                       "line 6: layout is 'MRC', and should be one of BoolQ"),
    "no count of rows": ('"train.csv"', '{ file = "train.csv", rows = -1 }', "line 7: splits.train.rows is -1"),
}


@pytest.mark.parametrize("old, new, words", BAD.values(), ids=BAD)
def test_a_mistake_is_one_line(own_task, old, new, words):
    own_task.edit(old, new)
    line = own_task.refusal()
    assert line.startswith("tickets.toml") and words in line
    assert ": " in line.removeprefix("tickets.toml").strip(":, ")


@pytest.mark.parametrize("content, words", [
    (b"", "name is missing"), (b"\xff\xfen\x00", "byte 0xff at position 1 is no UTF-8"), (b"a = 1\x00", "no TOML"),
    (b"x = 1\n" * 2**20 * 4, "has more than 16,777,216 bytes"), (b'{"name": "a"}', "no TOML"),
])
def test_a_file_of_another_kind_is_one_line(own_task, content, words):
    own_task.write("tickets.toml", content)
    assert words in own_task.refusal()


def test_a_missing_task_file_is_one_line(own_task):
    (own_task.folder / "tickets.toml").unlink()
    assert own_task.refusal().startswith("tickets.toml: No such file or directory: ")


def test_the_splits_own_setting_is_named_with_its_line(own_task):
    own_task.edit('train = "train.csv"', "")
    own_task.edit("[splits]", '[splits.train]\nfile = "train.txt"\nformat = "lines"\npattern = "("\n[splits]')
    assert own_task.refusal().startswith("tickets.toml, line 9: pattern is no regular expression")


def test_names_of_splits():
    assert {"train", "valid", "valid1", "valid9", "test", "test1", "test9"} <= set(SPLITS)
