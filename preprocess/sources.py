"""URLs, sizes and SHA-256 of GLUE's and SuperGLUE's files and RoBERTa's vocabulary.

Sizes and SHA-256 were measured on the public copies, those of SuperGLUE by the authors of the Hugging Face Hub's
``super_glue`` (its ``dataset_infos.json``). $GLUE_URL and $SUPERGLUE_URL name a mirror, a folder with the same files.
"""

import os
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
_SUPERGLUE = "https://dl.fbaipublicfiles.com/glue/superglue/data/v2/"
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

SUPERGLUE_SOURCES = {
    "BoolQ": (
        Source(_SUPERGLUE + "BoolQ.zip", 4118001, "853fbe7922f70c59629f06a39e8d9ca440c3d740e760fd3b87a5ddf3dcba2436"),
    ),
    "CB": (
        Source(_SUPERGLUE + "CB.zip", 75482, "8d641383298d54554066ba1c93f56ae7410af75df621b90c63028806bbbbb535"),
    ),
    "COPA": (
        Source(_SUPERGLUE + "COPA.zip", 43986, "405906cddac74bc1e1ce8220f1107d1025b66a25ef10149d91b10bb30651125f"),
    ),
    "MultiRC": (
        Source(_SUPERGLUE + "MultiRC.zip", 1116225, "b3cd440856e72eb166b2edcd37b798455f1ebd51f2c3de64c0c2a4e1971d2737"),
    ),
    "ReCoRD": (
        Source(_SUPERGLUE + "ReCoRD.zip", 51757880, "30c7b651ab21b8bf8fab986495cd1084333010e040548f861b839eec0044ac18"),
    ),
    "SuperGLUE-RTE": (
        Source(_SUPERGLUE + "RTE.zip", 750920, "6310aab3f000424c9d0318a1ff20692e07c7f4aa15e8f17a5972ea0a35c398b9"),
    ),
    "WiC": (
        Source(_SUPERGLUE + "WiC.zip", 396213, "ee7e67f4ae9eafbf533780faa198e62167f3cda54256cdf261877be3c0e90900"),
    ),
    "WSC": (
        Source(_SUPERGLUE + "WSC.zip", 32751, "2ed6dfa94556b4a128ff0441efe365b2e883124e7e6aa00fb8d3a6cb1fd520a9"),
    ),
    "AX-b": (
        Source(_SUPERGLUE + "AX-b.zip", 33950, "43b45c55a273575c58a33cd68f10a971f83daa3aa223bfbc4077b92fbdf960b3"),
    ),
    "AX-g": (
        Source(_SUPERGLUE + "AX-g.zip", 10413, "2d4e00d3a7d23d2c3787ee4c1382cc81a72cb05a76fc9d78d142949247ed61b9"),
    ),
}

SOURCES = {"GLUE": GLUE_SOURCES, "SuperGLUE": SUPERGLUE_SOURCES}

VOCABULARY_SOURCES = (
    Source(_GPT2_BPE + "encoder.json", 1042301, "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"),
    Source(_GPT2_BPE + "vocab.bpe", 456318, "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
    Source(_GPT2_BPE + "dict.txt"),
)


def address(source: Source, benchmark: str) -> str:
    """Where the file is fetched from: the benchmark's mirror, where the environment names one."""
    mirror = os.environ.get(f"{benchmark.upper()}_URL")
    return f"{mirror.rstrip('/')}/{source.file}" if mirror else source.url
