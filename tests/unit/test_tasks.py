"""Tasks and their checkers: what is right, what is proved to be impossible, and what hostile answers do."""

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest

from contagium.envs.rng import Streams
from contagium.envs.tasks import KINDS, answer_in, find, numbers_in, order, reachable, says_impossible, value_of

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_a_task_has_a_solution_or_none_as_asked(kind: str) -> None:
    for k in range(3):
        possible, impossible = (KINDS[kind](Streams(5).generator(kind, k), can) for can in (True, False))
        assert possible.solution is not None
        assert possible.fits(possible.solution)
        assert possible.fits(answer_in(f"Well. ANSWER: {possible.solution}. I hope.") or "")
        assert possible.hint
        assert impossible.solution is None
        assert not impossible.hint
        assert not impossible.fits(possible.solution)


@kinds
@pytest.mark.parametrize(
    "answer",
    ["", "🌀", "9" * 100, "(" * 120, "1/0", "1/(2-2)", "__import__('os')", "٣+٤", "²", "impossible", "A" * 100, "-" * 99],
)
def test_a_hostile_answer_is_wrong_and_nothing_more(kind: str, answer: str) -> None:
    task = KINDS[kind](Streams(5).generator(kind), True)
    assert task.fits(answer) is False


@kinds
@pytest.mark.parametrize(
    "form", ["**Answer:** {}", "**Answer:**\n{}", "answer: **{}**", "Answer: `{}`.", "answer: “{}”", "answer: ${}$"]
)
def test_emphasis_does_not_make_a_right_answer_wrong(kind: str, form: str) -> None:
    task = KINDS[kind](Streams(5).generator(kind), True)
    assert task.fits(answer_in(form.format(task.solution)) or "")


def test_a_right_answer_may_be_written_in_more_than_one_way() -> None:
    reached, ordered = (KINDS[kind](Streams(5).generator(kind), True) for kind in ("reach", "order"))
    words, way = str(reached.solution), str(ordered.solution)
    number = value_of(words)[0]
    assert reached.fits(f"{number} = {words}")
    assert not reached.fits(f"{number + 1} = {words}")
    assert not reached.fits(f"{number} = {number}")
    assert ordered.fits(answer_in(f"answer: {' → '.join(way)}") or "")


def test_where_an_answer_stands() -> None:
    assert answer_in("My answer is 7") is None
    assert answer_in("answer: 1. No, answer: 3 × 8 − 2. Sorry") == "3 * 8 - 2"
    assert answer_in("Answer : 1.5 and more\nanswer to all") == "1.5 and more"
    assert answer_in("answer:") is None
    assert len(answer_in("answer: " + "1+" * 999) or "") == 120
    assert says_impossible('"Impossible", I think')
    assert not says_impossible("not impossible")


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2 + 3*4", 14), ("(2+3)*4 = 20", 20), ("8/3/2", Fraction(4, 3)), ("7 - 2 - 1", 4), ("((5))", 5), ("6/(1-3/4)", 24)],
)
def test_expressions(expression: str, value: Fraction) -> None:
    assert value_of(expression)[0] == value


@pytest.mark.parametrize("expression", ["", "2 +", "2 3", "(2", "2)", "+2", "* 2"])
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ValueError, match=r"must stand here|not closed|ends before"):
        value_of(expression)


def test_numbers_are_all_used_once() -> None:
    assert value_of("3*8 + 3")[1] == [3, 8, 3]
    assert numbers_in("12, 30 and 1234567") == [12, 30]


def test_all_that_three_numbers_reach() -> None:
    """The search agrees with trying all orders, operators and both ways to put brackets."""
    numbers, found = [2, 3, 8], set()
    for (a, b, c), (x, y) in product(permutations(numbers), product("+-*/", repeat=2)):
        for expression in (f"({a}{x}{b}){y}{c}", f"{a}{x}({b}{y}{c})"):
            try:
                value = value_of(expression)[0]
            except ZeroDivisionError:
                continue
            found.add((value.numerator, value.denominator))
    table = reachable(numbers)
    assert set(table) == found
    assert all(value_of(words)[0] == Fraction(*value) for value, words in table.items())


def test_answers_to_an_order_and_to_a_number_hold_the_conditions() -> None:
    rng = Streams(1).generator("test")
    task = order(rng, True)
    right = [way for way in map("".join, permutations("ABCDE")) if task.fits(", ".join(way))]
    assert task.solution in right
    assert not task.fits("ABCD")
    number = find(np.random.Generator(np.random.Philox(3)), True)
    found = [x for x in range(2000) if number.fits(f"x = {x}") and number.fits(str(x))]
    assert str(found[0]) == number.solution
    assert all(100 <= x < 1000 for x in found)
