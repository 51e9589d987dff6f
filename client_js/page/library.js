/** The library: media in the order and the selection that a person wants, and what can be done with them. */

import { RequestError, change, get } from "./asking.js";
import { Card } from "./card.js";
import { confirmed } from "./confirm.js";
import { announce, arrange, byId, fill } from "./dom.js";
import { seldom } from "./seldom.js";
import { reason, sentence, size } from "./words.js";

/** @typedef {import("./medium.js").Medium} Medium */

const MEDIA = "/api/media";
const ACTIVE = `${MEDIA}/active`;
const PAGE = 24;
const MOST = 500; // in one answer
const APART_MS = 1000;
const NONE_MS = 60_000;
const TYPING_MS = 250; // after which a word is looked for

/** The part of the page that shows it. */
export class Library {
  constructor() {
    this.list = byId("media", HTMLUListElement);
    this.note = byId("media-note", HTMLParagraphElement);
    this.trouble = byId("media-trouble", HTMLParagraphElement);
    this.more = byId("media-more", HTMLButtonElement);
    this.search = byId("media-search", HTMLInputElement);
    this.sort = byId("media-sort", HTMLSelectElement);
    this.liked = byId("media-liked", HTMLInputElement);
    /** @type {Map<string, Card>} by slug */
    this.cards = new Map();
    /** @type {Medium[]} */
    this.media = [];
    /** @type {string | null} */
    this.cursor = null;
    /** @type {string | null} the slug of what players show */
    this.active = null;
    this.turn = 0; // rises with what is asked and changed: an answer from before is of no use
    this.noneUntil = 0; // milliseconds: it is known that none is active
    this.asked = ""; // the selection that is shown
    this.refresh = seldom(APART_MS, () => this.#refresh());
    this.#listen();
  }

  #listen() {
    let typed = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(() => void this.#refresh(), TYPING_MS);
    });
    this.sort.addEventListener("change", () => void this.#refresh());
    this.liked.addEventListener("change", () => void this.#refresh());
    this.more.addEventListener("click", () => void this.#deed(() => this.#showMore()));
  }

  /** Bring it up to date: as many as are shown, or the first page of another selection. */
  async #refresh() {
    const selection = this.#selection();
    const turn = (this.turn += 1);
    const wanted = selection === this.asked ? Math.max(this.media.length, PAGE) : PAGE;
    try {
      const found = await gather(selection, wanted);
      const active = found.media.length ? await this.#askActive() : null;
      if (turn !== this.turn) return;
      this.asked = selection;
      this.active = active;
      if (active === null && found.media.length) this.noneUntil = performance.now() + NONE_MS;
      this.#show(found.media, found.next);
      this.note.classList.remove("wrong");
    } catch (error) {
      this.note.classList.add("wrong");
      fill(this.note, sentence(reason(error)));
    }
  }

  /**
   * Where none was chosen the answer is a 404, which browsers note as an error; so that is not asked all the time.
   * @returns {Promise<string | null>} the slug of what players show
   */
  async #askActive() {
    if (performance.now() < this.noneUntil) return null;
    try {
      return (await (await get(ACTIVE)).json()).slug;
    } catch (error) {
      if (error instanceof RequestError && error.status === 404) return null;
      throw error;
    }
  }

