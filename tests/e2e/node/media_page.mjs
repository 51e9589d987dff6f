// The media on the page in a real Chromium (see browser.mjs).
//
// task: { chromium, url, scenario, ... }: the scenarios below say what else they take, and return what they saw

import { writeFileSync } from "node:fs";
import { open, play, task } from "./browser.mjs";

const STILL = { reducedMotion: "reduce" }; // so that films do not start by themselves

/** The page, with the library on it. */
async function arrive(browser, options, address = task.url) {
  const page = await open(browser, options);
  await page.goto(address);
  await page.waitForFunction(() => !/Loading/.test(document.querySelector("#media-note").textContent));
  return page;
}

const strip = (page, name) => page.locator("#archives li", { hasText: name });
const card = (page, title) => page.locator("#media li", { hasText: title });
const titles = (page) => page.locator("#media h3").allTextContents();
const facts = async (page, title) => plain(await card(page, title).locator(".detail").first().textContent());
const news = (page) => page.locator("#media-news").textContent();
const plain = (text) => text.replace(/[\u00a0\u2007]/g, " ").replace(/ +/g, " ");
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

/** Wait until all of these pictures are there. */
const loaded = (page, pictures) =>
  page.waitForFunction(
    (selector) => [...document.querySelectorAll(selector)].every((image) => image.naturalWidth > 0),
    pictures,
  );

/** Wait until the library has these media, in this order. */
async function lists(page, wanted) {
  await page.waitForFunction(
    (expected) => JSON.stringify([...document.querySelectorAll("#media h3")].map((title) => title.textContent)) === expected,
    JSON.stringify(wanted),
  );
  return titles(page);
}

/** Show a medium in the player. */
async function show(page, title) {
  await card(page, title).locator("a").click();
  await page.getByRole("dialog", { name: title }).waitFor();
}

/** What the player says of the place where its film is. */
const place = async (page) => plain(await page.locator(".place").textContent());

/** Wait until the player shows frame `n`. */
async function at(page, n) {
  const said = `Frame\\s+${n} `;
  await page.waitForFunction((words) => new RegExp(words).test(document.querySelector(".place").textContent), said);
}

/** The number of the frame that the player shows, how large its picture is, and the colour of the first pixel. */
const shown = (page) =>
  page.evaluate(() => {
    const canvas = document.querySelector("dialog canvas");
    const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0, 1, 1, 0, 0, 1, 1);
    const { data } = copy.getImageData(0, 0, 1, 1);
    const n = Number(document.querySelector("dialog input").value);
    return { n, size: [canvas.width, canvas.height], colour: [...data.slice(0, 3)] };
  });

/** Wait until the picture is that of frame `n`; what it shows. */
async function drawn(page, n) {
  await at(page, n);
  await page.getByRole("dialog").getByRole("img", { name: `Frame ${n} of ` }).waitFor();
  return shown(page);
}

