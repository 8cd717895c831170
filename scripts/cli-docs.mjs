// Writes docs/cli.md from the help of the built command line; --print prints it instead.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const { manual } = await import(new URL('../libs/session-cli/dist/manual.js', import.meta.url).href);
if (process.argv.includes('--print')) process.stdout.write(manual());
else writeFileSync(fileURLToPath(new URL('../docs/cli.md', import.meta.url)), manual());
