import pytest
from transformers import AutoTokenizer

from fbn_exp.models.gguf.tokenizer import BYTE, CONTROL, USER_DEFINED, from_pieces

NORMAL = 1
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "unk_token_id": 3}
# in the order of their merges: "th" comes before "he"
WHOLE = ["th", "he", "the", "▁the", "▁▁"]
LETTERS = [*"theabc▁\t"]
PIECES = [*SPECIAL, "<b>", "\n\n", "<0x0A>", "<0xC3>", "<0xB6>", *WHOLE, *LETTERS]
KINDS = [CONTROL] * 5 + [USER_DEFINED] * 2 + [BYTE] * 3 + [NORMAL] * (len(WHOLE) + len(LETTERS))


@pytest.fixture(params=["made", "saved"])
def tokenizer(request, tmp_path):
    made = from_pieces(PIECES, KINDS, IDS)
    if request.param == "made":
        return made
    made.save_pretrained(tmp_path)
    return AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the the", ["the", "▁the"]),
        # by rank, not from the left: "the" is there, but "th" merges first in "thhe"
        ("thhe", ["th", "he"]),
        ("a  b", ["a", "▁▁", "b"]),
        ("a\tb", ["a", "\t", "b"]),
        ("a<b>b\n\nc\n", ["a", "<b>", "b", "\n\n", "c", "<0x0A>"]),
        ("ö", ["<0xC3>", "<0xB6>"]),
    ],
)
def test_text_is_merged_by_rank_behind_a_token_for_its_beginning(tokenizer, text, pieces):
    ids = tokenizer(text).input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == ["<bos>", *pieces]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_ids_are_those_of_the_pieces(tokenizer):
    assert len(tokenizer) == len(PIECES)
    assert tokenizer.convert_tokens_to_ids(PIECES) == list(range(len(PIECES)))
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 1, 0)


def test_a_tab_that_is_only_a_byte_stands_for_itself():
    pieces = [*SPECIAL, "<0x09>", "a"]
    tokenizer = from_pieces(pieces, [CONTROL] * 5 + [BYTE, NORMAL], IDS)
    assert tokenizer("a\ta").input_ids == [2, 6, 5, 6]
