"""As many neurons as Llama-3-8B, signals beyond the memory budget: prints what that took, and what it found.

A process of its own, run by ``test_memmap.py``: the peak of a process's memory is never lowered.
"""

import json
import sys
from pathlib import Path

import torch
from drawn import draw_texts
from planted import matched_correlation

from fbn_exp.core.layout import Site
from fbn_exp.methods.ica import ICA
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.load import load
from fbn_exp.signals.config import SignalsConfig, Standardise, Storage
from fbn_exp.signals.recording import recorded

# 32 blocks x 4,096 hidden neurons
NARROW = {
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def peak_bytes() -> int:
    # ru_maxrss starts at that of the process that started this one
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main(scratch: Path) -> None:
    torch.set_num_threads(1)
    lm = load(ModelConfig(name="random:llama", dtype="float32", device="cpu", random=NARROW), scratch)
    layout, texts = lm.layout(Site.mlp_hidden), draw_texts([40] * 25)
    lm.forward_rate()
    found, growth, size = {}, {}, 0
    for storage in (Storage.disk, Storage.memory):
        before = peak_bytes()
        config = SignalsConfig(storage=storage, batch_tokens=80, standardise=Standardise.zscore)
        with recorded(lm, texts, layout, config, scratch) as signals:
            size = signals.values.numel() * 4
            method = ICA(8, max_starts=1).fit(signals.values)
        found[storage], growth[storage] = method, peak_bytes() - before
    on_disk, in_memory = found[Storage.disk], found[Storage.memory]
    report = {
        "neurons": layout.n_neurons,
        "size": size,
        "growth_on_disk": growth[Storage.disk],
        "growth_in_memory": growth[Storage.memory],
        "correlation": float(matched_correlation(on_disk.maps_, in_memory.maps_).min()),
        "explained": [on_disk.explained_variance_, in_memory.explained_variance_],
        "left": [str(file) for file in scratch.iterdir()],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
