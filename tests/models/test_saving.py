"""Models are saved as transformers loads them, also those whose settings of generation it refuses to save."""

import torch
from transformers import AutoModelForCausalLM
from zoo import language_model

from fbn_exp.models.saving import save_checkpoint


def test_a_greedy_model_that_names_a_temperature_is_saved(tmp_path):
    lm = language_model("llama")
    settings = lm.model.generation_config
    settings.temperature, settings.top_p = 0.9, 0.6  # as of Vicuna
    save_checkpoint(lm.model, lm.tokenizer, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(loaded.state_dict()[key], each) for key, each in lm.model.state_dict().items())
    assert loaded.generation_config.eos_token_id == settings.eos_token_id
    # the model itself is as it was
    assert (lm.model.generation_config.temperature, lm.model.generation_config.top_p) == (0.9, 0.6)


def test_settings_of_a_model_that_samples_are_kept(tmp_path):
    lm = language_model("llama")
    lm.model.generation_config.update(do_sample=True, temperature=0.9)
    save_checkpoint(lm.model, lm.tokenizer, tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).generation_config.temperature == 0.9
