"""What a thread says arrives in order, with its errors, and it learns when nobody listens."""

from threading import Event

import pytest

from fbn_exp.explorer.streaming import streamed


def test_all_that_is_said_arrives_in_order():
    def count(say, abandoned):
        for number in range(5):
            say(number)

    assert list(streamed(count)) == [0, 1, 2, 3, 4]


def test_an_error_of_the_thread_is_raised_after_what_was_said():
    def fail(say, abandoned):
        say("first")
        raise ValueError("no more")

    said = streamed(fail)
    assert next(said) == "first"
    with pytest.raises(ValueError, match="no more"):
        next(said)


def test_a_thread_that_nobody_listens_to_is_told():
    ended = Event()

    def endless(say, abandoned):
        say("first")
        assert abandoned.wait(timeout=60)
        ended.set()

    said = streamed(endless)
    next(said)
    said.close()
    assert ended.wait(timeout=60)
