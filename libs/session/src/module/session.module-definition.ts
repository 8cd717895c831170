import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import { SESSION_EXPORTS, SESSION_PROVIDERS } from './session.providers.js';
import { RAW_SESSION_OPTIONS } from './tokens.js';

/** Provides `forRoot` and `forRootAsync`. Their providers are in `session.providers.ts`. */
export const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<SessionModuleOptions>({ optionsInjectionToken: RAW_SESSION_OPTIONS })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createSessionOptions')
    .setExtras({ isGlobal: true }, (definition, { isGlobal }) => ({
      ...definition,
      global: isGlobal,
      providers: [...(definition.providers ?? []), ...SESSION_PROVIDERS],
      exports: SESSION_EXPORTS,
    }))
    .build();
