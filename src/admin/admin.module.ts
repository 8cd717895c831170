import { Module } from '@nestjs/common';
import { AdminSessionsController } from './admin-sessions.controller.js';

@Module({ controllers: [AdminSessionsController] })
export class AdminModule {}
