/**
 * A film of frames: a picture, and what plays it.
 *
 * The clock decides which frame is due; what is there of it is shown. Where frames come too slowly, some are missed, and
 * the film takes as long as it should. It waits for a few frames before it sets out, and while the page is hidden it
 * stands still.
 */

import { button, fill, make } from "./dom.js";
import { frameUrl } from "./medium.js";
import { Reel } from "./reel.js";
import { clock } from "./words.js";

/** @typedef {import("./medium.js").Medium} Medium */

const SOME = 0.5; // seconds of film that are there before it sets out
const PATIENCE_MS = 1500; // then it sets out with what there is
const STOOD_STILL_MS = 500; // the page was not shown meanwhile
const FIGURE_SPACE = "\u2007"; // as wide as a digit: the line keeps its length
const LEAP = 10; // frames, with Page Up and Page Down

/** The player of one film. */
export class Film {
  /** @param {Medium} medium one with frames */
  constructor(medium) {
    this.title = medium.title;
    this.count = medium.frames ?? 0;
    this.fps = medium.fps ?? 25;
    const missing = this.#missing.bind(this);
    this.reel = new Reel(this.#source(medium), () => this.#draw(), missing);
    this.at = 0; // the frame that is due
    this.shown = -1;
    this.running = false;
    this.setOut = false; // whether the clock runs
    this.began = 0; // milliseconds, when frame 0 was due
    this.ticked = 0;
    this.waited = 0; // milliseconds, since when it waits to set out
    this.canvas = stage(medium);
    this.slider = slider(this.count);
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.toggler = button("Play", "Play", () => this.toggle());
    this.place = make("span", "", "place");
    this.trouble = make("p", "", "trouble");
    this.trouble.setAttribute("role", "status");
    this.element = make("div", "", "film");
    const row = make("div", "", "controls");
    const back = button("‹", "Previous frame", () => this.step(-1));
    const on = button("›", "Next frame", () => this.step(1));
    row.append(this.toggler, back, on, this.slider, this.place);
    this.element.append(this.canvas, row, this.trouble);
    this.#tell();
  }

  /**
   * @param {Medium} medium
   * @returns {import("./reel.js").Source}
   */
  #source(medium) {
    const { width, height } = medium;
    return { url: (n) => frameUrl(medium, n), count: this.count, fps: this.fps, width: width ?? 1, height: height ?? 1 };
  }

  /** Show the first frame. */
  open() {
    this.reel.aim(this.at, false);
  }

  /** Stop, for good. */
  close() {
    this.pause();
    this.reel.close();
  }

  /** Play what stands, from the beginning if it has ended; stop what plays. */
  toggle() {
    if (this.running) this.pause();
    else this.play();
  }

