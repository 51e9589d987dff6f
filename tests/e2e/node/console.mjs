// MinIO's console in a real Chromium (see browser.mjs): sign in, go to a folder of a bucket, look at what it lists.
//
// task: { chromium, url: the console's, user, password, bucket, folder: "a/b/" or "",
//         object: the name of one there to look at closely (or absent), picture: where to put one of all that (or absent) }
// saw: { rows: [{ key, name, modified, size }] as they stand there,
//        told: [{ name, last_modified, size }] as the server told the page: exact,
//        details: { "Name": …, "Size": …, … } and metadata: { "Content-Type": …, … } of the object, or null }

import { open, play, task } from "./browser.mjs";

const VIEW = { width: 1300, height: 1400 }; // the list draws only the rows that fit

/** What the server tells of the folder, on the page's socket, once it has told all. */
function listing(page) {
  const told = [];
  return new Promise((resolve) => {
    page.on("websocket", (socket) => {
      let mine = null; // the number of the page's request for this folder
      socket.on("framesent", ({ payload }) => {
        const request = JSON.parse(payload);
        if (request.bucket_name === task.bucket && (request.prefix ?? "") === task.folder) mine = request.request_id;
      });
      socket.on("framereceived", ({ payload }) => {
        const answer = JSON.parse(payload);
        if (mine === null || answer.request_id !== mine) return;
        told.push(...(answer.data ?? []));
        if (answer.request_end) resolve(told);
      });
    });
  });
}

/** Signed in as the root user; the licence has been read, once more. */
async function signIn(page) {
  await page.goto(task.url);
  await page.locator("#accessKey").fill(task.user);
  await page.locator("#secretKey").fill(task.password);
  await page.getByRole("button", { name: "Login" }).click();
  await page.getByRole("button", { name: "Acknowledge" }).click();
}

/** The folder's rows as a person reads them, all of them. */
async function rowsOf(page, count) {
  if (count === 0) {
    await page.getByText("This location is empty").waitFor();
    return [];
  }
  await page.locator(`[role=grid][aria-rowcount="${count}"]`).waitFor({ state: "attached" }); // its own box is empty
  await page.locator("[role=rowgroup] [aria-rowindex]").first().waitFor();
  const rows = await page.locator("[role=rowgroup] [aria-rowindex]").evaluateAll((found) =>
    found.map((row) => {
      const [, name, modified, size] = [...row.querySelectorAll("[role=gridcell]")].map((cell) => cell.textContent);
      return { key: row.querySelector("input").value, name, modified, size };
    }),
  );
  if (rows.length < count) throw new Error(`${count} rows do not fit: only ${rows.length} are drawn`);
  return rows;
}

/** What the panel says of an object: two lists of names and values, each name above its value. */
async function detailsOf(page, name) {
  const metadata = page.waitForResponse((answer) => answer.url().includes("/objects/metadata?"));
  await page.locator("[role=rowgroup]").getByText(name, { exact: true }).click();
  await metadata;
  const panel = page.locator("#details-panel");
  await panel.getByText("Content-Type").waitFor();
  return panel.evaluate((root) => {
    const heading = [...root.querySelectorAll("span")].find((each) => each.textContent === "Metadata");
    const [details, metadata] = [{}, {}];
    for (const title of root.querySelectorAll("strong")) {
      const below = heading.compareDocumentPosition(title) & Node.DOCUMENT_POSITION_FOLLOWING;
      const value = title.parentElement.innerText.slice(title.innerText.length).trim();
      (below ? metadata : details)[title.textContent.replace(/:$/, "")] = value;
    }
    return { details, metadata };
  });
}

await play(async (browser) => {
  const page = await open(browser, { viewport: VIEW });
  await signIn(page);
  const all = listing(page);
  await page.goto(new URL(`browser/${task.bucket}/${encodeURIComponent(task.folder)}`, task.url).href);
  const told = await all;
  const rows = await rowsOf(page, told.length);
  const closely = task.object ? await detailsOf(page, task.object) : { details: null, metadata: null };
  if (task.picture) await page.screenshot({ path: task.picture });
  return { rows, told, ...closely };
});
