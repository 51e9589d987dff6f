// A browser's own EventSource on /api/events, through whatever happens to the server (see browser.mjs).
//
// task: { chromium, url, until }: listens until an upload of `until` bytes is complete. The browser comes back by itself when
// the stream breaks off; the n-th time it listens n bytes are uploaded, so that others see it. Returns what it heard.

import { open, play, task } from "./browser.mjs";

const NAMES = ["reset", "created", "progress", "complete", "terminated"];

await play(async (browser) => {
  const page = await open(browser);
  await page.goto(task.url);
  return page.evaluate(
    async ({ names, until }) => {
      const heard = [];
      const source = new EventSource("/api/events");
      let opened = 0;
      source.onopen = () => {
        opened += 1;
        const headers = {
          "Tus-Resumable": "1.0.0",
          "Upload-Length": String(opened),
          "Content-Type": "application/offset+octet-stream",
        };
        fetch("/files/", { method: "POST", headers, body: "x".repeat(opened) });
      };
      await new Promise((resolve) => {
        for (const name of names)
          source.addEventListener(name, (event) => {
            heard.push({ name, id: event.lastEventId, data: JSON.parse(event.data) });
            if (name === "complete" && heard.at(-1).data.length === until) resolve();
          });
      });
      source.close();
      return { heard, opened };
    },
    { names: NAMES, until: task.until },
  );
});
