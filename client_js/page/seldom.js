/**
 * Work that many causes ask for, done seldom: at once when nothing is going on, else once more when that is over and
 * some time has passed. It never runs twice at the same time, and the last cause is never missed.
 * @param {number} apart milliseconds, at least, from one beginning to the next
 * @param {() => Promise<void>} work it throws nothing
 * @returns {() => void} asks for it
 */
export function seldom(apart, work) {
  let running = false;
  let wanted = false;

  async function run() {
    running = true;
    while (wanted) {
      wanted = false;
      await Promise.all([work(), new Promise((over) => setTimeout(over, apart))]);
    }
    running = false;
  }

  return () => {
    wanted = true;
    if (!running) void run();
  };
}
