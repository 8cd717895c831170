import { ConfigurationError } from '../model/errors.js';
import type { CreateJwtSigner } from '../tokens/jwt-signer.js';

/**
 * Loads @nestjs/jwt, which applications without the option `jwt` need not install.
 *
 * @throws {ConfigurationError} when it cannot be loaded. The message names the version for the application's Nest.
 */
export async function loadJwtSigners(): Promise<CreateJwtSigner> {
  const { JwtService } = await import('@nestjs/jwt').catch(async (error: unknown) => {
    const install = `npm install @nestjs/jwt@${await nestMajor()}`;
    throw new ConfigurationError(
      isMissing(error)
        ? `jwt: needs the package @nestjs/jwt. Run "${install}".`
        : `jwt: @nestjs/jwt could not be loaded. Run "${install}": its major version must be that of Nest.`,
      { cause: error },
    );
  });
  return ({ signing, verifying }) =>
    new JwtService({ privateKey: signing ?? undefined, secretOrKeyProvider: undefined, publicKey: verifying });
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}

/** Nest does not expose its version at run time. The entry point `internal` was added in 12. */
async function nestMajor(): Promise<11 | 12> {
  try {
    await import('@nestjs/core/internal');
    return 12;
  } catch {
    return 11;
  }
}
