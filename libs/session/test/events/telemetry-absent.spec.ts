import { jest } from '@jest/globals';

jest.unstable_mockModule('@opentelemetry/api', () => {
  throw Object.assign(new Error("Cannot find package '@opentelemetry/api'"), { code: 'ERR_MODULE_NOT_FOUND' });
});

it('without @opentelemetry/api nothing is measured, and nothing fails', async () => {
  const { loadTelemetry } = await import('../../src/core/load-telemetry.js');
  const telemetry = await loadTelemetry({});
  expect(telemetry.meter).toBeNull();
  const store = {} as never;
  expect(telemetry.observe(store)).toBe(store);
  // Providers that are handed in need no package.
  const meterProvider = { getMeter: () => null as never };
  await expect(loadTelemetry({ meterProvider })).resolves.toBeDefined();
});
