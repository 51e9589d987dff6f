/** Requests, whose failures say what a person can understand. */

const PATIENCE_MS = 20_000; // for a short answer

/** What went wrong, in words for the person at the page. */
export class RequestError extends Error {
  /**
   * @param {string} words
   * @param {number} [status] of the answer that said so
   */
  constructor(words, status = 0) {
    super(words);
    this.status = status;
  }
}

/**
 * Why an answer is not what was hoped for: the problem document's own words, or the status.
 * @param {number} status
 * @param {string} body
 * @returns {RequestError}
 */
export function refusal(status, body) {
  try {
    const problem = JSON.parse(body);
    return new RequestError([problem.title, problem.detail].filter(Boolean).join(": ") || `status ${status}`, status);
  } catch {
    return new RequestError(`the server answered with status ${status}`, status);
  }
}

/**
 * Ask for something. Throws RequestError when no answer comes; one that refuses is returned.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function ask(url, options) {
  try {
    return await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "AbortError") throw error;
    throw new RequestError(name === "TimeoutError" ? "the server does not answer" : "the server cannot be reached");
  }
}

/**
 * Ask for something, and throw RequestError when it is refused, or when no answer comes in time.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function get(url, options) {
  const answer = await ask(url, { signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  if (!answer.ok) throw refusal(answer.status, await answer.text());
  return answer;
}

/**
 * Have something changed by a JSON document. Throws RequestError when it is refused.
 * @param {"PATCH" | "PUT"} method
 * @param {string} url
 * @param {unknown} content
 * @returns {Promise<any>} what the server says it is now
 */
export async function change(method, url, content) {
  const headers = { "Content-Type": "application/json" };
  return (await get(url, { method, headers, body: JSON.stringify(content) })).json();
}
