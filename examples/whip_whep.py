"""A sound file goes in by WHIP, a film of who says it comes out by WHEP: docs/whip.md."""

import asyncio
import sys

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRecorder


async def exchange(client: httpx.AsyncClient, path: str, peer: RTCPeerConnection) -> None:
    """Offers, and takes the answer, as WHIP and WHEP both want it."""
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp"}
    answer = await client.post(path, content=peer.localDescription.sdp, headers=headers)
    answer.raise_for_status()
    await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))


async def main(address: str, speech: str, film: str, seconds: float) -> None:
    """Watches one session for some seconds, in which the portrait says the file."""
    recorder, voice = MediaRecorder(film), MediaPlayer(speech).audio
    assert voice is not None, f"There is no sound in {speech}."
    watcher, speaker = RTCPeerConnection(), RTCPeerConnection()
    async with httpx.AsyncClient(base_url=address) as client:
        session = (await client.post("/v1/sessions")).json()
        client.headers["Authorization"] = f"Bearer {session['token']}"
        for kind in ("audio", "video"):
            watcher.addTransceiver(kind, direction="recvonly")
        watcher.on("track", recorder.addTrack)
        speaker.addTrack(voice)
        await exchange(client, f"/whep/{session['session_id']}", watcher)
        await recorder.start()
        await exchange(client, f"/whip/{session['session_id']}?use=puppet", speaker)
        await asyncio.sleep(seconds)
        await asyncio.gather(recorder.stop(), watcher.close(), speaker.close())


if __name__ == "__main__":
    asyncio.run(main("http://127.0.0.1:8080", sys.argv[1], sys.argv[2], seconds=15.0))
