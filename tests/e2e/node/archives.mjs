// tus-js-client in a real Chromium (see browser.mjs): an upload from a page of the same origin.
//
// task: { chromium, url, endpoint, script, file, options }
//   url       a page of the origin; nothing of it is used but the origin
//   script    tus-js-client as browsers load it
//   file      what a person would choose
//   options   of tus.Upload
// sees: { url, error }: the upload's, and what went wrong

import { open, play, task } from "./browser.mjs";

await play(async (browser) => {
  const page = await open(browser, { bypassCSP: true });
  await page.goto(task.url);
  await page.setContent("<input type=file>");
  await page.addScriptTag({ path: task.script });
  await page.locator("input").setInputFiles(task.file);
  return page.evaluate(
    (options) =>
      new Promise((resolve) => {
        const upload = new tus.Upload(document.querySelector("input").files[0], {
          ...options,
          onSuccess: () => resolve({ url: upload.url, error: null }),
          onError: (error) => resolve({ url: upload.url, error: String(error) }),
        });
        upload.start();
      }),
    { ...task.options, endpoint: task.endpoint },
  );
});
