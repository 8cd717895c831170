import type { CityResponse, Reader } from 'maxmind';

export interface MaxmindLocatorOptions {
  /** Language of city names where the database has it, otherwise English. Default `en`. */
  language?: string;
  /** How many networks are cached. Default 6,000. */
  cacheSize?: number;
  /** Reads the file again when it changes. Default true. */
  watch?: boolean;
}

/** The location of an address; null if the database has none. */
export type MaxmindLocator = (ip: string) => Promise<{ country?: string; city?: string } | null>;

/**
 * For the option `locate`: finds country (ISO 3166-1 alpha-2) and city in a MaxMind database (`.mmdb`), such as GeoLite2 City or
 * Country. Loads the package `maxmind` and the file at the first call; if that fails, the call rejects and the next one tries
 * again.
 *
 * @example
 * ```ts
 * import { SessionModule } from 'nestjs-sessions';
 * import { maxmindLocator } from 'nestjs-sessions/maxmind';
 *
 * SessionModule.forRoot({ locate: maxmindLocator('/var/lib/GeoIP/GeoLite2-City.mmdb') });
 * ```
 */
export function maxmindLocator(file: string, options: MaxmindLocatorOptions = {}): MaxmindLocator {
  const { language = 'en', cacheSize = 6_000, watch = true } = options;
  let opening: Promise<Reader<CityResponse>> | null = null;
  const open = async (): Promise<Reader<CityResponse>> => {
    const maxmind = await import('maxmind');
    // Watching the file must not keep the process alive.
    return maxmind.open<CityResponse>(file, {
      cache: { max: cacheSize },
      watchForUpdates: watch,
      watchForUpdatesNonPersistent: true,
    });
  };
  return async (ip) => {
    opening ??= open();
    let reader: Reader<CityResponse>;
    try {
      reader = await opening;
    } catch (error) {
      opening = null;
      throw error;
    }
    const found = reader.get(ip);
    // An address without a country often has the country in which its network is registered.
    const country = found?.country?.iso_code ?? found?.registered_country?.iso_code;
    const names = found?.city?.names as Readonly<Record<string, string | undefined>> | undefined;
    const city = names?.[language] ?? names?.['en'];
    if (country === undefined && city === undefined) return null;
    return { ...(country !== undefined && { country }), ...(city !== undefined && { city }) };
  };
}
