import { spawnSync } from 'node:child_process';

/** The git repository that a folder is in. */
export class Repository {
  private constructor(private readonly folder: string) {}

  /** Null without git, and outside of a repository. */
  static of(folder: string): Repository | null {
    const repository = new Repository(folder);
    return repository.git('rev-parse', '--is-inside-work-tree').out.trim() === 'true' ? repository : null;
  }

  /** Those of the files that are not as they were committed last. */
  uncommitted(paths: readonly string[]): string[] {
    if (paths.length === 0) return [];
    const { out } = this.git('status', '--porcelain', '-z', '--', ...paths);
    return out.split('\0').flatMap((entry) => (entry === '' ? [] : [entry.slice(3)]));
  }

  /** Whether git ignores a path, if it is not committed already. */
  ignores(path: string): boolean {
    return this.git('check-ignore', '-q', '--', path).status === 0;
  }

  hasCommitted(path: string): boolean {
    return this.git('ls-files', '--error-unmatch', '--', path).status === 0;
  }

  private git(...args: string[]): { status: number | null; out: string } {
    const { status, stdout } = spawnSync('git', ['-C', this.folder, ...args], { encoding: 'utf8' });
    return { status, out: stdout ?? '' };
  }
}
