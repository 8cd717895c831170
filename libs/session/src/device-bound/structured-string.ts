const PRINTABLE = /^[\x20-\x7e]*$/;

/** A string of a structured field (RFC 9651, 3.3.3). The text must be printable ASCII. */
export function structuredString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * The string that a structured field of one item holds (RFC 9651, 4.2.3), or null: no string, no printable ASCII, or something
 * behind it that is no parameter. What parameters say is ignored.
 */
export function readStructuredString(field: string): string | null {
  if (!PRINTABLE.test(field)) return null;
  const [, quoted, parameters] = /^ *"((?:[^"\\]|\\["\\])*)"(.*?) *$/.exec(field) ?? [];
  if (quoted === undefined || parameters === undefined) return null;
  if (!/^(?:; *[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\["\\])*"|[^\s;,"]+))?)*$/.test(parameters)) return null;
  return quoted.replace(/\\(["\\])/g, '$1');
}
