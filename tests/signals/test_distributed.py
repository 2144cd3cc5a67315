"""Rank 0 puts the ranks' files together; real ranks are in tests/launch."""

from pathlib import Path

import pytest
import torch
from resident import resident_kib

from fbn_exp.core.layout import NeuronLayout, Site
from fbn_exp.core.memmap import map_file
from fbn_exp.datasets.base import Document, Texts, TokenisedText
from fbn_exp.signals import distributed as shared_recording
from fbn_exp.signals.config import SignalsConfig
from fbn_exp.signals.distributed import fill_together, share_of_texts

LENGTHS = [40, 700, 1, 300, 41, 700, 5, 800, 9, 1500]
WIDTH = 4096


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize("skipped", [0, 2])
def test_rows_of_all_ranks_are_put_in_order_without_staying_in_memory(skipped, monkeypatch, tmp_path):
    texts = Texts(tuple(TokenisedText((7,) * length, Document("", "here")) for length in LENGTHS))
    layout = NeuronLayout.of(Site.mlp_output, ["layers.0.mlp"], [WIDTH])
    config = SignalsConfig(first_tokens_excluded=skipped, batch_tokens=1000)
    kept = [max(0, length - skipped) for length in LENGTHS]
    # first tokens without a row among the others have one after them
    n_rows, apart = sum(kept), len(LENGTHS) if skipped else 0
    first_row = [sum(kept[:place]) for place in range(len(kept))]
    monkeypatch.setattr(shared_recording.ranks, "count", lambda: 3)

    def recorded_by_each(function, own, fill, texts, layout, config, folder):
        """What the ranks would do: each neuron of a row holds the number of the row."""
        for rank in range(3):
            rows = [
                first_row[text] + token
                for text in share_of_texts(texts, config, rank)
                for token in range(kept[text])
            ]
            if skipped:
                rows += [n_rows + text for text in share_of_texts(texts, config, rank)]
            with (folder / f"rank{rank}.f32").open("wb") as file:
                for row in rows:
                    file.write(torch.full((WIDTH,), float(row)).numpy().tobytes())
        return [1.0, 3.0, 2.0]

    monkeypatch.setattr(shared_recording.ranks, "together", recorded_by_each)
    values = map_file(tmp_path / "values.f32", (n_rows + apart, WIDTH))
    before = resident_kib("RssFile:")
    assert fill_together(None, values, None, texts, layout, config, tmp_path) == 3.0
    # the signals are 64 MiB, and so are the files
    assert resident_kib("RssFile:") - before < 8_000
    assert torch.equal(values, torch.arange(float(n_rows + apart))[:, None].expand(-1, WIDTH))
    assert [each.name for each in tmp_path.iterdir()] == ["values.f32"]
