import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from drawn import draw_texts, shared
from planted import matched_correlation, plant
from resident import resident_kib

from fbn_exp.core.errors import SignalError
from fbn_exp.core.layout import Site
from fbn_exp.core.memmap import copied_rows, is_mapped, map_file, release, times, transposed_times
from fbn_exp.core.moments import neuron_statistics, signal_statistics
from fbn_exp.methods.ica import ICA
from fbn_exp.methods.per_block import PerBlock
from fbn_exp.signals.config import SignalsConfig, Standardise, Storage
from fbn_exp.signals.recording import recorded
from fbn_exp.signals.standardise import standardise


def mapped_copy(values, folder):
    copy = map_file(folder / "values.f32", tuple(values.shape))
    assert not copy.any()
    return copy.copy_(values)


def test_what_is_let_go_of_is_kept_in_the_file(tmp_path):
    values = torch.randn(700, 333)
    copy = mapped_copy(values, tmp_path)
    for view in (copy[3:500], copy[:, 7:9], copy[:0], copy.T, copy):
        release(view)
        assert torch.equal(copy, values)
    release(copy)
    on_disk = torch.frombuffer(bytearray((tmp_path / "values.f32").read_bytes()), dtype=torch.float32)
    assert torch.equal(on_disk.view(700, 333), values)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_pages_that_were_let_go_of_do_not_count_as_memory(tmp_path):
    copy = map_file(tmp_path / "values.f32", (4096, 4096))
    before = resident_kib("RssFile:")
    copy.fill_(1)
    assert resident_kib("RssFile:") - before > 60_000
    release(copy)
    assert abs(resident_kib("RssFile:") - before) < 2_000


def test_a_tensor_in_memory_is_left_alone():
    values = torch.randn(70, 30)
    before = values.clone()
    assert not is_mapped(values)
    release(values)
    assert torch.equal(values, before)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_rows_here_and_there_are_copied_without_keeping_what_lies_around_them(tmp_path):
    rows = torch.randperm(4096, generator=torch.Generator().manual_seed(0))[:100].sort().values
    values = torch.randn(4096, 1024)
    copy = mapped_copy(values, tmp_path)
    release(copy)
    before = resident_kib("RssFile:")
    assert torch.equal(copied_rows(copy, rows), values[rows])
    assert resident_kib("RssFile:") - before < 2_000
    assert torch.equal(copied_rows(values, rows), values[rows])


def test_products_of_mapped_values_are_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("fbn_exp.core.memmap.PRODUCT_VALUES", 1_000)
    values = torch.randn(101, 33)
    copy = mapped_copy(values, tmp_path)
    right, left = torch.randn(33, 4), torch.randn(101, 4)
    torch.testing.assert_close(times(copy, right), values @ right)
    torch.testing.assert_close(transposed_times(copy, left), values.T @ left)
    torch.testing.assert_close(times(copy[:, 5:20], right[5:20]), values[:, 5:20] @ right[5:20])


@pytest.mark.parametrize("how", Standardise)
def test_networks_of_mapped_signals_are_those_in_memory(how, tmp_path, monkeypatch):
    monkeypatch.setattr("fbn_exp.core.memmap.PRODUCT_VALUES", 100_000)
    signals, _ = plant(n_tokens=1_500, n_neurons=700, n_networks=6, noise=0.3)
    on_disk = mapped_copy(signals, tmp_path)
    for values in (signals, on_disk):
        standardise(values, how, neuron_statistics(values))
    nowhere = torch.zeros(len(signals), dtype=torch.bool)
    assert signal_statistics(on_disk, nowhere).norms == signal_statistics(signals, nowhere).norms
    found, expected = ICA(6).fit(on_disk), ICA(6).fit(signals)
    assert matched_correlation(found.maps_, expected.maps_).min() > 0.9999
    torch.testing.assert_close(found.time_courses_, expected.time_courses_, atol=1e-3, rtol=0)


def test_blocks_of_mapped_signals_give_the_networks_of_those_in_memory(tmp_path):
    lm, texts = shared("llama"), draw_texts([30] * 10)
    layout, maps = lm.layout(Site.mlp_output), []
    for storage in (Storage.memory, Storage.disk):
        config = SignalsConfig(storage=storage)
        with recorded(lm, texts, layout, config, tmp_path) as signals:
            maps.append(PerBlock(ICA(2), layout).fit(signals.values).maps_)
    torch.testing.assert_close(*maps, atol=1e-4, rtol=1e-3)


@pytest.fixture
def file_limit():
    """A limit on the size of files stands for a full disk: the kernel refuses in the same place."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_up_is_an_error_that_leaves_nothing(file_limit, tmp_path):
    lm, config = shared("llama"), SignalsConfig(storage=Storage.disk)
    refused = pytest.raises(SignalError, match=r"42 tokens × 96 neurons.*refuses it.*to another disk")
    with refused, recorded(lm, draw_texts(), lm.layout(Site.mlp_output), config, tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_as_many_neurons_as_llama_3_8b_fit_into_little_memory(tmp_path):
    script = Path(__file__).parent / "larger_than_memory.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
            # else glibc serves ever larger blocks from its heap, where a small one of a progress bar
            # keeps hundreds of MiB that are free: whether it does depends on the load of the machine
            "MALLOC_MMAP_THRESHOLD_": str(2**20),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["neurons"] == 131_072
    assert found["growth_on_disk"] < 0.65 * found["size"]
    # or else the measurement would prove nothing: the peak on disk is part of both
    assert found["growth_on_disk"] + found["growth_in_memory"] > found["size"]
    assert found["correlation"] > 0.999
    assert found["explained"][0] == pytest.approx(found["explained"][1], rel=1e-4)
    assert found["left"] == []
