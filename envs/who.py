"""Whom something is for: all agents, a share of them, or those that stand out by group, role, place or state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from contagium.envs.network import Network
from contagium.envs.rng import Streams
from contagium.envs.when import Signs

Share = Annotated[float, Field(gt=0, le=1)]
Ids = Annotated[tuple[int, ...], Field(min_length=1)]


class Chosen(BaseModel):
    """Agents by one mark: their group, their role in the world, their community in the network, the share `degree` of those with
    most hearers (among equals by lot), a share drawn once, their ids, or that they are cases of the strain or state `case`, at
    any time anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str | None = None
    role: str | None = None
    community: Annotated[int, Field(ge=0)] | None = None
    degree: Share | None = None
    share: Share | None = None
    ids: Ids | None = None
    case: str | None = None

    @model_validator(mode="after")
    def _one_mark(self) -> Chosen:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            marks = ", ".join(type(self).model_fields)
            raise ValueError(f"agents are chosen by exactly one of {marks}, got {', '.join(given) or 'none'}")
        return self

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self if value is not None)


def _kind(given: Any) -> str:
    """What kind of choice was given, so that an error is about that kind alone."""
    if isinstance(given, str | bool):  # True is no share of 1.
        return "word"
    if isinstance(given, int | float):
        return "share"
    return "mark" if isinstance(given, dict | Chosen) else "ids"


Who = Annotated[
    Annotated[Literal["all", "index"], Tag("word")]
    | Annotated[Share, Tag("share")]
    | Annotated[Ids, Tag("ids")]
    | Annotated[Chosen, Tag("mark")],
    Discriminator(_kind),
]


@dataclass(frozen=True)
class Place:
    """Where agents live and what they are there: what `Who` chooses by.

    size: N agents. index: (n,) index cases. network: None where nothing is known of it. group, role: (N,) each agent's place in
    `groups` and `roles`, which are empty where nobody has one.
    """

    size: int
    index: NDArray[np.int64]
    network: Network | None = None
    group: NDArray[np.int64] | None = None
    groups: tuple[str, ...] = ()
    role: NDArray[np.int64] | None = None
    roles: tuple[str, ...] = ()


def who_mask(who: Who, place: Place, streams: Streams, stream: str) -> NDArray[np.bool_]:
    """Whom `who` chooses, (N,) bool; everybody who may become a case, where it chooses cases. stream: of what is drawn.

    ValueError: it chooses nobody, or names what is not there.
    """
    size = place.size
    mask = np.zeros(size, dtype=bool)
    if who == "index":
        mask[place.index] = True
    elif who == "all" or (isinstance(who, Chosen) and who.case is not None):
        mask[:] = True
    elif isinstance(who, float):
        mask[_drawn(who, size, streams, stream)] = True
    elif isinstance(who, tuple):
        mask[_known(who, size)] = True
    else:
        assert isinstance(who, Chosen)
        mask = _marked(who, place, streams, stream)
    if not mask.any():
        told = "the index cases, and there are none" if who == "index" else str(who)
        raise ValueError(f"nobody is chosen by {told}")
    return mask


def now(who: Who, mask: NDArray[np.bool_], signs: Signs) -> NDArray[np.bool_]:
    """Those of `mask`, as `who_mask` made it, who are chosen now: of cases, those who are cases."""
    if not isinstance(who, Chosen) or who.case is None:
        return mask
    return mask & signs.is_case[who.case]


def must_be_known(who: Who, cases: tuple[str, ...]) -> None:
    """ValueError: it chooses cases of a strain or state that is not in `cases`."""
    if isinstance(who, Chosen) and who.case is not None and who.case not in cases:
        raise ValueError(f"there are no cases of {who.case!r}; there are of: {', '.join(cases) or 'none'}")


def _drawn(share: float, size: int, streams: Streams, stream: str) -> NDArray[np.int64]:
    return streams.generator(stream).permutation(size)[: max(1, round(share * size))]


def _known(ids: tuple[int, ...], size: int) -> list[int]:
    if wrong := [agent for agent in ids if not 0 <= agent < size]:
        raise ValueError(f"agents are 0 to {size - 1}, got {', '.join(map(str, wrong))}")
    return list(ids)


def _marked(who: Chosen, place: Place, streams: Streams, stream: str) -> NDArray[np.bool_]:
    mask = np.zeros(size := place.size, dtype=bool)
    if who.group is not None:
        return np.asarray(place.group) == _place(who.group, place.groups, "group")
    if who.role is not None:
        return np.asarray(place.role) == _place(who.role, place.roles, "role")
    if who.ids is not None:
        mask[_known(who.ids, size)] = True
    elif who.share is not None:
        mask[_drawn(who.share, size, streams, stream)] = True
    elif place.network is None:
        raise ValueError("nothing is known here of a network to choose by")
    elif who.community is not None:
        from contagium.envs.communities import communities  # networkx is slow to load, and few choose by community

        mask = communities(place.network, streams) == who.community
    elif who.degree is not None:
        hearers = np.bincount(place.network.source, minlength=size)
        # Among equals the lot decides: by their ids, those side by side on a ring or in one block would be chosen together.
        lot = streams.generator(stream).permutation(size)
        mask[lot[np.argsort(-hearers[lot], kind="stable")][: max(1, round(who.degree * size))]] = True
    return mask


def _place(name: str, names: tuple[str, ...], what: str) -> int:
    if name not in names:
        raise ValueError(f"no {what} {name!r}; there are: {', '.join(names) or 'none'}")
    return names.index(name)
