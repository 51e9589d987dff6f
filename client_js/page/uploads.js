/** The list of uploads, the newest first, and all who want to know of it. */

import { get } from "./asking.js";
import { arrange, byId, fill, make } from "./dom.js";
import { fate } from "./fate.js";
import { seldom } from "./seldom.js";
import { reason, sentence, size } from "./words.js";

const PAGE = 50;
const MOST = 500; // rows: as many as the server lists at once
const APART_MS = 1000;

/**
 * @typedef {object} Listed an upload as `/api/uploads` tells it; sizes in bytes, times in seconds since the epoch
 * @property {string} id
 * @property {string} url
 * @property {string | null} filename
 * @property {string} phase
 * @property {number} offset
 * @property {number | null} length
 * @property {number} created_at
 * @property {string | null} [reason]
 * @property {import("./fate.js").Processing | null} processing of an archive
 */

/** @type {Map<string, HTMLTableRowElement>} */
const rows = new Map();
/** @type {((uploads: Listed[]) => void)[]} */
const listeners = [];
let wanted = PAGE;
let asked = 0; // lists
let shown = 0; // which of them

/** Bring the list up to date, soon. */
export const refreshUploads = seldom(APART_MS, refreshNow);

/**
 * Hear of each new list.
 * @param {(uploads: Listed[]) => void} listener
 */
export function onUploads(listener) {
  listeners.push(listener);
}

/** List more of them. */
export function showOlder() {
  wanted = Math.min(wanted + PAGE, MOST);
  void refreshNow();
}

/**
 * How much of an upload is there.
 * @param {Listed} upload
 * @returns {string}
 */
export function share(upload) {
  if (upload.phase === "complete") return "100 %"; // an empty file, too
  return upload.length ? `${Math.floor((100 * upload.offset) / upload.length)} %` : size(upload.offset);
}

/** Bring the list up to date. Rows that stay keep their elements, so that focus and selection stay too. */
export async function refreshNow() {
  const note = byId("list-note", HTMLParagraphElement);
  const turn = (asked += 1);
  try {
    /** @type {{ uploads: Listed[], next: string | null }} */
    const page = await (await get(`/api/uploads?limit=${wanted}`)).json();
    if (turn < shown) return; // a later one was quicker
    shown = turn;
    const listed = new Set(page.uploads.map((upload) => upload.id));
    for (const id of rows.keys()) if (!listed.has(id)) rows.delete(id);
    arrange(byId("uploads", HTMLTableSectionElement), page.uploads.map(rowOf));
    for (const listener of listeners) listener(page.uploads);
    fill(note, page.uploads.length ? "" : "There are no uploads yet.");
    byId("older", HTMLButtonElement).hidden = page.next === null || wanted >= MOST;
  } catch (error) {
    fill(note, sentence(`The list cannot be brought up to date: ${reason(error)}`));
  }
}

/**
 * The row of an upload, filled in anew.
 * @param {Listed} upload
 * @returns {HTMLTableRowElement}
 */
function rowOf(upload) {
  let row = rows.get(upload.id);
  if (!row) {
    row = make("tr");
    row.append(make("td"), make("td"), make("td"), make("td"), make("td"));
    rows.set(upload.id, row);
  }
  const [name, state, received, length, created] = row.cells;
  fillName(name, upload);
  fill(state, stateOf(upload));
  fill(received, share(upload));
  fill(length, upload.length === null ? "unknown" : size(upload.length));
  fill(created, new Date(upload.created_at * 1000).toLocaleString());
  return row;
}

/**
 * Where it stands, in words.
 * @param {Listed} upload
 * @returns {string}
 */
function stateOf(upload) {
  if (upload.reason) return `${upload.phase}: ${upload.reason}`;
  return upload.processing ? `${upload.phase}, ${fate(upload.processing)}` : upload.phase;
}

/**
 * The name; of a complete upload it is a link to its bytes.
 * @param {HTMLTableCellElement | undefined} cell
 * @param {Listed} upload
 */
function fillName(cell, upload) {
  const text = upload.filename ?? upload.id;
  const readable = upload.phase === "complete";
  if (!cell || (cell.textContent === text && Boolean(cell.querySelector("a")) === readable)) return;
  if (!readable) {
    cell.textContent = text;
    return;
  }
  const link = make("a", text);
  link.href = upload.url;
  cell.replaceChildren(link);
}
