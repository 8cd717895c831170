import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { useMemorySessions, type MemorySessions } from 'nestjs-sessions/testing';

const closing: (() => Promise<unknown>)[] = [];

/** Has something closed by `closeRecipes`. */
export function closeAfterwards(close: () => Promise<unknown>): void {
  closing.push(close);
}

export async function closeRecipes(): Promise<void> {
  await Promise.all(closing.splice(0).map(async (close) => close()));
}

/** Starts the module of a recipe, with its sessions in memory. */
export async function startRecipe(
  module: Type | DynamicModule,
  configure: (app: INestApplication) => void = () => undefined,
): Promise<{ app: INestApplication; sessions: MemorySessions }> {
  const builder = Test.createTestingModule({ imports: [module] });
  const sessions = useMemorySessions(builder);
  const app = (await builder.compile()).createNestApplication({ logger: false });
  configure(app);
  await app.listen(0, '127.0.0.1');
  closeAfterwards(() => app.close());
  return { app, sessions };
}
