import type { DeviceType } from '../../src/model/session.js';

/** A real browser as it introduced itself at several times. */
export interface RealBrowser {
  /** What it is to a person. Browsers of one name cannot be told apart by their user agent, and need not be. */
  readonly name: string;
  readonly type: DeviceType;
  /** From before and after updates of the browser or the system. */
  readonly versions: readonly [string, string, ...string[]];
}

const KHTML = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const IOS_KIT = 'AppleWebKit/605.1.15 (KHTML, like Gecko)';
const WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)';
const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)';
const LINUX = 'Mozilla/5.0 (X11; Linux x86_64)';
const ANDROID = 'Mozilla/5.0 (Linux; Android 10; K)';

/** Thirty browsers and their updates. */
export const REAL_BROWSERS: readonly RealBrowser[] = [
  {
    name: 'Chrome on Windows',
    type: 'desktop',
    versions: [
      `${WINDOWS} ${KHTML} Chrome/109.0.0.0 Safari/537.36`,
      `${WINDOWS} ${KHTML} Chrome/131.0.0.0 Safari/537.36`,
      `Mozilla/5.0 (Windows NT 6.1; Win64; x64) ${KHTML} Chrome/109.0.5414.120 Safari/537.36`,
    ],
  },
  {
    name: 'Chrome on macOS',
    type: 'desktop',
    versions: [
      `${MAC} ${KHTML} Chrome/118.0.0.0 Safari/537.36`,
      `${MAC} ${KHTML} Chrome/131.0.0.0 Safari/537.36`,
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) ${KHTML} Chrome/90.0.4430.93 Safari/537.36`,
    ],
  },
  {
    name: 'Chrome on Linux',
    type: 'desktop',
    versions: [`${LINUX} ${KHTML} Chrome/120.0.0.0 Safari/537.36`, `${LINUX} ${KHTML} Chrome/131.0.0.0 Safari/537.36`],
  },
  {
    name: 'Chrome on Chrome OS',
    type: 'desktop',
    versions: [
      `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${KHTML} Chrome/119.0.0.0 Safari/537.36`,
      `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${KHTML} Chrome/131.0.0.0 Safari/537.36`,
    ],
  },
  {
    name: 'Chrome on Android',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (Linux; Android 9; SM-G960F) ${KHTML} Chrome/99.0.4844.88 Mobile Safari/537.36`,
      `${ANDROID} ${KHTML} Chrome/131.0.0.0 Mobile Safari/537.36`,
    ],
  },
  {
    name: 'Chrome on Android',
    type: 'tablet',
    versions: [
      `Mozilla/5.0 (Linux; Android 12; SM-T870) ${KHTML} Chrome/98.0.4758.101 Safari/537.36`,
      `${ANDROID} ${KHTML} Chrome/131.0.0.0 Safari/537.36`,
    ],
  },
  {
    name: 'Chrome on iOS',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) ${IOS_KIT} CriOS/118.0.5993.69 Mobile/15E148 Safari/604.1`,
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ${IOS_KIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1`,
    ],
  },
  {
    name: 'Chrome on iOS',
    type: 'tablet',
    versions: [
      `Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) ${IOS_KIT} CriOS/118.0.5993.69 Mobile/15E148 Safari/604.1`,
      `Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) ${IOS_KIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1`,
    ],
  },
  {
    name: 'Microsoft Edge on Windows',
    type: 'desktop',
    versions: [
      `${WINDOWS} ${KHTML} Chrome/118.0.0.0 Safari/537.36 Edg/118.0.2088.46`,
      `${WINDOWS} ${KHTML} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0`,
      `${WINDOWS} ${KHTML} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763`,
    ],
  },
  {
    name: 'Microsoft Edge on macOS',
    type: 'desktop',
    versions: [
      `${MAC} ${KHTML} Chrome/118.0.0.0 Safari/537.36 Edg/118.0.2088.46`,
      `${MAC} ${KHTML} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0`,
    ],
  },
  {
    name: 'Microsoft Edge on Android',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (Linux; Android 10; HD1913) ${KHTML} Chrome/118.0.5993.80 Mobile Safari/537.36 EdgA/118.0.2088.58`,
      `${ANDROID} ${KHTML} Chrome/131.0.0.0 Mobile Safari/537.36 EdgA/131.0.0.0`,
    ],
  },
  {
    name: 'Microsoft Edge on iOS',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) ${IOS_KIT} Version/17.0 EdgiOS/118.0.2088.60 Mobile/15E148 Safari/605.1.15`,
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ${IOS_KIT} Version/18.0 EdgiOS/131.0.2903.63 Mobile/15E148 Safari/605.1.15`,
    ],
  },
  {
    name: 'Firefox on Windows',
    type: 'desktop',
    versions: [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:109.0) Gecko/20100101 Firefox/115.0',
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0',
    ],
  },
  {
    name: 'Firefox on macOS',
    type: 'desktop',
    versions: [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:109.0) Gecko/20100101 Firefox/115.0',
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0',
    ],
  },
  {
    name: 'Firefox on Linux',
    type: 'desktop',
    versions: [
      'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0',
      'Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0',
    ],
  },
  {
    name: 'Firefox on Android',
    type: 'mobile',
    versions: [
      'Mozilla/5.0 (Android 11; Mobile; rv:109.0) Gecko/115.0 Firefox/115.0',
      'Mozilla/5.0 (Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0',
    ],
  },
  {
    name: 'Firefox on iOS',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 13_5 like Mac OS X) ${IOS_KIT} FxiOS/118.0 Mobile/15E148 Safari/605.1.15`,
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ${IOS_KIT} FxiOS/133.0 Mobile/15E148 Safari/605.1.15`,
    ],
  },
  {
    name: 'Safari on macOS',
    type: 'desktop',
    versions: [
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) ${IOS_KIT} Version/14.1.2 Safari/605.1.15`,
      `${MAC} ${IOS_KIT} Version/18.1 Safari/605.1.15`,
    ],
  },
  {
    name: 'Safari on iOS',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (iPhone; CPU iPhone OS 15_6 like Mac OS X) ${IOS_KIT} Version/15.6 Mobile/15E148 Safari/604.1`,
      `Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) ${IOS_KIT} Version/18.1.1 Mobile/15E148 Safari/604.1`,
    ],
  },
  {
    name: 'Safari on iOS',
    type: 'tablet',
    versions: [
      `Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) ${IOS_KIT} Version/12.1.2 Mobile/15E148 Safari/604.1`,
      `Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) ${IOS_KIT} Version/18.1 Mobile/15E148 Safari/604.1`,
    ],
  },
  {
    name: 'Samsung Internet for Android on Android',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) ${KHTML} SamsungBrowser/21.0 Chrome/110.0.5481.154 Mobile Safari/537.36`,
      `${ANDROID} ${KHTML} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36`,
    ],
  },
  {
    name: 'Opera on Windows',
    type: 'desktop',
    versions: [
      `${WINDOWS} ${KHTML} Chrome/117.0.0.0 Safari/537.36 OPR/103.0.0.0`,
      `${WINDOWS} ${KHTML} Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0`,
    ],
  },
  {
    name: 'Opera on macOS',
    type: 'desktop',
    versions: [
      `${MAC} ${KHTML} Chrome/117.0.0.0 Safari/537.36 OPR/103.0.0.0`,
      `${MAC} ${KHTML} Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0`,
    ],
  },
  {
    name: 'Opera on Android',
    type: 'mobile',
    versions: [
      `Mozilla/5.0 (Linux; Android 10; VOG-L29) ${KHTML} Chrome/117.0.5938.140 Mobile Safari/537.36 OPR/76.2.4027.73374`,
      `${ANDROID} ${KHTML} Chrome/130.0.0.0 Mobile Safari/537.36 OPR/86.0.0.0`,
    ],
  },
  {
    name: 'Vivaldi on Windows',
    type: 'desktop',
    versions: [
      `${WINDOWS} ${KHTML} Chrome/96.0.4664.93 Safari/537.36 Vivaldi/4.3`,
      `${WINDOWS} ${KHTML} Chrome/131.0.0.0 Safari/537.36 Vivaldi/7.0.3495.11`,
    ],
  },
  {
    name: 'Yandex Browser on Windows',
    type: 'desktop',
    versions: [
      `${WINDOWS} ${KHTML} Chrome/116.0.5845.962 YaBrowser/23.9.1.962 Yowser/2.5 Safari/537.36`,
      `${WINDOWS} ${KHTML} Chrome/128.0.0.0 YaBrowser/24.10.0.0 Safari/537.36`,
    ],
  },
  {
    name: 'UC Browser on Android',
    type: 'mobile',
    versions: [
      'Mozilla/5.0 (Linux; U; Android 10; en-US; RMX1911) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/78.0.3904.108 UCBrowser/13.4.0.1306 Mobile Safari/537.36',
      'Mozilla/5.0 (Linux; U; Android 13; en-US; CPH2269) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/15.5.2.1332 Mobile Safari/537.36',
    ],
  },
  {
    name: 'Amazon Silk on Android',
    type: 'tablet',
    versions: [
      `Mozilla/5.0 (Linux; Android 9; KFMAWI) ${KHTML} Silk/108.9.3 like Chrome/108.0.5359.220 Safari/537.36`,
      `Mozilla/5.0 (Linux; Android 11; KFTRWI) ${KHTML} Silk/130.4.1 like Chrome/130.0.6723.102 Safari/537.36`,
    ],
  },
  {
    name: 'Internet Explorer on Windows',
    type: 'desktop',
    versions: [
      'Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)',
      'Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko',
    ],
  },
  {
    name: 'okhttp',
    type: 'unknown',
    versions: ['okhttp/4.9.3', 'okhttp/5.0.0-alpha.14'],
  },
];