  async #showMore() {
    const first = this.media.length;
    const found = await gather(this.asked, PAGE, this.cursor);
    const known = new Set(this.media.map((medium) => medium.slug));
    this.#show([...this.media, ...found.media.filter((medium) => !known.has(medium.slug))], found.next);
    const next = this.media[first];
    if (next) this.cards.get(next.slug)?.link.focus(); // the button may have gone
  }

  /**
   * @param {Medium[]} media
   * @param {string | null} next
   */
  #show(media, next) {
    this.turn += 1;
    this.media = media;
    this.cursor = next;
    const shown = new Set(media.map((medium) => medium.slug));
    for (const slug of this.cards.keys()) if (!shown.has(slug)) this.cards.delete(slug);
    arrange(this.list, media.map((medium) => this.#card(medium).item));
    fill(this.note, media.length ? "" : nothing(this.search.value, this.liked.checked));
    this.more.hidden = next === null;
  }

  /**
   * @param {Medium} medium
   * @returns {Card}
   */
  #card(medium) {
    const known = this.cards.get(medium.slug);
    const card = known ?? new Card(medium, this.#deeds());
    this.cards.set(medium.slug, card);
    card.show(medium, medium.slug === this.active);
    return card;
  }

  /** @returns {import("./card.js").Deeds} */
  #deeds() {
    return {
      like: (medium) => void this.#deed(() => this.#like(medium)),
      choose: (medium) => void this.#deed(() => this.#choose(medium)),
      remove: (medium) => void this.#deed(() => this.#remove(medium)),
    };
  }

  /** @param {Medium} medium */
  async #like(medium) {
    const now = await change("PATCH", `${MEDIA}/${medium.slug}`, { favourite: !medium.favourite });
    this.#replace(now);
    announce(`${now.title}: ${now.favourite ? "a favourite" : "no favourite any more"}`, "media-news");
  }

  /** @param {Medium} medium */
  async #choose(medium) {
    if (medium.slug === this.active) return;
    const now = await change("PUT", ACTIVE, { slug: medium.slug });
    this.active = medium.slug;
    this.noneUntil = 0;
    this.#replace(now);
    announce(`${now.title}: active`, "media-news");
  }

  /** @param {Medium} medium */
  async #remove(medium) {
    const detail = `${medium.name}, ${size(medium.size)}, goes from the library and from this server, for good.`;
    if (!(await confirmed(`Delete “${medium.title}”?`, detail, "Delete"))) return;
    await get(`${MEDIA}/${medium.slug}`, { method: "DELETE" });
    if (this.active === medium.slug) this.active = null;
    this.#show(this.media.filter((other) => other.slug !== medium.slug), this.cursor);
    byId("library-heading", HTMLHeadingElement).focus(); // the button that had it has gone
    announce(`${medium.title}: deleted`, "media-news");
  }

  /** @param {Medium} now */
  #replace(now) {
    this.#show(this.media.map((medium) => (medium.slug === now.slug ? now : medium)), this.cursor);
  }

  /** @returns {string} the parameters of the listing */
  #selection() {
    const [sort, order] = this.sort.value.split(" ");
    const query = new URLSearchParams({ sort: sort ?? "", order: order ?? "" });
    if (this.search.value.trim()) query.set("search", this.search.value.trim());
    if (this.liked.checked) query.set("favourite", "true");
    return query.toString();
  }

  /**
   * Do something that a person wants, who shall hear when it fails.
   * @param {() => Promise<void>} work
   */
  async #deed(work) {
    fill(this.trouble, "");
    try {
      await work();
    } catch (error) {
      fill(this.trouble, sentence(reason(error)));
    }
    this.refresh();
  }
}

/**
 * The first so many of a selection, or those behind a cursor.
 * @param {string} selection
 * @param {number} wanted
 * @param {string | null} [cursor]
 * @returns {Promise<{ media: Medium[], next: string | null }>}
 */
async function gather(selection, wanted, cursor) {
  /** @type {Medium[]} */
  const media = [];
  let next = cursor ?? null;
  do {
    const query = new URLSearchParams(selection);
    query.set("limit", String(Math.min(wanted - media.length, MOST)));
    if (next) query.set("cursor", next);
    const page = await (await get(`${MEDIA}?${query}`)).json();
    media.push(...page.media);
    next = page.next;
  } while (next && media.length < wanted);
  return { media, next };
}

/**
 * Why there is nothing to see.
 * @param {string} search
 * @param {boolean} liked
 * @returns {string}
 */
function nothing(search, liked) {
  if (search.trim()) return `Nothing here is called “${search.trim()}”.`;
  if (liked) return "Nothing is a favourite yet.";
  return "There are no media yet. Upload an archive of frames, a sound, a picture or a film.";
}
