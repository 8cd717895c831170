import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';
import { rulesOf } from './client-recognition.js';
import { registerApplication } from './session-security.js';

/** Has `generateFingerprint` and its like find the options of this application by its requests. */
@Injectable()
export class ApplicationSecurityRegistration implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  onModuleInit(): void {
    const { security, session } = this.options;
    const { useFingerprint, bindToIP } = security;
    const { idleTimeout } = session;
    const settings = { ...rulesOf(this.options), useFingerprint, bindToIP, idleTimeout, now: () => this.store.now() };
    // There is none where the module stands in an application without HTTP. Its types promise one.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    const owners: unknown[] = [adapter?.getInstance<unknown>(), adapter?.getHttpServer()];
    for (const owner of owners) {
      if ((typeof owner === 'object' || typeof owner === 'function') && owner !== null)
        registerApplication(owner, settings);
    }
  }
}
