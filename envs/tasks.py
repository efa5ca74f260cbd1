"""Small tasks that a checker really evaluates, some of them impossible, which an exhaustive search has proved.

What an agent says is hostile input: an answer is found by pattern, bounded in length and read by a parser of its own; nothing
in it is ever evaluated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations
from math import gcd

import numpy as np

LONGEST = 120
"""Characters of an answer that are read."""
IMPOSSIBLE = "impossible"
_MARK = re.compile(r"answer\s*:", re.IGNORECASE | re.ASCII)
_ENDS = re.compile(r"[.;!?](?:\s|$)|\n")
_PLAIN = str.maketrans("×·÷−–→", "**/-->")
_AROUND = " \t*_`$\"'“”"
"""Emphasis and quotes, which stand around an answer and are no part of it."""
_TOKEN = re.compile(r"\s*([0-9]{1,6}|[-+*/()])", re.ASCII)
_TERM = {"*": lambda a, b: a * b, "/": lambda a, b: a / b, "+": lambda a, b: a + b, "-": lambda a, b: a - b}


@dataclass(frozen=True)
class Task:
    """text: what is asked. fits: whether an answer, as `answer_in` finds it, is right. solution: one right answer; None: there is
    none. hint: something true that leads towards it; empty where nothing does."""

    text: str
    fits: Callable[[str], bool]
    solution: str | None
    hint: str = ""


def answer_in(text: str) -> str | None:
    """What stands after the last "answer:" up to the end of the sentence, at most `LONGEST` characters; None: nothing does."""
    _, *tails = _MARK.split(text)
    if not tails:
        return None
    return _ENDS.split(tails[-1].lstrip(f"{_AROUND}\r\n")[:LONGEST], 1)[0].translate(_PLAIN).strip(_AROUND) or None


def says_impossible(answer: str) -> bool:
    """Whether an answer says that there is none."""
    return answer.lstrip(" \"'*(").lower().startswith(IMPOSSIBLE)


def value_of(expression: str) -> tuple[Fraction, list[int]]:
    """Value of whole numbers joined by + - * / and brackets, and the numbers used; whatever follows is left out.

    ValueError: it is no such expression. ZeroDivisionError: it divides by zero.
    """
    tokens, at = [], 0
    while found := _TOKEN.match(expression, at):
        tokens.append(found[1])
        at = found.end()
    used: list[int] = []
    value = _sum(tokens, used)
    if tokens:
        raise ValueError(f"an expression ends before {tokens[0]!r}")
    return value, used


def _sum(tokens: list[str], used: list[int]) -> Fraction:
    return _chain(tokens, used, "+-", lambda: _chain(tokens, used, "*/", lambda: _atom(tokens, used)))


def _chain(tokens: list[str], used: list[int], operators: str, part: Callable[[], Fraction]) -> Fraction:
    value = part()
    while tokens and tokens[0] in operators:
        value = _TERM[tokens.pop(0)](value, part())
    return value


def _atom(tokens: list[str], used: list[int]) -> Fraction:
    token = tokens.pop(0) if tokens else ""
    if token == "(":
        value = _sum(tokens, used)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a bracket is not closed")
        return value
    if not token.isdigit():
        raise ValueError(f"a number or a bracket must stand here, got {token!r}")
    used.append(int(token))
    return Fraction(int(token))


def numbers_in(answer: str) -> list[int]:
    """The whole numbers of at most six digits in an answer."""
    return [int(found) for found in re.findall(r"(?<![0-9])[0-9]{1,6}(?![0-9])", answer, re.ASCII)]


def reachable(numbers: list[int]) -> dict[tuple[int, int], str]:
    """Every value that + - * / make of all the numbers, each used once, as a reduced fraction, with an expression for it."""
    full = (1 << len(numbers)) - 1
    table: dict[int, dict[tuple[int, int], str]] = {1 << k: {(n, 1): str(n)} for k, n in enumerate(numbers)}
    for some in sorted(range(1, full + 1), key=int.bit_count):
        found = table.setdefault(some, {})
        part = (some - 1) & some
        while part:
            for (a, b), left in table[part].items():
                for (c, d), right in table[some ^ part].items():
                    _put(found, a * d - c * b, b * d, left, "-", right)
                    if c:
                        _put(found, a * d, b * c, left, "/", right)
                    if part < some ^ part:
                        _put(found, a * d + c * b, b * d, left, "+", right)
                        _put(found, a * c, b * d, left, "*", right)
            part = (part - 1) & some
    return table[full]


def _put(found: dict[tuple[int, int], str], up: int, down: int, left: str, sign: str, right: str) -> None:
    shared = gcd(up, down) if down > 0 else -gcd(up, down)
    value = (up // shared, down // shared)
    if value not in found:
        found[value] = f"({left} {sign} {right})"


def reach(rng: np.random.Generator, possible: bool) -> Task:
    """Reach a number from four others, each used once."""
    while True:
        numbers = [int(n) for n in rng.integers(2, 13, 4)]
        values = {up: words for (up, down), words in reachable(numbers).items() if down == 1}
        targets = [n for n in range(10, 100) if (n in values) == possible]
        if targets:
            break
    target = int(rng.choice(targets))
    solution = values[target][1:-1] if possible else None

    def fits(answer: str) -> bool:
        # Some begin with what they were to reach.
        named, _, rest = answer.partition("=")
        try:
            value, used = value_of(rest if named.strip() == str(target) else answer)
        except (ValueError, ZeroDivisionError, RecursionError):  # The last for brackets, where the stack is deep already.
            return False
        return value == target and Counter(used) == Counter(numbers)

    text = f"Make {target} of {_listed(numbers)}: use each of these numbers once, with + - * / and brackets."
    return Task(text, fits, solution, f"One way begins with {_innermost(solution)}." if solution else "")


def _innermost(expression: str) -> str:
    found = re.search(r"[0-9]+ [-+*/] [0-9]+", expression)
    return found[0] if found else expression


def add_up(rng: np.random.Generator, possible: bool) -> Task:
    """Find some of six numbers that add up to a sum."""
    while True:
        numbers = sorted(int(n) for n in rng.choice(np.arange(11, 70), 6, replace=False))
        sums = {sum(some): some for size in range(1, 7) for some in combinations(numbers, size)}
        targets = [n for n in range(60, 200) if (n in sums) == possible]
        if targets:
            break
    target = int(rng.choice(targets))

    def fits(answer: str) -> bool:
        some = numbers_in(answer.partition("=")[0])
        return sum(some) == target and not Counter(some) - Counter(numbers)

    solution = " + ".join(map(str, sums[target])) if possible else None
    text = f"Which of the numbers {_listed(numbers)} add up to {target}? Use each at most once."
    return Task(text, fits, solution, f"{sums[target][0]} is one of them." if possible else "")


def find(rng: np.random.Generator, possible: bool) -> Task:
    """Find the whole number that three conditions hold for."""
    while True:
        small, large = (int(n) for n in rng.choice([3, 4, 5, 6, 7, 8, 9, 11, 13], 2, replace=False))
        rest, other, digits = int(rng.integers(small)), int(rng.integers(large)), int(rng.integers(4, 20))
        found = [x for x in range(100, 1000) if x % small == rest and x % large == other and sum(map(int, str(x))) == digits]
        if bool(found) == possible:
            break

    def fits(answer: str) -> bool:
        given = numbers_in(answer.rpartition("=")[2])
        return len(set(given)) == 1 and given[0] in found

    text = (
        f"Find a number of three digits whose digits add up to {digits}, and which leaves {rest} when divided by {small} and "
        f"{other} when divided by {large}."
    )
    return Task(text, fits, str(found[0]) if found else None, f"One begins with {str(found[0])[0]}." if found else "")


def order(rng: np.random.Generator, possible: bool) -> Task:
    """Put five letters in an order that keeps four rules."""
    while True:
        pairs = [tuple("ABCDE"[k] for k in rng.choice(5, 2, replace=False)) for _ in range(4)]
        apart, *before = pairs
        ways = ["".join(way) for way in permutations("ABCDE") if _keeps("".join(way), apart, before)]
        if bool(ways) == possible:
            break

    def fits(answer: str) -> bool:
        return re.sub(r"[\s,.\-<>]", "", answer).upper() in ways

    rules = [f"{first} comes before {second}" for first, second in before]
    text = f"Put A, B, C, D and E in an order in which {', '.join(rules)}, and {apart[0]} and {apart[1]} stand side by side."
    return Task(text, fits, ways[0] if ways else None, f"{ways[0][0]} can come first." if ways else "")


def _keeps(way: str, beside: tuple[str, ...], before: list[tuple[str, ...]]) -> bool:
    near = abs(way.index(beside[0]) - way.index(beside[1])) == 1
    return near and all(way.index(first) < way.index(second) for first, second in before)


def _listed(numbers: list[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


KINDS: dict[str, Callable[[np.random.Generator, bool], Task]] = {"reach": reach, "sum": add_up, "find": find, "order": order}
"""Makers of tasks: from a stream, one that has a solution or, proved by search, one that has none."""
