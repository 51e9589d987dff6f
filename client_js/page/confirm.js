/** A question before something is done that cannot be undone. */

import { button, make } from "./dom.js";

/**
 * Ask it. Escape and the first button mean no.
 * @param {string} question
 * @param {string} detail what would happen
 * @param {string} yes the word for doing it
 * @returns {Promise<boolean>}
 */
export function confirmed(question, detail, yes) {
  const dialog = make("dialog", "", "question");
  const heading = make("h2", question);
  heading.id = "question";
  dialog.setAttribute("aria-labelledby", heading.id);
  const no = button("Cancel", "Cancel", () => dialog.close());
  no.autofocus = true;
  const row = make("p", "", "deeds");
  row.append(no, button(yes, yes, () => dialog.close(yes)));
  dialog.append(heading, make("p", detail), row);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === yes);
    });
  });
}
