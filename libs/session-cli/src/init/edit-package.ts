import type { TypeScript } from './layout.js';
import { unknownLayout } from './layout.js';
import { edited, indentAt } from './text-edit.js';

/** Adds what is missing to the dependencies of package.json, and leaves the rest as it is. */
export function withDependencies(ts: TypeScript, text: string, wanted: Readonly<Record<string, string>>): string {
  const file = ts.parseJsonText('package.json', text);
  const root = file.statements[0]?.expression;
  if (!root || !ts.isObjectLiteralExpression(root)) unknownLayout('package.json is not a JSON object.');
  const listed = root.properties.find((property) => property.name?.getText(file) === '"dependencies"');
  if (!listed || !ts.isPropertyAssignment(listed) || !ts.isObjectLiteralExpression(listed.initializer))
    unknownLayout('package.json has no dependencies.');
  const { properties } = listed.initializer;
  const names = properties.map((property) => property.name?.getText(file).slice(1, -1));
  const missing = Object.entries(wanted).filter(([name]) => !names.includes(name));
  const last = properties.at(-1);
  if (missing.length === 0 || !last) return text;
  const indent = indentAt(text, last.getStart(file));
  const lines = missing.map(([name, range]) => `,\n${indent}"${name}": "${range}"`).join('');
  return edited(text, [{ at: last.getEnd(), text: lines }]);
}
