/**
 * Frames fetched and decoded ahead of where a film is.
 *
 * A few are fetched at a time, from the film's place on. Where they come more slowly than the film runs, some are left
 * out, evenly: only every so many is asked for, and so far ahead that it comes in time. What is decoded takes memory, four
 * bytes a pixel; only so much of it is kept, and a frame that is too large for any screen is decoded smaller.
 */

import { RequestError, get } from "./asking.js";
import { reason } from "./words.js";

const PARALLEL = 4; // requests: browsers allow a server six, and uploads and events take some
const MEMORY = 96e6; // bytes
const LONGEST = 2560; // pixels of a decoded frame's longer side
const AHEAD = 4; // seconds
const STANDING = 12; // frames ahead of where a film stands
const BEHIND = 4; // frames, for a step back
const SCREEN = 60; // frames a second that can be seen
const USED = 0.9; // of the speed at which frames come
const REST_MS = 1000; // after a failure

/**
 * @typedef {object} Source what is fetched
 * @property {(n: number) => string} url of a frame
 * @property {number} count of frames
 * @property {number} fps
 * @property {number} width pixels
 * @property {number} height
 */

/** The frames around a film's place. */
export class Reel {
  /**
   * @param {Source} source
   * @param {(n: number) => void} came a frame is there
   * @param {(n: number, words: string, damaged: boolean) => void} failed a frame cannot be had; not damaged: for now
   */
  constructor(source, came, failed) {
    this.source = source;
    this.came = came;
    this.failed = failed;
    this.scale = Math.min(1, LONGEST / Math.max(source.width, source.height));
    const bytes = 4 * source.width * source.height * this.scale ** 2;
    this.room = Math.max(BEHIND + 2, Math.min(240, Math.floor(MEMORY / bytes)));
    this.ahead = Math.min(this.room - BEHIND, Math.ceil(AHEAD * source.fps) + 1);
    /** @type {Map<number, ImageBitmap>} */
    this.held = new Map();
    /** @type {Map<number, AbortController>} */
    this.pending = new Map();
    /** @type {Map<number, { until: number, words: string }>} frames that failed; `until`: milliseconds */
    this.bad = new Map();
    this.resting = 0; // until when, in milliseconds
    this.at = 0;
    this.planned = -1; // the last frame that was asked for since the film runs
    this.running = false;
    this.taking = 0; // milliseconds that a request takes, on average
  }

  /** Frames that are asked for while the film runs: every so many. */
  get stride() {
    const { fps } = this.source;
    return Math.max(1, Math.ceil(fps / SCREEN), Math.ceil((fps * this.taking) / (1000 * PARALLEL * USED)));
  }

  /**
   * Say where the film is.
   * @param {number} at the frame
   * @param {boolean} running
   */
  aim(at, running) {
    const jumped = at < this.at || at > this.at + this.source.fps || running !== this.running;
    this.at = at;
    this.running = running;
    if (jumped) this.planned = at - 1;
    if (jumped || !running) this.#forget();
    this.#drop();
    this.#plan();
  }

  /**
   * The newest frame that is there.
   * @param {number} from
   * @param {number} to this one too
   * @returns {[number, ImageBitmap] | undefined}
   */
  newest(from, to) {
    let best = -1;
    for (const n of this.held.keys()) if (n >= from && n <= to && n > best) best = n;
    const frame = this.held.get(best);
    return frame && [best, frame];
  }

  /**
   * Why a frame will never be there.
   * @param {number} n
   * @returns {string | undefined}
   */
  why(n) {
    const bad = this.bad.get(n);
    return bad?.until === Infinity ? bad.words : undefined;
  }

  /** How many frames are there from the film's place on. */
  get ready() {
    return [...this.held.keys()].filter((n) => n >= this.at).length;
  }

  /** Fetch nothing more, and give back the memory. */
  close() {
    for (const controller of this.pending.values()) controller.abort();
    for (const frame of this.held.values()) frame.close();
    this.pending.clear();
    this.held.clear();
    this.room = 0;
  }

  /** Stop fetching what is too far away to be of use. */
  #forget() {
    for (const [n, controller] of this.pending) if (!this.#near(n)) controller.abort();
  }

  /** Let go of what has been shown, and of what is too far away. */
  #drop() {
    for (const [n, frame] of this.held) {
      if (this.#near(n)) continue;
      frame.close();
      this.held.delete(n);
    }
  }

  /** @param {number} n */
  #near(n) {
    return n >= this.at - BEHIND && n <= this.at + this.ahead + this.#lead;
  }

  /** Frames that pass while one is fetched. */
  get #lead() {
    return this.running ? Math.ceil((this.source.fps * this.taking) / 1000) : 0;
  }

  #plan() {
    const now = performance.now();
    if (now < this.resting || !this.room) return;
    while (this.pending.size < PARALLEL && this.pending.size + this.held.size < this.room) {
      const n = this.running ? this.#following() : this.#around();
      if (n === undefined) return;
      this.planned = Math.max(this.planned, n);
      void this.#fetch(n);
    }
  }

  /** @returns {number | undefined} the next frame of a film that runs */
  #following() {
    const first = Math.max(this.planned + this.stride, this.at + this.#lead);
    for (let n = first; n < this.source.count && this.#near(n); n += this.stride) if (this.#missing(n)) return n;
    return undefined;
  }

  /** @returns {number | undefined} the next frame around a place where the film stands */
  #around() {
    const last = Math.min(this.source.count - 1, this.at + Math.min(this.ahead, STANDING));
    for (let n = this.at; n <= last; n += 1) if (this.#missing(n)) return n;
    for (let n = this.at - 1; n >= Math.max(0, this.at - BEHIND); n -= 1) if (this.#missing(n)) return n;
    return undefined;
  }

  /** @param {number} n */
  #missing(n) {
    return !this.held.has(n) && !this.pending.has(n) && (this.bad.get(n)?.until ?? 0) < performance.now();
  }

  /** @param {number} n */
  async #fetch(n) {
    const controller = new AbortController();
    const began = performance.now();
    this.pending.set(n, controller);
    try {
      const frame = await this.#decoded(n, controller.signal);
      if (controller.signal.aborted) frame.close();
      else {
        const took = performance.now() - began;
        this.taking += (took - this.taking) / (this.taking ? 8 : 1);
        this.held.set(n, frame);
      }
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(n, error);
    }
    if (this.pending.get(n) === controller) this.pending.delete(n);
    if (this.held.has(n)) this.came(n);
    this.#plan();
  }

  /**
   * @param {number} n
   * @param {AbortSignal} signal
   * @returns {Promise<ImageBitmap>}
   */
  async #decoded(n, signal) {
    // "default": an address with a generation in it names the same bytes for ever
    const answer = await get(this.source.url(n), { signal, cache: "default" });
    const blob = await answer.blob();
    if (this.scale === 1) return createImageBitmap(blob);
    const resizeWidth = Math.max(1, Math.round(this.source.width * this.scale));
    return createImageBitmap(blob, { resizeWidth, resizeQuality: "medium" });
  }

  /**
   * @param {number} n
   * @param {unknown} error
   */
  #fail(n, error) {
    const now = performance.now();
    const damaged = !(error instanceof RequestError) || error.status === 422; // or the browser cannot decode it
    const words = error instanceof RequestError ? reason(error) : `frame ${n} cannot be shown`;
    this.bad.set(n, { until: now + (damaged ? Infinity : REST_MS), words });
    if (!damaged) this.resting = now + REST_MS; // it would fail with each of them
    setTimeout(() => this.#plan(), REST_MS + 1);
    this.failed(n, words, damaged);
  }
}
