/**
 * The plain page: what this server speaks, an upload over tus, the list of uploads.
 *
 * An upload is a POST that makes it and one PATCH that carries the bytes. After an error or a pause, a HEAD asks how
 * far the server got, and another PATCH carries the rest. XMLHttpRequest is used for the PATCH because fetch cannot
 * tell how much of a body has been sent.
 */

const FILES = "/files/";
const VERSION = { "Tus-Resumable": "1.0.0" };
const REFRESH_MS = 2000;
const PAGE = 50;
const MOST = 500; // rows: as many as the server lists at once

/**
 * @typedef {object} Listed an upload as `/api/uploads` tells it; sizes in bytes, times in seconds since the epoch
 * @property {string} id
 * @property {string | null} filename
 * @property {string} phase
 * @property {number} offset
 * @property {number | null} length
 * @property {number} created_at
 * @property {string | null} [reason]
 */

/**
 * The element with this id, which the page has.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/**
 * A new element with text in it.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [text]
 * @param {string} [className]
 * @returns {HTMLElementTagNameMap[K]}
 */
function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/**
 * A size as people read it, in powers of 1000.
 * @param {number} bytes
 * @returns {string}
 */
function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let step = 0;
  while (value >= 999.95 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step ? value.toFixed(1) : value} ${units[step]}`;
}

/**
 * An `Upload-Metadata` pair: the key and the base64 of the value's UTF-8.
 * @param {string} key
 * @param {string} value
 * @returns {string}
 */
function pair(key, value) {
  const bytes = new TextEncoder().encode(value);
  return `${key} ${btoa(String.fromCodePoint(...bytes))}`;
}

/** What went wrong, in words for the person at the page. */
class UploadError extends Error {
  /**
   * @param {string} words
   * @param {number} [status] of the answer that said so
   */
  constructor(words, status = 0) {
    super(words);
    this.status = status;
  }
}

/**
 * Why an answer is not what was hoped for: the problem document's own words, or the status.
 * @param {number} status
 * @param {string} body
 * @returns {UploadError}
 */
function refusal(status, body) {
  try {
    const problem = JSON.parse(body);
    return new UploadError([problem.title, problem.detail].filter(Boolean).join(": ") || `status ${status}`, status);
  } catch {
    return new UploadError(`the server answered with status ${status}`, status);
  }
}

/** One file on its way. */
class Transfer {
  /** @param {File} file */
  constructor(file) {
    this.file = file;
    /** @type {string | null} */
    this.url = null;
    /** @type {XMLHttpRequest | null} */
    this.request = null;
    this.item = make("li");
    this.bar = make("progress");
    this.bar.max = Math.max(file.size, 1);
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", `Progress of ${file.name}`);
    this.detail = make("span", "waiting", "detail");
    this.button = make("button", "Pause");
    this.button.type = "button";
    this.button.addEventListener("click", () => this.toggle());
    this.item.append(make("span", file.name, "name"), this.bar, this.detail, this.button);
  }

  /** Pause what runs, resume what does not. */
  toggle() {
    if (this.request) this.request.abort();
    else void this.run();
  }

  /** Carry the file over, from wherever the server has it. */
  async run() {
    this.button.disabled = true; // until bytes flow there is nothing to pause
    this.item.classList.remove("wrong");
    this.label("Pause");
    announce(`${this.file.name}: uploading`);
    try {
      let offset = await this.find();
      while (offset < this.file.size) {
        const sentFrom = offset;
        offset = await this.send(sentFrom).catch((error) => this.onwards(error, sentFrom));
      }
      this.finished();
    } catch (error) {
      this.stopped(error instanceof Error ? error.message : String(error));
    }
    void refresh();
  }

  /**
   * The offset to go on at: 0 of a new upload, or what the server has of the one begun earlier.
   * @returns {Promise<number>}
   */
  async find() {
    if (this.url) {
      const answer = await ask(this.url, { method: "HEAD", headers: VERSION });
      const offset = Number(answer.headers.get("Upload-Offset") ?? NaN);
      if (answer.ok && Number.isSafeInteger(offset)) return offset;
      if (answer.status !== 404 && answer.status !== 410) throw refusal(answer.status, "");
    }
    const metadata = [pair("filename", this.file.name)];
    if (this.file.type) metadata.push(pair("filetype", this.file.type));
    const headers = { ...VERSION, "Upload-Length": String(this.file.size), "Upload-Metadata": metadata.join(",") };
    const answer = await ask(FILES, { method: "POST", headers });
    const location = answer.headers.get("Location");
    if (answer.status !== 201 || !location) throw refusal(answer.status, await answer.text());
    this.url = new URL(location, document.baseURI).href;
    return 0;
  }

  /**
   * What to do about a failed PATCH. Chromium repeats one by itself after a reset, from the same offset, and gets 409 if
   * the server had kept some of it: then nobody need be asked to resume.
   * @param {unknown} error
   * @param {number} sentFrom
   * @returns {Promise<number>} the offset to go on at
   */
  async onwards(error, sentFrom) {
    if (!(error instanceof UploadError) || error.status !== 409) throw error;
    const offset = await this.find();
    if (offset <= sentFrom) throw error;
    return offset;
  }

  /**
   * Send everything from `offset` on in one PATCH.
   * @param {number} offset
   * @returns {Promise<number>} the offset afterwards, which is the file's size
   */
  send(offset) {
    const request = new XMLHttpRequest();
    const began = performance.now();
    this.request = request;
    this.button.disabled = false;
    return new Promise((resolve, reject) => {
      request.upload.addEventListener("progress", (event) => this.show(offset, event.loaded, began));
      request.addEventListener("load", () => {
        if (request.status === 204) resolve(this.file.size);
        else reject(refusal(request.status, request.responseText));
      });
      request.addEventListener("error", () => reject(new UploadError("the connection broke")));
      request.addEventListener("abort", () => reject(new UploadError("paused")));
      request.addEventListener("loadend", () => {
        this.request = null;
      });
      request.open("PATCH", this.url ?? FILES);
      request.setRequestHeader("Tus-Resumable", VERSION["Tus-Resumable"]);
      request.setRequestHeader("Upload-Offset", String(offset));
      request.setRequestHeader("Content-Type", "application/offset+octet-stream");
      request.send(this.file.slice(offset));
    });
  }

  /**
   * Show how far the bytes have gone.
   * @param {number} offset where this request began
   * @param {number} sent bytes of this request
   * @param {number} began milliseconds, as `performance.now()` counts
   */
  show(offset, sent, began) {
    const seconds = (performance.now() - began) / 1000;
    const gone = Math.min(offset + sent, this.file.size);
    this.bar.value = gone;
    const speed = seconds > 0.5 ? `, ${size(Math.round(sent / seconds))}/s` : "";
    this.detail.textContent = `${size(gone)} of ${size(this.file.size)}${speed}`;
  }

  finished() {
    this.bar.value = this.bar.max;
    this.button.hidden = true;
    this.detail.textContent = `${size(this.file.size)}, finished`;
    announce(`${this.file.name}: finished`);
  }

  /** @param {string} why */
  stopped(why) {
    this.button.disabled = false;
    this.label("Resume");
    this.item.classList.toggle("wrong", why !== "paused");
    this.detail.textContent = why;
    announce(`${this.file.name}: ${why}`);
  }

  /** @param {string} word */
  label(word) {
    this.button.textContent = word;
    this.button.setAttribute("aria-label", `${word} ${this.file.name}`);
  }
}

/**
 * A request whose failure says what a person can understand.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function ask(url, options) {
  try {
    return await fetch(url, { cache: "no-store", ...options });
  } catch {
    throw new UploadError("the server cannot be reached");
  }
}

/** @param {string} text */
function announce(text) {
  byId("news", HTMLParagraphElement).textContent = text;
}

/** @type {Map<string, HTMLTableRowElement>} */
const rows = new Map();
let wanted = PAGE;

/** Bring the list up to date; rows that stay keep their elements, so that focus and selection stay too. */
async function refresh() {
  const note = byId("list-note", HTMLParagraphElement);
  try {
    const answer = await ask(`/api/uploads?limit=${wanted}`);
    if (!answer.ok) throw refusal(answer.status, await answer.text());
    /** @type {{ uploads: Listed[], next: string | null }} */
    const page = await answer.json();
    const listed = new Set(page.uploads.map((upload) => upload.id));
    for (const id of rows.keys()) if (!listed.has(id)) rows.delete(id);
    const current = page.uploads.map(rowOf);
    const body = byId("uploads", HTMLTableSectionElement);
    if (current.some((row, index) => body.rows[index] !== row) || body.rows.length !== current.length) {
      body.replaceChildren(...current);
    }
    note.textContent = current.length ? "" : "There are no uploads yet.";
    byId("older", HTMLButtonElement).hidden = page.next === null || wanted >= MOST;
  } catch (error) {
    note.textContent = `The list cannot be brought up to date: ${error instanceof Error ? error.message : error}.`;
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
  fill(state, upload.reason ? `${upload.phase}: ${upload.reason}` : upload.phase);
  fill(received, share(upload));
  fill(length, upload.length === null ? "unknown" : size(upload.length));
  fill(created, new Date(upload.created_at * 1000).toLocaleString());
  return row;
}

/**
 * How much of an upload is there.
 * @param {Listed} upload
 * @returns {string}
 */
function share(upload) {
  if (upload.phase === "complete") return "100 %"; // an empty file, too
  return upload.length ? `${Math.floor((100 * upload.offset) / upload.length)} %` : size(upload.offset);
}

/**
 * @param {HTMLTableCellElement | undefined} cell
 * @param {string} text
 */
function fill(cell, text) {
  if (cell && cell.textContent !== text) cell.textContent = text;
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
  link.href = FILES + upload.id;
  cell.replaceChildren(link);
}

/** Ask the server what it speaks, and say so. */
async function describe() {
  const list = byId("speaks", HTMLDListElement);
  try {
    const { headers } = await ask(FILES, { method: "OPTIONS" });
    const most = headers.get("Tus-Max-Size");
    /** @type {[string, string | null][]} */
    const facts = [
      ["tus, versions", headers.get("Tus-Version")],
      ["tus, extensions", headers.get("Tus-Extension")],
      ["tus, checksums", headers.get("Tus-Checksum-Algorithm")],
      ["Resumable Uploads for HTTP (IETF), limits", headers.get("Upload-Limit")],
      ["Types of appended bodies", headers.get("Accept-Patch")],
      ["Content codings of bodies", headers.get("Accept-Encoding")],
      ["Largest upload", most ? `${size(Number(most))} (${most} bytes)` : "no limit"],
    ];
    list.replaceChildren();
    for (const [term, value] of facts) {
      if (value) list.append(make("dt", term), make("dd", value.split(",").map((word) => word.trim()).join(", ")));
    }
  } catch (error) {
    list.replaceChildren(make("dd", error instanceof Error ? error.message : String(error)));
  }
}

const input = byId("files", HTMLInputElement);
input.addEventListener("change", () => {
  for (const file of input.files ?? []) {
    const transfer = new Transfer(file);
    byId("transfers", HTMLUListElement).append(transfer.item);
    void transfer.run();
  }
  input.value = ""; // so that the same file can be chosen again
});

byId("older", HTMLButtonElement).addEventListener("click", () => {
  wanted = Math.min(wanted + PAGE, MOST);
  void refresh();
});

setInterval(() => {
  if (document.visibilityState === "visible") void refresh();
}, REFRESH_MS);

void describe();
void refresh();
