import { hash, timingSafeEqual } from 'node:crypto';
import { Controller, Get, Header, Headers, Inject, NotFoundException, UnauthorizedException } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { Public } from 'nestjs-sessions';
import { ApiSessionErrors } from 'nestjs-sessions/swagger';
import { ENVIRONMENT, type Environment } from '../config/environment.js';
import { Metrics } from './metrics.js';
import { notFound, UNAUTHORIZED } from '../openapi/errors.js';

@ApiTags('Operation')
@Controller('metrics')
export class MetricsController {
  constructor(
    private readonly metrics: Metrics,
    @Inject(ENVIRONMENT) private readonly environment: Environment,
  ) {}

  /**
   * For Prometheus: `Authorization: Bearer $METRICS_TOKEN` (in Prometheus: `authorization.credentials`). Contains no
   * personal data.
   */
  @ApiOperation({ summary: 'Metrics for Prometheus' })
  @ApiProduces('text/plain')
  @ApiOkResponse({ description: 'All is well.', schema: { type: 'string' }, example: '# TYPE session_created counter' })
  @ApiSessionErrors({ errors: [UNAUTHORIZED, notFound('Set METRICS_TOKEN to open /metrics.')] })
  @Public()
  @Get()
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  async text(@Headers('authorization') authorization: string | undefined): Promise<string> {
    this.assertAllowed(authorization);
    return this.metrics.text();
  }

  private assertAllowed(authorization: string | undefined): void {
    const { metricsToken, production } = this.environment;
    if (metricsToken === undefined) {
      if (production) throw new NotFoundException('Set METRICS_TOKEN to open /metrics.');
      return;
    }
    const given = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(given), digest(metricsToken))) throw new UnauthorizedException();
  }
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
