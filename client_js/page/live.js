/**
 * What happens on the server, as it happens: from the stream of events, or by asking every two seconds while there is
 * none. A page that nobody sees neither listens nor asks: browsers allow a server six connections, and a stream is one.
 */

const EVENTS = "/api/events";
const NAMES = [
  ...["created", "progress", "frame", "complete", "published", "derived"],
  ...["retracted", "failed", "terminated", "expired"],
];
const POLL_MS = 2000;
const RETRY_MS = 30_000; // after an answer that is no stream

/**
 * @typedef {object} News an event
 * @property {string} name
 * @property {string} upload its id
 * @property {number} [count] with `frame`: how many frames there are
 */

/**
 * Hear of everything from now on.
 * @param {(news: News | null) => void} heard null: anything may have happened
 */
export function follow(heard) {
  /** @type {EventSource | null} */
  let stream = null;
  let retry = 0;

  function connect() {
    clearTimeout(retry);
    stream = new EventSource(EVENTS);
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY_MS);
    });
    for (const name of NAMES) stream.addEventListener(name, (event) => tell(name, event.data));
    stream.addEventListener("reset", () => heard(null)); // what was missed cannot be told one by one
  }

  /**
   * @param {string} name
   * @param {string} data
   */
  function tell(name, data) {
    try {
      heard({ ...JSON.parse(data), name });
    } catch {
      heard(null);
    }
  }

  function seen() {
    clearTimeout(retry);
    stream?.close();
    stream = null;
    if (document.visibilityState !== "visible") return;
    heard(null);
    connect();
  }

  document.addEventListener("visibilitychange", seen);
  setInterval(() => {
    if (document.visibilityState === "visible" && stream?.readyState !== EventSource.OPEN) heard(null);
  }, POLL_MS);
  seen();
}
