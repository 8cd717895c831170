import { describeSessionStore } from '../../src/store-contract/store-contract.js';
import { describeStoreModel } from '../support/describe-store-model.js';
import { redisHarness } from '../support/redis-harness.js';

describeSessionStore('RedisSessionStore on one server', (options) => redisHarness(options));
describeStoreModel('RedisSessionStore on one server', (options) => redisHarness(options), 12);
