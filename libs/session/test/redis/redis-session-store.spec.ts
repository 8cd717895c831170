import { describeSessionStore } from '../../src/testing/store-contract.js';
import { redisHarness } from '../support/redis-harness.js';

describe('RedisSessionStore on one server', () => {
  describeSessionStore('RedisSessionStore', (options) => redisHarness(options));
});
