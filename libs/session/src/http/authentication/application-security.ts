import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import { SESSION_OPTIONS } from '../../options/tokens.js';
import { SessionStore } from '../../ports/session-store.js';
import { rulesOf } from './client-recognition.js';
import { registerApplication } from './session-security.js';

/** Lets `generateFingerprint` and related functions find this application's options from a request. */
@Injectable()
export class ApplicationSecurityRegistration implements OnModuleInit {
  constructor(
    private readonly host: HttpAdapterHost,
    private readonly store: SessionStore,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  onModuleInit(): void {
    const { security, session } = this.options;
    const { useFingerprint, bindToIP } = security;
    const { idleTimeout } = session;
    const settings = {
      ...rulesOf(this.options),
      useFingerprint: useFingerprint.cookie,
      bindToIP: bindToIP.cookie,
      idleTimeout,
      now: () => this.store.now(),
    };
    // Null in an application without HTTP, although Nest's types say otherwise.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    const owners: unknown[] = [adapter?.getInstance<unknown>(), adapter?.getHttpServer()];
    for (const owner of owners) {
      if ((typeof owner === 'object' || typeof owner === 'function') && owner !== null)
        registerApplication(owner, settings);
    }
  }
}
