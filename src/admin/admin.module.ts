import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.js';
import { AdminSessionsController } from './admin-sessions.controller.js';
import { AdminUsersController } from './admin-users.controller.js';

@Module({ imports: [UsersModule], controllers: [AdminUsersController, AdminSessionsController] })
export class AdminModule {}
