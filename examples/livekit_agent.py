"""An agent in a LiveKit room with a portrait for a face, which says a WAV file to whoever comes.

vivant serve                                                  # the face
export LIVEKIT_URL=ws://127.0.0.1:7880 LIVEKIT_API_KEY=devkey LIVEKIT_API_SECRET=secret
GREETING=hello.wav python examples/livekit_agent.py dev       # the agent
"""

from __future__ import annotations

import os

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.agents.utils.audio import audio_frames_from_file

from vivant_client.livekit import AvatarSession

server = AgentServer()


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """Greets whoever is in the room, with a face."""
    await ctx.connect()
    session: AgentSession[None] = AgentSession()  # with stt=, llm= and tts= it converses
    avatar = AvatarSession(
        api_url=os.getenv("VIVANT_URL", "http://127.0.0.1:8080"), avatar_id="mona_lisa"
    )
    await avatar.start(session, room=ctx.room)
    await session.start(Agent(instructions="You are a portrait."), room=ctx.room)
    await session.say("Hello!", audio=audio_frames_from_file(os.environ["GREETING"]))


if __name__ == "__main__":
    cli.run_app(server)
