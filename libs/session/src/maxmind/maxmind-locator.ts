import type { CityResponse, Reader } from 'maxmind';

export interface MaxmindLocatorOptions {
  /** Language of city names, as far as the database has it; else English. Default `en`. */
  language?: string;
  /** How many networks are remembered. Default 6,000. */
  cacheSize?: number;
  /** Reads the file again when it changes. Default true. */
  watch?: boolean;
}

/** Where an address is; null where the database has nothing on it. */
export type MaxmindLocator = (ip: string) => Promise<{ country?: string; city?: string } | null>;

/**
 * For the option `locate`: tells country (ISO 3166-1 alpha-2) and city by a MaxMind database (`.mmdb`), such as GeoLite2 City
 * or Country. The package `maxmind` and the file are loaded at the first question; where that fails, the question rejects
 * and the next one tries again.
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
    // A watch must not keep the process alive.
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
    // Where a provider has no country for an address, it often knows where the network is registered.
    const country = found?.country?.iso_code ?? found?.registered_country?.iso_code;
    const names = found?.city?.names as Readonly<Record<string, string | undefined>> | undefined;
    const city = names?.[language] ?? names?.['en'];
    if (country === undefined && city === undefined) return null;
    return { ...(country !== undefined && { country }), ...(city !== undefined && { city }) };
  };
}
