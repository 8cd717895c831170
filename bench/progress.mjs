/** One line on stderr that is written again and again; on anything but a terminal, a line now and then. */
export class Progress {
  #done = 0;
  #saidAt = 0;

  constructor(/** @type {number} */ total) {
    this.total = total;
  }

  step(/** @type {string} */ text) {
    this.#done += 1;
    this.say(text);
  }

  say(/** @type {string} */ text) {
    const part = Math.min(1, this.#done / this.total);
    const bar = '█'.repeat(Math.round(24 * part)).padEnd(24, '░');
    const line = `${bar} ${String(Math.round(100 * part)).padStart(3)} %  ${text}`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[2K${line.slice(0, process.stderr.columns - 1)}`);
    } else if (Date.now() - this.#saidAt > 10_000) {
      this.#saidAt = Date.now();
      process.stderr.write(`${line}\n`);
    }
  }

  end() {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  }
}
