"""The encoder against a plain, one-token-at-a-time reading of the BERT formulas."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from contagium.sim.observer.language.encoder import Encoder, gelu, read_safetensors

WIDTH, INNER, HEADS, LAYERS, PLACES = 12, 20, 3, 2, 10
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "spiral", "turns", "in", "the", "tower")
Tensors = dict[str, np.ndarray]


def tensors() -> Tensors:
    rng = np.random.default_rng(3)
    shapes = {
        f"embeddings.{kind}_embeddings.weight": (n, WIDTH)
        for kind, n in (("word", len(WORDS)), ("position", PLACES), ("token_type", 2))
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        dense = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        dense |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (INNER, WIDTH), "output.dense": (WIDTH, INNER)}
        for part, shape in dense.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for norm in norms:
        shapes |= {f"{norm}.weight": (WIDTH,), f"{norm}.bias": (WIDTH,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_safetensors(path: Path, known: Tensors) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    ids = np.arange(PLACES)  # real files hold integers besides
    for name, tensor in (known | {"embeddings.position_ids": ids}).items():
        kind = "F32" if tensor.dtype == np.float32 else "I64"
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [len(body), len(body) + tensor.nbytes]}
        body += tensor.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
    }
    config |= {"layer_norm_eps": 1e-12, "max_position_embeddings": PLACES}
    (tmp_path / "config.json").write_text(json.dumps(config))
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    write_safetensors(tmp_path / "model.safetensors", tensors())
    return tmp_path


def norm(x: np.ndarray, t: Tensors, name: str) -> np.ndarray:
    z = (x - np.mean(x)) / math.sqrt(np.var(x) + 1e-12)
    return z * t[f"{name}.LayerNorm.weight"] + t[f"{name}.LayerNorm.bias"]


def dense(x: np.ndarray, t: Tensors, name: str) -> np.ndarray:
    return np.array([row @ x + b for row, b in zip(t[f"{name}.weight"], t[f"{name}.bias"], strict=True)])


def attend(tokens: list[np.ndarray], t: Tensors, name: str) -> list[np.ndarray]:
    q, k, v = ([dense(x, t, f"{name}.self.{part}") for x in tokens] for part in ("query", "key", "value"))
    size = WIDTH // HEADS
    out = []
    for i in range(len(tokens)):
        mixed = np.zeros(WIDTH)
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            weight = [math.exp(float(q[i][own] @ key[own]) / math.sqrt(size)) for key in k]
            mixed[own] = sum(w * value[own] for w, value in zip(weight, v, strict=True)) / sum(weight)
        out.append(dense(mixed, t, f"{name}.output.dense"))
    return out


def reference(ids: list[int]) -> np.ndarray:
    """The unit vectors of one text after each block, in double precision, with neither batch nor mask."""
    t = {name: tensor.astype(np.float64) for name, tensor in tensors().items()}
    word, place, kind = (t[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type"))
    tokens = [norm(word[i] + place[at] + kind[0], t, "embeddings") for at, i in enumerate(ids)]
    means = []
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        seen = attend(tokens, t, f"{name}.attention")
        tokens = [norm(x + y, t, f"{name}.attention.output") for x, y in zip(tokens, seen, strict=True)]
        for at, x in enumerate(tokens):
            inner = np.array([z * (1 + math.erf(z / math.sqrt(2))) / 2 for z in dense(x, t, f"{name}.intermediate.dense")])
            tokens[at] = norm(x + dense(inner, t, f"{name}.output.dense"), t, f"{name}.output")
        mean = np.mean(tokens, axis=0)
        means.append(mean / np.sqrt(mean @ mean))
    return np.array(means)


def test_agrees_with_the_formulas_whatever_the_batch(folder: Path) -> None:
    texts = ["a", "A Spiral turns in the tower", "the tower", "spiral unheard turns", "in a"]
    known = [[2, 4, 3], [2, 4, 5, 6, 7, 8, 9, 3], [2, 8, 9, 3], [2, 5, 1, 6, 3], [2, 7, 4, 3]]
    expected = [reference(ids) for ids in known]
    np.testing.assert_allclose(Encoder(folder)(texts), expected, atol=2e-6)
    np.testing.assert_allclose(np.concatenate([Encoder(folder)([text]) for text in texts]), expected, atol=2e-6)


def test_many_passes_keep_the_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contagium.sim.observer.language.encoder.BATCH", 8)
    ids = {"a": [2, 4, 3], "the tower turns": [2, 8, 9, 6, 3], "spiral in": [2, 5, 7, 3]}
    texts = list(ids) * 3
    np.testing.assert_allclose(Encoder(folder)(texts), [reference(ids[text]) for text in texts], atol=2e-6)


def test_reads_no_more_tokens_than_it_has_places(folder: Path) -> None:
    np.testing.assert_allclose(Encoder(folder)(["tower " * 50]), [reference([2, *[9] * (PLACES - 2), 3])], atol=2e-6)


def test_a_text_without_a_known_word_is_nan(folder: Path) -> None:
    vectors = Encoder(folder)(["", "unheard", "a"])
    assert np.isnan(vectors[:2]).all()
    np.testing.assert_allclose(np.linalg.norm(vectors[2], axis=1), 1, rtol=1e-6)


def test_nothing_to_encode(folder: Path) -> None:
    assert Encoder(folder)([]).shape == (0, LAYERS, WIDTH)


def test_gelu_is_x_times_the_normal_distribution_function() -> None:
    x = np.linspace(-12, 12, 4001, dtype=np.float32).reshape(-1, 1)
    expected = [float(z) * (1 + math.erf(float(z) / math.sqrt(2))) / 2 for z in x[:, 0]]
    np.testing.assert_allclose(gelu(x.copy())[:, 0], expected, atol=1e-6)


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(ValueError, match="bert with gelu, got bert with relu"):
        Encoder(folder)


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_file_cut_short_is_said(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    if keep == -1:  # the last tensor holds integers, which are not read
        path.write_bytes(path.read_bytes()[: -8 * PLACES])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        read_safetensors(path)


@pytest.mark.weights("MINILM")
def test_the_real_model_gives_the_published_similarities() -> None:
    """Known answer: the first example of the Sentence Transformers documentation, which prints four decimals."""
    from contagium.agents.weights import MINILM, fetch

    texts = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
    vectors = Encoder(fetch(MINILM))(texts)[:, -1]
    published = [[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]
    np.testing.assert_allclose(vectors @ vectors.T, published, atol=6e-5)
