import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';

/** The module of one realm; `SessionModule.forFeature` makes it. */
@Module({ imports: [DiscoveryModule] })
export class SessionRealmModule {}
