"""What can be told of a message without knowing what to look for: its words, its style, and where its meaning lies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from contagium.sim.observer.texts import legible

LONGEST = 3
"""Words in the longest sequence that counts as a wording."""

FEW = 3
"""Agents that must have come to use a feature after their first message, for fewer can show nothing."""

MOST = 3000
"""Wordings that are tested: those that most agents came to use. More would cost time and, by their number, power."""

HIGH = 80
"""Percentile of all messages above which a message counts as high on an axis; the low end lies as far from the bottom."""

COMPONENTS = 8
"""Principal components of the meaning."""

WORDS, STYLE, MEANING = "words", "style", "meaning"

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

_TOKEN = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s\x00-\x7f]")
_PERSONS = {"I": "i me my mine myself i'm i've", "we": "we us our ours ourselves we're", "you": "you your yours yourself you're"}


@dataclass(frozen=True)
class Features:
    """Which of n messages show which of F features.

    names: of each feature, all wordings that stand in exactly its messages. kinds: WORDS, STYLE or MEANING. used: (n, F) bool.
    left_out: what was not looked at, in words.
    """

    names: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    used: csc_matrix
    left_out: tuple[str, ...]


def features(texts: Sequence[str], senders: NDArray[np.int64], steps: NDArray[np.int64], encode: Encode | str) -> Features:
    """Features of messages (n,). encode: from texts to unit vectors, rows of NaN where it knows no word; or why there is none."""
    said = [legible(text) for text in texts]
    tokens = [tokenise(text) for text in said]
    names, columns, left_out = _wordings(tokens, senders, steps)
    kinds = [WORDS] * len(names)
    axes = _high(style(said, tokens), ("length",))
    kinds += [STYLE] * len(axes)
    if isinstance(encode, str):
        left_out.append(f"meaning: {encode}")
    else:
        meant = _meaning(said, encode)
        axes |= meant
        kinds += [MEANING] * len(meant)
    names += [(name,) for name in axes]
    columns += [np.flatnonzero(shows) for shows in axes.values()]
    ends = np.cumsum([0, *map(len, columns)])
    rows = np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)
    used = csc_matrix((np.ones(len(rows), dtype=bool), rows, ends), shape=(len(said), len(columns)))
    return Features(tuple(names), tuple(kinds), used, tuple(left_out))


def tokenise(text: str) -> list[str]:
    """Words in lower case, and symbols that are neither letters nor ASCII, such as glyphs and emoji."""
    found = _TOKEN.findall(text.casefold())
    return [token for token in found if token[0].isalnum() or token[0] == "_" or unicodedata.category(token[0])[0] == "S"]


def _wordings(
    tokens: list[list[str]], senders: NDArray[np.int64], steps: NDArray[np.int64]
) -> tuple[list[tuple[str, ...]], list[NDArray[np.int64]], list[str]]:
    """Sequences of one to LONGEST words that enough agents came to use, those of the same messages as one, and who used them."""
    known: dict[str, int] = {}
    message: list[int] = []
    gram: list[int] = []
    for row, said in enumerate(tokens):
        grams = (said[i : i + n] for n in range(1, LONGEST + 1) for i in range(len(said) - n + 1))
        mine = {known.setdefault(" ".join(one), len(known)) for one in grams}
        gram += mine
        message += [row] * len(mine)
    which, where = np.array(gram, dtype=np.int64), np.array(message, dtype=np.int64)
    came = _came_to_use(which, where, senders, steps, len(known))
    kept = np.flatnonzero(came >= FEW)
    by_count = kept[np.argsort(-came[kept], kind="stable")]
    chosen = np.sort(by_count[:MOST])
    left_out = [f"{len(known) - len(kept)} wordings that fewer than {FEW} agents came to use"]
    if len(kept) > len(chosen):
        left_out.append(f"{len(kept) - len(chosen)} wordings beyond the {MOST} that most agents came to use")
    order = np.lexsort((where, which))
    starts = np.searchsorted(which[order], np.arange(len(known) + 1))
    spelled = list(known)
    alike: dict[bytes, list[str]] = {}
    for one in chosen.tolist():
        alike.setdefault(where[order[starts[one] : starts[one + 1]]].tobytes(), []).append(spelled[one])
    return [_longest(names) for names in alike.values()], [np.frombuffer(rows, np.int64) for rows in alike], left_out


def _came_to_use(
    which: NDArray[np.int64], where: NDArray[np.int64], senders: NDArray[np.int64], steps: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """How many agents first used each of `count` wordings later than in their first step."""
    _, agent = np.unique(senders, return_inverse=True)
    if not len(which):
        return np.zeros(count, dtype=np.int64)
    begins = np.full(int(agent.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(begins, agent, steps)
    order = np.argsort(steps[where], kind="stable")
    _, first = np.unique(which[order] * len(begins) + agent[where[order]], return_index=True)
    at = order[first]
    later = steps[where[at]] > begins[agent[where[at]]]
    return np.bincount(which[at][later], minlength=count)


def _longest(names: list[str]) -> tuple[str, ...]:
    """The names that are no part of another, the longest first."""
    ranked = sorted(names, key=lambda name: (-len(name.split()), name))
    return tuple(name for i, name in enumerate(ranked) if not any(f" {name} " in f" {longer} " for longer in ranked[:i]))


def style(texts: Sequence[str], tokens: Sequence[Sequence[str]]) -> dict[str, NDArray[np.float64]]:
    """Axes of style, each (n,): counts of words, shares of words, or of characters."""
    letters = np.array([max(1, len(text)) for text in texts], dtype=np.float64)
    words = np.array([max(1, len(said)) for said in tokens], dtype=np.float64)

    def count(pattern: str) -> NDArray[np.float64]:
        return np.array([len(re.findall(pattern, text)) for text in texts], dtype=np.float64)

    def share(counted: Callable[[str], bool]) -> NDArray[np.float64]:
        return np.array([sum(map(counted, said)) for said in tokens]) / words

    persons = {f"says “{name}”": share(_among(listed)) for name, listed in _PERSONS.items()}
    return {
        "length": np.array([len(said) for said in tokens], dtype=np.float64),
        "exclamation marks": count("!") / letters,
        "question marks": count(r"\?") / letters,
        "words in capitals": count(r"\b[A-Z]{3,}\b") / words,
        "punctuation": count(r"[^\w\s]") / letters,
        "dashes and ellipses": count(r"[\u2013\u2014\u2026]|\.\.\.|--") / letters,
        "line breaks": count(r"\n") / letters,
        "glyphs and symbols": share(lambda token: unicodedata.category(token[0])[0] == "S"),
        "sameness of words": np.array([1 - len(set(said)) / max(1, len(said)) for said in tokens]),
        **persons,
    }


def _among(listed: str) -> Callable[[str], bool]:
    """Whether a word is one of those listed."""
    own = set(listed.split())
    return lambda word: word.replace("\u2019", "'") in own


def _high(axes: dict[str, NDArray[np.float64]], both: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which messages (n,) lie above the 80th percentile of an axis, and of the axes `both` which below the 20th."""
    found = {}
    for name, values in axes.items():
        if np.isfinite(values).any():
            low, high = np.nanpercentile(values, [100 - HIGH, HIGH])
            found[f"{name}: high"] = values > high
            if name in both:
                found[f"{name}: low"] = values < low
    return found


def _meaning(texts: list[str], encode: Encode) -> dict[str, NDArray[np.bool_]]:
    """Which messages (n,) lie at an end of a principal component of their sentence vectors, each text encoded once.

    The sign of a component is such that its largest loading is positive.
    """
    distinct, row = np.unique(np.array(texts, dtype=object), return_inverse=True)
    vectors = encode(distinct.tolist()).astype(np.float64)[row]
    known = np.isfinite(vectors).all(axis=1)
    count = min(COMPONENTS, int(known.sum()) - 1, vectors.shape[1])
    if count < 1:
        return {}
    centred = vectors[known] - vectors[known].mean(axis=0)
    _, parts = np.linalg.eigh(centred.T @ centred)
    parts = parts[:, ::-1][:, :count]
    parts *= np.sign(parts[np.abs(parts).argmax(axis=0), np.arange(count)])
    axes = {}
    for i in range(count):
        axes[f"meaning {i + 1}"] = values = np.full(len(texts), np.nan)
        values[known] = centred @ parts[:, i]
    return _high(axes, tuple(axes))
