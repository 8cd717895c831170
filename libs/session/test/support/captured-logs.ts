import { ConsoleLogger, Logger } from '@nestjs/common';

/** Collects what is logged instead of printing it, until `restore`. */
export class CapturedLogs {
  readonly lines: string[] = [];

  constructor() {
    const add = (line: unknown): void => {
      this.lines.push(String(line));
    };
    Logger.overrideLogger({ log: add, error: add, warn: add, debug: add, verbose: add, fatal: add });
  }

  restore(): void {
    Logger.overrideLogger(new ConsoleLogger());
  }
}
