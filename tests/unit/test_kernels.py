"""Keyed random numbers: published answers, and draws that do not know of each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from contagium.agents.mechanistic import kernels
from contagium.agents.mechanistic.dwell import Dwell, Exponential, Fixed, Gamma, Lognormal, Weibull
from contagium.envs.rng import Streams

ONES = 2**64 - 1
Draws = Callable[[int, NDArray[np.int64], int], NDArray[np.float64]]


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0), (0, 0), (0xF167B032C3B480BD, 0xE91F9FEE4B7A6FB5)),
        ((ONES, ONES), (ONES, ONES), (0xCCDEC5C917A874B1, 0x4DF53ABCA26CEB01)),
        (
            (0x243F6A8885A308D3, 0x13198A2E03707344),
            (0xA4093822299F31D0, 0x082EFA98EC4E6C89),
            (0xC3AAC71561042993, 0x3FE7AE8801AFF316),
        ),
    ],
)
def test_threefry_gives_the_published_answers(counter: tuple[int, int], key: tuple[int, int], answer: tuple[int, int]) -> None:
    """Known answers of the Random123 library for threefry2x64 with 13 rounds."""
    assert kernels.threefry(*map(np.uint64, (*key, *counter))) == answer


def plain_threefry(k0: int, k1: int, c0: NDArray[np.uint64], c1: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The first word, written from the definition: rotations by table, a key word added after every four rounds."""
    rotations = (16, 42, 12, 31, 16, 32, 24, 21)
    keys = [np.uint64(k0), np.uint64(k1), np.uint64(0x1BD11BDAA9FC1A22 ^ k0 ^ k1)]
    x, y = c0 + keys[0], c1 + keys[1]
    for n in range(13):
        by = np.uint64(rotations[n % 8])
        x = x + y
        y = ((y << by) | (y >> (np.uint64(64) - by))) ^ x
        if n % 4 == 3:
            turn = n // 4 + 1
            x, y = x + keys[turn % 3], y + keys[(turn + 1) % 3] + np.uint64(turn)
    return x


def test_threefry_agrees_with_a_plain_one() -> None:
    agents = np.arange(1000, dtype=np.uint64) * np.uint64(977_777_777_777)
    k0, k1, draw = Streams(4).key("oracle"), 2**63 + 12345, 77
    plain = plain_threefry(k0, k1, agents, np.full(1000, draw, dtype=np.uint64))
    ours = kernels.uniforms(np.uint64(k0), np.uint64(k1), agents.view(np.int64), draw)
    assert np.array_equal(ours, (plain >> np.uint64(11)) * 2.0**-53)


def test_splitmix_gives_the_published_answers() -> None:
    """The first words from the seed 1234567. Source: Vigna 2015, reference implementation."""
    state, words = np.uint64(1234567), []
    for _ in range(3):
        state = np.uint64((int(state) + int(kernels.GOLDEN)) % 2**64)
        words.append(kernels.mix(state))
    assert words == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_word_becomes_a_number_from_0_to_just_below_1() -> None:
    assert kernels.unit(np.uint64(0)) == 0.0
    assert kernels.unit(np.uint64(ONES)) == 1.0 - 2.0**-53


def keyed(stream: int, agents: NDArray[np.int64], step: int) -> NDArray[np.float64]:
    return kernels.uniforms(np.uint64(stream), np.uint64(step), agents, 0)


def careless(stream: int, agents: NDArray[np.int64], step: int) -> NDArray[np.float64]:
    """Step and agent multiplied by the same constant: agent i at step t draws what agent i + 1 drew at step t − 1."""
    mixed = (agents + step).astype(np.uint64) * kernels.GOLDEN
    return kernels.uniforms(np.uint64(stream), np.uint64(0), mixed.view(np.int64), 0)


def dependence(draws: Draws) -> float:
    """The largest of many test statistics, in standard errors: correlation and joint equal spread (chi-square on 8 × 8 cells) of
    draws that lie one agent, one step, one stream, or one of each in either direction apart."""
    size, steps, worst = 4000, 12, 0.0
    cube = np.array([[draws(stream, np.arange(size), step) for step in range(steps)] for stream in (5, 6)])
    for streams, step, agent in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (0, 1, -1), (1, 1, 1), (1, 1, -1), (0, 2, -2)):
        one = cube[: 2 - streams, : steps - step, max(0, -agent) : size - max(0, agent)].ravel()
        other = cube[streams:, step:, max(0, agent) : size - max(0, -agent)].ravel()
        correlation = np.corrcoef(one, other)[0, 1] * np.sqrt(len(one))
        cells = np.histogram2d(one, other, bins=8, range=[[0, 1], [0, 1]])[0]
        expected = len(one) / 64
        spread = (((cells - expected) ** 2 / expected).sum() - 63) / np.sqrt(2 * 63)
        worst = max(worst, abs(correlation), abs(spread))
    return worst


def test_draws_of_agents_steps_and_streams_are_independent() -> None:
    assert dependence(keyed) < 4.5


def test_the_test_of_independence_finds_a_careless_key() -> None:
    """With one constant for step and agent an epidemic came out at .837 where theory says .931."""
    assert dependence(careless) > 50


@pytest.mark.parametrize(
    ("dwell", "law"),
    [
        (Exponential(0.5), stats.expon(scale=2.0)),
        (Gamma(3.0, 1.5), stats.gamma(1.5, scale=2.0)),
        (Gamma(2.0, 0.4), stats.gamma(0.4, scale=5.0)),
        (Weibull(2.0, 0.7), stats.weibull_min(0.7, scale=2.0 / stats.weibull_min(0.7).mean())),
        (Lognormal(2.0, 1.0), stats.lognorm(np.sqrt(np.log(1.25)), scale=2.0 / np.sqrt(1.25))),
    ],
)
def test_dwell_times_follow_their_distribution(dwell: Dwell, law: stats.rv_continuous) -> None:
    states = np.random.default_rng(8).integers(2**64, size=20_000, dtype=np.uint64)
    times = np.array([kernels.wait(*dwell.row, state)[0] for state in states])
    assert times.mean() == pytest.approx(law.mean(), abs=4 * law.std() / np.sqrt(len(times)))
    assert stats.kstest(times, law.cdf).pvalue > 1e-3


def test_a_fixed_dwell_time_is_fixed_and_a_rate_of_zero_is_never() -> None:
    assert kernels.wait(*Fixed(3.5).row, np.uint64(1))[0] == 3.5
    assert kernels.wait(*Exponential(0.0).row, np.uint64(1))[0] == np.inf


def test_models_are_described_without_the_compiler() -> None:
    """Loading it takes a third of a second, which nobody should wait for who does not simulate."""
    modules = "contagium.agents.mechanistic.models, contagium.agents.mechanistic.engine.outbreak"
    code = f"import sys, {modules}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
