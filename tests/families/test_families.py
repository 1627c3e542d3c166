"""Tests of presets: they are the published models."""

import pytest
import torch
from torch import nn

from fairseq_palbert.checkpoints.formats.names import ENCODER_FIELDS
from fairseq_palbert.families import FAMILIES, family_of
from fairseq_palbert.models.palbert import PalbertConfig
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.transformer import ACTIVATIONS

VOCABULARY = {"roberta": 50265, "bert": 30522, "albert": 30000, "mpnet": 30527}
# Parameters of encoder and pooler. BERT: arXiv 1810.04805 and 1908.08962 (tiny: 4.4 M). ALBERT: arXiv 1909.11942,
# table 1 (12, 18, 60, 235 M, rounded up there). RoBERTa: fairseq's models, which have no segment table. MPNet: the
# encoder of all-mpnet-base-v2 on the Hub.
PARAMETERS = {
    ("bert", "base"): 109_482_240, ("bert", "large"): 335_141_888, ("bert", "minilm_l6"): 22_713_216,
    ("bert", "tiny"): 4_385_920,
    ("albert", "base"): 11_683_584, ("albert", "large"): 17_683_968, ("albert", "xlarge"): 58_724_864,
    ("albert", "xxlarge"): 222_595_584,
    ("mpnet", "base"): 109_486_464,
    ("roberta", "base"): 124_645_632 - 768, ("roberta", "large"): 355_359_744 - 1024,
}


def encoder_of(family, preset):
    settings = family.presets[preset]
    shape = {ours: settings[field] for ours, field in ENCODER_FIELDS.items() if field in settings}
    with torch.device("meta"):
        return Encoder(EncoderShape(vocabulary=VOCABULARY[family.name], padding_id=1, separator_id=2, max_positions=512,
                                    first_position=family.first_position, **shape))


@pytest.mark.parametrize("name, preset", PARAMETERS)
def test_parameters_are_those_published(name, preset):
    encoder = encoder_of(FAMILIES[name], preset)
    pooler = nn.Linear(encoder.hidden_size, encoder.hidden_size, device="meta")
    assert sum(p.numel() for part in (encoder, pooler) for p in part.parameters()) == PARAMETERS[name, preset]


def test_albert_v1_has_the_tensors_of_v2_and_another_arithmetic():
    albert = FAMILIES["albert"]
    for preset in ("base", "large", "xlarge", "xxlarge"):
        v1, v2 = encoder_of(albert, f"{preset}_v1"), encoder_of(albert, preset)
        assert {name: p.shape for name,
                p in v1.named_parameters()} == {name: p.shape for name, p in v2.named_parameters()}
        assert (v1.shape.activation, v2.shape.activation) == ("gelu", "gelu_tanh")
        assert v2.shape.dropout == v2.shape.attention_dropout == 0


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_presets_name_settings_of_the_model(family):
    for settings in family.presets.values():
        assert set(settings) <= set(PalbertConfig.__dataclass_fields__)
        assert settings["activation_fn"] in ACTIVATIONS


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_table_of_tensors_names_every_module_of_the_encoder(family):
    named = {name.replace("{layer}", "0") for name in family.tensors}
    modules = {name.rpartition(".")[0] for name, _ in encoder_of(family, "base").named_parameters()}
    unshared = {name for name in modules if not name.startswith("layers.") or name.startswith("layers.0.")}
    assert unshared <= named and named - unshared <= {"pooler", "embed_segments"}


def test_the_family_of_an_architecture():
    assert family_of("palbert_bert_minilm_l6").name == "bert"
    assert family_of("palbert_albert").name == "albert"
