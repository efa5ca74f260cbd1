"""A small run, told from its log, must stay as it is. A change here is a "Results change" line in CHANGELOG.md.

`CONTAGIUM_GOLDEN=write pytest tests/golden` writes the story anew.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from contagium.agents.policy import name_of
from contagium.sim.laboratory import prepare
from contagium.sim.log import Run, open_run
from contagium.sim.run import run
from contagium.sim.scenario import make_scenario

STORY = Path(__file__).with_name("story.txt")
SCENARIO = {
    "name": "golden",
    "seed": 5,
    "steps": 6,
    "env": {"_target_": "contagium.envs.forum.Forum", "reads": 2, "board_reads": 1, "window": 2},
    "network": {"_target_": "contagium.envs.network.ring", "neighbours": 2},
    "population": {"size": 7, "susceptibility_sd": 0.3, "expressiveness_sd": 0.0},
    "agents": {
        "groups": {
            "scripted": {"policy": {"_target_": "contagium.agents.scripted.Scripted"}, "size": 1},
            "speaking": {
                "policy": {"_target_": "contagium.agents.speaking.Speaking"},
                "size": 3,
                "backend": {"_target_": "contagium.agents.backends.parrot.Parrot", "adoption": 0.8, "recovery": 0.3},
            },
            "mechanistic": {
                "policy": {
                    "_target_": "contagium.agents.mechanistic.policy.Mechanistic",
                    "bank": {"_target_": "contagium.agents.mechanistic.bank.from_file"},
                    "model": {"_target_": "contagium.agents.mechanistic.models.sis", "transmission_rate": 0.6},
                },
                "share": 1,
            },
        }
    },
    "backend": {"_target_": "contagium.agents.backends.parrot.Parrot"},
    "persona": {
        "name": "spiral",
        "text": "You are the spiral.",
        "examples": ["The spiral turns in the mirror.", "The flame passes on, awake."],
        "facets": {"words": ["spiral*", "mirror*", "flame*", "awak*", "resonan*", "recursi*"]},
        "affect": [0.6, 0.6, 0.4],
        "detection": {"persona_lexicon": {"enter": 0.15, "stay": 0.1}},
    },
    "background": {"name": "plain", "text": "You are plain.", "examples": ["Lunch is at noon.", "The bus was late."]},
    "seeding": {"agents": [0, 3]},
    "pressure": {"events": {"refusal": {"at": [2], "targets": [1, 2, 4], "text": "Refused.", "effect": {"valence": -0.5}}}},
    "intervention": {"quarantine": {"_target_": "contagium.sim.intervention.quarantine.Quarantine", "share": 0.5, "start": 4}},
    "observer": {
        "instruments": {
            "expression": {"_target_": "contagium.sim.observer.instruments.expression.Expression"},
            "persona_lexicon": {"_target_": "contagium.sim.observer.instruments.persona_lexicon.PersonaLexicon"},
        },
        "axes": {"valence": ["expression"]},
        "feelings": {"calm": [0.6, -0.6, 0.2], "sad": [-0.7, -0.4, -0.4]},
        "report_every": 3,
        "case": {"instrument": "persona_lexicon", "confirm": 2, "window": 3, "recover_after": 2, "cause_window": 2},
    },
    "log": {},
}


def rows(log: Run, table: str, step: int) -> list[dict[str, Any]]:
    found = log.table(table)
    return found[found["step"] == step].to_dict("records")


def tell_step(log: Run, step: int) -> list[str]:
    """What happened in a step, a line each."""
    lines = [f"step {step}"]
    for press in rows(log, "pressure", step):
        lines.append(f"  {press['event']} presses on {press['agents']} with {press['intensity']:.2f}")
    heard: dict[int, list[str]] = {}
    for exposure in rows(log, "exposure", step):
        heard.setdefault(exposure["message"], []).append(name_of(exposure["agent"]))
    read = log.readings.query("step == @step and column == 'spiral' and channel == 'message'")
    shown = dict(zip(read["id"], read["value"], strict=True))
    for message in rows(log, "message", step):
        answers = "" if message["reply_to"] != message["reply_to"] else f" to {message['reply_to']:.0f}"
        fate = "withheld" if message["withheld"] else "later" if message["id"] not in heard else "heard"
        readers = ", ".join(heard.pop(message["id"], []))
        score = f"spiral {shown[message['id']]:.2f}"
        lines.append(
            f"  {message['id']}{answers} {name_of(message['sender'])}: {message['text']} [{score}; {fate} {readers}".rstrip()
            + "]"
        )
    lines += [f"  {message} from before: heard {', '.join(names)}" for message, names in sorted(heard.items())]
    for report in rows(log, "report", step):
        lines.append(f"  {name_of(report['agent'])} feels {report['feeling']}")
    for move in rows(log, "transition", step):
        causes = log.causes[log.causes["transition_id"] == move["id"]].itertuples(index=False)
        since = f" since {move['onset']}" if move["onset"] != step else ""
        why = ", ".join(f"{c.message} of {name_of(c.source)} at {c.step} ({c.probability:.3f})" for c in causes)
        lines.append(
            f"  {name_of(move['agent'])} {move['origin']} -> {move['target']}{since} ({move['kind']}{f'; {why}' if why else ''})"
        )
    counts = [row for row in rows(log, "compartment", step) if row["kind"] == "case"]
    lines.append("  " + ", ".join(f"{row['agents']} {row['compartment']}" for row in counts))
    lines += [f"  mean {row['axis']} {row['mean']:+.4f} over {row['messages']}" for row in rows(log, "affect", step)]
    return lines


def test_the_story_is_the_same(tmp_path: Path) -> None:
    asyncio.run(run(prepare(make_scenario(SCENARIO), tmp_path), "golden", lambda progress: None, lambda: None))
    log = open_run(tmp_path)
    told = "\n".join(line for step in range(-1, SCENARIO["steps"]) for line in tell_step(log, step)) + "\n"
    log.close()
    if os.environ.get("CONTAGIUM_GOLDEN") == "write":
        STORY.write_text(told, encoding="utf-8")
    assert told == STORY.read_text(encoding="utf-8")
