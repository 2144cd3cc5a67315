"""A lock is freed by the death of its holder, and is not waited for without end."""

import multiprocessing
import os
import signal
import time

import pytest

from fbn_exp.core.errors import ConfigError, LockError
from fbn_exp.core.locks import held


def hold(entry, ready):
    with held(entry):
        ready.set()
        time.sleep(300)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of ``entry``."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "entry", ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join()


def test_waiting_ends_in_an_error_that_names_the_lock_and_its_holder(holder, tmp_path, monkeypatch):
    monkeypatch.setenv("FBN_EXP_LOCK_MINUTES", "0.005")
    with (
        pytest.raises(LockError, match=rf"entry\.lock is held by process {holder.pid} on"),
        held(tmp_path / "entry"),
    ):
        pytest.fail("two hold it")


def test_a_killed_holder_leaves_the_lock_free(holder, tmp_path, monkeypatch):
    monkeypatch.setenv("FBN_EXP_LOCK_MINUTES", "0.2")
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with held(tmp_path / "entry"):
        assert f'"process": {os.getpid()}' in (tmp_path / "entry.holder").read_text()
    assert not (tmp_path / "entry.holder").exists()


def test_a_wrong_limit_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FBN_EXP_LOCK_MINUTES", "soon")
    with pytest.raises(ConfigError, match="FBN_EXP_LOCK_MINUTES is 'soon'"), held(tmp_path / "entry"):
        pytest.fail("there is no limit")
