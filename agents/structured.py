"""Answers in a form: asked for by a JSON schema, read back without guessing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, create_model

Model = TypeVar("Model", bound=BaseModel)
How = Literal["json", "fenced", "embedded", "label"]
QUOTES = " \"'`“”\u2018\u2019."
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
FENCE = re.compile(r"```\w*\s*\Z")


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Model]):
    """What a reply says. value: None where it cannot be read. raw: the reply, fit for a file. how: where the value stood."""

    value: Model | None
    status: Literal["ok", "failed"]
    raw: str
    how: How | None = None


class Form(Generic[Model]):
    """What a reply must look like, as a pydantic model.

    schema: as JSON schema, for `Request.schema`; without references, every object closed and every field required, which is what
    servers' strict modes and grammars ask for. ValueError: a model that holds itself or objects with free keys.

    `parse` takes a JSON object that is the whole reply, stands in a fenced block or stands among words without brackets; in a
    form of one closed list also the label alone. Case, white space, quotes and periods around a label do not matter, and a number
    may stand in quotes. Everything else fails: two objects that differ, a key given twice, NaN, what is cut off, out of range or
    not on the list, and whatever the model would have to change or fill in.
    """

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        whole = model.model_json_schema()
        self.schema: Mapping[str, Any] = _closed(whole, whole.get("$defs", {}))
        self._lists = {name: _folded(field["enum"]) for name, field in self.schema["properties"].items() if _is_list(field)}

    def parse(self, text: str) -> Parsed[Model]:
        """Never raises, whatever the text."""
        raw = writable(text)
        try:
            found, around = _objects(raw)
            if not found:
                return Parsed(self._label(raw), "ok", raw, "label")
            values = [self._value(one) for one in found]
        except (ValueError, RecursionError):
            return Parsed(None, "failed", raw)
        if any(value != values[0] for value in values[1:]):
            return Parsed(None, "failed", raw)
        return Parsed(values[0], "ok", raw, _how(around))

    def _label(self, text: str) -> Model:
        if len(self.schema["properties"]) != 1 or not self._lists:
            raise ValueError("only a form of one closed list can be answered by a label alone")
        ((name, labels),) = self._lists.items()
        return self._value({name: labels.get(fold(text))})

    def _value(self, given: Mapping[str, Any]) -> Model:
        given = {key: self._on_list(key, value) for key, value in given.items()}
        value = self._model.model_validate(given)
        read = value.model_dump(mode="json", by_alias=True)
        if not _same(given, read):
            raise ValueError("the model changed or filled in what was said")
        json.dumps(read, ensure_ascii=False).encode()  # half of a surrogate pair, escaped in the JSON, raises here
        return value

    def _on_list(self, key: str, value: object) -> object:
        return self._lists[key].get(fold(value), value) if key in self._lists and isinstance(value, str) else value


class Chosen(BaseModel):
    """One label of a closed list."""

    @property
    def label(self) -> str:
        (label,) = self.__dict__.values()
        return str(label)


@lru_cache
def closed_list(name: str, labels: tuple[str, ...]) -> Form[Chosen]:
    """A form with one field `name`, to be filled with one of `labels`. ValueError: labels that cannot be told apart."""
    _folded(labels)
    fields: dict[str, Any] = {name: (Literal[labels], ...)}
    return Form(create_model("Choice", __base__=Chosen, **fields))


def writable(text: str) -> str:
    """The text with lone surrogates, which no file can hold, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def fold(label: str) -> str:
    """What of a label counts: not its case, white space, quotes around it or a period after it."""
    return " ".join(label.split()).strip(QUOTES).casefold()


def _folded(labels: tuple[str, ...]) -> dict[str, str]:
    found = {fold(label): label for label in labels}
    if len(found) != len(labels) or not labels or "" in found:
        raise ValueError(f"labels must be different words, at least one, got {list(labels)}")
    return found


def _is_list(field: Mapping[str, Any]) -> bool:
    return "enum" in field and all(isinstance(label, str) for label in field["enum"])


def _objects(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The JSON objects in a text, and what stands around them. ValueError if a brace or bracket is left over."""
    found, around, at = [], [], 0
    while (start := text.find("{", at)) >= 0:
        around.append(text[at:start])
        one, at = DECODER.raw_decode(text, start)
        found.append(one)
    around.append(text[at:])
    if found and any(mark in piece for piece in around for mark in "[]}"):
        raise ValueError("brackets around the object: it may be a part of something")
    return found, around


def _how(around: list[str]) -> How:
    if not any(piece.strip() for piece in around) and len(around) == 2:
        return "json"
    fenced = FENCE.search(around[0]) and around[-1].lstrip().startswith("```")
    return "fenced" if fenced and len(around) == 2 else "embedded"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given = dict(pairs)
    if len(given) != len(pairs):
        raise ValueError("a key is given twice")
    return given


def _finite(number: str) -> float:
    if not isfinite(value := float(number)):
        raise ValueError(f"numbers must be finite, got {number[:20]}")
    return value


# Line breaks inside a text are let through: small models write them, and they can mean nothing else.
DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite, strict=False)


def _same(given: Any, read: Any) -> bool:
    """Whether a value as the model read it is what was given: equal and of the same kind, but for a number in quotes."""
    if isinstance(given, bool) or isinstance(read, bool):
        return given is read
    if isinstance(given, dict) and isinstance(read, dict):
        return given.keys() == read.keys() and all(_same(given[key], read[key]) for key in read)
    if isinstance(given, list) and isinstance(read, list):
        return len(given) == len(read) and all(map(_same, given, read))
    if isinstance(given, str) and isinstance(read, int | float):
        return NUMBER.fullmatch(given) is not None and type(read)(given) == read
    return bool(given == read)


def _closed(node: Mapping[str, Any], defs: Mapping[str, Any], inside: tuple[str, ...] = ()) -> dict[str, Any]:
    """A JSON schema without references and titles, its objects closed."""
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        if name in inside:
            raise ValueError(f"a form may not hold itself, but {name} does")
        return _closed(defs[name], defs, (*inside, name))
    plain = {key: value for key, value in node.items() if key not in ("$defs", "title", "default", "description")}
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    if plain.get("type") == "object":
        if "properties" not in plain:
            raise ValueError("the objects of a form must have named fields")
        plain["properties"] = {name: _closed(field, defs, inside) for name, field in plain["properties"].items()}
        plain |= {"required": list(plain["properties"]), "additionalProperties": False}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in plain:
            plain[key] = [_closed(one, defs, inside) for one in plain[key]]
    if isinstance(plain.get("items"), dict):
        plain["items"] = _closed(plain["items"], defs, inside)
    return plain
