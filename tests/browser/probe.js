/**
 * Watches the page from outside: when frames are presented, how much a region of them changes,
 * and how loud the received sound is. Evaluates to nothing; leaves `window.probe`.
 * Times are milliseconds of `performance.now()`.
 */
(() => {
  const video = document.getElementById("video");
  const canvas = new OffscreenCanvas(256, 256);
  const pixels = canvas.getContext("2d", { willReadFrequently: true });
  let region = { x: 0, y: 0, width: 256, height: 256 };
  let before = null;

  const probe = {
    /** {time, change}: `change` is the mean absolute difference to the frame before, 0..255. */
    frames: [],
    /** {time, level}: root mean square of 10 ms of received sound. */
    levels: [],
    /** @param {number[]} box left, top, right, bottom as shares of the picture */
    watch([left, top, right, bottom]) {
      region = {
        x: Math.floor(left * 256),
        y: Math.floor(top * 256),
        width: Math.ceil((right - left) * 256),
        height: Math.ceil((bottom - top) * 256),
      };
      before = null;
    },
    forget() {
      probe.frames.length = probe.levels.length = 0;
    },
  };
  window.probe = probe;

  const onFrame = (_, { expectedDisplayTime }) => {
    pixels.drawImage(video, 0, 0, 256, 256);
    const { data } = pixels.getImageData(region.x, region.y, region.width, region.height);
    if (before !== null && before.length === data.length) {
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) {
        sum += Math.abs(data[i] - before[i]) + Math.abs(data[i + 1] - before[i + 1]) + Math.abs(data[i + 2] - before[i + 2]);
      }
      probe.frames.push({ time: expectedDisplayTime, change: sum / (data.length * 0.75) });
    }
    before = data;
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);

  const context = new AudioContext({ latencyHint: "interactive" });
  const analyser = new AnalyserNode(context, { fftSize: 512 });
  const samples = new Float32Array(analyser.fftSize);
  let source = null;
  let stream = null;
  setInterval(() => {
    if (video.srcObject !== stream && video.srcObject?.getAudioTracks().length) {
      source?.disconnect();
      stream = video.srcObject;
      source = context.createMediaStreamSource(stream);
      source.connect(analyser);
    }
    if (source === null) return;
    analyser.getFloatTimeDomainData(samples);
    const energy = samples.reduce((sum, sample) => sum + sample * sample, 0);
    probe.levels.push({ time: performance.now(), level: Math.sqrt(energy / samples.length) });
  }, 10);
})();
