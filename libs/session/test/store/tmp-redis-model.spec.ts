import { describeStoreModel } from '../support/describe-store-model.js';
import { redisHarness } from '../support/redis-harness.js';
describeStoreModel('RedisSessionStore', (options) => redisHarness(options), 30);
