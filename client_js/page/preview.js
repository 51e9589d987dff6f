/**
 * A film's small preview, in the place of its picture while the pointer is on its card, or the focus. It has no sound, is
 * fetched only then, and nobody sees it who wants no motion. What it shows is shown at length by the player.
 */

import { make } from "./dom.js";
import { FILM, LOOP } from "./medium.js";

/** @typedef {import("./medium.js").Medium} Medium */

const PASSING_MS = 200; // so long a pointer is on cards that it only passes

/** The preview of one card. */
export class Preview {
  /**
   * @param {HTMLAnchorElement} link that it is seen in
   * @param {() => Medium} medium whose it is
   */
  constructor(link, medium) {
    this.link = link;
    this.medium = medium;
    this.waiting = 0;
    /** @type {HTMLVideoElement | HTMLImageElement | null} */
    this.shown = null;
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "touch") this.#begin(); // a finger wants to open it
    });
    link.addEventListener("pointerleave", () => this.#end());
    link.addEventListener("focus", () => {
      if (link.matches(":focus-visible")) this.#begin();
    });
    link.addEventListener("blur", () => this.#end());
    link.addEventListener("click", () => this.#end()); // the player is before it
  }

  #begin() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.#show(), PASSING_MS);
  }

  #show() {
    const { derived } = this.medium();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still || this.shown?.isConnected) return;
    if (derived[FILM]) this.#put(this.#film(derived[FILM], derived[LOOP]));
    else if (derived[LOOP]) this.#put(loop(derived[LOOP]));
  }

  /** @param {HTMLVideoElement | HTMLImageElement} shown */
  #put(shown) {
    const place = this.link.querySelector(".contact:not(.tile)");
    if (!place) return; // none of its pictures can be had
    this.shown = shown;
    place.append(shown);
    if (shown instanceof HTMLVideoElement) void shown.play().catch(() => {}); // it stays hidden
  }

  #end() {
    clearTimeout(this.waiting);
    if (this.shown instanceof HTMLVideoElement) this.shown.pause();
    this.shown?.remove();
    this.shown = null;
  }

  /**
   * @param {string} url
   * @param {string} [instead] where this browser cannot show it
   * @returns {HTMLVideoElement}
   */
  #film(url, instead) {
    const film = make("video", "", "preview");
    film.hidden = true; // until there is something to see
    film.muted = true;
    film.loop = true;
    film.playsInline = true;
    film.disablePictureInPicture = true;
    film.tabIndex = -1;
    film.setAttribute("aria-hidden", "true"); // it says nothing that is not said beside it
    film.addEventListener("playing", () => (film.hidden = false));
    film.addEventListener("error", () => {
      if (this.shown !== film) return;
      this.#end();
      if (instead) this.#put(loop(instead));
    });
    film.src = url;
    return film;
  }
}

/**
 * @param {string} url of an animated picture
 * @returns {HTMLImageElement}
 */
function loop(url) {
  const image = make("img", "", "preview");
  image.alt = "";
  image.src = url;
  return image;
}
