import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.fft import idct

from fbn_exp.core.errors import MethodError
from fbn_exp.core.memmap import times
from fbn_exp.methods.solvers import krylov
from fbn_exp.methods.solvers.krylov import KrylovSpace
from fbn_exp.methods.subspace import EXACT_BELOW, leading_subspace

SMALL, LARGE = (EXACT_BELOW - 12, EXACT_BELOW + 88)


def find(signals, n_components):
    return leading_subspace(signals, n_components, torch.Generator().manual_seed(0))


def with_spectrum(n_tokens, n_neurons, singular_values):
    """Signals whose centred singular value decomposition is known, plus a mean; left and right vectors."""
    rng = np.random.default_rng(0)

    def orthonormal(size):
        chosen = 1 + rng.permutation(size - 1)[: len(singular_values)]  # without 0, which is constant
        return idct(np.eye(size)[:, chosen], norm="ortho", axis=0)

    left, right = orthonormal(n_tokens), orthonormal(n_neurons)
    signals = (left * singular_values) @ right.T + rng.standard_normal(n_neurons)
    return torch.from_numpy(signals).float(), torch.from_numpy(left), torch.from_numpy(right)


def smallest_cosine(found, exact):
    """Of the largest angle between two subspaces, given as orthonormal columns."""
    return torch.linalg.svdvals(found.double().T @ exact).min()


def exact_singular_values(signals):
    exact = signals.double()
    return torch.linalg.svdvals(exact - exact.mean(dim=0))


def assert_orthonormal(columns, tolerance):
    gram = columns.double().T @ columns.double()
    torch.testing.assert_close(gram, torch.eye(len(gram)).double(), atol=tolerance, rtol=0)


@pytest.mark.parametrize("shape", [(1500, 3000), (3000, 1500)])
def test_every_direction_is_found_under_a_slowly_decaying_spectrum(shape):
    k = 20
    spectrum = 1000 * np.arange(1.0, 1400) ** -0.5
    signals, left, right = with_spectrum(*shape, spectrum)
    assert min(shape) > max(EXACT_BELOW, KrylovSpace.of(k).width)  # not the exact path
    found = find(signals, k)
    assert smallest_cosine(found.scores, left[:, :k]) > 0.999
    assert smallest_cosine(found.loadings.T, right[:, :k]) > 0.999
    torch.testing.assert_close(found.singular_values, torch.from_numpy(spectrum[:k]), rtol=2e-4, atol=0)
    assert found.total_energy == pytest.approx((spectrum**2).sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("spectrum", "blocks"),
    [
        (1000 * 0.8 ** np.arange(800.0), 3),  # three tell that the angles are small, and fall
        (1000 * np.arange(1.0, 800) ** -0.1, 4),  # flat: as many as there are
    ],
)
def test_blocks_are_added_until_the_subspace_stays(spectrum, blocks, monkeypatch):
    signals, left, _ = with_spectrum(900, 1200, spectrum)
    widths = []

    def counted(values, right):
        if len(values) == 900:  # not those of the sample
            widths.append(right.shape[1])
        return times(values, right)

    monkeypatch.setattr(krylov, "times", counted)
    found = find(signals, 10)
    assert len(widths) == blocks
    if blocks == 3:
        assert smallest_cosine(found.scores, left[:, :10]) > 1 - 1e-6


@pytest.mark.parametrize("exponent", [-0.5, -0.3])
def test_the_subspace_of_z_scored_signals_does_not_depend_on_the_seed(exponent):
    signals, _, _ = with_spectrum(900, 1200, 1000 * np.arange(1.0, 800) ** exponent)
    signals = (signals - signals.mean(dim=0)) / signals.std(dim=0)
    left = torch.linalg.svd(signals.double(), full_matrices=False)[0][:, :10]
    for seed in range(3):
        found = leading_subspace(signals, 10, torch.Generator().manual_seed(seed))
        assert smallest_cosine(found.scores, left) > 0.999


