"""`AvatarVideoService`: a bot's voice goes in, a portrait that says it comes out, in step.

The voice's frames are sent to a Vivant server. Pictures and sound that come back take their
place downstream; what else passes between the voice's frames is kept until they are heard.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Final

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    ServiceUpdateSettingsFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from vivant_client.errors import ClientError, RefusedError, SessionEndedError
from vivant_client.opening import connect, resume
from vivant_client.pipecat.images import Images
from vivant_client.pipecat.link import Link
from vivant_client.pipecat.performance import Performance
from vivant_client.pipecat.settings import AvatarVideoSettings
from vivant_client.session import Session

_SETUP_SECONDS: Final = 10  # that the pipeline's start waits for the server; Pipecat bears 20
_LEAVE_SECONDS: Final = 5


class AvatarVideoService(AIService):
    """A portrait for a bot; stands after the text-to-speech service, before the transport.

    Downstream go `OutputImageRawFrame`, all the time, and in place of the voice's frames
    `TTSAudioRawFrame` of 48 kHz, each with its time on the pipeline's clock in `pts`. While the
    server is away the voice passes as it came, so that the bot is heard though not seen.

    Args:
        address: of a Vivant server; `VIVANT_URL`, or this machine's port 8080, if None.
        key: API key, where the server takes one; that of `VIVANT_API_KEY` if None.
        portrait: id of a portrait there; the server's own if None. So is the background.
        background: as in docs/protocol.md, but not `transparent`: Pipecat's pictures are opaque.
        style: `{"emotion": "happy"}` and what else docs/protocol.md names.
        seed: decides head and blinks.
        size: pixels a side of the pictures; those of the server if None.
        patience: seconds for which a server that is away is tried again.
        kwargs: those of Pipecat's `FrameProcessor`.

    Raises:
        ClientError: the address is none, or the background is transparent.
    """

    Settings = AvatarVideoSettings
    _settings: AvatarVideoSettings

    def __init__(
        self,
        *,
        address: str | None = None,
        key: str | None = None,
        portrait: str | None = None,
        background: str | None = None,
        style: Mapping[str, object] | None = None,
        seed: int | None = None,
        size: int | None = None,
        patience: float = 60.0,
        **kwargs: Any,  # noqa: ANN401 - Pipecat's
    ) -> None:
        if background == "transparent":
            raise ClientError("Pipecat's pictures are opaque; the background is 'transparent'.")
        settings = AvatarVideoSettings(
            model=None, portrait=portrait, background=background, style=dict(style or {})
        )
        super().__init__(settings=settings, **kwargs)
        address = address or os.environ.get("VIVANT_URL", "http://127.0.0.1:8080")
        self._address, self._key, self._seed = address, key, seed
        self._open_session()  # raises if the address is none
        self._images = Images(size)
        self._link = Link(
            open_session=self._open_session,
            resume=lambda lost: resume(address, lost.id, lost.token, key=key),
            serve=self._serve,
            on_lost=self._note_loss,
            patience=patience,
        )
        self._life: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._performance: Performance | None = None

    @property
    def session(self) -> Session | None:
        """The session, to gesture and the like with; None while there is none."""
        return None if self._performance is None else self._performance.session

    def can_generate_metrics(self) -> bool:
        """Whether it measures: the time from a voice's first sound in to its first sound out."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Opens the session, while the pipeline's other services are set up."""
        await super().setup(setup)
        self._live()
        try:
            await asyncio.wait_for(self._settled.wait(), _SETUP_SECONDS)
        except TimeoutError:
            logger.warning(f"{self}: {self._address} has no place yet; the bot begins without.")

    async def stop(self, frame: EndFrame) -> None:
        """Ends the session once all that was given has been heard."""
        await super().stop(frame)
        if self._performance is not None:
            try:
                await self._performance.finish()
            except SessionEndedError as error:
                logger.warning(f"{self}: {error}")
        await self._leave()

    async def cancel(self, frame: CancelFrame) -> None:
        """Ends the session at once."""
        await super().cancel(frame)
        await self._leave()

    async def cleanup(self) -> None:
        """Ends the session if it is still there."""
        await self._leave()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Takes a frame of the pipeline."""
        await super().process_frame(frame, direction)
        performance = self._performance
        if isinstance(frame, InterruptionFrame):
            await self._interrupt(frame, direction)
        elif isinstance(frame, ServiceUpdateSettingsFrame) and self._is_meant(frame):
            await self._update_settings(frame.delta)
        elif (
            performance is not None
            and direction is FrameDirection.DOWNSTREAM
            and not isinstance(frame, SystemFrame | EndFrame)
        ):
            await self._give(performance, frame)
        else:
            await self.push_frame(frame, direction)

    async def _give(self, performance: Performance, frame: Frame) -> None:
        """Gives the voice to be said, and what comes between to be kept until it is heard."""
        if performance.is_past(frame):
            return
        try:
            if isinstance(frame, TTSAudioRawFrame):
                await performance.say(frame)
                return
            if isinstance(frame, TTSStoppedFrame):
                await performance.end_answer()
            await performance.pass_on(frame)
        except SessionEndedError:
            await self.push_frame(frame)  # the link tells of it

    async def _interrupt(self, frame: InterruptionFrame, direction: FrameDirection) -> None:
        kept = await self._performance.interrupt() if self._performance is not None else []
        await self.push_frame(frame, direction)
        for each in kept:
            if not each.interruptible:
                await self.push_frame(each)

    def _is_meant(self, frame: ServiceUpdateSettingsFrame[ServiceSettings]) -> bool:
        return isinstance(frame.delta, AvatarVideoSettings) and frame.service in (None, self)

    async def _update_settings(self, delta: ServiceSettings | None) -> dict[str, Any]:
        """Changes what the session looks like; returns what was before."""
        assert isinstance(delta, AvatarVideoSettings)
        changed = await super()._update_settings(delta.over(self._settings))
        wanted = {
            name: value for name, value in self._settings.asked_for().items() if name in changed
        }
        if self._life is None or self._life.done():
            self._live()  # what the server refused may be what has changed
        elif self._performance is not None and wanted:
            try:
                await self._performance.session.update(**wanted)
            except ClientError as error:
                await self.push_error(str(error), error, category=ErrorCategory.APPLICATION)
        return changed

    def _live(self) -> None:
        self._life = self.create_task(self._keep_open())

    async def _keep_open(self) -> None:
        try:
            await self._link.run()
        except ClientError as error:
            self._settled.set()
            await self.push_error(
                f"{error} The bot goes on without its avatar.",
                error,
                category=_category(error),
                force_treat_as_permanent=True,
            )

    async def _leave(self) -> None:
        if self._life is not None:
            await self.cancel_task(self._life, timeout=_LEAVE_SECONDS)
            self._life = None

    def _open_session(self) -> Session:
        return connect(self._address, key=self._key, seed=self._seed, **self._settings.asked_for())

    async def _serve(self, session: Session) -> None:
        performance = Performance(session, stage=self, images=self._images)
        self._performance = performance
        self._settled.set()
        try:
            await performance.run()
        finally:
            self._performance = None

    async def _note_loss(self, error: ClientError) -> None:
        self._settled.set()
        sentence = f"{error} The bot goes on without its avatar until the server is back."
        await self.push_error(sentence, error, category=ErrorCategory.CONNECTIVITY)


def _category(error: ClientError) -> ErrorCategory:
    if isinstance(error, RefusedError) and error.status is not None:
        return classify_http_status_code(error.status)
    return ErrorCategory.CONNECTIVITY
