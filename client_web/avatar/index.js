/**
 * Defines `<vivant-avatar>`. embed/vivant-avatar.js is made of this module and of what it imports
 * (`npm run embed`).
 */

import { VivantAvatar } from "./element.js";

export { ApiError, NetworkError } from "../server.js";
export { VivantAvatar };

/** What the package promises is what there is. @type {typeof import("../embed/vivant-avatar.js").VivantAvatar} */
const promised = VivantAvatar;

// a page may load the module twice, from two places
if (!customElements.get("vivant-avatar")) customElements.define("vivant-avatar", promised);
