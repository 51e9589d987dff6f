/** A medium's place in the library: its picture, what it is, and what can be done with it. */

import { button, fill, make } from "./dom.js";
import { contact, look } from "./contact.js";
import { facts, playUrl } from "./medium.js";
import { Preview } from "./preview.js";

/** @typedef {import("./medium.js").Medium} Medium */

/**
 * @typedef {object} Deeds what a person can have done with a medium
 * @property {(medium: Medium) => void} like
 * @property {(medium: Medium) => void} choose
 * @property {(medium: Medium) => void} remove
 */

/** One medium in the list. */
export class Card {
  /**
   * @param {Medium} medium
   * @param {Deeds} deeds
   */
  constructor(medium, deeds) {
    this.medium = medium;
    this.item = make("li", "", "card");
    this.link = make("a");
    this.title = make("span", "", "name");
    this.facts = make("p", "", "detail");
    this.tags = make("p", "", "detail tags");
    this.star = button("☆", "Favourite", () => deeds.like(this.medium));
    this.active = button("Make active", "Make active", () => deeds.choose(this.medium));
    this.remove = button("Delete", "Delete", () => deeds.remove(this.medium));
    this.star.classList.add("star");
    this.shown = "";
    new Preview(this.link, () => this.medium);
    const heading = make("h3");
    heading.append(this.title);
    this.link.append(heading);
    const row = make("p", "", "deeds");
    row.append(this.star, this.active, this.remove);
    this.item.append(this.link, this.facts, this.tags, row);
  }

  /**
   * Show how it is now.
   * @param {Medium} medium
   * @param {boolean} active whether the player shows it
   */
  show(medium, active) {
    this.medium = medium;
    this.#picture(medium);
    fill(this.title, medium.title);
    fill(this.facts, facts(medium));
    fill(this.tags, medium.tags.join(", "));
    this.tags.hidden = !medium.tags.length;
    fill(this.star, medium.favourite ? "★" : "☆");
    this.star.setAttribute("aria-label", `Favourite: ${medium.title}`);
    this.star.setAttribute("aria-pressed", String(medium.favourite));
    this.item.classList.toggle("active", active);
    fill(this.active, active ? "Active" : "Make active");
    this.active.setAttribute("aria-label", active ? `Active: ${medium.title}` : `Make active: ${medium.title}`);
    this.active.setAttribute("aria-pressed", String(active));
    this.remove.setAttribute("aria-label", `Delete ${medium.title}`);
  }

  /** @param {Medium} medium */
  #picture(medium) {
    const shown = look(medium);
    if (this.shown === shown) return;
    this.shown = shown;
    this.link.querySelector(".contact")?.remove();
    this.link.prepend(contact(medium));
    if (medium.kind === "file") this.link.href = medium.url;
    else this.link.href = playUrl(medium.slug);
  }
}
