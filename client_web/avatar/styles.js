/**
 * The element's look: quiet, square, and changed from outside by custom properties and parts.
 */

export const STYLES = `
:host {
  display: inline-block;
  position: relative;
  overflow: hidden;
  box-sizing: border-box;
  inline-size: var(--vivant-size, min(100%, 32rem));
  aspect-ratio: 1;
  border-radius: var(--vivant-radius, 0);
  background: var(--vivant-background, #171310);
  color: var(--vivant-ink, #f3ecdf);
  font: var(--vivant-font, 1rem/1.4 system-ui, sans-serif);
  text-align: center;
}

:host([background="transparent"]) {
  background: var(--vivant-background, transparent);
}

:host([hidden]),
[hidden] {
  display: none !important;
}

.picture {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  object-fit: var(--vivant-fit, cover);
}

.picture.away {
  visibility: hidden;
}

.captions {
  position: absolute;
  inset-inline: 6%;
  inset-block-end: 5%;
  margin: 0 auto;
  inline-size: fit-content;
  padding: 0.25em 0.6em;
  border-radius: 0.3em;
  background: var(--vivant-caption-background, rgb(13 11 9 / 78%));
  color: var(--vivant-caption-ink, #fff);
  text-wrap: balance;
  overflow-wrap: anywhere;
}

.start {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  display: grid;
  place-content: end center; /* below the face */
  justify-items: center;
  gap: 0.6em;
  border: 0;
  padding: 0 0 9%;
  background: linear-gradient(transparent 40%, rgb(13 11 9 / 55%));
  color: #fff;
  font: inherit;
  cursor: pointer;
}

.disc {
  display: grid;
  place-content: center;
  inline-size: 4em;
  block-size: 4em;
  border-radius: 50%;
  background: var(--vivant-accent, #d9b97c);
  color: var(--vivant-on-accent, #1a140b);
  box-shadow: 0 0.3em 1.2em rgb(0 0 0 / 45%);
  transition: transform 0.15s;
}

.start:hover .disc {
  transform: scale(1.06);
}

.disc::before {
  content: "";
  border-block: 0.75em solid transparent;
  border-inline-start: 1.2em solid currentcolor;
  margin-inline-start: 0.3em;
}

.words {
  padding: 0.15em 0.7em;
  border-radius: 0.3em;
  background: rgb(13 11 9 / 72%);
}

.notice {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  justify-items: center;
  gap: 0.75em;
  padding: 8%;
  background: rgb(13 11 9 / 72%);
  color: #fff;
}

.notice p {
  margin: 0;
}

.retry {
  min-block-size: 2.75em;
  padding: 0 1.2em;
  border: 1px solid currentcolor;
  border-radius: 0.4em;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
}

:focus-visible {
  outline: 3px solid var(--vivant-accent, #d9b97c);
  outline-offset: -5px;
}

@media (prefers-reduced-motion: reduce) {
  .disc {
    transition: none;
  }
}
`;