const scenarios = {
  /** file, name, title, signal: choose an archive; its upload stands still on the way until the file `signal` is there. */
  async arrives(browser) {
    const page = await arrive(browser, STILL);
    const before = await page.locator("#incoming").isVisible();
    await page.getByLabel("Files to upload").setInputFiles(task.file);
    const item = strip(page, task.name);
    await item.locator(".strip img").nth(1).waitFor();
    await loaded(page, "#archives img");
    const halfway = {
      words: await item.locator(".detail").textContent(),
      alts: await item.locator("img").evaluateAll((images) => images.map((image) => image.alt)),
      library: await titles(page),
    };
    writeFileSync(task.signal, "seen");
    const link = item.getByRole("link", { name: `Play ${task.name}` });
    await link.waitFor();
    await card(page, task.title).waitFor();
    const done = {
      words: await item.locator(".detail").textContent(),
      news: await news(page),
      pictures: await item.locator("img").count(),
      facts: await facts(page, task.title),
      contact: await card(page, task.title).locator("img").evaluateAll((images) =>
        Promise.all(images.map((image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]))),
      ),
    };
    await link.click();
    await page.getByRole("dialog", { name: task.title }).waitFor();
    return { before, halfway, done, first: await drawn(page, 0) };
  },

  /** name: an archive comes from elsewhere; what is said of it once nothing more will become of it. */
  async fate(browser) {
    const page = await arrive(browser);
    writeFileSync(task.signal, "ready");
    const item = strip(page, task.name);
    await item.getByRole("link", { name: `Download ${task.name}` }).waitFor();
    const state = page.locator("#uploads tr", { hasText: task.name }).locator("td").nth(1);
    return {
      words: await item.locator(".detail").textContent(),
      wrong: await item.evaluate((element) => element.classList.contains("wrong")),
      strip: await item.locator(".strip").isVisible(),
      state: await state.textContent(),
      news: await news(page),
      library: await titles(page),
      link: await item.getByRole("link").getAttribute("href"),
    };
  },

  /** name, title, signal: without the stream of events, an archive comes from elsewhere. */
  async polls(browser) {
    const page = await open(browser);
    await page.route("**/api/events", (route) => route.abort());
    await page.goto(task.url);
    await page.locator("#media-note", { hasText: "no media yet" }).waitFor();
    writeFileSync(task.signal, "ready");
    await strip(page, task.name).getByRole("link", { name: `Play ${task.name}` }).waitFor();
    await card(page, task.title).waitFor();
    return { words: await strip(page, task.name).locator(".detail").textContent(), library: await titles(page) };
  },

  /** title: play a film, stop it, and go about in it by the keyboard. */
  async plays(browser) {
    const page = await arrive(browser, STILL);
    await show(page, task.title);
    const first = await drawn(page, 0);
    const button = page.getByRole("dialog").locator("button", { hasText: /^(Play|Pause)$/ });
    const still = await button.textContent();
    await page.keyboard.press("Space");
    await page.waitForFunction(() => Number(document.querySelector("dialog input").value) > 3);
    const running = await button.textContent();
    await page.keyboard.press("Space");
    const stopped = await shown(page);
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    const second = await drawn(page, 2);
    const said = await page.locator("dialog input").getAttribute("aria-valuetext");
    await page.keyboard.press("ArrowLeft");
    const back = await drawn(page, 1);
    await page.keyboard.press("End");
    const last = await drawn(page, task.frames - 1);
    const where = await place(page);
    await page.keyboard.press("Space"); // from the beginning
    await page.waitForFunction((end) => Number(document.querySelector("dialog input").value) < end, task.frames - 1);
    await at(page, task.frames - 1); // and to the end, where it stops
    await button.and(page.getByRole("button", { name: "Play", exact: true })).waitFor();
    await page.locator("dialog input").fill("5");
    const chosen = await drawn(page, 5);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.waitForFunction(() => location.hash === "");
    return { first, still, running, stopped, second, said, back, last, where, chosen };
  },

  /** title: open a film without asking for stillness. */
  async starts(browser) {
    const page = await arrive(browser);
    await show(page, task.title);
    await page.waitForFunction(() => Number(document.querySelector("dialog input").value) > 3);
    await page.goBack();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    return page.evaluate(() => location.hash);
  },

  /** title, frames, rate: play a film over a network of `rate` bytes a second. */
  async slow(browser) {
    const page = await arrive(browser, STILL);
    const asked = new Set();
    const network = await page.context().newCDPSession(page);
    await network.send("Network.enable");
    await network.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: 20,
      downloadThroughput: task.rate,
      uploadThroughput: 1e6,
    });
    page.on("request", (request) => {
      const found = /frames\/(\d+)/.exec(request.url());
      if (found) asked.add(Number(found[1]));
    });
    await show(page, task.title);
    await page.evaluate(() => {
      const input = document.querySelector("dialog input");
      globalThis.passed = [];
      new MutationObserver(() => passed.push(Number(input.value))).observe(input, { attributeFilter: ["aria-valuetext"] });
    });
    await press(page, "Play");
    await at(page, task.frames - 1);
    return { asked: [...asked], passed: await page.evaluate(() => passed) };
  },

  /** title, bad: play a film of which frame `bad` is damaged to its end, then look at that frame and at the next. */
  async damaged(browser) {
    const page = await arrive(browser, STILL);
    await loaded(page, "#media img");
    const pictures = await card(page, task.title).locator("img").count();
    await show(page, task.title);
    await drawn(page, 0);
    await press(page, "Play");
    await drawn(page, task.frames - 1);
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
    await page.locator("dialog input").fill(String(task.bad));
    await page.locator("dialog .trouble", { hasText: /./ }).waitFor();
    const trouble = await page.locator("dialog .trouble").textContent();
    await press(page, "Next frame");
    await drawn(page, task.bad + 1);
    return { pictures, trouble, after: await page.locator("dialog .trouble").textContent() };
  },

  /** titles by kind: show a sound, a video and a picture. */
  async others(browser) {
    const page = await arrive(browser);
    const tiles = {};
    for (const [kind, title] of Object.entries(task.titles)) {
      tiles[kind] = await card(page, title).locator(".tile").innerText();
    }
    await show(page, task.titles.audio);
    const sound = await page.waitForFunction(() => document.querySelector("dialog audio")?.duration);
    const seconds = await sound.jsonValue();
    await press(page, "Close the player");
    await show(page, task.titles.video);
    const video = await page.waitForFunction(() => {
      const found = document.querySelector("dialog video");
      return found?.videoWidth && { size: [found.videoWidth, found.videoHeight], playing: !found.paused };
    });
    await press(page, "Close the player");
    await show(page, task.titles.image);
    const picture = page.locator("dialog img");
    const size = await picture.evaluate((image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]));
    return { tiles, seconds, video: await video.jsonValue(), image: { size, alt: await picture.getAttribute("alt") } };
  },

  /** film, video, late: titles; `late` comes when the file `signal` is there. What is made in the background appears. */
  async derived(browser) {
    const page = await arrive(browser);
    const picture = (title) => card(page, title).locator(".contact.single img");
    await picture(task.video).waitFor();
    writeFileSync(task.signal, "ready");
    await picture(task.late).waitFor();
    await loaded(page, "#media .single img");
    const size = (image) => [image.naturalWidth, image.naturalHeight];
    const seen = {};
    for (const title of [task.video, task.late]) {
      const badge = await card(page, title).locator(".badge").innerText();
      seen[title] = { size: await picture(title).evaluate(size), badge, facts: await facts(page, title) };
    }
    const film = card(page, task.film).locator("video.preview");
    seen.atRest = await film.count();
    await card(page, task.film).locator("a").hover();
    await page.waitForFunction(() => document.querySelector("video.preview")?.currentTime > 0.1);
    seen.preview = await film.evaluate((video) => ({ muted: video.muted, wide: video.videoWidth, hidden: video.hidden }));
    await page.mouse.move(0, 0);
    await film.waitFor({ state: "detached" });
    return seen;
  },

  /** titles: three media, the oldest first. Order, search, favourites, the active one, deleting. */
  async library(browser) {
    const page = await arrive(browser);
    const [one, two, three] = task.titles;
    const seen = { newest: await lists(page, [three, two, one]) };
    await page.getByLabel("Order").selectOption("by name");
    seen.byName = await lists(page, [...task.titles].sort());
    await page.getByLabel("Search").fill(two.slice(0, 4).toUpperCase());
    seen.found = await lists(page, [two]);
    await page.getByLabel("Search").fill("no such thing");
    seen.nothing = await lists(page, []);
    seen.note = await page.locator("#media-note").textContent();
    await page.getByLabel("Search").fill("");
    await lists(page, [...task.titles].sort());

    await press(page, `Favourite: ${one}`);
    await page.getByRole("button", { name: `Favourite: ${one}`, pressed: true }).waitFor();
    await page.getByLabel("Favourites only").check();
    seen.favourites = await lists(page, [one]);
    await page.getByLabel("Favourites only").uncheck();

    await press(page, `Make active: ${two}`);
    await page.getByRole("button", { name: `Active: ${two}`, pressed: true }).waitFor();
    await press(page, `Make active: ${one}`);
    await page.getByRole("button", { name: `Active: ${one}`, pressed: true }).waitFor();
    seen.active = await page.locator("#media li.active h3").allTextContents();

    await press(page, `Delete ${three}`);
    seen.focused = await page.evaluate(() => document.activeElement.textContent);
    seen.question = await page.getByRole("dialog").innerText();
    await page.keyboard.press("Escape");
    seen.kept = await titles(page);
    await press(page, `Delete ${three}`);
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await lists(page, [one, two].sort());
    seen.news = await news(page);
    await page.reload();
    seen.left = await lists(page, [two, one]);
    seen.activeStill = await page.locator("#media li.active h3").allTextContents();
    return seen;
  },

  /** count: as many media as that, page by page. */
  async pages(browser) {
    const page = await arrive(browser);
    const more = page.getByRole("button", { name: "Show more" });
    await more.waitFor();
    const counts = [(await titles(page)).length];
    let focused = "";
    while (await more.isVisible()) {
      const before = counts.at(-1);
      await more.click();
      await page.locator("#media li").nth(before).waitFor();
      counts.push((await titles(page)).length);
      focused ||= await page.evaluate(() => document.activeElement.textContent);
    }
    const all = await titles(page);
    return { counts, all, focused };
  },

  /** address, title: come by a link to a film; then by one to what there is not. */
  async link(browser) {
    const page = await arrive(browser, STILL, task.address);
    await page.getByRole("dialog", { name: task.title }).waitFor();
    const first = await drawn(page, 0);
    await press(page, "Close the player");
    const gone = await page.getByRole("dialog").isVisible();
    await page.evaluate(() => (location.hash = "#play/no-such-thing"));
    await page.getByRole("dialog", { name: "This cannot be shown" }).waitFor();
    return { first, gone, words: await page.getByRole("dialog").locator(".detail").textContent() };
  },

  /** name, title, signal: an archive whose names are markup comes from elsewhere. */
  async markup(browser) {
    const page = await arrive(browser);
    writeFileSync(task.signal, "ready");
    await strip(page, task.name).getByRole("link").waitFor();
    await card(page, task.title).waitFor();
    await show(page, task.title);
    await page.keyboard.press("Escape");
    await press(page, `Delete ${task.title}`);
    return {
      question: await page.getByRole("dialog").getByRole("heading").textContent(),
      injected: await page.evaluate(() => [document.querySelectorAll("b, [onerror]").length, "hit" in globalThis]),
    };
  },

  /** title, folder: pictures of the library and of the player, in light and in dark, wide and narrow. */
  async pictures(browser) {
    const looks = {
      light: { colorScheme: "light" },
      dark: { colorScheme: "dark" },
      narrow: { viewport: { width: 360, height: 800 } },
    };
    const taken = [];
    const overflowing = [];
    for (const [name, look] of Object.entries(looks)) {
      const page = await arrive(browser, { ...STILL, ...look });
      const wide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      await card(page, task.title).locator("img").first().evaluate((image) => image.decode());
      taken.push(`${task.folder}/${name}.png`);
      await page.screenshot({ path: taken.at(-1), fullPage: true });
      overflowing.push(await wide());
      await show(page, task.title);
      await drawn(page, 0);
      taken.push(`${task.folder}/${name}-player.png`);
      await page.screenshot({ path: taken.at(-1) });
      overflowing.push(await page.getByRole("dialog").evaluate((dialog) => dialog.scrollWidth > dialog.clientWidth));
    }
    return { taken, overflowing };
  },
};

await play(scenarios[task.scenario]);
