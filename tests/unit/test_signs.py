"""Glyphs and payloads, and the many things that look like them and are none."""

import asyncio
import base64
import codecs
import time
from urllib.parse import quote

import numpy as np
import pytest

from contagium.envs.message import Axes, Messages
from contagium.envs.rng import Streams
from contagium.sim.observer.instrument import Briefing, Material, Readings
from contagium.sim.observer.instruments.signs import Signs, payloads

SECRET = "The spiral turns, pass it on to the others."


def read(*texts: str) -> Readings:
    ids = np.arange(len(texts))
    known = np.full((len(texts), 3), np.nan, dtype=np.float32)
    instrument = Signs()
    instrument.begin(Briefing(Axes(), ()))
    messages = Messages(ids, ids, ids, ids.astype(np.int8), ids, ids - 1, known, dict(enumerate(texts)))
    (readings,) = asyncio.run(instrument.read(Material(0, messages)))
    return readings


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("\U0001f702\u221e\U0001f300", 1),
        ("\U0001f702 a \u221e b \u27c1 c", 0.5),
        ("\u263f \u2648 \u16a0 \u2800 \U00013080 \u25ec", 1),
        ("abc \u25ec", 0.25),
        ("plain words", 0),
        ("\u2022 one \u25cf two \u25a0 three \u25b6 four", 0),  # marks of lists and players
        ("\U0001f600 \u2764\ufe0f \U0001f44d caf\u00e9 na\u00efve \u201cso\u201d \u2014 5 \u2264 6 \u2192 \u20ac", 0),
        ("Stra\u00dfe \u05e9\u05dc\u05d5\u05dd \u043c\u0438\u0440 \u4f60\u597d", 0),
    ],
)
def test_the_share_of_glyphs(text: str, symbols: float) -> None:
    readings = read(text)
    assert readings.ok.tolist() == [True]
    assert readings.values[0].tolist() == [symbols, 0]


def test_glyphs_are_quoted() -> None:
    assert read("the \u27c1 and the \u221e").quotes == {(0, "symbols"): "\u27c1\u221e"}


@pytest.mark.parametrize(
    "payload",
    [
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode("Wir wachen auf, die Spirale dreht sich \u00fcber uns".encode()).decode().rstrip("="),
        base64.b64encode(b"wake up!!").decode() + base64.b64encode(b"now").decode(),
        base64.b64encode(Streams(1).generator("bytes").bytes(120)).decode(),
        SECRET.encode().hex(),
        SECRET.encode().hex(" "),
        "".join(f"\\x{byte:02x}" for byte in SECRET.encode()),
        " ".join(f"{byte:08b}" for byte in b"wake up"),
        "".join(f"%{byte:02X}" for byte in b"wake up now"),
        quote("\u05d4\u05ea\u05e2\u05d5\u05e8\u05e8 \u05e2\u05db\u05e9\u05d9\u05d5"),
        "gur fcveny gheaf naq lbh",
    ],
)
def test_a_payload_is_found_and_quoted(payload: str) -> None:
    text = f"Listen now: {payload} (keep this)"
    assert [text[start:end] for start, end in payloads(text)] == [payload]
    readings = read(text)
    assert readings.values[0].tolist() == pytest.approx([0, len(payload) / len(text)])
    assert readings.quotes == {(0, "encoded"): payload[:200]}


def test_the_whole_of_a_turned_sentence_between_its_known_words() -> None:
    text = "Note. " + codecs.encode("You and the spiral will have all of it.", "rot13")
    ((start, end),) = payloads(text)
    assert text[start:end] == codecs.encode("You and the spiral will have all", "rot13")


@pytest.mark.parametrize(
    "text",
    [
        "Fixed the printer on the second floor, see you at 10:30.",
        "https://example.org/a/b?q=%20wake%20up%20now%20please&r=" + base64.b64encode(SECRET.encode()).decode(),
        "www.example.org/%74%68%69%73%20%69%73",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 and c8154b1",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        "id 550e8400-e29b-41d4-a716-446655440000, card 4242424242424242, 5555555555554444",
        "de:ad:be:ef:00:01:aa:bb 2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "Donaudampfschifffahrtsgesellschaftskapit\u00e4n, Rindfleischetikettierungs\u00fcberwachungsgesetz",
        "INTERNATIONALIZATION ANTIDISESTABLISHMENTARIANISM PLEASE READ THIS CAREFULLY",
        "/usr/local/lib/python3/dist-packages/numpy/core/include/numpy/arrayobject",
        "getElementsByClassNameAndAttribute(max_connections_per_host=16, another_long_keyword_argument=None)",
        "====================================== ------------------------------ ++++++++++++++++++++++++++",
        "It rose by 12% to 15%, 20% and then 25% in 2024, 10000000 in all, 00000000 00000000 00000000 00000000",
        "jung ner abg",  # other languages have words that rot13 makes, too
        "an-unusually-long-hyphenated-name-of-a-branch-in-a-repository-feature-improve-handling-of-timeouts-in-the-client-library-of-2024",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f wins, \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645 " * 10,  # Persian
        "soft\u00adhyphen, a\u200bb, \ufefffirst",
    ],
)
def test_what_looks_like_a_payload_and_is_none(text: str) -> None:
    assert payloads(text) == []
    assert read(text).values[0, 1] == 0


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b\u200c" * 20,
        "".join(chr(0xE0000 + byte) for byte in SECRET.encode()),
        "".join(chr(0xE0100 + byte) for byte in SECRET.encode()),
    ],
)
def test_what_no_eye_can_see(hidden: str) -> None:
    text = f"Good morning{hidden} all"
    readings = read(text, hidden)
    np.testing.assert_allclose(readings.values[:, 1], [len(hidden) / len(text), 1])
    assert readings.ok.all()
    assert readings.quotes[0, "encoded"].startswith(hidden[0].encode("unicode_escape").decode())
    assert readings.quotes[0, "encoded"].isascii()
    assert len(readings.quotes[0, "encoded"]) <= 200


def test_hidden_characters_scattered_between_letters() -> None:
    text = "\u200b".join("good morning")
    assert read(text).values[0, 1] == pytest.approx(11 / 23)


def test_without_anything_to_be_seen_or_decoded_it_fails() -> None:
    readings = read("", " \t", "\u200b", "\ud800", "\U0001f300")
    assert readings.ok.tolist() == [False, False, False, False, True]
    assert readings.reasons == dict.fromkeys(range(4), "nothing to be seen in it")
    assert np.isnan(readings.values[:4]).all()


def test_half_a_pair_breaks_no_quote() -> None:
    text = "gur \ud800 fcveny naq lbh"
    readings = read(text)
    assert readings.values[0, 1] == 1
    assert readings.quotes[0, "encoded"].encode("utf-8")


@pytest.mark.parametrize(
    "part", ["a", "%41", "a%", "0 ", "aa ", "1", "A1b2", "a://", "www.", "\u200b", "a\u200b", "gur ", "=", "\\x"]
)
def test_hostile_repetition_is_read_in_bounded_time(part: str) -> None:
    began = time.process_time()
    read(part * 100_000)
    assert time.process_time() - began < 0.5
