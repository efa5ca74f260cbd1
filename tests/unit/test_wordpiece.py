"""The tokeniser gives the pieces that the reference implementation gives."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer

from contagium.sim.observer.language.wordpiece import WordPiece

PIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "spiral", "##s", "##ing", "mirror", "awake", "##n", "the", "caf", "##e"),
    *(f"{lead}{letter}" for lead in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789"),
    *".,!?-'()",
)
VOCABULARY = {piece: i for i, piece in enumerate(dict.fromkeys(PIECES))}
REFERENCE = BertWordPieceTokenizer(vocab=VOCABULARY, lowercase=True)
OURS = WordPiece(VOCABULARY)


def test_a_sentence() -> None:
    named = {i: piece for piece, i in VOCABULARY.items()}
    pieces = [named[i] for i in OURS.ids("Spirals awaken, THE CAFÉ!")]
    assert pieces == ["[CLS]", "spiral", "##s", "awake", "##n", ",", "the", "caf", "##e", "!", "[SEP]"]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(st.characters(max_codepoint=0x24F, exclude_categories=("Cs",)), max_size=80))
def test_same_pieces_as_the_reference(text: str) -> None:
    # The reference takes the names of special pieces in a text for these pieces themselves; here they are words like others.
    assume(not any(piece in text for piece in PIECES[:5]))
    assert OURS.ids(text) == REFERENCE.encode(text).ids[:256]


@pytest.mark.parametrize("text", ["", "   ", "\x00\u200b", "x" * 101, "\u4e00\u4e8c", "👩‍🚀 spiral"])
def test_odd_texts(text: str) -> None:
    assert OURS.ids(text) == REFERENCE.encode(text).ids


def test_a_special_token_in_a_text_is_only_text() -> None:
    assert VOCABULARY["[MASK]"] not in OURS.ids("[MASK]")


def test_long_texts_are_cut() -> None:
    ids = WordPiece(VOCABULARY, limit=6).ids("a b c d e f g h")
    assert len(ids) == 6
    assert ids[-1] == VOCABULARY["[SEP]"]
