/** The page's elements: found, made, and spoken through. What strangers have named is only ever set as text. */

/**
 * The element with this id, which the page has.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
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
export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/**
 * A button that says what it does; `label` says it to who cannot see what it stands beside, and begins with `text`.
 * @param {string} text
 * @param {string} label
 * @param {() => void} pressed
 * @returns {HTMLButtonElement}
 */
export function button(text, label, pressed) {
  const made = make("button", text);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", pressed);
  return made;
}

/**
 * A small picture that is fetched when it comes into view.
 * @param {string} url
 * @param {string} alt empty: it shows nothing that is not said beside it
 * @returns {HTMLImageElement}
 */
export function picture(url, alt) {
  const image = make("img");
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = alt;
  image.src = url;
  return image;
}

/**
 * Set the text of an element, if it is another one: what stays is not read out again.
 * @param {Element | undefined} element
 * @param {string} text
 */
export function fill(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/**
 * Bring an element's children into this order; where they are in it, nothing is moved, so that focus stays.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function arrange(parent, wanted) {
  for (const child of [...parent.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
}

/**
 * Say something to screen readers, when they have finished what they are saying.
 * @param {string} text
 * @param {"news" | "media-news"} [region] of uploads, or of what becomes of them
 */
export function announce(text, region = "news") {
  byId(region, HTMLParagraphElement).textContent = text;
}
