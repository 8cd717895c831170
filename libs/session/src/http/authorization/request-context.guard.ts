import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { findNode } from '../exchange/http-exchange.js';
import { forgetMiddlewareSession } from '../exchange/middleware-session.js';
import { RequestSessions } from '../session/request-sessions.js';
import { routeOf } from './route-rules.js';

/**
 * Lets every request pass, and attaches what the parameter decorators read, because guards run before pipes and
 * parameters.
 */
@Injectable()
export class RequestContextGuard implements CanActivate {
  constructor(private readonly sessions: RequestSessions) {}

  canActivate(host: ExecutionContext): boolean {
    const node = findNode(host);
    if (!node) return true;
    this.sessions.attach(node);
    if (routeOf(host).realm !== '') forgetMiddlewareSession(node);
    return true;
  }
}
