import type { ResolvedDeviceBoundOptions } from '../options/resolved-options.js';

/** The paths of the two endpoints as browsers see them. */
export class PublicPaths {
  private globalPrefix: (path: string) => string = () => '';

  constructor(private readonly options: ResolvedDeviceBoundOptions['paths']) {}

  get register(): string {
    return this.publicOf(this.options.register);
  }

  get refresh(): string {
    return this.publicOf(this.options.refresh);
  }

  /** @param prefixOf What the application puts in front of a path: its global prefix, or nothing. */
  precededBy(prefixOf: (path: string) => string): void {
    this.globalPrefix = prefixOf;
  }

  private publicOf(path: string): string {
    return this.options.prefix + this.globalPrefix(path) + path;
  }
}
