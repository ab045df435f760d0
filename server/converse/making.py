"""Builds what the settings ask for: brains and a transcriber."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from server.config import Settings, SettingsError
from server.converse import sphinx
from server.converse.brain import Brain
from server.converse.chat_endpoint import ChatEndpoint, ChatServer
from server.converse.persona import DemoBrain
from server.converse.talk import USUAL_PROMPT, BrainKind, Talk
from server.converse.transcriber import Transcriber
from server.converse.transcription_endpoint import TranscriptionEndpoint, TranscriptionServer

_OPENAI = "api.openai.com"


def make_talk(settings: Settings, environment: Mapping[str, str] = os.environ) -> Talk:
    """Returns the server's brains and its transcriber.

    Raises:
        SettingsError: a setting needs another one that is missing.
    """
    brains: dict[BrainKind, Brain] = {"demo": DemoBrain(settings.seed)}
    if settings.brain_url is not None:
        server = ChatServer(
            settings.brain_url,
            settings.brain_model,
            settings.brain_key or _openai_key(settings.brain_url, environment),
            first_seconds=settings.brain_timeout,
        )
        brains["chat"] = ChatEndpoint(server)
    elif settings.brain == "chat":
        raise SettingsError("The brain 'chat' needs its address: --brain-url.")
    usual: BrainKind = "chat" if "chat" in brains else "demo"
    if settings.brain != "auto":
        usual = "demo" if settings.brain == "demo" else "external"
        usual = "chat" if settings.brain == "chat" else usual
    return Talk(
        brains=brains,
        usual=usual,
        prompt=settings.brain_prompt or USUAL_PROMPT,
        fallback=settings.brain_fallback,
        transcriber=_make_transcriber(settings, environment),
        seed=settings.seed,
    )


async def close_talk(talk: Talk) -> None:
    """Closes what they hold open."""
    for brain in talk.brains.values():
        await brain.aclose()
    if talk.transcriber is not None:
        await talk.transcriber.aclose()


def _make_transcriber(settings: Settings, environment: Mapping[str, str]) -> Transcriber | None:
    kind, url = settings.transcriber, settings.transcriber_url
    if kind == "endpoint" and url is None:
        raise SettingsError("The transcriber 'endpoint' needs its address: --transcriber-url.")
    if url is not None and kind in ("auto", "endpoint"):
        key = settings.transcriber_key or _openai_key(url, environment)
        return TranscriptionEndpoint(TranscriptionServer(url, settings.transcriber_model, key))
    if kind == "sphinx" and not sphinx.is_installed():
        raise SettingsError(
            "The transcriber 'sphinx' needs a package: pip install 'vivant[listen]'."
        )
    is_wanted = kind == "sphinx" or (kind == "auto" and sphinx.is_installed())
    return sphinx.Sphinx() if is_wanted else None


def _openai_key(url: str, environment: Mapping[str, str]) -> str:
    """Returns the key of the environment for OpenAI itself, and for nobody else."""
    return environment.get("OPENAI_API_KEY", "") if urlsplit(url).hostname == _OPENAI else ""
