/**
 * The element's attributes as properties. Knows nothing of what they do.
 */

/** @typedef {"present" | "converse" | "puppet"} Mode */

export class AvatarAttributes extends HTMLElement {
  get sessionUrl() {
    return this.getAttribute("session-url") ?? "";
  }

  set sessionUrl(value) {
    this.setAttribute("session-url", value);
  }

  /** @returns {Mode} */
  get mode() {
    const mode = this.getAttribute("mode");
    return mode === "converse" || mode === "puppet" ? mode : "present";
  }

  set mode(value) {
    this.setAttribute("mode", value);
  }

  get portrait() {
    return this.getAttribute("portrait") ?? "";
  }

  set portrait(value) {
    this.setAttribute("portrait", value);
  }

  get voice() {
    return this.getAttribute("voice") ?? "";
  }

  set voice(value) {
    this.setAttribute("voice", value);
  }

  get background() {
    return this.getAttribute("background") ?? "";
  }

  set background(value) {
    this.setAttribute("background", value);
  }

  get muted() {
    return this.hasAttribute("muted");
  }

  set muted(value) {
    this.toggleAttribute("muted", value);
  }

  get captions() {
    return this.hasAttribute("captions");
  }

  set captions(value) {
    this.toggleAttribute("captions", value);
  }

  get autoplay() {
    return this.hasAttribute("autoplay");
  }

  set autoplay(value) {
    this.toggleAttribute("autoplay", value);
  }
}
