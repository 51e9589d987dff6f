/** The plain page at `/`, put together: uploads, archives as they come in, the library, its player. */

import { byId } from "./dom.js";
import { Incoming } from "./incoming.js";
import { Library } from "./library.js";
import { follow } from "./live.js";
import { Player } from "./player.js";
import { describe } from "./speaks.js";
import { Transfer } from "./transfer.js";
import { onUploads, refreshUploads, showOlder } from "./uploads.js";

const LIBRARY_CHANGES = ["published", "derived", "terminated", "expired"];

const incoming = new Incoming(refreshUploads);
const library = new Library();
onUploads((uploads) => incoming.show(uploads));

const input = byId("files", HTMLInputElement);
input.addEventListener("change", () => {
  for (const file of input.files ?? []) {
    const transfer = new Transfer(file);
    byId("transfers", HTMLUListElement).append(transfer.item);
    void transfer.run();
  }
  input.value = ""; // so that the same file can be chosen again
});
byId("older", HTMLButtonElement).addEventListener("click", showOlder);

follow((news) => {
  if (news?.name === "frame" && news.count && incoming.arrived(news.upload, news.count)) return;
  if (news?.name !== "derived") refreshUploads(); // that is about media alone
  if (!news || LIBRARY_CHANGES.includes(news.name)) library.refresh();
});

new Player().follow();
void describe();
