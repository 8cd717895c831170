import { Redis } from 'ioredis';

/**
 * Commands that every instance sends from time to time, whatever a test does: samples of the server's clock, pings, and
 * its watermarks. A test that counts commands leaves them out, else its result depends on how long it takes.
 */
const sent: Record<string, number> = {};

const send = Redis.prototype.sendCommand;
Redis.prototype.sendCommand = function (command, ...rest) {
  const isWatermark = command.name === 'set' && String(command.args[0]).includes('watermark:');
  if (isWatermark || command.name === 'time' || command.name === 'ping') {
    sent[command.name] = (sent[command.name] ?? 0) + 1;
  }
  return send.call(this, command, ...rest);
};

/** How much of it all clients of this process have sent since their start, by command. */
export function upkeepSent(): Readonly<Record<string, number>> {
  return { ...sent };
}

/** What was counted, less the upkeep sent since `before`. */
export function withoutUpkeep(
  counted: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  const left = Object.entries(counted).map(([name, calls]): [string, number] => [
    name,
    calls - ((sent[name] ?? 0) - (before[name] ?? 0)),
  ]);
  return Object.fromEntries(left.filter(([, calls]) => calls > 0));
}
