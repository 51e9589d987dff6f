/** Numbers as people read them. */

/**
 * A size, in powers of 1000.
 * @param {number} bytes
 * @returns {string}
 */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let step = 0;
  while (value >= 999.95 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step ? value.toFixed(1) : value} ${units[step]}`;
}

/**
 * So many of something.
 * @param {number} number
 * @param {string} one its name in the singular, which takes an s
 * @returns {string}
 */
export function count(number, one) {
  return `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
}

/**
 * A length of time.
 * @param {number} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * A place in a film, to the hundredth of a second.
 * @param {number} seconds
 * @returns {string}
 */
export function clock(seconds) {
  const hundredths = Math.floor(seconds * 100 + 1e-6);
  const minutes = Math.floor(hundredths / 6000);
  return `${minutes}:${((hundredths % 6000) / 100).toFixed(2).padStart(5, "0")}`;
}

/**
 * What an error says to a person.
 * @param {unknown} error
 * @returns {string}
 */
export function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Words with a full stop, if they have none.
 * @param {string} words
 * @returns {string}
 */
export function sentence(words) {
  return /[.!?]$/.test(words) ? words : `${words}.`;
}