# an eighth of so few tokens is less than a block is wide
@pytest.mark.parametrize(("k", "n_tokens"), [(100, 580), (128, 638), (200, 900)])
def test_few_tokens_suffice_for_a_wide_block(k, n_tokens):
    spectrum = 1000 * np.arange(1.0, n_tokens - 1) ** -1.0
    signals, left, _ = with_spectrum(n_tokens, 1200, spectrum)
    assert n_tokens > max(EXACT_BELOW, KrylovSpace.of(k).width)
    found = find(signals, k)
    assert smallest_cosine(found.scores, left[:, :k]) > 0.999


@pytest.mark.parametrize("shape", [(SMALL, 900), (900, SMALL), (40, 300), (300, 40), (30, 30)])
def test_small_signals_are_solved_exactly(shape):
    k = 5
    spectrum = 10 * np.arange(1.0, min(shape)) ** -0.1
    signals, left, right = with_spectrum(*shape, spectrum)
    found = find(signals, k)
    # each direction by itself, up to sign
    cosines = (found.scores * left[:, :k]).sum(dim=0), (found.loadings.T * right[:, :k]).sum(dim=0)
    for cosine in cosines:
        torch.testing.assert_close(cosine.abs(), torch.ones(k).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.singular_values, torch.from_numpy(spectrum[:k]), rtol=1e-6, atol=0)
    assert found.rank == min(shape) - 1


@pytest.mark.parametrize("shape", [(SMALL, LARGE), (LARGE, SMALL), (LARGE, LARGE + 50)])
def test_factors_are_orthonormal_and_rebuild_low_rank_signals(shape):
    signals, _, _ = with_spectrum(*shape, np.linspace(90, 30, 7))
    found = find(signals, 7)
    assert_orthonormal(found.scores, 1e-9)
    assert_orthonormal(found.loadings.T, 1e-5)
    rebuilt = (found.scores * found.singular_values) @ found.loadings.double()
    torch.testing.assert_close(rebuilt, signals.double() - signals.double().mean(dim=0), atol=1e-5, rtol=0)


def deficient(kind, n_tokens=LARGE, n_neurons=LARGE + 50):
    """Signals of rank 20 at most, where a block of 26 columns is too wide."""
    rng = np.random.default_rng(0)
    values = np.zeros((n_tokens, n_neurons))
    if kind == "noiseless":
        values = rng.standard_normal((n_tokens, 20)) @ rng.standard_normal((20, n_neurons))
    elif kind == "duplicated tokens":
        values = np.tile(rng.standard_normal((21, n_neurons)), (40, 1))[:n_tokens]
    elif kind == "few tokens":
        values[:20] = rng.integers(-3, 4, (20, n_neurons))
    elif kind == "few neurons":
        values[:, :20] = rng.integers(-3, 4, (n_tokens, 20))
    elif kind == "few of both":
        values[:20, :20] = rng.integers(-3, 4, (20, 20))
    return torch.from_numpy(values).float()


@pytest.mark.parametrize(
    "kind", ["noiseless", "duplicated tokens", "few tokens", "few neurons", "few of both"]
)
@pytest.mark.parametrize("k", [10, 15])
def test_signals_of_lower_rank_than_a_block_count_no_energy_twice(kind, k):
    signals = deficient(kind)
    found = find(signals, k)
    torch.testing.assert_close(found.singular_values, exact_singular_values(signals)[:k], rtol=1e-5, atol=0)
    assert_orthonormal(found.scores, 1e-9)
    assert_orthonormal(found.loadings.T, 1e-4)
    assert found.rank == 20


@pytest.mark.parametrize("mean", [0, 10, 1000])
@pytest.mark.parametrize("n_tokens", [SMALL, LARGE])
def test_rank_is_that_of_the_centred_signals_whatever_their_mean(mean, n_tokens):
    signals = deficient("noiseless", n_tokens) + mean
    assert find(signals, 30).rank == 20


@pytest.mark.parametrize("n_tokens", [SMALL, LARGE])
@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_signals_that_never_change_have_rank_0(n_tokens, constant):
    assert find(torch.full((n_tokens, 700), constant), 3).rank == 0


@pytest.mark.parametrize("shape", [(600, 40), (700, 600)], ids=["exact", "Krylov"])
@pytest.mark.parametrize(("scale", "message"), [(1e19, "too large: their squares"), (1e-22, "too small")])
def test_signals_whose_squares_leave_float32_are_an_error_in_words(shape, scale, message):
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(MethodError, match=message):
        leading_subspace(torch.randn(shape, generator=generator) * scale, 2, generator)


