/** A medium of the library: where its pictures are, and what there is to say of it. */

import { count, duration, size } from "./words.js";

/**
 * @typedef {object} Medium as `/api/media` tells it; sizes in bytes, durations in seconds
 * @property {string} slug
 * @property {string} url of its bytes
 * @property {string} title
 * @property {string} name of the file
 * @property {"frames" | "video" | "audio" | "image" | "file"} kind
 * @property {number} generation
 * @property {number} size
 * @property {number | null} width pixels
 * @property {number | null} height
 * @property {string | null} format
 * @property {number | null} fps
 * @property {number | null} frames how many
 * @property {number | null} duration
 * @property {string | null} frame_url with `{n}` for the frame's number
 * @property {string | null} thumb_url the same
 * @property {Record<string, string>} derived where that is which was made of it, by kind
 * @property {string[]} tags
 * @property {boolean} favourite
 */

/** What a frame is fetched as: its own bytes where browsers show them; of raw ones BMP, a header before them. */
const SUFFIXES = new Map([
  ["png", "png"],
  ["jpeg", "jpg"],
  ["webp", "webp"],
]);

/** What may have been made of a medium: a film of its frames, small; the same as an animated picture; … */
export const FILM = "preview.mp4";
export const LOOP = "preview.webp";
/** … a picture of a video or an image; a picture of a sound. */
export const POSTER = "poster.jpg";
export const WAVEFORM = "waveform.png";

/** The address that shows a medium in the player, without the page's own. */
export const PLAY = "#play/";

/**
 * A link that shows a medium in the player.
 * @param {string} slug
 * @returns {string}
 */
export function playUrl(slug) {
  return PLAY + slug;
}

/**
 * Its bytes, as they are in this generation for ever.
 * @param {Medium} medium
 * @returns {string}
 */
export function bytesUrl(medium) {
  return `${medium.url}?g=${medium.generation}`;
}

/**
 * A frame as a picture.
 * @param {Medium} medium one with frames
 * @param {number} n from 0
 * @returns {string}
 */
export function frameUrl(medium, n) {
  const suffix = SUFFIXES.get(medium.format ?? "") ?? "bmp";
  return (medium.frame_url ?? "").replace("{n}", `${n}.${suffix}`);
}

/**
 * A small picture of a frame.
 * @param {Medium} medium one with frames
 * @param {number} n from 0
 * @param {80 | 160 | 320} longer pixels of the longer side
 * @returns {string}
 */
export function thumbUrl(medium, n, longer) {
  const url = new URL((medium.thumb_url ?? "").replace("{n}", String(n)), document.baseURI);
  url.searchParams.set("size", String(longer));
  return url.pathname + url.search;
}

/**
 * A few frames, each in the middle of an equally long stretch of the medium.
 * @param {number} frames how many there are
 * @param {number} most
 * @returns {number[]} rising, from 0
 */
export function chosen(frames, most) {
  const few = Math.min(frames, most);
  return Array.from({ length: few }, (_, place) => Math.floor(((place + 0.5) * frames) / few));
}

/**
 * What there is to say of it, in one line.
 * @param {Medium} medium
 * @returns {string}
 */
export function facts(medium) {
  const said = [];
  if (medium.frames) said.push(count(medium.frames, "frame"));
  if (medium.width && medium.height) said.push(`${medium.width} × ${medium.height}`);
  if (medium.fps) said.push(`${Number(medium.fps.toFixed(3))} fps`);
  if (medium.duration) said.push(duration(medium.duration));
  said.push(size(medium.size));
  return said.map((fact) => fact.replaceAll(" ", "\u00a0")).join("\u00a0· "); // a number stays beside its unit
}

/**
 * The ending of its file's name, if it has one that says something.
 * @param {Medium} medium
 * @returns {string}
 */
export function ending(medium) {
  return /\.([a-z0-9]{1,5})$/i.exec(medium.name)?.[1]?.toUpperCase() ?? "";
}
