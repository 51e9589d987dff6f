/** What becomes of an archive among uploads, in words. */

import { count } from "./words.js";

/**
 * @typedef {object} Processing how far an archive is
 * @property {"indexing" | "waiting" | "ready" | "not-frames" | "failed"} phase
 * @property {string | null} reason
 * @property {number | null} frames
 * @property {string | null} slug of the medium that shows it
 */

/**
 * Whether nothing more will become of it.
 * @param {Processing} processing
 * @returns {boolean}
 */
export function settled(processing) {
  return ["ready", "not-frames", "failed"].includes(processing.phase);
}

/**
 * How far its frames are, or why there are none.
 * @param {Processing} processing
 * @returns {string}
 */
export function fate({ phase, reason, frames }) {
  const soFar = frames ? count(frames, "frame") : "";
  switch (phase) {
    case "ready":
      return soFar ? `${soFar}, ready` : "ready";
    case "waiting":
      return [soFar, "waiting for the other files of its group"].filter(Boolean).join(", ");
    case "failed":
      return `no film: ${reason ?? "the archive cannot be used"}`;
    case "not-frames":
      return "kept as an ordinary file";
    default:
      return soFar ? `${soFar} so far` : "looking for frames";
  }
}
