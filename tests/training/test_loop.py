"""The loop learns, stops, keeps the best, and goes on after a kill as if nothing had happened."""

import dataclasses
import pickle
import random
import shutil

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from fbn_exp.core.errors import ConfigError, TrainingError
from fbn_exp.models.config import Precision
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.random import random_model
from fbn_exp.training.checkpoints import last_checkpoint
from fbn_exp.training.config import TrainerConfig
from fbn_exp.training.loop import fit
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
    prepared = LanguageModelingTask(dev_texts=4, test_texts=4).prepare(lm, dataset)
    finish = trainable.prepare(lm.model, None)
    fit(prepared, config, folder, callbacks)
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


@pytest.mark.parametrize("choice", [{"max_steps": 9}, {"patience": 1, "max_steps": 200}])
def test_a_run_that_had_ended_already_makes_no_further_update(choice, fresh, separable, tmp_path):
    config = dataclasses.replace(CONFIG, learning_rate=5e-2, **choice)
    whole = weights_after(fresh, separable, tmp_path / "whole", config, TrainAll(), n_texts=6)
    again = dataclasses.replace(config, resume=str(tmp_path / "whole"))
    resumed = weights_after(fresh, separable, tmp_path / "again", again, TrainAll(), KillAt(0), n_texts=6)
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
    assert not list((tmp_path / "again").glob("checkpoint-*"))


class Evaluations(TrainerCallback):
    """Remembers at which updates dev was scored; a run can be killed at one of them."""

    def __init__(self, kill_at=None):
        self.steps, self.kill_at = [], kill_at

    def on_save(self, args, state, control, **_):
        self.steps.append(state.global_step)
        if len(self.steps) == self.kill_at:
            raise Killed


# six texts are soon learnt by heart
LEARNT_BY_HEART = TrainerConfig(
    max_steps=200, learning_rate=2e-2, batch_size=6, evaluation_interval=3, patience=3
)


def test_patience_is_counted_on_over_a_kill(fresh, separable, tmp_path):
    config, whole = LEARNT_BY_HEART, Evaluations()
    kept = weights_after(fresh, separable, tmp_path / "whole", config, TrainAll(), whole, n_texts=6)
    assert whole.steps[-1] < 200
    killed, resumed = Evaluations(kill_at=len(whole.steps) - 1), Evaluations()
    with pytest.raises(Killed):
        weights_after(fresh, separable, tmp_path / "killed", config, TrainAll(), killed, n_texts=6)
    # the best checkpoint is found in the folder of the killed run, wherever that is by now
    moved = (tmp_path / "killed").rename(tmp_path / "moved")
    again = dataclasses.replace(config, resume=str(moved))
    same = weights_after(fresh, separable, tmp_path / "resumed", again, TrainAll(), resumed, n_texts=6)
    assert [*killed.steps, *resumed.steps] == whole.steps
    assert all(torch.equal(weight, same[name]) for name, weight in kept.items())


def test_a_best_checkpoint_that_is_gone_is_said(fresh, separable, tmp_path):
    weights_after(fresh, separable, tmp_path, LEARNT_BY_HEART, TrainAll(), n_texts=6)
    last = last_checkpoint(tmp_path)
    (best,) = (each for each in tmp_path.glob("checkpoint-*") if each != last)
    best.rename(tmp_path / "elsewhere")
    again = dataclasses.replace(LEARNT_BY_HEART, resume=str(last))
    with pytest.raises(TrainingError, match=f"{best.name}, the best checkpoint .* is not there any more"):
        weights_after(fresh, separable, tmp_path / "more", again, TrainAll(), n_texts=6)


def test_the_same_seed_gives_the_very_same_weights_and_another_one_others(fresh, separable, tmp_path):
    first, second, other = (
        weights_after(
            fresh,
            separable,
            tmp_path / name,
            dataclasses.replace(CONFIG, seed=seed),
            TrainAll(),
            n_texts=None,
        )
        for name, seed in (("first", 1), ("second", 1), ("other", 2))
    )
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert all(not torch.equal(weight, other[name]) for name, weight in first.items())


