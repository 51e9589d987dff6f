/**
 * The player: a dialog that shows one medium. A film plays from its frames; sounds, videos and pictures are shown by the
 * browser itself. Which medium it shows stands in the page's address, so that it can be linked to and gone back from.
 */

import { get } from "./asking.js";
import { button, fill, make, picture } from "./dom.js";
import { Film } from "./film.js";
import { PLAY, POSTER, WAVEFORM, bytesUrl, facts } from "./medium.js";
import { reason, sentence } from "./words.js";

/** @typedef {import("./medium.js").Medium} Medium */

const CANNOT = "Your browser cannot show this file; it can be downloaded.";

/** The dialog. */
export class Player {
  constructor() {
    this.dialog = make("dialog", "", "player");
    this.heading = make("h2");
    this.heading.id = "player-heading";
    this.facts = make("p", "", "detail");
    this.body = make("div", "", "body");
    this.download = make("a", "Download");
    this.dialog.setAttribute("aria-labelledby", this.heading.id);
    /** @type {Film | null} */
    this.film = null;
    this.slug = "";
    const top = make("div", "", "top");
    top.append(this.heading, button("Close", "Close the player", () => this.dialog.close()));
    const below = make("p", "", "below");
    below.append(this.facts, this.download);
    this.dialog.append(top, this.body, below);
    this.dialog.addEventListener("close", () => this.#closed());
    this.dialog.addEventListener("keydown", (event) => this.#pressed(event));
    document.body.append(this.dialog);
    window.addEventListener("hashchange", () => this.follow());
  }

  /** Show what the page's address asks for. */
  follow() {
    const { hash } = window.location;
    if (hash.startsWith(PLAY)) void this.#open(hash.slice(PLAY.length));
    else this.dialog.close();
  }

  /** @param {string} slug */
  async #open(slug) {
    this.#empty();
    this.slug = slug;
    fill(this.heading, "Loading…");
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const medium = await (await get(`/api/media/${encodeURIComponent(slug)}`)).json();
      if (this.slug === slug && this.dialog.open) this.#show(medium);
    } catch (error) {
      fill(this.heading, "This cannot be shown");
      fill(this.facts, sentence(reason(error)));
    }
  }

  /** @param {Medium} medium */
  #show(medium) {
    fill(this.heading, medium.title);
    fill(this.facts, facts(medium));
    this.download.href = bytesUrl(medium);
    this.download.download = medium.name;
    this.download.hidden = false;
    this.download.setAttribute("aria-label", `Download ${medium.name}`);
    this.body.replaceChildren(this.#shown(medium));
    this.film?.open();
    this.film?.toggler.focus();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.film?.play();
    void get(`/api/media/${medium.slug}/view`, { method: "POST" }).catch(() => {}); // it is only counted
  }

  /**
   * @param {Medium} medium
   * @returns {HTMLElement}
   */
  #shown(medium) {
    if (medium.frames) {
      this.film = new Film(medium);
      return this.film.element;
    }
    switch (medium.kind) {
      case "audio":
        return this.#sound(medium);
      case "video": {
        const video = this.#playing(medium, "video");
        video.className = "stage";
        video.playsInline = true;
        if (medium.derived[POSTER]) video.poster = medium.derived[POSTER];
        return this.#orWords(video);
      }
      case "image": {
        const image = make("img", "", "stage");
        image.alt = medium.title;
        image.src = bytesUrl(medium);
        return this.#orWords(image);
      }
      case "frames":
        return make("p", "Its frames are being found anew. Try again in a moment.");
      default:
        return make("p", CANNOT);
    }
  }

  /**
   * @param {Medium} medium
   * @returns {HTMLElement}
   */
  #sound(medium) {
    const whole = make("div", "", "sound");
    const waveform = medium.derived[WAVEFORM];
    if (waveform) {
      const image = picture(waveform, "");
      image.addEventListener("error", () => image.remove());
      whole.append(image);
    }
    whole.append(this.#orWords(this.#playing(medium, "audio")));
    return whole;
  }

  /**
   * @template {"audio" | "video"} K
   * @param {Medium} medium
   * @param {K} kind
   * @returns {HTMLElementTagNameMap[K]}
   */
  #playing(medium, kind) {
    const playing = make(kind);
    playing.controls = true;
    playing.preload = "metadata";
    playing.src = bytesUrl(medium);
    playing.setAttribute("aria-label", medium.title);
    return playing;
  }

  /**
   * What the browser shows, or words where it cannot.
   * @param {HTMLElement} shown
   * @returns {HTMLElement}
   */
  #orWords(shown) {
    shown.addEventListener("error", () => shown.replaceWith(make("p", CANNOT)));
    return shown;
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !this.film) return;
    const { target, key } = event;
    if (key === " " && (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement)) return; // its own
    if (this.film.pressed(key)) event.preventDefault();
  }

  #empty() {
    this.film?.close();
    this.film = null;
    this.body.replaceChildren(); // ends sounds and videos, too
    this.download.hidden = true;
    fill(this.facts, "");
  }

  #closed() {
    this.#empty();
    this.slug = "";
    if (window.location.hash.startsWith(PLAY)) {
      history.replaceState(null, "", window.location.pathname + window.location.search);
    }
  }
}
