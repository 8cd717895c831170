import { newSecret } from '../new-keys.js';
import { COMPOSE_FILES, withRedisService } from './edit-compose.js';
import { withVariables, type Variables } from './edit-environment.js';
import { withSessionModule } from './edit-module.js';
import { withDependencies } from './edit-package.js';
import { layoutOf, textIn, unknownLayout } from './layout.js';
import { Repository } from './repository.js';
import { appended } from './text-edit.js';

/** A file that `init` writes. */
export interface FileChange {
  readonly path: string;
  /** Null: the file is new. */
  readonly before: string | null;
  readonly after: string;
  /** `after` without secrets, to show. */
  readonly shown: string;
}

export interface InitOptions {
  readonly project?: string;
  readonly module?: string;
  readonly compose: boolean;
  /** Version range of the library. */
  readonly version: string;
}

export interface InitPlan {
  readonly changes: readonly FileChange[];
  /** The file that sets the module up already, or null. */
  readonly present: string | null;
  readonly isUnderGit: boolean;
}

const REDIS_URL = 'redis://localhost:6379';
const EXAMPLES = ['.env.example', '.env.sample', '.env.template', '.env.dist'];

/**
 * What is missing in a Nest application to have sessions on Redis. Reads files and writes none.
 *
 * @throws {CommandError} for a layout that is not understood, and for files with changes that are not committed.
 */
export function planInit(folder: string, { project, module, compose, version }: InitOptions): InitPlan {
  const layout = layoutOf(folder, {
    ...(project !== undefined && { project }),
    ...(module !== undefined && { module }),
  });
  const repository = Repository.of(folder);
  const { ts, present } = layout;
  const changes: FileChange[] = [];
  const change = (path: string, edit: (text: string | null) => string, show = edit): void => {
    const before = textIn(folder, path);
    const after = edit(before);
    if (after !== (before ?? '')) changes.push({ path, before, after, shown: show(before) });
  };
  const wanted = { ioredis: '^6.0.0', 'nestjs-sessions': version };
  change('package.json', () => withDependencies(ts, layout.manifest, wanted));
  if (present === null) change(layout.module, (text) => withSessionModule(ts, layout.module, text ?? ''));
  if (repository?.hasCommitted('.env') === true)
    unknownLayout(
      '.env is committed to git, and a secret must not be. Remove it from the repository: git rm --cached .env',
    );
  const secret = newSecret();
  const variables = (SESSION_SECRET: string): Variables => ({ REDIS_URL, SESSION_SECRET });
  change(
    '.env',
    (text) => withVariables(text, variables(secret)),
    (text) => withVariables(text, variables('<48 random bytes>')),
  );
  for (const example of EXAMPLES) {
    if (textIn(folder, example) !== null) change(example, (text) => withVariables(text, variables('')));
  }
  if (repository && !repository.ignores('.env')) change('.gitignore', (text) => appended(text, ['.env']));
  if (compose) {
    const path = COMPOSE_FILES.find((name) => textIn(folder, name) !== null) ?? COMPOSE_FILES[0];
    change(path, (text) => withRedisService(path, text));
  }
  const dirty = repository?.uncommitted(changes.filter(({ before }) => before !== null).map(({ path }) => path)) ?? [];
  if (dirty.length > 0)
    unknownLayout(`these files have changes that are not committed: ${dirty.join(', ')}. Commit or stash them first.`);
  return { changes, present, isUnderGit: repository !== null };
}