def test_bfloat16_multiplies_in_it_over_weights_in_float32(fresh, separable, tmp_path):
    half = dataclasses.replace(CONFIG, precision=Precision.bfloat16)
    lm = fresh()
    separable.n_texts = 20
    prepared = LanguageModelingTask(dev_texts=4, test_texts=4).prepare(lm, separable)
    TrainAll().prepare(lm.model, None)
    seen = set()
    hook = lm.model.model.layers[0].mlp.down_proj.register_forward_hook(lambda *a: seen.add(a[2].dtype))
    fit(prepared, half, tmp_path / "half")
    assert seen == {torch.bfloat16}
    assert {each.dtype for each in lm.model.parameters()} == {torch.float32}
    # once trained, it is an ordinary model again
    seen.clear()
    prepared.test.score(lm)
    assert seen == {torch.float32}
    hook.remove()
    in_half = dict(lm.model.named_parameters())
    auto, single = (
        weights_after(
            fresh,
            separable,
            tmp_path / name,
            dataclasses.replace(CONFIG, precision=Precision(name)),
            TrainAll(),
        )
        for name in ("auto", "float32")
    )
    assert all(torch.equal(auto[name], single[name]) for name in single)  # on a CPU
    assert all(not torch.equal(in_half[name], single[name]) for name in single)
    assert all(torch.allclose(in_half[name], single[name], atol=0.05) for name in single)


def test_a_run_in_bfloat16_resumes_to_the_very_same_weights_too(fresh, separable, tmp_path):
    half = dataclasses.replace(CONFIG, precision=Precision.bfloat16)
    whole = weights_after(fresh, separable, tmp_path / "whole", half, TrainAll())
    with pytest.raises(Killed):
        weights_after(fresh, separable, tmp_path / "killed", half, TrainAll(), KillAt(7))
    again = dataclasses.replace(half, resume=str(tmp_path / "killed"))
    resumed = weights_after(fresh, separable, tmp_path / "resumed", again, TrainAll())
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())


def test_weights_in_bfloat16_are_not_trained_in_float32(fresh, separable, tmp_path):
    lm = fresh()
    lm.model.to(torch.bfloat16)
    prepared = LanguageModelingTask(dev_texts=4, test_texts=4).prepare(lm, separable)
    config = dataclasses.replace(CONFIG, precision=Precision.float32)
    with pytest.raises(
        TrainingError, match=r"trainer\.precision is float32, but the weights are loaded in bf"
    ):
        fit(prepared, config, tmp_path)


def test_a_half_written_checkpoint_is_passed_over(fresh, separable, tmp_path):
    weights_after(fresh, separable, tmp_path, CONFIG, TrainLora(rank=1))
    newest = last_checkpoint(tmp_path)
    assert newest.name == "checkpoint-9"
    state = newest / "trainer_state.json"
    state.write_text(state.read_text()[:100])
    other = last_checkpoint(tmp_path)
    assert other != newest
    state.unlink()
    assert last_checkpoint(tmp_path) == other


def garbage(file):
    file.write_bytes(b"no file of torch" * 9)


def half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def other(file):
    torch.save({"another": torch.ones(2)}, file)


def pickled(file):
    file.write_bytes(pickle.dumps(Killed("unpickled")))


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.mark.parametrize("damage", [garbage, half, other, pickled])
@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "trained.safetensors"])
def test_a_damaged_checkpoint_is_named_with_the_file(
    name, damage, fresh, separable, trained_folder, tmp_path
):
    if not any(trained_folder.iterdir()):
        weights_after(fresh, separable, trained_folder, CONFIG, TrainLora(rank=1))
    shutil.copytree(last_checkpoint(trained_folder), tmp_path / "run" / "checkpoint-6")
    damage(tmp_path / "run" / "checkpoint-6" / name)
    # as of version 0.1: the digests would tell first
    for digests in (tmp_path / "run" / "checkpoint-6").glob("digests*"):
        digests.unlink()
    config = dataclasses.replace(CONFIG, resume=str(tmp_path / "run"), max_steps=12)
    with pytest.raises(TrainingError, match=r"checkpoint-6 cannot be resumed, .*is damaged") as caught:
        weights_after(fresh, separable, tmp_path / "more", config, TrainLora(rank=1))
    assert name.replace("rng_state", "rng_state*") in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"global_step": "9"}', "[" * 100_000])
