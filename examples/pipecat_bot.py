"""A Pipecat bot with a face: see docs/pipecat.md, then `python examples/pipecat_bot.py`."""

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline import pipeline, worker
from pipecat.processors.aggregators import llm_response_universal as turns
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.runner.run import main
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.services.openai import llm, stt, tts
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

from vivant_client.pipecat import AvatarVideoService

ON = ("audio_in_enabled", "audio_out_enabled", "video_out_enabled", "video_out_is_live")
VIDEO = {"video_out_width": 512, "video_out_height": 512, "video_out_framerate": 25}


async def bot(arguments: SmallWebRTCRunnerArguments) -> None:
    """Talks with one visitor of Pipecat's runner."""
    params = TransportParams.model_validate(dict.fromkeys(ON, True) | VIDEO)
    transport = SmallWebRTCTransport(arguments.webrtc_connection, params)
    hearing = turns.LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    user, assistant = turns.LLMContextAggregatorPair(LLMContext(), user_params=hearing)
    ears, brain, voice = stt.OpenAISTTService(), llm.OpenAILLMService(), tts.OpenAITTSService()
    face = AvatarVideoService(style={"emotion": "happy"})
    stages = [transport.input(), ears, user, brain, voice, face, transport.output(), assistant]
    runner = WorkerRunner(handle_sigint=arguments.handle_sigint)

    async def leave(*_: object) -> None:
        await runner.cancel()

    transport.add_event_handler("on_client_disconnected", leave)
    await runner.add_workers(worker.PipelineWorker(pipeline.Pipeline(stages)))
    await runner.run()


if __name__ == "__main__":
    main()
