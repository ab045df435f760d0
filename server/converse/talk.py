"""How a server's sessions converse: which brains there are, and what each session wants of them.

It builds nothing and asks nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.converse.brain import Brain
from server.converse.transcriber import Transcriber
from server.protocol import ProtocolError

BrainKind = Literal["demo", "chat", "external", "off"]

_MOST_TOOLS = 64_000  # characters of JSON
USUAL_PROMPT = (
    "You are {portrait}, a portrait that speaks with a visitor by voice. Answer in one to three "
    "short spoken sentences, without lists, headings, code or emoji. Where it fits, set the "
    "expression of your face by a tag before a sentence: <happy>, <sad>, <angry>, <surprised>, "
    "<fearful>, <disgusted> or <neutral>; and make a gesture by [nod], [shake], [tilt], "
    "[brow_raise], [wink] or [smile]. An answer of yours that ends in [interrupted] was cut off "
    "by the visitor there."
)


class BrainRequest(BaseModel):
    """What a client wants of its session's brain; what it leaves out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    brain: BrainKind | None = None
    model: str | None = Field(default=None, min_length=1, max_length=200)
    prompt: str | None = Field(default=None, max_length=20_000)
    fallback: str | None = Field(default=None, max_length=500)
    tools: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How one session converses.

    Attributes:
        brain: who answers; `off` while it does not converse.
        model: asked for; None for the server's usual one.
        prompt: the system prompt; `{portrait}` in it is the portrait's name.
        fallback: said in place of an answer that failed; empty for silence.
        tools: that the brain may call.
    """

    brain: BrainKind = "off"
    model: str | None = None
    prompt: str = USUAL_PROMPT
    fallback: str = ""
    tools: tuple[dict[str, Any], ...] = ()

    def describe(self) -> dict[str, Any]:
        """Returns what clients are told; the server's address and key are nobody's business."""
        return {
            "brain": self.brain,
            "model": self.model,
            "prompt": self.prompt,
            "fallback": self.fallback,
            "tools": list(self.tools),
        }


@dataclass(frozen=True, slots=True)
class Talk:
    """What all sessions of a server have in common.

    Attributes:
        brains: by kind; `external` and `off` have none.
        usual: brain of sessions that converse and name none.
        prompt, fallback: of sessions that set none.
        transcriber: of what viewers say; None where the page's own recogniser is to.
        seed: of nods.
    """

    brains: Mapping[BrainKind, Brain] = field(default_factory=dict)
    usual: BrainKind = "external"
    prompt: str = USUAL_PROMPT
    fallback: str = ""
    transcriber: Transcriber | None = None
    seed: int = 0

    def manner(self, brain: BrainKind | None = None) -> Manner:
        """Returns how a session converses that asks for nothing else."""
        return Manner(brain=brain or self.usual, prompt=self.prompt, fallback=self.fallback)

    def changed(self, manner: Manner, wanted: BrainRequest) -> Manner:
        """Returns a manner with what a client asks for.

        Raises:
            ProtocolError: `bad_request`, there is no such brain here, or the tools are none.
        """
        kind = wanted.brain or (self.usual if manner.brain == "off" else manner.brain)
        if kind not in ("external", "off") and kind not in self.brains:
            known = ", ".join(sorted({*self.brains, "external", "off"}))
            raise ProtocolError(
                "bad_request", f"There is no brain {kind!r} here; there are {known}."
            )
        tools = manner.tools if wanted.tools is None else _checked(wanted.tools)
        return Manner(
            brain=kind,
            model=manner.model if wanted.model is None else wanted.model,
            prompt=manner.prompt if wanted.prompt is None else wanted.prompt,
            fallback=manner.fallback if wanted.fallback is None else wanted.fallback,
            tools=tools,
        )


def _checked(tools: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    size = len(json.dumps(tools))
    if size > _MOST_TOOLS:
        raise ProtocolError(
            "bad_request", f"The tools are {size:,} characters of JSON; at most {_MOST_TOOLS:,}."
        )
    for tool in tools:
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise ProtocolError("bad_request", "A tool is not of the type 'function'.")
        if not isinstance(function.get("name"), str):
            raise ProtocolError("bad_request", "A tool's function has no name.")
    return tuple(tools)
