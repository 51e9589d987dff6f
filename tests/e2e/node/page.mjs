// The page in a real Chromium (see browser.mjs).
//
// task: { chromium, url, scenario, ... }: the scenarios below say what else they take, and return what they saw

import { open, play, task } from "./browser.mjs";

/** The page, with the list of uploads and what the server speaks on it. */
async function arrive(browser, options) {
  const page = await open(browser, options);
  await page.goto(task.url);
  await page.waitForFunction(() => document.querySelector("#speaks dt") && !/Loading/.test(document.querySelector("#list-note").textContent));
  return page;
}

/** What the page says of its first upload. */
const transfer = (page) => page.locator("#transfers li").first();
const detail = (page) => transfer(page).locator(".detail").textContent();
const button = (page, word) => transfer(page).getByRole("button", { name: word });
const finished = (page) => transfer(page).getByText(/finished/).waitFor();

/** The rows of the list, once it has one that says `phase`. */
async function listed(page, phase = "complete") {
  await page.locator("#uploads tr", { hasText: phase }).first().waitFor();
  return page.locator("#uploads tr").evaluateAll((rows) =>
    rows.map((row) => ({ cells: [...row.cells].map((cell) => cell.textContent), link: row.querySelector("a")?.href ?? null })),
  );
}

const scenarios = {
  /** What stands on the page. */
  async look(browser) {
    const page = await arrive(browser);
    return {
      title: await page.title(),
      speaks: await page.locator("#speaks").innerText(),
      note: await page.locator("#list-note").textContent(),
    };
  },

  /** files: choose them with the input and wait until all have arrived. */
  async upload(browser) {
    const page = await arrive(browser);
    await page.getByLabel("Files to upload").setInputFiles(task.files);
    for (const item of await page.locator("#transfers li").all()) await item.getByText(/finished/).waitFor();
    return { rows: await listed(page), news: await page.locator("#news").textContent() };
  },

  /** file: the network breaks on the way; press Resume until the file has arrived. */
  async resume(browser) {
    const page = await arrive(browser);
    await page.getByLabel("Files to upload").setInputFiles(task.file);
    const said = [];
    const over = finished(page).then(() => true);
    while (!(await Promise.race([over, button(page, "Resume").waitFor().then(() => false)]))) {
      said.push(await detail(page));
      await button(page, "Resume").click();
    }
    return { said, rows: await listed(page) };
  },

  /** file: the network holds still on the way; press Pause there, then Resume. */
  async pause(browser) {
    const page = await arrive(browser);
    await page.getByLabel("Files to upload").setInputFiles(task.file);
    await transfer(page).getByText(/ of /).waitFor();
    await button(page, "Pause").click();
    await transfer(page).getByText("paused").waitFor();
    const rows = await listed(page, "receiving");
    await button(page, "Resume").click();
    await finished(page);
    return { paused: rows, rows: await listed(page) };
  },

  /** offset, size: send a PATCH of `size` bytes at `offset` to task.upload, by fetch and by XMLHttpRequest. */
  async patch(browser) {
    const page = await open(browser);
    await page.goto(task.url);
    return page.evaluate(async ({ upload, offset, size }) => {
      const headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": String(offset),
        "Content-Type": "application/offset+octet-stream",
      };
      const body = new Blob([new Uint8Array(size)]);
      const fetched = await fetch(upload, { method: "PATCH", headers, body }).then(
        async (answer) => ({ status: answer.status, text: await answer.text() }),
        (error) => ({ status: 0, text: String(error) }),
      );
      const asked = await new Promise((resolve) => {
        const request = new XMLHttpRequest();
        request.addEventListener("loadend", () => resolve({ status: request.status, text: request.responseText }));
        request.open("PATCH", upload);
        for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
        request.send(body);
      });
      return { fetched, asked };
    }, task);
  },

  /** endpoint: from task.url, which is another origin, upload there in both protocols; what can be read of the answers. */
  async abroad(browser) {
    const page = await open(browser);
    await page.goto(task.url);
    return page.evaluate(async ({ endpoint }) => {
      const tus = { "Tus-Resumable": "1.0.0" };
      const readable = async (url, options) => {
        const answer = await fetch(url, options);
        return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() };
      };
      const described = await readable(endpoint, { method: "OPTIONS" });
      const created = await readable(endpoint, {
        method: "POST",
        headers: { ...tus, "Upload-Length": "10", "Upload-Metadata": "filename YQ==", "X-Request-ID": "any" },
      });
      const upload = new URL(created.headers.location, endpoint).href;
      const patch = (offset, body) =>
        readable(upload, {
          method: "PATCH",
          headers: { ...tus, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" },
          body,
        });
      const appended = await patch("0", "12345");
      const stale = await patch("0", "12345");
      const asked = await readable(upload, { method: "HEAD", headers: tus });
      const ended = await patch("5", "67890");
      const downloaded = await readable(upload);
      const whole = await readable(endpoint, { method: "POST", headers: { "Upload-Complete": "?1" }, body: "in one" });
      const other = new URL(whole.headers.location, endpoint).href;
      const known = await readable(other, { method: "HEAD" });
      const deleted = await readable(other, { method: "DELETE" });
      const list = await fetch(new URL("/api/uploads", endpoint)).then(() => "readable", () => "refused");
      return { described, created, appended, stale, asked, ended, downloaded, whole, known, deleted, list };
    }, task);
  },

  /** file, folder: a picture of the page in light, in dark, and as narrow as a telephone, with an upload on it. */
  async pictures(browser) {
    const taken = [];
    let overflowing = false;
    const looks = { light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, narrow: { viewport: { width: 360, height: 800 } } };
    for (const [name, look] of Object.entries(looks)) {
      const page = await arrive(browser, look);
      await page.getByLabel("Files to upload").setInputFiles(task.file);
      await finished(page);
      await listed(page);
      taken.push(`${task.folder}/${name}.png`);
      await page.screenshot({ path: taken.at(-1), fullPage: true });
      overflowing ||= await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    }
    return { taken, overflowing };
  },
};

await play(scenarios[task.scenario]);