def test_a_large_mean_and_massive_neurons_leave_the_others_digits():
    spectrum = np.linspace(900, 300, 12)
    signals, left, _ = with_spectrum(700, 2000, spectrum)
    shifted = signals + 100 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
    shifted[:, :3] += 1e4
    found = find(shifted, 12)
    assert smallest_cosine(found.scores, left) > 1 - 1e-6
    torch.testing.assert_close(found.singular_values, torch.from_numpy(spectrum), rtol=1e-4, atol=0)


@pytest.mark.parametrize("n_tokens", [SMALL, LARGE])
def test_total_energy_is_the_squared_norm_of_the_centred_signals(n_tokens):
    signals = torch.randn(n_tokens, 800, generator=torch.Generator().manual_seed(0)) + 5
    centred = signals.double() - signals.double().mean(dim=0)
    assert find(signals, 3).total_energy == pytest.approx(float(centred.square().sum()), rel=1e-6)


@pytest.mark.parametrize("shape", [(SMALL, 900), (LARGE, LARGE + 100)])
def test_the_mean_may_be_left_in(shape):
    signals, _, _ = with_spectrum(*shape, 100 * 0.9 ** np.arange(100))
    signals += 2
    values, right = torch.linalg.svd(signals.double(), full_matrices=False)[1:]
    found = leading_subspace(signals, 6, torch.Generator().manual_seed(0), centre=False)
    torch.testing.assert_close(found.singular_values, values[:6], rtol=1e-4, atol=0)
    assert smallest_cosine(found.loadings.T, right[:6].T) > 0.999
    assert found.total_energy == pytest.approx(float(signals.double().square().sum()), rel=1e-6)


def test_whitened_scores_have_unit_variance_and_a_mixing_matrix_undoes_a_rotation():
    signals, _, _ = with_spectrum(300, 200, np.linspace(90, 30, 4))
    found = find(signals, 4)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double()).Q
    sources = found.whitened() @ rotation.T
    torch.testing.assert_close(sources.T.cov(correction=0), torch.eye(4).double(), atol=1e-9, rtol=0)
    rebuilt = sources @ found.mixing(rotation) @ found.loadings.double()
    torch.testing.assert_close(rebuilt, signals.double() - signals.double().mean(dim=0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_tokens", [SMALL, LARGE])
def test_signals_may_lie_on_disk_and_are_not_changed(tmp_path, n_tokens):
    signals = torch.randn(n_tokens, 700, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "signals"
    signals.numpy().tofile(path)
    mapped = torch.from_file(str(path), shared=True, size=signals.numel()).view(signals.shape)
    found, expected = find(mapped, 4), find(signals, 4)
    assert torch.equal(found.scores, expected.scores)
    assert torch.equal(found.loadings, expected.loadings)
    assert torch.equal(torch.from_numpy(np.fromfile(path, np.float32)).view(signals.shape), signals)


MEASURE = """
import resource, sys, torch
from fbn_exp.methods.subspace import leading_subspace

torch.set_num_threads(1)
n_tokens, n_neurons = int(sys.argv[1]), int(sys.argv[2])
signals = torch.randn(n_tokens, n_neurons)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
leading_subspace(signals, 4, torch.Generator().manual_seed(0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.parametrize("shape", [(LARGE, 80_000), (80_000, 300)])
def test_neither_a_neuron_by_neuron_matrix_nor_a_copy_of_the_signals_is_made(shape):
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, shape)], capture_output=True, text=True, check=True
    )
    extra_bytes = int(result.stdout) * 1024
    copy_bytes = 4 * shape[0] * shape[1]
    assert extra_bytes < 0.9 * copy_bytes  # an N × N matrix of 80,000 neurons would take 26 GB


def test_neurons_that_never_change_have_no_weight():
    values = torch.randn(800, 900, generator=torch.Generator().manual_seed(0))
    values[:, ::3] = 2.0
    # one that changes in a single token is not silent
    values[17, 0] = 500.0
    found = find(values, 3)
    assert float(found.loadings[:, 3::3].abs().max()) < 1e-6
    assert float(found.loadings[:, 0].abs().max()) > 0.9
