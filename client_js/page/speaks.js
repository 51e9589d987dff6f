/** What this server speaks: the protocols, and its limits. */

import { ask } from "./asking.js";
import { byId, make } from "./dom.js";
import { FILES } from "./transfer.js";
import { reason, size } from "./words.js";

/** Ask the server what it speaks, and say so. */
export async function describe() {
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
    list.replaceChildren(make("dd", reason(error)));
  }
}
