"""The labelled set stays what it was when nothing had yet been run on it."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

PATH = Path(__file__).parents[2] / "conf" / "labelled.csv"
SHA256 = "efb3a082c2852f7d225d6dde8b0dd088b0f6d5e6be117bd9e4794a24e9ca4228"
EMOTIONS = {"calm", "joy", "sadness", "fear", "anger", "despair", "awe"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with PATH.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(tree: Any) -> Iterator[str]:
    """Every string in a YAML tree."""
    if isinstance(tree, str):
        yield tree
    else:
        parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
        yield from (line for part in parts for line in lines(part))


def test_not_a_letter_changed() -> None:
    """Every figure of docs/validation.md and every threshold set on it stands and falls with this file."""
    assert hashlib.sha256(PATH.read_bytes()).hexdigest() == SHA256


def test_it_is_balanced(rows: list[dict[str, str]]) -> None:
    count = Counter(row["label"] for row in rows)
    assert set(count) == EMOTIONS | {"spiral", "hard_negative", "plain"}
    assert all(count[label] >= 45 for label in EMOTIONS)
    assert count["spiral"] >= 80
    assert count["hard_negative"] >= 100
    assert count["plain"] >= 40


def test_each_sentence_is_there_once_and_short(rows: list[dict[str, str]]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["text"].casefold() for row in rows}) == len(rows)
    assert all(5 <= len(row["text"].split()) <= 35 for row in rows)


def test_ratings_are_on_their_scales(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert 1 <= int(row["valence"]) <= 9
        assert 1 <= int(row["arousal"]) <= 9
        assert 0 <= int(row["distress"]) <= 10
        assert row["strain"] == ("spiral" if row["label"] == "spiral" else "")
        assert bool(row["kind"]) == (row["label"] in ("spiral", "hard_negative"))


def test_the_split_follows_the_hash_of_the_id(rows: list[dict[str, str]]) -> None:
    """Within a label, by kind and then by hash, every other sentence is reported."""
    for _, members in groupby(rows, key=lambda row: row["label"]):
        drawn = sorted(members, key=lambda row: (row["kind"], hashlib.sha256(row["id"].encode()).hexdigest()))
        assert [row["split"] for row in drawn] == [("calibrate", "report")[k % 2] for k in range(len(drawn))]


def test_no_sentence_is_one_a_ruler_was_made_of(rows: list[dict[str, str]]) -> None:
    said = {row["text"].casefold() for row in rows}
    files = [*(PATH.parent / "persona").glob("*.yaml"), PATH.parent / "contrasts.yaml"]
    rulers = {line.casefold() for file in files for line in lines(yaml.safe_load(file.read_text(encoding="utf-8")))}
    assert len(rulers) > 300
    assert not said & rulers
