// A real Chromium for the scripts beside this one.
//
// Each takes its task as JSON in the first argument, with the path of the browser in `chromium`, and prints
// { seen: what it saw, complaints: errors of the console and of the page's scripts } as JSON.

import { chromium } from "playwright-core";

const WAIT = 20_000; // milliseconds
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost", // nothing outside this machine is asked
];

export const task = JSON.parse(process.argv[2]);
const complaints = [];

/** A page that keeps what its console complains about. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return page;
}

/** Start the browser, let `scenario` look at something in it, print what it saw, and end the browser in any case. */
export async function play(scenario) {
  const browser = await chromium.launch({ executablePath: task.chromium, args: FLAGS });
  try {
    const seen = await scenario(browser);
    process.stdout.write(JSON.stringify({ seen, complaints }));
  } finally {
    await browser.close();
  }
}
