"""URLs, sizes and SHA-256 of GLUE's files and RoBERTa's vocabulary.

Sizes and SHA-256 were measured on the public copies.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One public file. ``size`` (bytes) and ``sha256`` are None where unknown."""

    url: str
    size: int | None = None
    sha256: str | None = None

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[-1]


_GLUE = "https://dl.fbaipublicfiles.com/glue/data/"
_SENTEVAL = "https://dl.fbaipublicfiles.com/senteval/senteval_data/"
_GPT2_BPE = "https://dl.fbaipublicfiles.com/fairseq/gpt2_bpe/"

GLUE_SOURCES = {
    "CoLA": (
        Source(_GLUE + "CoLA.zip", 376971, "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff"),
    ),
    "SST-2": (
        Source(_GLUE + "SST-2.zip", 7439277, "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa"),
    ),
    "MRPC": (
        Source(_GLUE + "mrpc_dev_ids.tsv", 6222, "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7"),
        Source(_SENTEVAL + "msr_paraphrase_train.txt", 1047044,
               "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89"),
        Source(_SENTEVAL + "msr_paraphrase_test.txt", 441275,
               "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784"),
    ),
    "STS-B": (
        Source(_GLUE + "STS-B.zip", 802872, "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85"),
    ),
    "QQP": (
        Source(_GLUE + "QQP-clean.zip", 41696084, "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0"),
    ),
    "MNLI": (
        Source(_GLUE + "MNLI.zip", 312783507, "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633"),
    ),
    "QNLI": (
        Source(_GLUE + "QNLIv2.zip", 10627589, "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5"),
    ),
    "RTE": (
        Source(_GLUE + "RTE.zip", 697150, "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee"),
    ),
    "WNLI": (
        Source(_GLUE + "WNLI.zip", 28999, "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46"),
    ),
    "AX": (
        Source(_GLUE + "AX.tsv", 222257, "0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd"),
    ),
}

VOCABULARY_SOURCES = (
    Source(_GPT2_BPE + "encoder.json", 1042301, "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
    Source(_GPT2_BPE + "vocab.bpe", 456318, "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
    Source(_GPT2_BPE + "dict.txt"),
)
