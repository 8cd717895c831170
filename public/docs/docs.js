// Tokens that are entered under "Authorize" stay in memory. Requests carry the cookie as any other request of this origin does.
globalThis.SwaggerUIBundle({
  url: '/docs/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  persistAuthorization: false,
  defaultModelsExpandDepth: -1,
});
