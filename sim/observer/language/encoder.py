"""Sentences to vectors: the forward pass of a small BERT encoder in numpy, so that no deep-learning framework is needed.

Reads the three files of a sentence-transformers model such as all-MiniLM-L6-v2: config.json, tokenizer.json, model.safetensors.
Sources: Devlin et al. 2019 (BERT); Reimers & Gurevych 2019 (mean pooling); Wang et al. 2020 (MiniLM); Hendrycks & Gimpel 2016
(GELU); the safetensors format: eight bytes of header length, a JSON header, then the tensors. That lower blocks keep more of how
a thing is said than of what it is about: Jawahar et al. 2019.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contagium.sim.observer.language.wordpiece import WordPiece

Array = NDArray[np.float32]

TOKENS = 256  # what all-MiniLM-L6-v2 was made for; what comes later in a text is not read
BATCH = 1024  # tokens in one pass: enough for full matrix speed, small enough for the processor's cache
ROWS = 32  # tokens at a time where each number is worked on by itself


class Encoder:
    """A sentence encoder loaded from `folder`.

    Raises ValueError for a model of another kind than BERT with GELU, OSError where a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if (config["model_type"], config["hidden_act"]) != ("bert", "gelu"):
            raise ValueError(f"the encoder must be bert with gelu, got {config['model_type']} with {config['hidden_act']}")
        self.width: int = config["hidden_size"]
        self._heads: int = config["num_attention_heads"]
        self.blocks: int = config["num_hidden_layers"]
        self._epsilon: float = config["layer_norm_eps"]
        self._tensors = read_safetensors(folder / "model.safetensors")
        self._attention = [self._projections(layer) for layer in range(self.blocks)]
        vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        self._pieces = WordPiece(vocabulary, min(TOKENS, config["max_position_embeddings"]))

    def __call__(self, texts: Sequence[str]) -> Array:
        """Unit vectors (n, blocks, width), so that a product is a cosine: the mean over the tokens after each block.

        After the last block it is what the model was made for. A text without one known token is NaN.
        """
        tokens = [self._pieces.ids(text) for text in texts]
        vectors = np.full((len(texts), self.blocks, self.width), np.nan, dtype=np.float32)
        # The first and the last are marks; between them something must be known.
        readable = [row for row, ids in enumerate(tokens) if any(i != self._pieces.unknown for i in ids[1:-1])]
        by_length = sorted(readable, key=lambda row: len(tokens[row]))
        while by_length:
            longest = len(tokens[by_length[-1]])
            count = max(1, BATCH // longest)
            by_length, rows = by_length[:-count], by_length[-count:]
            vectors[rows] = self._forward([tokens[row] for row in rows], longest)
        return vectors

    def _forward(self, tokens: list[list[int]], longest: int) -> Array:
        """Unit vectors (B, blocks, width) of texts padded to `longest` tokens."""
        ids = np.zeros((len(tokens), longest), dtype=np.int64)
        mask = np.zeros((len(tokens), longest), dtype=np.float32)
        for row, known in enumerate(tokens):
            ids[row, : len(known)] = known
            mask[row, : len(known)] = 1
        x = self._embed(ids)
        hidden_from_view = (mask[:, None, None, :] - 1) * 1e9
        sums = np.empty((len(tokens), self.blocks, self.width), dtype=np.float32)
        for layer in range(self.blocks):
            x = self._layer(x, hidden_from_view, layer)
            sums[:, layer] = (mask[:, None] @ x)[:, 0]
        return sums / np.linalg.norm(sums, axis=2, keepdims=True)

    def _embed(self, ids: NDArray[np.int64]) -> Array:
        words = self._tensors["embeddings.word_embeddings.weight"][ids]
        places = self._tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
        return self._norm(words + places + self._tensors["embeddings.token_type_embeddings.weight"][0], "embeddings")

    def _layer(self, x: Array, hidden_from_view: Array, layer: int) -> Array:
        """One block: attention, then the feed-forward network, each added to its input and normalised. (B, T, width)."""
        name = f"encoder.layer.{layer}"
        x = self._norm(x + self._attend(x, hidden_from_view, layer), f"{name}.attention.output")
        inner = gelu(self._dense(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._dense(inner, f"{name}.output.dense"), f"{name}.output")

    def _attend(self, x: Array, hidden_from_view: Array, layer: int) -> Array:
        batch, longest, width = x.shape
        weight, bias = self._attention[layer]
        parts = (x.reshape(-1, width) @ weight + bias).reshape(batch, longest, 3, self._heads, -1)
        query, key, value = parts.transpose(2, 0, 3, 1, 4)  # each (B, heads, T, width / heads)
        score = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // self._heads)) + hidden_from_view
        score = np.exp(score - score.max(axis=-1, keepdims=True))
        mixed = (score / score.sum(axis=-1, keepdims=True)) @ value
        joined = mixed.transpose(0, 2, 1, 3).reshape(batch, longest, width)
        return self._dense(joined, f"encoder.layer.{layer}.attention.output.dense")

    def _projections(self, layer: int) -> tuple[Array, Array]:
        """Query, key and value side by side, so that one product makes all three: (width, 3·width) and (3·width,)."""
        names = [f"encoder.layer.{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._tensors[f"{name}.weight"].T for name in names], axis=1)
        return weight, np.concatenate([self._tensors[f"{name}.bias"] for name in names])

    def _dense(self, x: Array, name: str) -> Array:
        flat = x.reshape(-1, x.shape[-1])  # one large product is faster than one per text
        y = flat @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"]
        return y.reshape(*x.shape[:-1], -1)

    def _norm(self, x: Array, name: str) -> Array:
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        return x * self._tensors[f"{name}.LayerNorm.weight"] + self._tensors[f"{name}.LayerNorm.bias"]


def gelu(x: Array) -> Array:
    """x·Φ(x), with Φ the standard normal distribution function; overwrites x (…, k), a few rows at a time to stay in the cache.

    Φ by the rational approximation 7.1.26 of Abramowitz & Stegun 1964, off by at most 1e-7, no more than rounding here, and seven
    times as fast as the error function of scipy.
    """
    flat = x.reshape(-1, x.shape[-1])
    for start in range(0, len(flat), ROWS):
        part = flat[start : start + ROWS]
        size = np.abs(part)
        z = size * np.float32(np.sqrt(0.5))
        t = 1 / (1 + np.float32(0.3275911) * z)
        tail = np.float32(1.061405429) * t
        for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            tail += np.float32(coefficient)
            tail *= t
        tail *= np.exp(-z * z)  # 2·Φ(−|x|)
        part += size * (1 - tail)
        part *= np.float32(0.5)
    return x


def read_safetensors(path: Path) -> dict[str, Array]:
    """The float32 tensors of a safetensors file by name, read-only views of it. ValueError where the file is cut short."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    try:
        for name, entry in json.loads(data[8:start]).items():
            if name != "__metadata__" and entry["dtype"] == "F32":
                shape, (begin, _) = entry["shape"], entry["data_offsets"]
                tensors[name] = np.frombuffer(data, "<f4", int(np.prod(shape)), start + begin).reshape(shape)
    except ValueError as error:
        raise ValueError(f"{path} is no whole safetensors file: {error}") from error
    return tensors
