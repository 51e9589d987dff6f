/**
 * One archive on its way to the library: how many frames have come, what a few of them look like, and how it ends.
 *
 * The server keeps a small picture of a frame now and then, a quarter of a second apart. They come with the list of the
 * frames so far, which may be long. Where the archive has its frames in order, only its end is asked for: before the
 * last frame with a picture nothing changes any more.
 */

import { get } from "./asking.js";
import { announce, arrange, fill, make, picture } from "./dom.js";
import { fate, settled } from "./fate.js";
import { chosen, playUrl, thumbUrl } from "./medium.js";
import { seldom } from "./seldom.js";
import { share } from "./uploads.js";
import { count } from "./words.js";

/** @typedef {import("./uploads.js").Listed} Listed */
/** @typedef {{ n: number, number: number, thumb: string | null }} Frame a frame so far; `number`: of its entry */

const APART_MS = 1000;
const PAGE = 500; // frames in one answer
const PAGES = 4; // answers at a time
const ENOUGH = 64; // pictures: the server keeps no more
const FEW = 24; // pictures of a film that is ready

/** What the page shows of one archive. */
export class Filmstrip {
  /** @param {Listed} upload */
  constructor(upload) {
    this.upload = upload;
    this.item = make("li");
    this.name = upload.filename ?? upload.id;
    this.detail = make("p", "", "detail");
    this.strip = make("div", "", "strip");
    this.strip.tabIndex = 0;
    this.strip.setAttribute("role", "group");
    this.strip.setAttribute("aria-label", `Frames of ${this.name}`);
    this.strip.hidden = true;
    this.item.append(make("p", this.name, "name"), this.detail, this.strip);
    /** @type {Map<number, { n: number, image: HTMLImageElement }>} by the number of the entry */
    this.pictures = new Map();
    this.counted = 0; // frames when they were last asked for
    this.ordered = true; // whether the archive has them in order, as far as is known
    this.ended = "";
    this.look = seldom(APART_MS, () => this.#look());
  }

  /** @param {Listed} upload as it is now */
  show(upload) {
    this.upload = upload;
    const { processing } = upload;
    if (!processing) return;
    const words = upload.reason ?? fate(processing);
    if (settled(processing)) {
      if (this.ended !== words) this.#end(words);
      return;
    }
    this.ended = "";
    fill(this.detail, upload.phase === "complete" ? words : `${words}, ${share(upload)} received`);
    this.look();
  }

  /**
   * Frames have come.
   * @param {number} frames so many there are
   */
  arrived(frames) {
    if (!this.upload.processing || settled(this.upload.processing)) return;
    fill(this.detail, `${count(frames, "frame")} so far, ${share(this.upload)} received`);
    this.look();
  }

  /** @param {string} words */
  #end(words) {
    const { processing, url } = this.upload;
    this.ended = words;
    this.item.classList.toggle("wrong", processing?.phase === "failed");
    this.detail.textContent = words;
    if (processing?.phase === "ready" && processing.slug) {
      this.detail.append(" – ", link("Play", `Play ${this.name}`, playUrl(processing.slug)));
      void this.#few(processing.slug);
    } else {
      this.strip.hidden = true; // it showed what might have become frames
      if (processing?.phase === "not-frames" && processing.reason) this.detail.append(`: ${processing.reason}`);
      this.detail.append(" – ", link("Download", `Download ${this.name}`, url));
    }
    announce(`${this.name}: ${words}`, "media-news");
  }

  /** Show the pictures that have come since. Nobody hears when that fails: it is tried again with the next frame. */
  async #look() {
    if (this.pictures.size >= ENOUGH || this.ended) return;
    try {
      for (const frame of await this.#frames()) this.#add(frame);
    } catch {
      return;
    }
    if (!this.ended) this.#arrange();
  }

  /** @returns {Promise<Frame[]>} those among which new ones with pictures are */
  async #frames() {
    /** @type {Frame[]} */
    const frames = [];
    const last = Math.max(-1, ...[...this.pictures.values()].map(({ n }) => n));
    // Pictures are kept with up to 2,000 frames at once. A server that makes none is not asked for everything again.
    let next = this.ordered ? Math.max(last + 1, this.counted - PAGES * PAGE) : 0;
    for (let page = 0; page < PAGES && next !== null; page += 1) {
      const url = `/api/uploads/${this.upload.id}/frames?start=${next}&limit=${PAGE}`;
      const found = await (await get(url)).json();
      if (!found.provisional) break; // that of a medium has a picture of every frame
      frames.push(...found.frames);
      this.counted = found.count;
      next = found.next;
    }
    this.ordered &&= frames.every((frame, place) => place === 0 || frame.number > (frames[place - 1]?.number ?? 0));
    return frames;
  }

  /** @param {Frame} frame */
  #add({ n, number, thumb }) {
    if (!thumb) return;
    const image = this.pictures.get(number)?.image ?? picture(thumb, "");
    image.alt = `Frame ${n}`;
    this.pictures.set(number, { n, image });
  }

  #arrange() {
    const pictures = [...this.pictures.values()].sort((one, other) => one.n - other.n);
    const { strip } = this;
    const atEnd = strip.scrollLeft + strip.clientWidth >= strip.scrollWidth - 8;
    strip.hidden = !pictures.length;
    arrange(strip, pictures.map(({ image }) => image));
    if (atEnd) strip.scrollLeft = strip.scrollWidth; // unless somebody looks at earlier ones
  }

  /**
   * Of a film that is ready, a few frames of all of it.
   * @param {string} slug
   */
  async #few(slug) {
    try {
      const medium = await (await get(`/api/media/${slug}`)).json();
      if (medium.upload !== this.upload.id || !medium.frames) return; // another generation is shown
      const images = chosen(medium.frames, FEW).map((n) => picture(thumbUrl(medium, n, 160), `Frame ${n}`));
      this.strip.replaceChildren(...images);
      this.strip.scrollLeft = 0;
      this.strip.hidden = false;
    } catch {
      // the film is there all the same
    }
  }
}

/**
 * @param {string} text
 * @param {string} label
 * @param {string} url
 * @returns {HTMLAnchorElement}
 */
function link(text, label, url) {
  const made = make("a", text);
  made.setAttribute("aria-label", label);
  made.href = url;
  return made;
}
