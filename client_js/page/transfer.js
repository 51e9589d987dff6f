/**
 * An upload over tus, which can be paused and resumed.
 *
 * It is a POST that makes it and one PATCH that carries the bytes. After an error or a pause, a HEAD asks how far the
 * server got, and another PATCH carries the rest. XMLHttpRequest is used for the PATCH because fetch cannot tell how
 * much of a body has been sent.
 */

import { RequestError, ask, refusal } from "./asking.js";
import { announce, make } from "./dom.js";
import { refreshNow } from "./uploads.js";
import { reason, size } from "./words.js";

export const FILES = "/files/";
const VERSION = { "Tus-Resumable": "1.0.0" };

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

/** One file on its way. */
export class Transfer {
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
      this.stopped(reason(error));
    }
    void refreshNow();
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
    if (!(error instanceof RequestError) || error.status !== 409) throw error;
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
      request.addEventListener("error", () => reject(new RequestError("the connection broke")));
      request.addEventListener("abort", () => reject(new RequestError("paused")));
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
