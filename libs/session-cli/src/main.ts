#!/usr/bin/env node
import { EXIT } from './exit-codes.js';
import { createProgram } from './program.js';
import { run } from './run.js';

// The reader of a pipe has gone, such as `head`: nobody is left to tell. A full disk is another matter.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) =>
  process.exit(code === 'EPIPE' ? EXIT.done : EXIT.failed),
);
// An end goes on although nobody reads the notes.
process.stderr.on('error', () => undefined);
process.exitCode = await run(createProgram(), process.argv);
