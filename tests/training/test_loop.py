"""The loop learns, stops, keeps the best, and goes on after a kill as if nothing had happened."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from fbn_exp.config.training import TrainerConfig
from fbn_exp.errors import ConfigError, TrainingError
from fbn_exp.models import LanguageModel
from fbn_exp.random_model import random_model
from fbn_exp.training.loop import check, fit, last_checkpoint
from fbn_exp.training.tasks import ClassificationTask, LanguageModelingTask
from fbn_exp.training.trainable import TrainAll, TrainLora

CONFIG = TrainerConfig(
    max_steps=9,
    learning_rate=3e-3,
    batch_size=2,
    gradient_accumulation=2,
    evaluation_interval=3,
    patience=None,
    warmup_steps=2,
)


class Killed(Exception):  # noqa: N818 - nothing went wrong
    pass


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step:
            raise Killed


def weights_after(fresh, dataset, folder, config, trainable, *callbacks, n_texts=20):
    """All weights of a new model after training; the data are gone through more than once."""
    lm = fresh()
    dataset.n_texts = n_texts
    lesson = LanguageModelingTask(dev_texts=4, test_texts=4).lesson(lm, dataset)
    finish = trainable.prepare(lm.model, None)
    fit(lesson, config, folder, callbacks)
    finish()
    return {name: each.detach().clone() for name, each in lm.model.named_parameters()}


@pytest.fixture
def fresh(tiny_model):
    def make():
        model = random_model("llama", tiny_model.config.random).eval()
        return LanguageModel(model, tiny_model.tokenizer, tiny_model.config, None)

    return make


# dropout draws from the global generator, whose state a checkpoint must hold
@pytest.mark.parametrize(("trainable", "step"), [(TrainAll(), 7), (TrainLora(rank=2, dropout=0.3), 5)])
def test_a_killed_run_resumes_to_the_very_same_weights(trainable, step, fresh, separable, tmp_path):
    whole = weights_after(fresh, separable, tmp_path / "whole", CONFIG, trainable)
    with pytest.raises(Killed):
        weights_after(fresh, separable, tmp_path / "killed", CONFIG, trainable, KillAt(step))
    resumed_config = dataclasses.replace(CONFIG, resume=str(tmp_path / "killed"))
    resumed = weights_after(fresh, separable, tmp_path / "resumed", resumed_config, trainable)
    start = fresh().model.state_dict()
    assert any(not torch.equal(whole[name], start[name]) for name in whole)
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name]), name


def test_a_half_written_checkpoint_is_passed_over(fresh, separable, tmp_path):
    weights_after(fresh, separable, tmp_path, CONFIG, TrainLora(rank=1))
    newest = last_checkpoint(tmp_path)
    assert newest.name == "checkpoint-9"
    (newest / "trainer_state.json").unlink()
    assert last_checkpoint(tmp_path) != newest


def test_resuming_another_choice_of_parameters_is_refused(fresh, separable, tmp_path):
    weights_after(fresh, separable, tmp_path, CONFIG, TrainLora(rank=1))
    config = dataclasses.replace(CONFIG, resume=str(tmp_path))
    with pytest.raises(TrainingError, match="resume with the same model"):
        weights_after(fresh, separable, tmp_path / "more", config, TrainLora(rank=2))


def test_no_checkpoint_is_said_with_the_folder(tmp_path):
    with pytest.raises(TrainingError, match="holds no complete checkpoint"):
        last_checkpoint(tmp_path)


def test_the_best_weights_on_dev_are_kept_and_patience_ends_it(fresh, separable, tmp_path):
    lm = fresh()
    separable.n_texts = 6  # soon learnt by heart
    lesson = LanguageModelingTask(dev_texts=20, test_texts=4).lesson(lm, separable)
    config = TrainerConfig(max_steps=200, learning_rate=2e-2, batch_size=6, evaluation_interval=5, patience=2)
    TrainAll().prepare(lm.model, None)
    state = fit(lesson, config, tmp_path)
    seen = {each["step"]: each["eval_loss"] for each in state.log_history if "eval_loss" in each}
    assert state.global_step < 200
    assert state.global_step == state.best_global_step + 2 * 5
    assert lesson.dev.score(lm)[0].value == pytest.approx(min(seen.values()), rel=1e-6)


def test_a_classifier_learns_what_the_last_token_tells(fresh, separable, tmp_path):
    lesson = ClassificationTask(dev_texts=None, test_texts=None).lesson(fresh(), separable)
    TrainAll().prepare(lesson.lm.model, None)
    fit(lesson, TrainerConfig(max_steps=40, learning_rate=3e-3, evaluation_interval=20), tmp_path)
    scores = {score.metric: score for score in lesson.test.score(lesson.lm)}
    assert scores["acc"].chance == pytest.approx(0.8, abs=0.12)
    assert scores["acc"].value > 0.97
    assert scores["nats_per_text"].value < 0.2


def test_global_generators_are_left_as_they_were(fresh, separable, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    weights_after(fresh, separable, tmp_path, CONFIG, TrainLora(rank=1, dropout=0.1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "value"), [("max_steps", 0), ("learning_rate", 0.0), ("patience", 0), ("epochs", float("nan"))]
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=rf"trainer\.{name} is"):
        check(dataclasses.replace(TrainerConfig(), **{name: value}))
