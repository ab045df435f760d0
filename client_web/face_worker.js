/*
 * MediaPipe's face landmarker in a thread of its own, so that the page stays quick. It starts its
 * module by a script that it loads itself, which the page's own policy forbids; the server gives
 * this worker a policy of its own (server/api.py), by which it reaches nobody but this server.
 *
 * In: {id, picture: ImageBitmap, now}. Out: "ready" or {fault}, then {id, found} or {id, fault}.
 */

(() => {
  /** @typedef {import("./face_reading.js").Found} Found */

  /** The part of MediaPipe that is used here. @typedef {{
   *   detectForVideo(picture: ImageBitmap, t: number): {
   *     faceLandmarks: {x: number, y: number, z: number}[][],
   *     faceBlendshapes: {categories: {categoryName: string, score: number}[]}[],
   *     facialTransformationMatrixes: {data: ArrayLike<number>}[],
   *   },
   * }} Landmarker
   */

  const file = (/** @type {string} */ name) => new URL(`face_tracker/${name}`, location.href).href;

  /** @returns {Promise<Landmarker>} */
  async function open() {
    const { FaceLandmarker } = await import(file("vision_bundle.mjs"));
    const wasm = {
      wasmLoaderPath: file("vision_wasm_internal.js"),
      wasmBinaryPath: file("vision_wasm_internal.wasm"),
    };
    return FaceLandmarker.createFromOptions(wasm, {
      // the processor takes some 10 ms a picture; a graphics card has the portrait's video to draw,
      // and where it is made up by software takes seconds
      baseOptions: { modelAssetPath: file("face_landmarker.task"), delegate: "CPU" },
      runningMode: "VIDEO",
      numFaces: 1,
      outputFaceBlendshapes: true,
      outputFacialTransformationMatrixes: true,
    });
  }

  /**
   * @param {Landmarker} landmarker
   * @param {ImageBitmap} picture
   * @param {number} now
   * @returns {Found | null}
   */
  function look(landmarker, picture, now) {
    const { faceLandmarks, faceBlendshapes, facialTransformationMatrixes } = landmarker.detectForVideo(picture, now);
    const [points, shapes, pose] = [faceLandmarks[0], faceBlendshapes[0], facialTransformationMatrixes[0]];
    if (points === undefined || shapes === undefined || pose === undefined) return null;
    return {
      scores: shapes.categories.map(({ categoryName: name, score }) => ({ name, score })),
      matrix: [...Array.from(pose.data)],
      // MediaPipe counts y by the picture's height, and z, nearly, by its width
      points: Float32Array.from(points.flatMap(({ x, y, z }) => [x, (y * picture.height) / picture.width, z])),
    };
  }

  const opened = open();
  opened.then(
    () => postMessage("ready"),
    (error) => postMessage({ fault: String(error) }),
  );
  addEventListener("message", async ({ data }) => {
    try {
      postMessage({ id: data.id, found: look(await opened, data.picture, data.now) });
    } catch (error) {
      postMessage({ id: data.id, fault: String(error) });
    } finally {
      data.picture.close();
    }
  });
})();
