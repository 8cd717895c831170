/** Unchanged lines shown around a change. */
const CONTEXT = 3;

interface Line {
  readonly sign: ' ' | '+' | '-';
  readonly text: string;
}

/** The change of a file as lines of a unified diff; null stands for a file that is not there. */
export function unifiedDiff(path: string, before: string | null, after: string): string[] {
  const lines = editsBetween(linesOf(before ?? ''), linesOf(after));
  const changed = lines.flatMap(({ sign }, index) => (sign === ' ' ? [] : [index]));
  const shown: string[] = [];
  let last = -1;
  for (const [index, { sign, text }] of lines.entries()) {
    if (!changed.some((at) => Math.abs(at - index) <= CONTEXT)) continue;
    if (last !== -1 && index > last + 1) shown.push('  …');
    shown.push(`${sign} ${text}`);
    last = index;
  }
  return [`--- ${before === null ? '/dev/null' : path}`, `+++ ${path}`, ...shown];
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/);
}

/** By the longest common subsequence of the lines between what both begin and end with. */
function editsBetween(before: readonly string[], after: readonly string[]): Line[] {
  let head = 0;
  while (head < Math.min(before.length, after.length) && before[head] === after[head]) head += 1;
  let tail = 0;
  const rest = Math.min(before.length, after.length) - head;
  while (tail < rest && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const [a, b] = [before.slice(head, before.length - tail), after.slice(head, after.length - tail)];
  const common = a.map(() => new Uint32Array(b.length + 1));
  common.push(new Uint32Array(b.length + 1));
  const length = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = common[i];
      if (row) row[j] = a[i] === b[j] ? length(i + 1, j + 1) + 1 : Math.max(length(i + 1, j), length(i, j + 1));
    }
  }
  const same = (text: string): Line => ({ sign: ' ', text });
  const lines = before.slice(0, head).map(same);
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [old, added] = [a[i], b[j]];
    if (old !== undefined && old === added) {
      lines.push(same(old));
      i += 1;
      j += 1;
    } else if (old !== undefined && (added === undefined || length(i + 1, j) >= length(i, j + 1))) {
      lines.push({ sign: '-', text: old });
      i += 1;
    } else {
      lines.push({ sign: '+', text: added ?? '' });
      j += 1;
    }
  }
  return [...lines, ...before.slice(before.length - tail).map(same)];
}
