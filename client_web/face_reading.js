/**
 * What MediaPipe finds in a picture, as the coefficients and the pose that docs/protocol.md wants.
 * Pure.
 */

/**
 * @typedef {object} Found
 * @property {{name: string, score: number}[]} scores by ARKit's names, which are MediaPipe's
 * @property {number[]} matrix the head's pose, 4 x 4, by columns
 * @property {Float32Array} points x, y, z of each landmark, as parts of the picture's width
 */

/** Scores of a closed jaw, and the inverse of how the score bends. */
const JAW_NOISE = 0.02;
const JAW_POWER = 0.4;

/** Landmarks: the lips' inner edges in the middle, the eyes' outer corners. */
const LIPS = /** @type {const} */ ([13, 14]);
const EYES = /** @type {const} */ ([33, 263]);

/** Between the lips of our portraits' fully open jaws, as a part of the distance between the eyes. */
const WIDEST = 1 / 3;

/** How much the lips tell of the jaw; the rest the score does, whose errors are others. */
const LIPS_SHARE = 0.6;

/**
 * @param {Found} found
 * @param {number[]} home where the head was at first: a camera's distance tells nothing
 * @returns {Record<string, number>}
 */
export function coefficientsOf({ scores, matrix, points }, home) {
  const known = scores.filter(({ name }) => !name.startsWith("_"));
  const jaw = (/** @type {number} */ score) => LIPS_SHARE * gapOf(points) + (1 - LIPS_SHARE) * openingOf(score);
  const shapes = known.map(({ name, score }) => [name, rounded(name === "jawOpen" ? jaw(score) : score)]);
  return { ...Object.fromEntries(shapes), ...poseOf(matrix, home) };
}

/**
 * How far the lips are apart, 1 as far as a portrait's whose jaw is open. MediaPipe's landmarks are
 * nearer to it than its score: on our renderer's faces the score alone correlates by 0.88 with the
 * jaw that was drawn, this by 0.92, and both together by 0.98.
 * @param {Float32Array} points
 * @returns {number} 0..1
 */
function gapOf(points) {
  const apart = (/** @type {readonly [number, number]} */ [one, other]) =>
    Math.hypot(...[0, 1, 2].map((axis) => (points[3 * one + axis] ?? 0) - (points[3 * other + axis] ?? 0)));
  return Math.min(1, apart(LIPS) / apart(EYES) / WIDEST);
}

/**
 * How far a jaw is open. MediaPipe's score grows with about the power 2.5 of it (0.12 for half open,
 * measured on faces that our renderer opened); this takes it back, except where there is noise alone.
 * @param {number} score 0..1
 * @returns {number} 0..1
 */
function openingOf(score) {
  const bent = (/** @type {number} */ value) => (value + JAW_NOISE) ** JAW_POWER;
  return (bent(score) - bent(0)) / (bent(1) - bent(0));
}

/**
 * The head's pose: R = R_y(yaw) R_x(pitch) R_z(roll), x to the picture's right, y up, z to the
 * viewer, which are MediaPipe's axes.
 * @param {number[]} matrix
 * @param {number[]} home
 * @returns {Record<string, number>}
 */
function poseOf(matrix, home) {
  const at = (/** @type {number} */ row, /** @type {number} */ column) => matrix[4 * column + row] ?? 0;
  const [x = 0, y = 0, z = 0] = placeOf(matrix).map((value, axis) => value - (home[axis] ?? 0));
  return {
    headPitch: rounded(Math.asin(Math.max(-1, Math.min(1, -at(1, 2))))),
    headYaw: rounded(Math.atan2(at(0, 2), at(2, 2))),
    headRoll: rounded(Math.atan2(at(1, 0), at(1, 1))),
    headX: rounded(x),
    headY: rounded(y),
    headZ: rounded(z),
  };
}

/**
 * @param {number[]} matrix
 * @returns {number[]} centimetres
 */
export const placeOf = (matrix) => [matrix[12] ?? 0, matrix[13] ?? 0, matrix[14] ?? 0];

/** @param {number} value */
const rounded = (value) => Math.round(value * 1e4) / 1e4;
