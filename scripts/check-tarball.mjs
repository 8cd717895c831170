// node scripts/check-tarball.mjs <tarball>: are-the-types-wrong and publint on a packed library. Prints what they find, one
// problem a line; exits with 1 if there is any.
import { readFileSync } from 'node:fs';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const data = new Uint8Array(readFileSync(process.argv[2] ?? ''));
const types = await checkPackage(createPackageFromTarballData(data));
const problems = types.types
  ? types.problems.map((problem) => `are-the-types-wrong: ${JSON.stringify(problem)}`)
  : ['are-the-types-wrong: the package has no types'];
const { messages, pkg } = await publint({ pack: { tarball: data.buffer }, strict: true });
problems.push(...messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`));
for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
