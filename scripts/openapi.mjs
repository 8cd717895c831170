// Writes docs/openapi.json, the OpenAPI document of the built sample: npm run openapi
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const file = fileURLToPath(new URL('../docs/openapi.json', import.meta.url));
const built = /** @type {(path: string) => Promise<any>} */ ((path) => import(new URL(path, import.meta.url).href));
const { createApp } = await built('../dist/create-app.js');
const { apiDocument } = await built('../dist/openapi/api-document.js');

const app = await createApp({ LOG_LEVEL: 'off' });
await app.init();
const text = JSON.stringify(apiDocument(app));
await app.close();
writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser: 'json' }));
