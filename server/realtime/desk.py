"""One realtime client's events, obeyed one by one. It sends no event of the session's own."""

from __future__ import annotations

from server.protocol import ProtocolError, check_text
from server.realtime import events
from server.realtime.agent import RealtimeAgent, new_id
from server.realtime.events import EventError
from server.realtime.items import item_of
from server.realtime.listening import no_commit
from server.realtime.settings import changed, for_response


class RealtimeDesk:
    """Does what one client asks for."""

    def __init__(self, agent: RealtimeAgent) -> None:
        self._agent = agent

    async def obey(self, event: events.ClientEvent) -> None:
        """Does what an event asks for.

        Raises:
            EventError: it cannot be done.
            ProtocolError: the session refuses it.
        """
        agent = self._agent
        agent.session.touch()
        match event:
            case events.SessionUpdate():
                await self._update(event)
            case events.AudioAppend() | events.AudioCommit() | events.AudioClear():
                self._take_audio(event)
            case events.ItemCreate():
                self._add(event)
            case events.ItemDelete(item_id=item_id):
                agent.items.delete(item_id)
                agent.send("conversation.item.deleted", item_id=item_id)
            case events.ItemRetrieve(item_id=item_id):
                item = agent.items.find(item_id).describe()
                agent.send("conversation.item.retrieved", item=item)
            case events.ItemTruncate():
                self._truncate(event)
            case events.ResponseCreate(response=wanted):
                settings, metadata = for_response(agent.settings, wanted)
                agent.answering.begin(agent.maker(settings, metadata))
            case events.ResponseCancel(response_id=response_id):
                self._cancel(response_id)

    async def _update(self, event: events.SessionUpdate) -> None:
        agent = self._agent
        settings, voice = changed(agent.settings, event.session)
        if settings.interrupts != agent.settings.interrupts:
            agent.session.switch_microphone("listen", "on" if settings.interrupts else "off")
        if settings.detects_turns != agent.settings.detects_turns:
            agent.listening.clear()
        agent.settings = settings
        try:
            if voice is not None and voice != agent.session.voice:
                await agent.session.update(voice=voice)
        except ProtocolError as error:
            known = ", ".join(agent.voices())
            message = f"{str(error).rstrip('.')}; there are {known}. The rest was changed."
            where = "session.audio.output.voice"
            raise EventError("invalid_value", message, param=where) from None
        finally:
            agent.send("session.updated", session=agent.describe())

    def _take_audio(
        self, event: events.AudioAppend | events.AudioCommit | events.AudioClear
    ) -> None:
        listening, detects = self._agent.listening, self._agent.settings.detects_turns
        match event:
            case events.AudioAppend():
                (listening.intake if detects else listening.dictation).push(event.pcm())
            case events.AudioCommit() if detects:
                raise no_commit()
            case events.AudioCommit():
                listening.commit()
            case events.AudioClear():
                listening.clear()
                self._agent.send("input_audio_buffer.cleared")

    def _add(self, event: events.ItemCreate) -> None:
        agent = self._agent
        item = item_of(event.item, event.item.id or new_id("item"))
        if item.output is not None and not agent.items.holds_call(item.call_id or ""):
            message = f"There is no function call {item.call_id!r} in the conversation."
            raise EventError("invalid_tool_call_id", message, param="item.call_id")
        if item.role == "user":
            check_text(item.text or "")
        agent.put(item, event.previous_item_id)
        if item.role == "user" and item.text:
            agent.record(item.text, by_voice=False)

    def _truncate(self, event: events.ItemTruncate) -> None:
        item = self._agent.items.find(event.item_id)
        if item.role != "assistant" or not item.is_spoken:
            message = f"The item {item.id!r} is no answer that was spoken."
            raise EventError("invalid_value", message, param="item_id")
        if item.status == "in_progress":
            self._agent.answering.cancel("client_cancelled")
        heard = item.truncate(event.audio_end_ms)
        told = {"item_id": item.id, "audio_end_ms": heard}
        self._agent.send("conversation.item.truncated", content_index=event.content_index, **told)

    def _cancel(self, response_id: str | None) -> None:
        active = self._agent.answering.active
        if active is None or response_id not in (None, active.id):
            which = "" if response_id is None else f" {response_id[:64]!r}"
            message = f"There is no response{which} in progress."
            raise EventError("response_cancel_not_active", message)
        self._agent.answering.cancel("client_cancelled")
