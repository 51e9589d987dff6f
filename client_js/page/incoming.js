/** Archives as they come in, each with its filmstrip; those that were done before the page was opened are left out. */

import { arrange, byId } from "./dom.js";
import { settled } from "./fate.js";
import { Filmstrip } from "./filmstrip.js";

/** @typedef {import("./uploads.js").Listed} Listed */

const MOST = 12; // filmstrips, of the newest archives
const ASK_MS = 2000; // what becomes of an archive that holds no frames is no event

/** The part of the page that shows them. */
export class Incoming {
  /** @param {() => void} ask have the list of uploads brought up to date */
  constructor(ask) {
    this.ask = ask;
    this.asking = 0;
    this.section = byId("incoming", HTMLElement);
    this.list = byId("archives", HTMLUListElement);
    /** @type {Map<string, Filmstrip>} by the upload's id */
    this.strips = new Map();
    /** @type {number | null} when the newest upload was created that there was at first, by the server's clock */
    this.since = null;
  }

  /**
   * Show how they are now.
   * @param {Listed[]} uploads the newest first
   */
  show(uploads) {
    const archives = uploads.filter((upload) => upload.processing);
    const since = (this.since ??= Math.max(0, ...uploads.map((upload) => upload.created_at)));
    const news = archives.filter((upload) => !done(upload) || upload.created_at > since || this.strips.has(upload.id));
    const shown = news.slice(0, MOST);
    const ids = new Set(shown.map((upload) => upload.id));
    for (const id of this.strips.keys()) if (!ids.has(id)) this.strips.delete(id);
    arrange(this.list, shown.map((upload) => this.#strip(upload).item));
    this.section.hidden = !shown.length;
    clearTimeout(this.asking);
    if (!shown.every(done)) this.asking = setTimeout(this.ask, ASK_MS);
  }

  /**
   * Frames of an upload have come.
   * @param {string} id
   * @param {number} frames so many there are
   * @returns {boolean} whether it is shown here
   */
  arrived(id, frames) {
    const strip = this.strips.get(id);
    strip?.arrived(frames);
    return strip !== undefined;
  }

  /**
   * @param {Listed} upload
   * @returns {Filmstrip}
   */
  #strip(upload) {
    const strip = this.strips.get(upload.id) ?? new Filmstrip(upload);
    this.strips.set(upload.id, strip);
    strip.show(upload);
    return strip;
  }
}

/** @param {Listed} upload */
function done(upload) {
  return upload.processing !== null && settled(upload.processing);
}
