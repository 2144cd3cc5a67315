import numpy as np
import pytest
import torch

from fbn_exp.core.errors import MethodError
from fbn_exp.core.rows import Rows
from fbn_exp.methods.subspace import EXACT_BELOW, Subspace
from fbn_exp.reliability.resampling import TokenSpace, TokenSpaces, draw_texts

TEXTS = Rows((60,) * 20)
K = 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def falling(n_tokens: int, n_neurons: int) -> torch.Tensor:
    """Signals whose variances fall slowly, with a mean, and with other directions in other texts."""
    rng = np.random.default_rng(0)
    courses = rng.laplace(size=(n_tokens, 80)) / np.arange(1, 81) ** 0.5
    courses *= rng.gamma(1.0, size=(20, 80)).repeat(n_tokens // 20, axis=0)
    signals = courses @ rng.standard_normal((80, n_neurons)) + rng.standard_normal(n_neurons)
    return torch.from_numpy(signals + 0.3 * rng.standard_normal(signals.shape)).float()


def exact(signals: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    chosen = signals[rows].double()
    return torch.linalg.svd(chosen - chosen.mean(dim=0), full_matrices=False).Vh[:K]


def cosines(space: TokenSpace | Subspace, loadings: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(space.loadings.double() @ loadings.T)


@pytest.mark.parametrize(("n_tokens", "n_neurons"), [(1200, 200), (400, 700), (1200, 700)])
def test_resampled_texts_get_their_own_subspace(n_tokens, n_neurons):
    assert EXACT_BELOW == 512  # the last case is beyond it, the others are not
    signals = falling(n_tokens, n_neurons)
    texts = Rows((n_tokens // 20,) * 20)
    spaces = TokenSpaces(signals, K, generator())
    drawn = torch.from_numpy(texts.of_texts(draw_texts(texts, generator(1))))
    space = spaces.of_rows(drawn, K)
    truth = exact(signals, drawn)
    assert cosines(space, truth).min() > 0.9999
    assert cosines(spaces.all_tokens(K), truth).min() < 0.98


def test_the_subspace_whitens_the_drawn_rows_and_projects_all_tokens():
    signals = falling(1200, 700)
    drawn = torch.from_numpy(TEXTS.of_texts(draw_texts(TEXTS, generator(1))))
    space = TokenSpaces(signals, K, generator()).of_rows(drawn, K)
    inside = space.subspace()
    torch.testing.assert_close(
        inside.scores.T @ inside.scores, torch.eye(K, dtype=torch.float64), atol=1e-5, rtol=0
    )
    centred = signals[drawn].double() - signals[drawn].double().mean(dim=0)
    torch.testing.assert_close(
        inside.scores * inside.singular_values, centred @ space.loadings.double().T, atol=1e-3, rtol=1e-4
    )
    everything = (signals.double() - signals.double().mean(dim=0)) @ space.loadings.double().T
    torch.testing.assert_close(space.projected, everything, atol=1e-3, rtol=1e-4)


def test_a_text_that_is_drawn_twice_counts_twice():
    signals = falling(1200, 700)
    spaces = TokenSpaces(signals, K, generator())
    once, twice = (spaces.of_rows(torch.from_numpy(TEXTS.of_texts([3, 5, 8] * times)), K) for times in (1, 2))
    torch.testing.assert_close(twice.singular_values, once.singular_values * 2**0.5)
    assert len(twice.subspace().scores) == 2 * len(once.subspace().scores)


def test_as_many_texts_are_drawn_as_have_rows():
    drawn = draw_texts(Rows([2, 0, 3, 2]), generator(1))
    assert len(drawn) == 3
    assert 1 not in drawn


def test_too_few_drawn_tokens_are_refused():
    spaces = TokenSpaces(falling(1200, 200), K, generator())
    with pytest.raises(MethodError, match=r"hold 3 independent tokens for 5 components.*resample=starts"):
        spaces.of_rows(torch.tensor([0, 1, 2, 3, 3, 3]), K)


def test_signals_of_lower_rank_than_the_margin_are_decomposed_and_of_lower_rank_than_k_refused():
    rng = generator()
    signals = torch.randn(1200, 6, generator=rng) @ torch.randn(6, 700, generator=rng)
    drawn = torch.from_numpy(TEXTS.of_texts(draw_texts(TEXTS, rng)))
    space = TokenSpaces(signals, K, rng).of_rows(drawn, K)
    assert cosines(space, exact(signals, drawn)).min() > 0.9999
    with pytest.raises(MethodError, match="have rank 6"):
        TokenSpaces(signals, 8, rng)
