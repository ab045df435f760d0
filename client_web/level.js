/**
 * How loud a microphone is. Knows no element and no device.
 */

/** Decibels relative to full scale at the empty and the full end of a meter. */
export const QUIET = -60;
const LOUD = -12;

/** Samples that a look takes in: a sixth of a second, so that none is missed between two pictures. */
const WINDOW = 8_192;

/** Samples of which the loudness is shown. */
const RECENT = 1_024;

export class Meter {
  #context = new AudioContext();
  #isOpen = true;

  /**
   * @param {MediaStream} stream
   * @param {(level: number, samples: Float32Array) => void} look called for every picture of the
   *   screen with the level, 0 to 1, and the latest samples
   */
  constructor(stream, look) {
    // the click on the button allows it, but permission may have taken longer than that counts
    void this.#context.resume();
    const analyser = new AnalyserNode(this.#context, { fftSize: WINDOW });
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(WINDOW);
    const draw = () => {
      if (!this.#isOpen) return;
      analyser.getFloatTimeDomainData(samples);
      look(loudness(samples.subarray(-RECENT)), samples);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  async close() {
    this.#isOpen = false;
    await this.#context.close();
  }
}

/**
 * @param {Float32Array} samples
 * @returns {number} decibels relative to full scale
 */
export function decibels(samples) {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return 10 * Math.log10(energy / samples.length + 1e-12);
}

/**
 * Where a sound lies between quiet and loud, 0 to 1, on a decibel scale.
 * @param {Float32Array} samples
 * @returns {number}
 */
export function loudness(samples) {
  return Math.min(1, Math.max(0, (decibels(samples) - QUIET) / (LOUD - QUIET)));
}
