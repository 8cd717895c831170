// What each guard adds to a request, as an SVG with a background of its own, so that it is legible on any page.
import { variantOf } from './variants.mjs';

const WIDTH = 760;
const LABELS = 268;
const ROW = 22;
const BAR = 14;
/** Beyond this a bar is cut off: one peer would make all others invisible, µs. */
const LONGEST = 220;

const STYLE = `
  .card { fill: #ffffff; stroke: #d0d7de }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .quiet { fill: #59636e }
  .near { fill: #1a7f37 } .redis { fill: #0969da } .peer { fill: #818b98 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #151b23; stroke: #3d444d }
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .near { fill: #3fb950 } .redis { fill: #4493f8 } .peer { fill: #6e7681 }
  }`;

/** @param {import('./report.mjs').Results['costs']} costs */
export function chartOf(costs) {
  /** @type {string[]} */
  const parts = [];
  let y = 30;
  parts.push(text(20, y, 'µs of CPU that a guard adds to a request', 'title'));
  for (const [platform, title] of /** @type {const} */ ([
    ['express', 'Express'],
    ['fastify', 'Fastify'],
  ])) {
    const rows = (costs[platform] ?? []).filter(({ variant }) => variant !== 'none' && variant !== 'true');
    if (rows.length === 0) continue;
    y += 32;
    parts.push(text(20, y, title, 'title'));
    y += 10;
    const longest = Math.min(LONGEST, Math.max(...rows.map(({ added }) => added)));
    for (const { variant, added } of rows) {
      const { name, of } = variantOf(platform, variant);
      const width = (Math.min(Math.max(added, 0.5), longest) / longest) * (WIDTH - LABELS - 90);
      const middle = y + ROW / 2 + 4;
      parts.push(
        text(LABELS - 10, middle, name, undefined, 'end'),
        `<rect class="${of}" x="${LABELS}" y="${y + (ROW - BAR) / 2}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
        text(LABELS + width + 8, middle, `${added.toFixed(added < 10 ? 1 : 0)}${added > longest ? ' (cut off)' : ''}`),
      );
      y += ROW;
    }
  }
  y += 26;
  const legend = [
    ['near', 'ours, near cache'],
    ['redis', 'ours, Redis asked on each request'],
    ['peer', 'others'],
  ];
  let x = 20;
  for (const [of = '', label = ''] of legend) {
    parts.push(
      `<rect class="${of}" x="${x}" y="${y - 10}" width="12" height="12" rx="2"/>`,
      text(x + 18, y, label, 'quiet'),
    );
    x += 40 + label.length * 6.4;
  }
  const height = y + 20;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Bar chart: µs of CPU that each guard adds to a request">
<style>${STYLE}
</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
${parts.join('\n')}
</svg>
`;
}

function text(
  /** @type {number} */ x,
  /** @type {number} */ y,
  /** @type {string} */ content,
  /** @type {string | undefined} */ of = undefined,
  /** @type {'start' | 'end'} */ anchor = 'start',
) {
  const attributes = `x="${x.toFixed(1)}" y="${y}"${of === undefined ? '' : ` class="${of}"`}${anchor === 'end' ? ' text-anchor="end"' : ''}`;
  return `<text ${attributes}>${content.replace(/&/g, '&amp;').replace(/</g, '&lt;')}</text>`;
}
