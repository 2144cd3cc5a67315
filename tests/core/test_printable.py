"""Texts from files, models and the command line must not steer a terminal, nor break a log file."""

import io
import logging
import logging.config
import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from zoo import REPOSITORY

import fbn_exp.core.console
from fbn_exp.core.errors import LogFile, printable

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\x7f\u202e\u2028\ud800 [red]x[/red] [/nope] :bomb:"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x0d\x9b31m\x7f\u202e\u2028\ud800 [red]x[/red] [/nope] :bomb:"


def test_control_characters_are_shown_and_all_else_stays():
    assert printable(HOSTILE) == SHOWN
    assert printable("Zürich — 東京\tΣ\n👩‍👧") == "Zürich — 東京\tΣ\n👩‍👧"


@given(st.text(st.characters(blacklist_categories=())))
def test_no_text_keeps_a_character_that_a_terminal_obeys(text):
    shown = printable(text)
    assert printable(shown) == shown
    assert {unicodedata.category(each) for each in shown} & {"Cs", "Zl", "Zp"} == set()
    assert {each for each in shown if unicodedata.category(each) == "Cc"} <= {"\n", "\t"}
    assert {unicodedata.bidirectional(each) for each in shown}.isdisjoint(
        {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    )
    shown.encode()


@pytest.fixture
def loggers():
    """Restores the handlers of the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("name", ["job_logging/rich", "hydra_logging/quiet"])
def test_a_log_message_and_its_traceback_cannot_steer_the_terminal(
    name, loggers, tmp_path, monkeypatch, capsys
):
    written = io.StringIO()
    monkeypatch.setattr(fbn_exp.core.console.console, "_file", written)
    monkeypatch.setattr(fbn_exp.core.console.console, "_width", 400)
    config = yaml.safe_load((REPOSITORY / "conf" / "hydra" / f"{name}.yaml").read_text())
    if "file" in config["handlers"]:
        config["handlers"]["file"]["filename"] = str(tmp_path / "log")
    logging.config.dictConfig(config)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("any").exception("model %s", HOSTILE)
    ways = [(tmp_path / "log").read_text()] if "file" in config["handlers"] else []
    ways.append(capsys.readouterr().out or written.getvalue())
    for way in ways:
        assert f"model {SHOWN}" in way
        assert f"ValueError: {SHOWN}" in way
        assert printable(way) == way


def test_a_log_file_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", "/dev/full"):
        handler = LogFile(place, delay=True)
        logger = logging.Logger("any")
        logger.addHandler(handler)
        for number in range(3):
            logger.info("message %d", number)
        handler.close()
        said = capsys.readouterr().err
        assert said.startswith(f"{place} cannot be written (")
        assert len(said.splitlines()) == 1


def test_a_message_with_wrong_arguments_is_shown_with_its_place_as_before(tmp_path, capsys):
    logger = logging.Logger("any")
    logger.addHandler(LogFile(tmp_path / "log", delay=True))
    logger.info("message %d", "one")
    assert "Traceback" in capsys.readouterr().err
