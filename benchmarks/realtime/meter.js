/**
 * Notes when flashes are seen and clicks are heard in videos, and makes a video of both whose
 * distance is nothing but the measuring path's own. Leaves `window.sync`.
 * Times are milliseconds of `performance.now()`.
 */
(() => {
  // Sound is taken where it leaves its track, by a thread with nothing else to do. By way of Web Audio
  // it would pass a buffer whose length is another, by tens of milliseconds, each time one begins.
  const TAP = `onmessage = async ({ data: readable }) => {
    let quiet = 0;
    for (const reader = readable.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const now = performance.timeOrigin + performance.now();
      const { numberOfFrames, sampleRate } = value;
      const samples = new Float32Array(numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      value.close();
      for (let i = 0; i < samples.length; i++) {
        const isLoud = Math.abs(samples[i]) > 0.1;
        if (isLoud && quiet > sampleRate / 10) postMessage(now + (1000 * i) / sampleRate);
        quiet = isLoud ? 0 : quiet + 1;
      }
    }
  };`;
  const tap = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
  const ends = []; // what is to be done when nobody watches any more

  /** Begins to watch a video; the answer's lists grow. */
  async function watch(video) {
    const seen = { flashes: [], clicks: [] };
    let isWatched = true;
    const worker = new Worker(tap);
    worker.onmessage = ({ data }) => seen.clicks.push(data - performance.timeOrigin);
    const [track] = video.srcObject.getAudioTracks();
    const { readable } = new MediaStreamTrackProcessor({ track });
    worker.postMessage(readable, [readable]);
    ends.push(() => {
      isWatched = false;
      worker.terminate();
    });
    const canvas = new OffscreenCanvas(16, 16);
    const pixels = canvas.getContext("2d", { willReadFrequently: true });
    let wasBright = true;
    const onFrame = (_, { expectedDisplayTime }) => {
      pixels.drawImage(video, 0, 0, 16, 16);
      const isBright = pixels.getImageData(8, 8, 1, 1).data[0] > 170;
      if (isBright && !wasBright) seen.flashes.push(expectedDisplayTime);
      wasBright = isBright;
      if (isWatched) video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    return seen;
  }

  /** A video whose flashes and clicks are made here, at the same instant, without a network. */
  async function reference(gaps) {
    const picture = new MediaStreamTrackGenerator({ kind: "video" });
    const sound = new MediaStreamTrackGenerator({ kind: "audio" });
    const pictures = picture.writable.getWriter();
    const sounds = sound.writable.getWriter();
    const canvas = new OffscreenCanvas(64, 64);
    const paint = canvas.getContext("2d");
    let [next, gap, isStart] = [12, 0, false];
    const begun = performance.now();
    let tick = 0;
    const timer = setInterval(() => {
      while (tick * 10 <= performance.now() - begun) {
        if (tick % 4 === 0) {
          isStart = tick >> 2 === next;
          if (isStart) next += gaps[gap++ % gaps.length];
          paint.fillStyle = isStart ? "#fff" : "#000";
          paint.fillRect(0, 0, 64, 64);
          pictures.write(new VideoFrame(canvas, { timestamp: tick * 10_000 }));
        }
        const data = new Float32Array(480);
        if (isStart) data.forEach((_, i) => (data[i] = 0.8 * Math.sin((Math.PI * i) / 24)));
        sounds.write(
          new AudioData({
            format: "f32",
            sampleRate: 48_000,
            numberOfFrames: 480,
            numberOfChannels: 1,
            timestamp: tick * 10_000,
            data,
          }),
        );
        tick += 1;
      }
    }, 5);
    const video = document.createElement("video");
    Object.assign(video, { srcObject: new MediaStream([picture, sound]), width: 64, height: 64, muted: true });
    document.body.append(video);
    ends.push(() => {
      clearInterval(timer);
      for (const track of video.srcObject.getTracks()) track.stop();
      video.remove();
    });
    await video.play();
    return video;
  }

  window.sync = {
    /** Watches the page's video and the reference; `taken` is what was noted since the last call. */
    async start(gaps) {
      const [page, path] = [document.getElementById("video"), await reference(gaps)];
      const [live, own] = [await watch(page), await watch(path)];
      const take = (list) => list.splice(0);
      this.take = () => ({
        live: { flashes: take(live.flashes), clicks: take(live.clicks) },
        path: { flashes: take(own.flashes), clicks: take(own.clicks) },
      });
    },

    /** Ends the watching and the reference. */
    end() {
      for (const end of ends.splice(0)) end();
    },
  };
})();
