import type typescript from 'typescript';
import { unknownLayout, type TypeScript } from './layout.js';
import { edited, indentAt, type Insertion } from './text-edit.js';

/**
 * Adds the module of the library to the imports of the root module.
 *
 * @throws {CommandError} for a file that is not understood.
 */
export function withSessionModule(ts: TypeScript, path: string, text: string): string {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const by = `Add SessionModule.forRootAsync() to the imports of your root module by hand.`;
  const [options, ...others] = file.statements.flatMap((statement) => moduleOptions(ts, statement));
  if (!options) unknownLayout(`${path} has no class with @Module({ … }). ${by}`);
  if (others.length > 0) unknownLayout(`${path} has more than one @Module(). ${by}`);
  const imports = file.statements.filter((statement) => ts.isImportDeclaration(statement));
  const last = imports.at(-1);
  if (!last) unknownLayout(`${path} imports nothing. ${by}`);
  const quote = last.moduleSpecifier.getText().charAt(0);
  const end = last.getText().endsWith(';') ? ';' : '';
  const added: Insertion = {
    at: last.getEnd(),
    text: `\nimport { SessionModule } from ${quote}nestjs-sessions${quote}${end}`,
  };
  const place = inImports(ts, options, text) ?? unknownLayout(`The imports in ${path} are not a plain list. ${by}`);
  return edited(text, [added, place(quote)]);
}

function moduleOptions(ts: TypeScript, statement: typescript.Statement): typescript.ObjectLiteralExpression[] {
  if (!ts.isClassDeclaration(statement)) return [];
  return (ts.getDecorators(statement) ?? []).flatMap(({ expression }) => {
    if (!ts.isCallExpression(expression) || expression.expression.getText() !== 'Module') return [];
    const [options] = expression.arguments;
    return options && ts.isObjectLiteralExpression(options) ? [options] : [];
  });
}

/** Where and how the module goes in; null if `imports` is not a list of literals. */
function inImports(
  ts: TypeScript,
  options: typescript.ObjectLiteralExpression,
  text: string,
): ((quote: string) => Insertion) | null {
  const [first] = options.properties;
  const outer = indentAt(text, options.getEnd() - 1);
  const isOnOwnLine = first !== undefined && text.slice(options.getStart(), first.getStart()).includes('\n');
  const indent = isOnOwnLine ? indentAt(text, first.getStart()) : `${outer}  `;
  const unit = indent.slice(outer.length) || '  ';
  const property = options.properties.find((each) => each.name?.getText() === 'imports');
  if (!property) {
    const at = options.getStart() + 1;
    return (quote) => ({
      at,
      text: `\n${indent}imports: [\n${element(indent + unit, unit, quote)},\n${indent}],${isOnOwnLine || !first ? (first ? '' : `\n${outer}`) : ''}`,
    });
  }
  if (!ts.isPropertyAssignment(property) || !ts.isArrayLiteralExpression(property.initializer)) return null;
  const list = property.initializer;
  const items = list.elements.map((item) => `${indent}${unit}${item.getText()},\n`).join('');
  const isSpread = text.slice(list.getStart(), list.getEnd()).includes('\n');
  const lastItem = list.elements.at(-1);
  if (isSpread && lastItem) {
    const itemIndent = indentAt(text, lastItem.getStart());
    const comma = list.elements.hasTrailingComma ? '' : ',';
    const at = list.elements.hasTrailingComma ? text.indexOf(',', lastItem.getEnd()) + 1 : lastItem.getEnd();
    return (quote) => ({ at, text: `${comma}\n${element(itemIndent, unit, quote)},` });
  }
  return (quote) => ({
    at: list.getStart(),
    removes: list.getEnd() - list.getStart(),
    text: `[\n${items}${element(indent + unit, unit, quote)},\n${indent}]`,
  });
}

/** At boot, not when the file is loaded: `ConfigModule` may read the variables from a file first. */
function element(indent: string, unit: string, quote: string): string {
  return [
    'SessionModule.forRootAsync({',
    `${unit}useFactory: () => ({`,
    `${unit}${unit}redis: process.env.REDIS_URL,`,
    `${unit}${unit}// The first signs, all verify.`,
    `${unit}${unit}secrets: process.env.SESSION_SECRET?.split(${quote},${quote}),`,
    `${unit}}),`,
    '})',
  ]
    .map((line) => indent + line)
    .join('\n');
}
