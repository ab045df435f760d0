"""The motion generator: audio of any length in, motion frames at 25 a second out.

A streaming block (see `streaming`). Whenever there is enough sound for the next few frames
of motion and their lookahead, it encodes what is new in it and samples them, conditioned on
those before. Runs on numpy and onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.features import MEL_BINS, frame_features, start_features
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk, MotionChunk
from streaming_model.motion.additive import Additions, Gesture
from streaming_model.motion.contacts import part_lips, press_lips
from streaming_model.motion.cues import PAST as CUES_PAST
from streaming_model.motion.cues import least_gaps, told_contacts
from streaming_model.motion.face import finish_face, start_face
from streaming_model.motion.filmed import mean_mel
from streaming_model.motion.homing import drawn_home
from streaming_model.motion.listener import SCORES, heard_contacts
from streaming_model.motion.manner import (
    Manner,
    MannerState,
    change_manner,
    manners_ahead,
    start_manner,
)
from streaming_model.motion.networks import DEFAULT_FOLDER, Condition, MotionNetworks, Networks
from streaming_model.motion.noise import Purpose, normals
from streaming_model.motion.presence import PAST, let_through
from streaming_model.motion.prosody import hear, start_prosody
from streaming_model.motion.sampler import sample
from streaming_model.motion.state import MotionState, marks_from, receive, utterances_at
from streaming_model.motion.style import EMOTIONS, Activity, MotionStyle
from streaming_model.motion_space import MOTION_SIZE

Floats = NDArray[np.float32]


class MotionGenerator:
    """Turns speech into motion with the networks it is given; implements `StreamingBlock`.

    Args:
        networks: the encoder and the denoiser.
        steps: sampler steps; the model's own default if None.
        chunk_frames: N, motion frames made per call of the sampler.
        lookahead_frames: L, motion frames of audio heard ahead of them.

    Raises:
        ValueError: a number is outside what the model was trained for.
    """

    def __init__(
        self,
        networks: Networks,
        *,
        steps: int | None = None,
        chunk_frames: int = 2,
        lookahead_frames: int = 2,
    ) -> None:
        settings = networks.settings
        if not 1 <= chunk_frames <= settings.most_new_frames:
            raise ValueError(
                f"chunk_frames must be 1 to {settings.most_new_frames}, got {chunk_frames}"
            )
        if not 0 <= lookahead_frames <= settings.most_lookahead_frames:
            raise ValueError(
                f"lookahead_frames must be 0 to {settings.most_lookahead_frames}, "
                f"got {lookahead_frames}"
            )
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self._networks = networks
        self._settings = settings
        # Emotions that the weights know: the network moves by them, the rules do not.
        self._known = np.array([name in settings.style_names for name in EMOTIONS])
        # [K] 1 where there was a frame, after so many frames were given.
        ages = np.arange(settings.history_frames, 0, -1)
        self._histories = [
            (ages <= given).astype(np.float32) for given in range(settings.history_frames + 1)
        ]
        self._gains = settings.gain * settings.scale
        self._past_sound = 0 if networks.filmed is None else settings.history_frames
        self._past_scores = 0 if networks.cues is None else CUES_PAST
        self.steps = settings.steps if steps is None else steps
        self.chunk_frames = chunk_frames
        self.lookahead_frames = lookahead_frames

    @property
    def delay(self) -> int:
        """Returns how many samples after its own end a frame can come out at the latest."""
        return (self.chunk_frames - 1 + self.lookahead_frames) * SAMPLES_PER_MOTION_FRAME

    def start(self, *, seed: int = 0, style: MotionStyle | None = None) -> MotionState:
        """Returns the state of a stream that has heard nothing."""
        chosen = style or MotionStyle()
        settings, listener = self._settings, self._networks.listener
        return MotionState(
            seed=seed,
            manner=start_manner(chosen),
            prosody=start_prosody(),
            additions=Additions(),
            origin=None,
            received=0,
            pending=np.zeros(0, np.float32),
            marks=(),
            features=start_features(),
            encoder=np.zeros(settings.encoder_state_size, np.float32),
            audio=np.zeros((settings.history_frames, settings.audio_size), np.float32),
            sound=np.zeros((self._past_sound, MEL_BINS), np.float32),
            listener=np.zeros(0 if listener is None else listener.state_size, np.float32),
            contacts=np.zeros((self._past_scores, 0 if listener is None else SCORES), np.float32),
            given=0,
            history=np.zeros((settings.history_frames, len(settings.scale)), np.float32),
            voice=0.0,
            face=start_face(seed, chosen),
        )

    def restyle(
        self, state: MotionState, style: MotionStyle, *, at: int | None = None
    ) -> MotionState:
        """Returns the state with another style from media time `at` on, or from its next frame.

        The change is eased over half a second. What was to come at `at` or later is given up.

        Raises:
            ValueError: the frame at `at` was given already.
        """
        time = state.next if at is None else at
        if time < state.next:
            raise ValueError(
                f"the motion at sample {time} was given already; it can change from {state.next} on"
            )
        return replace(state, manner=change_manner(state.manner, style, at=time))

    def add(self, state: MotionState, *gestures: Gesture) -> MotionState:
        """Returns the state with gestures to be made; those that are over are forgotten."""
        kept = state.additions.since(state.next)
        return self.blend(state, replace(kept, gestures=(*kept.gestures, *gestures)))

    def blend(self, state: MotionState, additions: Additions) -> MotionState:
        """Returns the state with these gestures and this stream instead of those it had."""
        return replace(state, additions=additions)

    def direct(
        self, state: MotionState, style: MotionStyle, additions: Additions, *, at: int
    ) -> MotionState:
        """Returns the state with this style from media time `at` on, and these additions.

        A style that was asked for last already changes nothing.

        Raises:
            ValueError: the frame at `at` was given already and the style is another.
        """
        if style != state.asked:
            state = self.restyle(state, style, at=at)
        return self.blend(state, additions)

    def is_due(self, state: MotionState, chunk: AudioChunk) -> bool:
        """Returns whether there is enough sound with this chunk for a step to give motion.

        A step that gives none only remembers the chunk, in a few dozen microseconds.
        """
        return len(state.pending) + len(chunk.samples) >= self._lacking(state)

    def step(
        self, states: Sequence[MotionState], inputs: Sequence[AudioChunk]
    ) -> tuple[list[MotionState], list[list[MotionChunk]]]:
        """Feeds one audio chunk to each session; returns new states and the motion made.

        Raises:
            AudioError: a chunk does not begin where the session's last one ended.
        """
        received = [receive(state, chunk) for state, chunk in zip(states, inputs, strict=True)]
        return self._drain(received)

    def finish(self, state: MotionState) -> list[MotionChunk]:
        """Returns the motion that still waited for audio, as if silence followed."""
        if state.origin is None or not state.received:
            return []
        frames = -(-state.received // SAMPLES_PER_MOTION_FRAME)
        wanted = frames + self.lookahead_frames + self.chunk_frames
        silence = np.zeros(wanted * SAMPLES_PER_MOTION_FRAME - state.received, np.float32)
        padded = replace(state, pending=np.concatenate([state.pending, silence]))
        _, outputs = self._drain([padded])
        end = state.origin + frames * SAMPLES_PER_MOTION_FRAME
        return [kept for chunk in outputs[0] if (kept := _before(chunk, end)) is not None]

    def _drain(
        self, states: list[MotionState]
    ) -> tuple[list[MotionState], list[list[MotionChunk]]]:
        """Gives the motion that the waiting sound is enough for."""
        outputs: list[list[MotionChunk]] = [[] for _ in states]
        while due := self._due(states):
            heard = self._listen([states[index] for index in due])
            for index, (state, chunk) in zip(due, self._generate(heard), strict=True):
                states[index] = state
                outputs[index].append(chunk)
        return states, outputs

    def _due(self, states: Sequence[MotionState]) -> list[int]:
        """Returns which sessions can give a chunk, of those that lack as much as the first."""
        lacks = [self._lacking(state) for state in states]
        due = [
            index
            for index, (state, lack) in enumerate(zip(states, lacks, strict=True))
            if len(state.pending) >= lack
        ]
        return [index for index in due if lacks[index] == lacks[due[0]]]

    def _lacking(self, state: MotionState) -> int:
        """Returns how many samples a session must hear for its next chunk."""
        heard = len(state.audio) - self._settings.history_frames
        return (self.chunk_frames + self.lookahead_frames - heard) * SAMPLES_PER_MOTION_FRAME

    def _listen(self, states: Sequence[MotionState]) -> list[MotionState]:
        """Returns the sessions' states with what each lacked heard; it is the same for all."""
        lack = self._lacking(states[0])
        samples = [state.pending[:lack] for state in states]
        heard = [
            frame_features(state.features, sound)
            for state, sound in zip(states, samples, strict=True)
        ]
        mel = _stacked([mel for _, mel in heard])
        features, memories = self._networks.encode(
            mel, _stacked([state.encoder for state in states])
        )
        scores, listeners = self._overhear(states, mel)
        sounds = mean_mel(mel) if self._past_sound else mel[:, :0]
        return [
            replace(
                state,
                prosody=hear(state.prosody, sound),
                pending=_rest(state.pending, lack),
                features=feature_state,
                encoder=memory,
                audio=np.concatenate([state.audio, feature]),
                sound=np.concatenate([state.sound, mean]),
                listener=listener,
                contacts=np.concatenate([state.contacts, score]),
            )
            for state, sound, (feature_state, _), memory, feature, mean, listener, score in zip(
                states, samples, heard, memories, features, sounds, listeners, scores, strict=True
            )
        ]

    def _overhear(
        self, states: Sequence[MotionState], mel: Floats
    ) -> tuple[Sequence[Floats], Sequence[Floats]]:
        """Returns each session's scores of contacts in the same sound, and its listener's state."""
        if (listener := self._networks.listener) is None:
            return [state.contacts for state in states], [state.listener for state in states]
        scores, memories = listener.hear(mel, _stacked([state.listener for state in states]))
        return list(scores), list(memories)

    def _generate(self, states: list[MotionState]) -> list[tuple[MotionState, MotionChunk]]:
        frames, most = self.chunk_frames, self._settings.history_frames
        manners = [
            manners_ahead(
                state.manner,
                frames=range(state.given, state.given + frames),
                origin=state.origin or 0,
                seed=state.seed,
                felt=state.prosody.emotions,
            )
            for state in states
        ]
        middle = [told[frames // 2] for _, told in manners]
        names, known = self._settings.style_names, self._known
        condition = Condition(
            history=_stacked([state.history for state in states]),
            history_known=_stacked([self._histories[min(state.given, most)] for state in states]),
            audio=_stacked([state.audio for state in states]),
            style=_stacked([manner.vector(names, known=known) for manner in middle]),
            activity=np.array([int(manner.style.activity) for manner in middle], np.int64),
        )
        size = len(self._settings.scale)
        noise = _noise(states, frames, size)
        x = sample(
            noise,
            lambda x_t, t, step_size: self._networks.denoise(x_t, t, step_size, condition),
            steps=self.steps,
        )
        x = drawn_home(x)
        motion = self._to_motion(
            x,
            scores=_stacked([state.contacts for state in states]),
            audio=condition.audio,
            activity=np.array([[_speaks(m) for m in told] for _, told in manners], np.float32),
        )
        shares = [[manner.style.captured for manner in told] for _, told in manners]
        motion = self._as_filmed(states, motion, audio=condition.audio, shares=shares)
        mouths = self._let_through(states, motion, audio=condition.audio)
        return [
            self._give(state, x=rows, mouth=mouth, manner=manner)
            for state, rows, mouth, manner in zip(states, x, mouths, manners, strict=True)
        ]

    def _to_motion(self, x: Floats, *, scores: Floats, audio: Floats, activity: Floats) -> Floats:
        """Returns [batch, frames, 58] the motion of network frames, lips as the sound asks for.

        What the cues say counts, where there are any, else what the listener does.
        """
        given = self._settings.mean + self._gains * x
        motion, contacts = given[..., :MOTION_SIZE], given[..., MOTION_SIZE:]
        frames, lookahead = self.chunk_frames, self.lookahead_frames
        if (cues := self._networks.cues) is not None and scores.size:
            seen = audio[:, self._settings.history_frames - CUES_PAST :]
            likely = cues.likely(seen, scores, frames=frames, lookahead=lookahead)
            pressed = press_lips(motion, told_contacts(likely))
            return part_lips(pressed, least_gaps(likely, activity))
        if scores.size:
            contacts = heard_contacts(scores, frames=frames, lookahead=lookahead)
        return press_lips(motion, contacts) if contacts.shape[-1] else motion

    def _as_filmed(
        self,
        states: Sequence[MotionState],
        motion: Floats,
        *,
        audio: Floats,
        shares: Sequence[Sequence[float]],
    ) -> Floats:
        """Returns the motion with so much of the filmed people's mouth, of each frame."""
        filmed = self._networks.filmed
        if filmed is None or not any(map(any, shares)):
            return motion
        sound = _stacked([state.sound for state in states])
        frames, lookahead = self.chunk_frames, self.lookahead_frames
        shapes = filmed.shapes(audio, sound, frames=frames, lookahead=lookahead)
        return filmed.blend(motion, shapes, np.array(shares, np.float32))

    def _let_through(
        self, states: Sequence[MotionState], motion: Floats, *, audio: Floats
    ) -> list[tuple[float, Floats]]:
        """Returns how far each voice lets the mouth open after these frames, and the frames."""
        voices, presence = [state.voice for state in states], self._networks.presence
        if presence is None:
            return list(zip(voices, motion, strict=True))
        seen = audio[:, self._settings.history_frames - PAST :]
        scores = presence.scores(seen, frames=self.chunk_frames, lookahead=self.lookahead_frames)
        return [let_through(*each) for each in zip(voices, motion, scores, strict=True)]

    def _give(
        self,
        state: MotionState,
        *,
        x: Floats,
        mouth: tuple[float, Floats],
        manner: tuple[MannerState, list[Manner]],
    ) -> tuple[MotionState, MotionChunk]:
        """Returns the state after giving network frames `x`, and the chunk they become.

        Beside them their motion and how far it opens the mouth, and how it is to be given.
        """
        assert state.origin is not None
        (voice, motion), (after, manners) = mouth, manner
        count = state.given + len(x)
        starts = [frame * SAMPLES_PER_MOTION_FRAME for frame in range(state.given, count)]
        face, motion = finish_face(
            state.face,
            motion,
            manners=manners,
            known=self._known,
            additions=state.additions,
            times=[state.origin + start for start in starts],
            seed=state.seed,
            low_pass=self._settings.low_pass,
        )
        chunk = MotionChunk(
            start=state.origin + starts[0],
            motion=motion,
            utterance=utterances_at(state.marks, starts),
        )
        moved = replace(
            state,
            manner=after,
            audio=state.audio[len(x) :],
            sound=state.sound[len(x) :],
            contacts=state.contacts[len(x) :],
            given=count,
            history=np.concatenate([state.history, x])[len(x) :],
            voice=voice,
            face=face,
            marks=marks_from(state.marks, count * SAMPLES_PER_MOTION_FRAME),
        )
        return moved, chunk


def load_motion_generator(
    path: Path | None = None,
    *,
    steps: int | None = None,
    chunk_frames: int = 2,
    lookahead_frames: int = 2,
) -> MotionGenerator:
    """Returns the generator with the weights in the folder `path`, or the shipped ones.

    Raises:
        ModelFileError: a file is missing or damaged.
        ValueError: a number is outside what the model was trained for.
    """
    return MotionGenerator(
        MotionNetworks(path or DEFAULT_FOLDER),
        steps=steps,
        chunk_frames=chunk_frames,
        lookahead_frames=lookahead_frames,
    )


def _speaks(manner: Manner) -> float:
    """Returns how much a mouth of this manner is to speak, 0..1."""
    style = manner.style
    return min(style.articulation, 1.0) if style.activity is Activity.SPEAK else 0.0


def _rest(samples: Floats, begin: int) -> Floats:
    """Returns the samples from `begin` on; a short rest must not keep a long chunk in memory."""
    rest = samples[begin:]
    return rest.copy() if len(rest) < begin else rest


def _stacked(arrays: Sequence[Floats]) -> Floats:
    """Returns the arrays as one batch; a view of a single one, which `np.stack` would copy."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def _noise(states: Sequence[MotionState], frames: int, size: int) -> Floats:
    """Returns [batch, frames, size] noise that depends on seeds and frames' indices alone."""
    places = [(state.seed, state.given + index) for state in states for index in range(frames)]
    return normals(Purpose.SAMPLER, places, size).reshape(len(states), frames, size)


def _before(chunk: MotionChunk, end: int) -> MotionChunk | None:
    frames = (end - chunk.start) // SAMPLES_PER_MOTION_FRAME
    if frames <= 0:
        return None
    return MotionChunk(chunk.start, chunk.motion[:frames], chunk.utterance[:frames])
