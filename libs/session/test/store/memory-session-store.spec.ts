import { describeSessionStore } from '../../src/testing/store-contract.js';
import { createMemoryHarness } from '../support/memory-harness.js';

describeSessionStore('MemorySessionStore', createMemoryHarness);