def test_a_checkpoint_whose_state_is_none_is_passed_over(content, tmp_path):
    for name in ("trained.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (tmp_path / "checkpoint-3").mkdir(exist_ok=True)
        (tmp_path / "checkpoint-3" / name).touch()
    state = tmp_path / "checkpoint-3" / "trainer_state.json"
    state.write_text('{"global_step": 3}')
    assert last_checkpoint(tmp_path).name == "checkpoint-3"
    state.write_text(content)
    with pytest.raises(TrainingError, match="holds no complete checkpoint"):
        last_checkpoint(tmp_path)
    state.unlink()
    state.mkdir()
    with pytest.raises(TrainingError, match="holds no complete checkpoint"):
        last_checkpoint(tmp_path)


def test_resuming_another_choice_of_parameters_is_refused(fresh, separable, tmp_path):
    weights_after(fresh, separable, tmp_path, CONFIG, TrainLora(rank=1))
    config = dataclasses.replace(CONFIG, resume=str(tmp_path))
    with pytest.raises(TrainingError, match="resume with the same model"):
        weights_after(fresh, separable, tmp_path / "more", config, TrainLora(rank=2))


def test_resuming_on_other_texts_is_refused(fresh, separable, tmp_path):
    weights_after(fresh, separable, tmp_path, CONFIG, TrainAll(), n_texts=20)
    config = dataclasses.replace(CONFIG, resume=str(tmp_path))
    with pytest.raises(TrainingError, match="was trained on other texts"):
        weights_after(fresh, separable, tmp_path / "more", config, TrainAll(), n_texts=19)


def test_no_checkpoint_is_said_with_the_folder(tmp_path):
    with pytest.raises(TrainingError, match="holds no complete checkpoint"):
        last_checkpoint(tmp_path)


def test_the_best_weights_on_dev_are_kept_and_patience_ends_it(fresh, separable, tmp_path):
    lm = fresh()
    separable.n_texts = 6  # soon learnt by heart
    prepared = LanguageModelingTask(dev_texts=20, test_texts=4).prepare(lm, separable)
    config = TrainerConfig(max_steps=200, learning_rate=2e-2, batch_size=6, evaluation_interval=5, patience=2)
    TrainAll().prepare(lm.model, None)
    state = fit(prepared, config, tmp_path)
    seen = {each["step"]: each["eval_loss"] for each in state.log_history if "eval_loss" in each}
    assert state.global_step < 200
    assert state.global_step == state.best_global_step + 2 * 5
    assert prepared.dev.score(lm)[0].value == pytest.approx(min(seen.values()), rel=1e-6)


def test_a_classifier_learns_what_the_last_token_tells(fresh, separable, tmp_path):
    prepared = ClassificationTask(dev_texts=None, test_texts=None).prepare(fresh(), separable)
    TrainAll().prepare(prepared.lm.model, None)
    fit(prepared, TrainerConfig(max_steps=40, learning_rate=3e-3, evaluation_interval=20), tmp_path)
    scores = {score.metric: score for score in prepared.test.score(prepared.lm)}
    assert scores["acc"].chance == pytest.approx(0.8, abs=0.12)
    assert scores["acc"].value > 0.97
    assert scores["nats_per_text"].value < 0.2


class Logged(TrainerCallback):
    def __init__(self):
        self.values = []

    def on_log(self, args, state, control, logs=None, **_):
        self.values += [(logs["loss"], logs["grad_norm"])] if "grad_norm" in logs else []


@pytest.mark.parametrize("task", [ClassificationTask, LanguageModelingTask])
@pytest.mark.parametrize("choice", [{"batch_size": 4}, {"batch_size": 2}, {"batch_size": 1}])
def test_loss_and_gradient_are_those_of_the_whole_update(task, choice, fresh, separable, tmp_path):
    separable.n_texts = 20  # the last update of an epoch is smaller

    def losses_and_gradients(batch_size):
        prepared, logged = task(dev_texts=4, test_texts=4).prepare(fresh(), separable), Logged()
        TrainAll().prepare(prepared.lm.model, None)
        config = dataclasses.replace(CONFIG, batch_size=batch_size, gradient_accumulation=8 // batch_size)
        fit(prepared, config, tmp_path / str(batch_size), [logged])
        return np.array(logged.values)

    whole, divided = losses_and_gradients(8), losses_and_gradients(choice["batch_size"])
    assert whole.shape == (9, 2)
    np.testing.assert_allclose(divided, whole, rtol=2e-3)


def test_global_generators_are_left_as_they_were(fresh, separable, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    weights_after(fresh, separable, tmp_path, CONFIG, TrainLora(rank=1, dropout=0.1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_steps", 0),
        ("learning_rate", 0.0),
        ("patience", 0),
        ("epochs", float("nan")),
        ("precision", Precision.float16),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=rf"trainer\.{name} is"):
        dataclasses.replace(TrainerConfig(), **{name: value})
