import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { createApp } from './create-app.js';
import { EnvironmentError, readEnvironment } from './config/environment.js';

try {
  const app = await createApp(process.env);
  await app.listen(readEnvironment(process.env).port);
  new Logger('Sample').log(`Listening on ${(await app.getUrl()).replace('[::1]', 'localhost')}`);
} catch (error) {
  // What to mend is in the message; of everything else the stack tells more.
  const isMendable = error instanceof EnvironmentError || (error instanceof Error && 'code' in error);
  console.error(isMendable ? error.message : error);
  process.exit(1);
}
