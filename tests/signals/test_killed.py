"""A process that is killed while its signals are on disk leaves nothing there."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from fbn_exp.core import memmap
from fbn_exp.core.memmap import is_mapped, map_nameless_file
from fbn_exp.signals.config import SignalsConfig, Storage
from fbn_exp.signals.storage import allocated

CHILD = """
import sys, time
from pathlib import Path
import torch
from fbn_exp.signals.config import SignalsConfig, Storage
from fbn_exp.signals.storage import allocated
config, cpu = SignalsConfig(storage=Storage.disk), torch.device("cpu")
with allocated((64, 64), config, cpu, Path(sys.argv[1])) as values:
    values.fill_(1.0)
    print("ready", flush=True)
    time.sleep(600)
"""


def test_nothing_is_left_of_a_killed_run(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, folder], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("nameless", [True, False])
def test_values_on_disk_have_no_name_while_they_are_used(nameless, tmp_path, monkeypatch):
    if not nameless:
        # as on systems without such files
        monkeypatch.delattr(os, "O_TMPFILE")
    with allocated((50, 7), SignalsConfig(storage=Storage.disk), torch.device("cpu"), tmp_path) as values:
        assert is_mapped(values)
        assert list(tmp_path.iterdir()) == []
        assert not values.any()
        values += 3
        memmap.release(values)
        assert (values == 3).all()


def test_a_folder_that_cannot_be_written_to_is_an_error_without_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        map_nameless_file(tmp_path / "file", (3, 3))
