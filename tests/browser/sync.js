/**
 * Measures how far apart flashes are seen and clicks are heard in received media, and makes a
 * reference of both whose distance is nothing but the measuring path's own. Leaves `window.sync`.
 */
(() => {
  const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
    quiet = 0;
    process([input]) {
      const samples = input[0] ?? [];
      for (let i = 0; i < samples.length; i++) {
        const isLoud = Math.abs(samples[i]) > 0.1;
        if (isLoud && this.quiet > sampleRate / 10) this.port.postMessage((currentFrame + i) / sampleRate);
        this.quiet = isLoud ? 0 : this.quiet + 1;
      }
      return true;
    }
  });`;

  /** Collects the instants of flashes and clicks for some milliseconds. */
  async function collect(video, duration) {
    const flashes = [];
    const clicks = [];
    const canvas = new OffscreenCanvas(16, 16);
    const pixels = canvas.getContext("2d", { willReadFrequently: true });
    let wasBright = true;
    let isOver = false;
    const onFrame = (_, { expectedDisplayTime }) => {
      pixels.drawImage(video, 0, 0, 16, 16);
      const { data } = pixels.getImageData(0, 0, 16, 16);
      const isBright = data[(8 * 16 + 8) * 4] > 170;
      if (isBright && !wasBright) flashes.push(expectedDisplayTime);
      wasBright = isBright;
      if (!isOver) video.requestVideoFrameCallback(onFrame);
    };
    const context = new AudioContext({ sampleRate: 48000 });
    const url = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await context.audioWorklet.addModule(url);
    const tap = new AudioWorkletNode(context, "tap");
    tap.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      clicks.push(performanceTime + (data - contextTime) * 1000);
    };
    context.createMediaStreamSource(video.srcObject).connect(tap).connect(context.destination);
    video.requestVideoFrameCallback(onFrame);
    await new Promise((resolve) => setTimeout(resolve, duration));
    isOver = true;
    await context.close();
    return { flashes, clicks };
  }

  /** A video whose flashes and clicks are made here, at the same instant, without a network. */
  async function reference(gaps) {
    const picture = new MediaStreamTrackGenerator({ kind: "video" });
    const sound = new MediaStreamTrackGenerator({ kind: "audio" });
    const pictures = picture.writable.getWriter();
    const sounds = sound.writable.getWriter();
    const canvas = new OffscreenCanvas(512, 512);
    const paint = canvas.getContext("2d");
    const starts = new Set();
    for (let frame = 12, k = 0; frame < 25 * 60; frame += gaps[k++ % gaps.length]) starts.add(frame);
    const begun = performance.now();
    let tick = 0;
    setInterval(() => {
      while (tick * 10 <= performance.now() - begun) {
        const frame = tick >> 2;
        if (tick % 4 === 0) {
          paint.fillStyle = starts.has(frame) || starts.has(frame - 1) ? "#fff" : "#000";
          paint.fillRect(0, 0, 512, 512);
          pictures.write(new VideoFrame(canvas, { timestamp: tick * 10_000 }));
        }
        const data = new Float32Array(480);
        const isClick = starts.has(frame) && tick % 4 < 2;
        if (isClick) data.forEach((_, i) => (data[i] = 0.8 * Math.sin((2 * Math.PI * 1000 * i) / 48_000)));
        sounds.write(
          new AudioData({
            format: "f32", sampleRate: 48_000, numberOfFrames: 480, numberOfChannels: 1,
            timestamp: tick * 10_000, data,
          }),
        );
        tick += 1;
      }
    }, 5);
    const video = document.createElement("video");
    Object.assign(video, { srcObject: new MediaStream([picture, sound]), width: 256, height: 256 });
    document.body.append(video);
    await video.play();
    return video;
  }

  window.sync = { collect, reference };
})();
