import type { ServerResponse } from 'node:http';

/** Runs just before the headers are sent: may set headers, and returns the arguments that `writeHead` gets. */
export function beforeHead(response: ServerResponse, prepare: (args: unknown[]) => unknown[]): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]): ServerResponse =>
    writeHead(...(response.headersSent ? args : prepare(args)));
}

/** The values of a header in an argument of `writeHead`: an object, a list of pairs, or a list of names and values in turn. */
export function valuesIn(argument: unknown, header: string): string[] {
  return pairsOf(argument).flatMap(([name, value]) => (isNamed(name, header) ? listOf(value) : []));
}

/** The same argument without the header. */
export function withoutHeader(argument: unknown, header: string): unknown {
  if (typeof argument !== 'object' || argument === null) return argument;
  const rest = pairsOf(argument).filter(([name]) => !isNamed(name, header));
  if (!Array.isArray(argument)) return Object.fromEntries(rest);
  return argument.some(Array.isArray) ? rest : rest.flat();
}

/** The values of a header that may stand on several lines. */
export function listOf(value: unknown): string[] {
  const lines: unknown[] = Array.isArray(value) ? value : [value];
  return lines.flatMap((line) => (typeof line === 'string' || typeof line === 'number' ? [String(line)] : []));
}

function pairsOf(argument: unknown): [name: unknown, value: unknown][] {
  if (typeof argument !== 'object' || argument === null) return [];
  if (!Array.isArray(argument)) return Object.entries(argument);
  if (argument.some(Array.isArray)) return argument as [unknown, unknown][];
  return argument.flatMap((name, index) => (index % 2 === 0 ? [[name, argument[index + 1]]] : []));
}

function isNamed(name: unknown, header: string): boolean {
  return String(name).toLowerCase() === header;
}
