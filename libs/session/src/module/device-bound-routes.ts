import { Inject, Injectable, RequestMethod, type MiddlewareConsumer } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import { answering } from '../device-bound/device-bound.middleware.js';
import { ConfigurationError } from '../model/errors.js';

/** Puts the endpoints of device-bound sessions into the application, where the option asks for them. */
@Injectable()
export class DeviceBoundRoutes {
  constructor(
    @Inject(SESSION_CORE) private readonly core: SessionCore,
    private readonly application: ApplicationConfig,
  ) {}

  /** @throws {ConfigurationError} where browsers would not send the session cookie to them. */
  mount(consumer: MiddlewareConsumer): void {
    const { deviceBound, contexts, tenants } = this.core;
    if (!deviceBound) return;
    const { endpoints, paths, options } = deviceBound;
    paths.precededBy((path) => this.prefixOf(path));
    this.assertWithinCookie(paths.register);
    consumer
      .apply(answering(contexts, (context) => tenants.within(context.exchange, () => endpoints.register(context))))
      .forRoutes({ path: options.paths.register, method: RequestMethod.POST });
    consumer
      .apply(answering(contexts, (context) => tenants.within(context.exchange, () => endpoints.refresh(context))))
      .forRoutes({ path: options.paths.refresh, method: RequestMethod.POST });
  }

  /** The global prefix, unless the application excludes the path from it. */
  private prefixOf(path: string): string {
    const prefix = this.application.getGlobalPrefix().replace(/^\/+|\/+$/g, '');
    const { exclude = [] } = this.application.getGlobalPrefixOptions();
    return prefix === '' || exclude.some(({ pathRegex }) => pathRegex.test(path)) ? '' : `/${prefix}`;
  }

  private assertWithinCookie(path: string): void {
    const { path: place } = this.core.options.cookie;
    if (path === place || path.startsWith(place.endsWith('/') ? place : `${place}/`)) return;
    throw new ConfigurationError(
      `deviceBound.paths.register: browsers do not send the session cookie, whose path is ${place}, to ${path}. Choose a path below that of the cookie.`,
    );
  }
}
