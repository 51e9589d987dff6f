/** What a medium looks like in the library: a few frames, what was made of it, or a tile that says what it is. */

import { make, picture } from "./dom.js";
import { POSTER, WAVEFORM, chosen, ending, thumbUrl } from "./medium.js";

/** @typedef {import("./medium.js").Medium} Medium */

const FEW = 5; // frames in the strip below the large one

const KINDS = { frames: "Film", video: "Video", audio: "Sound", image: "Picture", file: "File" };

/**
 * What there is to show of it: another text, another picture.
 * @param {Medium} medium
 * @returns {string}
 */
export function look(medium) {
  return [medium.slug, medium.generation, made(medium)].join(" ");
}

/**
 * The picture of a medium. It says nothing that is not said beside it.
 * @param {Medium} medium
 * @returns {HTMLElement}
 */
export function contact(medium) {
  if (medium.frames && medium.thumb_url) return sheet(medium, medium.frames);
  const url = made(medium);
  return url ? single(medium, url) : tile(medium);
}

/**
 * Where the one picture is that was made of it; of a film that are many, and of a file none.
 * @param {Medium} medium
 * @returns {string}
 */
function made(medium) {
  if (medium.kind === "audio") return medium.derived[WAVEFORM] ?? "";
  return medium.derived[POSTER] ?? "";
}

/**
 * @param {Medium} medium
 * @param {number} frames
 * @returns {HTMLElement}
 */
function sheet(medium, frames) {
  const whole = make("div", "", "contact");
  const strip = make("div", "", "few");
  const few = chosen(frames, FEW);
  strip.append(...few.map((n) => picture(thumbUrl(medium, n, 80), "")));
  whole.append(picture(thumbUrl(medium, few[few.length >> 1] ?? 0, 320), ""), strip);
  return orTile(whole, medium);
}

/**
 * @param {Medium} medium
 * @param {string} url
 * @returns {HTMLElement}
 */
function single(medium, url) {
  const whole = make("div", "", `contact single ${medium.kind}`);
  whole.append(picture(url, ""), make("span", KINDS[medium.kind], "badge"));
  return orTile(whole, medium);
}

/**
 * Leave out a picture that cannot be had: a frame is damaged, or the server makes no pictures at all.
 * @param {HTMLElement} whole
 * @param {Medium} medium
 * @returns {HTMLElement} the same
 */
function orTile(whole, medium) {
  const without = (/** @type {Event} */ event) => {
    if (event.target instanceof HTMLImageElement) event.target.remove();
    if (!whole.querySelector("img")) whole.replaceWith(tile(medium));
  };
  whole.addEventListener("error", without, { capture: true });
  return whole;
}

/**
 * @param {Medium} medium
 * @returns {HTMLElement}
 */
function tile(medium) {
  const plain = make("div", "", "contact tile");
  plain.append(make("span", ending(medium) || "–", "ending"), make("span", KINDS[medium.kind]));
  return plain;
}
