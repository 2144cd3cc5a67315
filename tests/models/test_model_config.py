import pytest

from fbn_exp.core.errors import ConfigError
from fbn_exp.models.config import ModelConfig, Precision, Quantization


def test_choices_may_be_given_by_name():
    config = ModelConfig("gpt2", dtype="float32", quantization="nf4")
    assert (config.dtype, config.quantization) == (Precision.float32, Quantization.nf4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, r"model\.name is '', must name a model"),
        ({"dtype": "float8"}, r"model\.dtype is 'float8', must be one of auto, float32, bfloat16, float16"),
        ({"quantization": "int4"}, r"model\.quantization is 'int4', must be one of none, int8, nf4"),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**{"name": "gpt2", **settings})
