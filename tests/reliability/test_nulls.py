import pytest
import torch
from planted import plant

from fbn_exp.core.rows import Rows
from fbn_exp.methods.pca import PCA
from fbn_exp.reliability.config import Surrogate
from fbn_exp.reliability.nulls import column_chunks, fits_of, p_values, phase_randomiser, shifted, surrogate
from fbn_exp.reliability.runs import WholeFits

TEXTS = Rows((50,) * 10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n_tokens", [500, 501])
def test_phase_randomisation_keeps_covariance_and_takes_the_shape_of_the_distribution(n_tokens):
    courses = torch.distributions.Laplace(0.0, 1.0)
    torch.manual_seed(0)
    drawn = (
        courses.sample((n_tokens, 3)).double() @ torch.tensor([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 2]]).double()
    )
    turned = phase_randomiser(n_tokens, generator())(drawn)
    torch.testing.assert_close(torch.cov(turned.T), torch.cov(drawn.T))
    torch.testing.assert_close(turned.mean(dim=0), drawn.mean(dim=0))
    lagged = (drawn[:, 0] * drawn[:, 1].roll(7)).mean()
    torch.testing.assert_close((turned[:, 0] * turned[:, 1].roll(7)).mean(), lagged)

    def kurtosis(values):
        centred = values - values.mean(dim=0)
        return centred.pow(4).mean(dim=0) / centred.square().mean(dim=0).square()

    assert kurtosis(drawn)[2] > 4
    assert (kurtosis(turned) - 3).abs().max() < 1


def test_phase_randomised_scores_are_those_of_phase_randomised_signals():
    signals, _ = plant(500, 80, 3, noise=0.0)
    inside = fits_of(PCA(3), signals, TEXTS, generator())
    whole = WholeFits(PCA(3), signals, TEXTS)
    with (
        surrogate(Surrogate.phase, inside, signals, generator(5)) as cheap,
        surrogate(Surrogate.phase, whole, signals, generator(5)) as dear,
    ):
        weighted = cheap.subspace.scores * cheap.subspace.singular_values
        rebuilt = weighted @ cheap.subspace.loadings.double()
        expected = (dear.signals - dear.signals.mean(dim=0)).double()
        torch.testing.assert_close(rebuilt, expected, atol=1e-3, rtol=0)
        assert (dear.signals - signals).abs().max() > 1


def test_shifted_signals_come_back_bit_for_bit_also_after_an_error(monkeypatch):
    monkeypatch.setattr("fbn_exp.reliability.nulls.CHUNK_VALUES", 700)
    signals, _ = plant(100, 33, 3, noise=0.1)
    before = signals.clone()
    assert len(list(column_chunks(signals))) == 5

    def look_and_stop():
        torch.testing.assert_close(signals.sort(dim=0).values, before.sort(dim=0).values)
        # the same course, later: neighbours stay neighbours, in one column by another lag than in the next
        lags = [(signals[:, n] == before[0, n]).nonzero()[0, 0].item() for n in range(33)]
        for neuron, lag in enumerate(lags):
            assert torch.equal(signals[:, neuron], before[:, neuron].roll(lag))
        assert len(set(lags)) > 20
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), shifted(signals, generator()):
        look_and_stop()
    assert torch.equal(signals, before)


def test_p_is_the_rank_among_the_null():
    null = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert p_values(torch.tensor([0.5, 0.3, 0.05]), null).tolist() == pytest.approx([0.2, 0.6, 1.0])