  play() {
    if (this.running || this.count < 2) return;
    if (this.at >= this.count - 1) this.#go(0);
    this.running = true;
    this.#rest();
    this.#label();
    requestAnimationFrame((now) => this.#tick(now));
  }

  pause() {
    if (!this.running) return;
    this.running = false;
    if (this.shown >= 0) this.at = this.shown;
    this.reel.aim(this.at, false);
    this.#label();
  }

  /**
   * Show another frame, and play on from there if it plays.
   * @param {number} n
   */
  seek(n) {
    this.#go(n);
    this.#rest();
    this.reel.aim(this.at, this.running);
    this.#tell();
    this.#draw();
    const why = this.reel.why(this.at);
    if (why) this.#missing(this.at, why, true);
  }

  /**
   * So many frames on, or back; it stands still there.
   * @param {number} frames
   */
  step(frames) {
    this.pause();
    this.seek(this.at + frames);
  }

  /**
   * What a key does; all keys that the slider has by itself do the same elsewhere.
   * @param {string} key
   * @returns {boolean} whether it does anything
   */
  pressed(key) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -LEAP, PageUp: LEAP };
    if (key === " ") this.toggle();
    else if (key === "Home") this.step(-this.count);
    else if (key === "End") this.step(this.count);
    else if (key in steps) this.step(steps[/** @type {keyof typeof steps} */ (key)]);
    else return false;
    return true;
  }

  /** @param {number} n */
  #go(n) {
    this.at = Math.min(Math.max(0, n), Math.max(0, this.count - 1));
    this.shown = -1;
    fill(this.trouble, "");
  }

  /** The clock stands until a few frames are there. */
  #rest() {
    this.setOut = false;
    this.waited = performance.now();
  }

  /** @param {number} now milliseconds */
  #tick(now) {
    if (!this.running) return;
    if (now - this.ticked > STOOD_STILL_MS) this.began += now - this.ticked;
    this.ticked = now;
    if (this.setOut) this.at = Math.min(Math.floor(((now - this.began) * this.fps) / 1000), this.count - 1);
    else if (this.#ready(now)) {
      this.setOut = true;
      this.began = now - (this.at * 1000) / this.fps;
    }
    this.reel.aim(this.at, true);
    this.#draw();
    if (this.setOut && this.at >= this.count - 1) this.#end();
    else requestAnimationFrame((next) => this.#tick(next));
  }

  /** @param {number} now */
  #ready(now) {
    const { ready } = this.reel;
    const some = Math.min(Math.ceil(this.fps * SOME), this.count - this.at, this.reel.ahead);
    return ready >= some || (ready > 0 && now - this.waited > PATIENCE_MS);
  }

  #end() {
    this.running = false;
    this.at = this.count - 1;
    this.reel.aim(this.at, false);
    this.#draw();
    this.#label();
  }

  /** Show the newest frame that is due and there. */
  #draw() {
    const found = this.reel.newest(this.shown + 1, this.at);
    if (!found || (!this.running && found[0] !== this.at)) return;
    const [n, frame] = found;
    if (this.canvas.width !== frame.width) this.canvas.width = frame.width;
    if (this.canvas.height !== frame.height) this.canvas.height = frame.height;
    const context = this.canvas.getContext("2d");
    context?.clearRect(0, 0, frame.width, frame.height);
    context?.drawImage(frame, 0, 0);
    this.canvas.setAttribute("aria-label", `Frame ${n} of ${this.title}`);
    this.shown = n;
    fill(this.trouble, "");
    this.#tell();
  }

  /**
   * A frame cannot be had. A film that runs passes over a damaged one.
   * @param {number} n
   * @param {string} words
   * @param {boolean} damaged
   */
  #missing(n, words, damaged) {
    if (this.running ? damaged : n !== this.at) return;
    fill(this.trouble, words);
    if (!this.running) this.canvas.getContext("2d")?.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #tell() {
    const n = this.shown < 0 ? this.at : this.shown;
    const [time, whole] = [clock(n / this.fps), clock(this.count / this.fps)];
    this.slider.value = String(n);
    this.slider.setAttribute("aria-valuetext", `${n} of 0 to ${this.count - 1}, ${time}`);
    const last = String(this.count - 1);
    fill(this.place, `Frame ${String(n).padStart(last.length, FIGURE_SPACE)} of 0–${last} · ${time} of ${whole}`);
  }

  #label() {
    const word = this.running ? "Pause" : "Play";
    fill(this.toggler, word);
    this.toggler.setAttribute("aria-label", word);
  }
}

/**
 * Where the frames are shown; as large as they are until the first has come.
 * @param {Medium} medium
 * @returns {HTMLCanvasElement}
 */
function stage(medium) {
  const canvas = make("canvas", "", "stage");
  [canvas.width, canvas.height] = [medium.width ?? 1, medium.height ?? 1];
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", medium.title);
  return canvas;
}

/**
 * @param {number} count of frames
 * @returns {HTMLInputElement}
 */
function slider(count) {
  const made = make("input");
  made.type = "range";
  made.min = "0";
  made.max = String(Math.max(0, count - 1));
  made.value = "0";
  made.setAttribute("aria-label", "Frame");
  return made;
}
