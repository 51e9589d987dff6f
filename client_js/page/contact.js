/** What a medium looks like, in its place in the library: a few of its frames, or a tile that says what it is. */

import { make, picture } from "./dom.js";
import { chosen, ending, thumbUrl } from "./medium.js";

/** @typedef {import("./medium.js").Medium} Medium */

const FEW = 5; // frames in the strip below the large one

const KINDS = { frames: "Film", video: "Video", audio: "Sound", image: "Picture", file: "File" };

/**
 * The picture of a medium. It says nothing that is not said beside it.
 * @param {Medium} medium
 * @returns {HTMLElement}
 */
export function contact(medium) {
  return medium.frames && medium.thumb_url ? sheet(medium, medium.frames) : tile(medium);
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
  whole.addEventListener("error", (event) => without(whole, event.target, medium), { capture: true });
  return whole;
}

/**
 * Leave out a picture that cannot be had: a frame is damaged, or the server makes no pictures at all.
 * @param {HTMLElement} whole
 * @param {EventTarget | null} missing
 * @param {Medium} medium
 */
function without(whole, missing, medium) {
  if (missing instanceof HTMLImageElement) missing.remove();
  if (!whole.querySelector("img")) whole.replaceWith(tile(medium));
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
