import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { addSessionAuth } from 'nestjs-sessions/swagger';

const DESCRIPTION = `Sign in with \`POST /auth/login\`, for instance as \`user@example.com\` with the password \`user-password-1\`.

- **Cookie**: the response sets it, and the browser sends it from then on. There is nothing to enter under "Authorize".
- **Bearer token**: copy \`accessToken\` from the response to "Authorize", \`session-bearer\`. It is kept in this page's memory only.
- **Token that is bound to a key** (DPoP), where the sample runs with \`DPOP=1\`: sign in with a proof; each request needs one.

Each error has a stable \`code\`.`;

/** The OpenAPI document of the application, with the name that its cookie has here. */
export function apiDocument(app: INestApplication): OpenAPIObject {
  const builder = new DocumentBuilder().setTitle('nestjs-sessions: the sample').setDescription(DESCRIPTION);
  return addSessionAuth(SwaggerModule.createDocument(app, builder.setVersion('1').build()), app);
}
