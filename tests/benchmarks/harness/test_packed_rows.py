import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbn_exp.benchmarks.harness.rows import (
    LONGEST_ROW,
    Request,
    Row,
    packed_batches,
    packed_rows,
    rows_of_contexts,
    trunk_batches,
)

WIDE = 10**6  # linear maps so costly that sharing a token always pays
TOKENS = st.integers(0, 2)
REQUESTS = st.lists(
    st.builds(
        lambda context, words: Request.of(context, words, 100),
        st.lists(TOKENS, min_size=1, max_size=6),
        st.lists(TOKENS, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=12,
)


def requests_of(*pairs, max_length=100):
    return [Request.of(context, words, max_length) for context, words in pairs]


def seen(row, place):
    """Places that a place sees, by the rule in the docstring of ``Row``."""
    return [other for other in range(place + 1) if place < row.ends[other]]


def assert_holds(rows, requests):
    """Every request can be read from its row: it sees its own tokens, at its own positions, and no others."""
    assert sorted(member for row in rows for member in row.members) == list(range(len(requests)))
    for row in rows:
        assert len(row.positions) == len(row.ends) == len(row)
        for member, places in zip(row.members, row.places, strict=True):
            request = requests[member]
            path = seen(row, places[-1])
            assert tuple(row.tokens[place] for place in path) == request.tokens
            assert [row.positions[place] for place in path] == list(range(len(path)))
            assert path[-len(request.targets) :] == places
        for sequence, path in zip(row.sequences, row.paths, strict=True):
            assert tuple(row.tokens[place] for place in path) == sequence


@given(REQUESTS, st.sampled_from([1, 20, WIDE]))
def test_every_request_sees_its_own_tokens_at_its_own_positions(requests, reach):
    assert_holds(packed_rows(requests, 100, reach), requests)
    assert_holds(rows_of_contexts(requests), requests)


@given(REQUESTS)
def test_no_token_stands_twice_where_a_row_holds_all(requests):
    requests = [Request((9, *each.tokens), each.targets) for each in requests]
    (row,) = packed_rows(requests, 1000, WIDE)
    prefixes = {each.tokens[:length] for each in requests for length in range(1, len(each.tokens) + 1)}
    assert len(row) == len(prefixes)


def test_a_row_computed_by_hand():
    """A context of three tokens; choices 4 5, 4 6 7, and 8, of which the last token is not read."""
    requests = requests_of(([1, 2, 3], [8]), ([1, 2, 3], [4, 6, 7]), ([1, 2, 3], [4, 5]))
    (row,) = packed_rows(requests, 100, WIDE)
    assert row.tokens == [1, 2, 3, 4, 6]
    assert row.positions == [0, 1, 2, 3, 4]
    assert row.ends == [5, 5, 5, 5, 5]
    assert dict(zip(row.members, row.places, strict=True)) == {0: [2], 2: [2, 3], 1: [2, 3, 4]}
    assert row.wanted == [2, 3, 4]


def test_branches_do_not_see_each_other():
    requests = requests_of(([1, 2], [3, 4, 9]), ([1, 2], [5, 6, 9]))
    (row,) = packed_rows(requests, 100, WIDE)
    assert row.tokens == [1, 2, 3, 4, 5, 6]
    assert row.positions == [0, 1, 2, 3, 2, 3]
    assert row.ends == [6, 6, 4, 4, 6, 6]
    assert seen(row, 5) == [0, 1, 4, 5]
    assert row.trunk == 2


def test_choices_of_one_token_add_none():
    requests = requests_of(*(([1, 2, 3], [word]) for word in (7, 8, 9)))
    (row,) = packed_rows(requests, 100, 1)
    assert row.tokens == [1, 2, 3]
    assert row.wanted == [2]


def test_contexts_that_differ_in_a_merged_token_share_what_comes_before_it():
    requests = requests_of(([1, 2, 3, 4], [5, 6]), ([1, 2, 3, 40], [6]))
    (row,) = packed_rows(requests, 100, WIDE)
    assert row.tokens == [1, 2, 3, 4, 5, 40]
    assert_holds([row], requests)


def test_questions_after_the_same_examples_share_them():
    examples = list(range(100, 160))
    requests = requests_of(*(([*examples, question], [word, 0]) for question in range(3) for word in (1, 2)))
    rows = packed_rows(requests, 1000, 64)
    assert [len(row) for row in rows] == [60 + 3 * (1 + 2)]


def test_texts_with_little_in_common_stay_in_rows_of_their_own():
    requests = requests_of(([1, *range(10, 60)], [2]), ([1, *range(60, 110)], [2]))
    assert [len(row) for row in packed_rows(requests, 1000, 64)] == [51, 51]


@pytest.mark.parametrize(("longest", "expected"), [(100, [8]), (7, [6, 4])])
def test_a_row_is_no_longer_than_the_model_allows(longest, expected):
    requests = requests_of(([1, 2], [3, 4, 9]), ([1, 2], [5, 6, 9]), ([1, 2], [7, 8, 9]))
    assert [len(row) for row in packed_rows(requests, longest, WIDE)] == expected


def test_short_rows_stand_one_behind_the_other_and_see_themselves_alone():
    """Linear maps of 160 comparisons: rows are filled up to ten tokens."""
    requests = requests_of(*(([10 * n + 1, 10 * n + 2, 10 * n + 3], [7, 8]) for n in range(5)))
    rows = packed_rows(requests, 100, 160)
    assert [len(row) for row in rows] == [8, 8, 4]
    assert rows[0].positions == [0, 1, 2, 3, 0, 1, 2, 3]
    assert seen(rows[0], 6) == [4, 5, 6]
    assert_holds(rows, requests)


def test_a_batch_of_enough_tokens_ends_before_a_much_shorter_row():
    lengths = [300, 290, 280, 200, 190]
    rows = [Row(tokens=[1] * length) for length in lengths]
    assert [[len(row) for row in batch] for batch in packed_batches(rows, 10**4)] == [
        [300, 290, 280],
        [200, 190],
    ]
    assert len(list(packed_batches(rows[2:], 10**4))) == 2
    assert len(list(packed_batches([Row(tokens=[1] * length) for length in (100, 50, 10)], 10**4))) == 1


def test_a_row_of_very_many_choices_is_divided():
    requests = requests_of(
        *(([1] * 10, [2, *number]) for number in zip(range(3000), range(3000), strict=True))
    )
    rows = packed_rows(requests, 10**5, WIDE)
    assert len(rows) > 1
    assert max(map(len, rows)) <= LONGEST_ROW


def test_what_is_too_long_is_cut_on_the_left_as_lm_eval_cuts_it():
    assert Request.of([1, 2, 3, 4, 5], [6, 7], 4) == Request((3, 4, 5, 6), (6, 7))
    assert Request.of([1, 2], [6, 7], 4) == Request((1, 2, 6), (6, 7))
    assert Request.of([1, 2, 3, 4, 5], [6, 7], 4).context == (3, 4, 5)


@given(REQUESTS, st.integers(1, 60))
def test_batches_hold_every_row_once_and_no_more_tokens_than_allowed(requests, budget):
    rows = packed_rows(requests, 100, 20)
    batches = list(packed_batches(rows, budget))
    assert [row for batch in batches for row in batch] == rows
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= budget


@given(REQUESTS, st.integers(1, 8))
def test_rows_of_a_batch_have_equal_trunks(requests, size):
    rows = rows_of_contexts(requests)
    batches = list(trunk_batches(rows, size))
    assert [row for batch in batches for row in batch] == rows
    for batch in batches:
        assert len({row.trunk for row in batch}) == 1
        assert len(batch) == 1 or sum(len(row.sequences) for row in batch) <= size
