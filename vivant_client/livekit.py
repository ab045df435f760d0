"""An avatar for agents made with LiveKit Agents, in the shape of the avatar plugins that they know.

    avatar = AvatarSession(api_url="http://127.0.0.1:8080", avatar_id="mona_lisa")
    await avatar.start(session, room=ctx.room)
    await session.start(agent, room=ctx.room)

Imported by name only, for it needs livekit-agents: `pip install 'vivant[livekit]'`. It mints the
avatar's token, asks a Vivant server to send the avatar, and hands the agent's voice to it.
"""

from __future__ import annotations

import base64
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from livekit import api, rtc
from livekit.agents import NOT_GIVEN, AgentSession, NotGivenOr, get_job_context
from livekit.agents.types import ATTRIBUTE_PUBLISH_ON_BEHALF
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from livekit.agents.voice.avatar import DataStreamAudioOutput

from vivant_client.errors import ClientError
from vivant_client.rest import Rest

_LOG = logging.getLogger(__name__)
_PATH: Final = "/v1/livekit/sessions"
_IDENTITY: Final = "vivant-avatar-agent"


class AvatarSession(BaseAvatarSession[Literal["metrics_collected"]]):
    """A portrait that speaks for an agent.

    Attributes:
        session_id: of the session on the Vivant server, once it has started.
    """

    def __init__(
        self,
        *,
        api_url: str | None = None,
        api_key: str | None = None,
        avatar_id: str | None = None,
        avatar_image: Path | bytes | None = None,
        avatar_image_url: str | None = None,
        rights: str | None = None,
        background: str | None = None,
        avatar_participant_identity: str = _IDENTITY,
        avatar_participant_name: str = _IDENTITY,
    ) -> None:
        """Takes whom to show; the server's own portrait if nothing says so.

        Args:
            api_url: of the Vivant server; `VIVANT_URL` if not given.
            api_key: a key of the server's, where it wants one; `VIVANT_API_KEY` if not given.
            avatar_id: a portrait that the server has.
            avatar_image: a picture of a face.
            avatar_image_url: where the server finds one, on the public internet.
            rights: by what right the picture is used; see `Portraits.add`.
            background: what is behind the person, as docs/protocol.md says it.
            avatar_participant_identity: of the avatar in the room.
            avatar_participant_name: the same, for people.

        Raises:
            ClientError: no server is named, or the key is none.
        """
        super().__init__()
        address = api_url or os.getenv("VIVANT_URL")
        if not address:
            raise ClientError("Name the Vivant server: api_url='http://...', or VIVANT_URL.")
        self._server = partial(Rest, address, api_key)
        self._server()  # an impossible address is told at once
        self._wanted = {
            "avatar_id": avatar_id,
            "avatar_image": None if avatar_image is None else _packed(avatar_image),
            "avatar_image_url": avatar_image_url,
            "rights": rights,
            "background": background,
        }
        self._identity = avatar_participant_identity
        self._name = avatar_participant_name
        self.session_id: str | None = None

    @property
    def avatar_identity(self) -> str:
        """The avatar's identity in the room."""
        return self._identity

    @property
    def provider(self) -> str:
        """Who makes the avatar."""
        return "vivant"

    async def start(
        self,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        *,
        livekit_url: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_key: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_secret: NotGivenOr[str] = NOT_GIVEN,
    ) -> None:
        """Brings the avatar into the room and hands it the agent's voice.

        What is not given is in `LIVEKIT_URL`, `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`.

        Raises:
            ClientError: the Vivant server refuses or cannot be reached, or LiveKit's server is
                not named.
        """
        url = _given(livekit_url, "LIVEKIT_URL")
        key = _given(livekit_api_key, "LIVEKIT_API_KEY")
        secret = _given(livekit_api_secret, "LIVEKIT_API_SECRET")
        await super().start(agent_session, room)
        job = get_job_context(required=False)
        agent = room.local_participant.identity if job is None else job.local_participant_identity
        token = (
            api.AccessToken(key, secret)
            .with_kind("agent")
            .with_identity(self._identity)
            .with_name(self._name)
            .with_grants(api.VideoGrants(room_join=True, room=room.name))
            .with_attributes({ATTRIBUTE_PUBLISH_ON_BEHALF: agent})
            .to_jwt()
        )
        place = {"livekit_url": url, "livekit_token": token, "room_name": room.name}
        wanted = {name: value for name, value in self._wanted.items() if value is not None}
        try:
            async with self._server() as rest:
                opened = await rest.call("POST", _PATH, {**place, **wanted})
        except ClientError:
            await super().aclose()
            raise
        self.session_id = opened["session_id"]
        agent_session.output.replace_audio_tail(
            DataStreamAudioOutput(
                room,
                destination_identity=self._identity,
                wait_remote_track=rtc.TrackKind.KIND_VIDEO,
                wait_playback_start=True,
            )
        )

    async def aclose(self) -> None:
        """Calls the avatar back."""
        session_id, self.session_id = self.session_id, None
        try:
            if session_id is not None:
                async with self._server() as rest:
                    await rest.call("DELETE", f"{_PATH}/{session_id}")
        except ClientError as error:  # it left by itself, or its server has gone
            _LOG.debug("the avatar was not called back: %s", error)
        finally:
            await super().aclose()


def _given(value: NotGivenOr[str], name: str) -> str:
    found = value or os.getenv(name)
    if not found:
        raise ClientError(f"LiveKit's server is not known: {name} is not set.")
    return found


def _packed(picture: Path | bytes) -> str:
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    return base64.b64encode(content).decode()
