export { maxmindLocator, type MaxmindLocator, type MaxmindLocatorOptions } from './maxmind-locator.js';
