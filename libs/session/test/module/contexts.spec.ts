import {
  Controller,
  Get,
  Injectable,
  Module,
  Scope,
  UseGuards,
  type INestApplication,
  type INestMicroservice,
} from '@nestjs/common';
import { APP_GUARD, LazyModuleLoader, NestFactory } from '@nestjs/core';
import { ClientProxyFactory, MessagePattern, Transport as Carrier, type ClientProxy } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import request from 'supertest';
import {
  CurrentUser,
  OnSessionEvent,
  Public,
  ReqSession,
  SessionGuard,
  SessionModule,
  SessionService,
  type RequestSession,
  type SessionUser,
} from '../../src/index.js';
import { signInAs } from '../../src/testing/index.js';
import { freePort } from '../../../../scripts/redis-process.mjs';
import { CapturedLogs } from '../support/captured-logs.js';
import { until } from '../support/own-redis.js';

@Controller()
class MixedController {
  readonly ended: string[] = [];

  @UseGuards(SessionGuard)
  @MessagePattern('guarded')
  guarded(): string {
    return 'guarded';
  }

  @Public()
  @MessagePattern('open')
  open(): string {
    return 'open';
  }

  @UseGuards(SessionGuard)
  @Get('me')
  me(@CurrentUser() user: SessionUser): object {
    return { id: user.id };
  }

  @OnSessionEvent('ended')
  note({ userId }: { userId: string }): void {
    this.ended.push(userId);
  }
}

const closing: { close(): Promise<unknown> | void }[] = [];

afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

function clientOf(port: number): ClientProxy {
  const client = ClientProxyFactory.create({ transport: Carrier.TCP, options: { host: '127.0.0.1', port } });
  closing.push(client);
  return client;
}

const ask = (client: ClientProxy, pattern: string): Promise<unknown> => firstValueFrom(client.send(pattern, {}));

async function tell(app: INestApplication | INestMicroservice): Promise<void> {
  const sessions = app.get(SessionService);
  const { session } = await sessions.start({ userId: 'ann' });
  await sessions.end(session.id);
  await until(() => app.get(MixedController).ended.length > 0);
  expect(app.get(MixedController).ended).toEqual(['ann']);
}

describe('a microservice', () => {
  it('refuses guarded messages, says once what to do, and hears of sessions', async () => {
    const port = await freePort();
    const module = await Test.createTestingModule({
      imports: [SessionModule.forRoot()],
      controllers: [MixedController],
    }).compile();
    const app = module.createNestMicroservice({ transport: Carrier.TCP, options: { host: '127.0.0.1', port } });
    await app.listen();
    closing.push(app);
    const logs = new CapturedLogs();
    const client = clientOf(port);
    await expect(ask(client, 'guarded')).rejects.toMatchObject({ code: 'session_required' });
    await expect(ask(client, 'guarded')).rejects.toBeDefined();
    expect(await ask(client, 'open')).toBe('open');
    const lines = logs.lines.filter((line) => line.includes('MixedController.guarded is refused'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('put @Public() on its handler');
    logs.restore();
    await tell(app);
  });
});

describe('a hybrid application', () => {
  it('refuses guarded messages also by a global guard, serves HTTP, and hears of sessions once', async () => {
    const port = await freePort();
    const module = await Test.createTestingModule({
      imports: [SessionModule.forRoot()],
      controllers: [MixedController],
      providers: [{ provide: APP_GUARD, useExisting: SessionGuard }],
    }).compile();
    const app = module.createNestApplication({ logger: false });
    app.connectMicroservice(
      { transport: Carrier.TCP, options: { host: '127.0.0.1', port } },
      { inheritAppConfig: true },
    );
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
    closing.push(app);
    const client = clientOf(port);
    await expect(ask(client, 'guarded')).rejects.toMatchObject({ code: 'session_required' });
    expect(await ask(client, 'open')).toBe('open');
    const ann = await signInAs(app, 'bob');
    await ann.agent.get('/me').expect(200, { id: 'bob' });
    await tell(app);
  });

  it('hears of sessions where only its microservices run', async () => {
    const port = await freePort();
    const module = await Test.createTestingModule({
      imports: [SessionModule.forRoot()],
      controllers: [MixedController],
    }).compile();
    const app = module.createNestApplication({ logger: false });
    app.connectMicroservice({ transport: Carrier.TCP, options: { host: '127.0.0.1', port } });
    await app.startAllMicroservices();
    closing.push(app);
    await tell(app);
  });
});

describe('an application without HTTP', () => {
  it('starts, lists and ends sessions, and hears of them', async () => {
    @Injectable()
    class Listener {
      readonly ended: string[] = [];
      @OnSessionEvent('ended')
      note({ userId }: { userId: string }): void {
        this.ended.push(userId);
      }
    }
    @Module({ imports: [SessionModule.forRoot()], providers: [Listener] })
    class WorkerModule {}
    const app = await NestFactory.createApplicationContext(WorkerModule, { logger: false });
    closing.push(app);
    const sessions = app.get(SessionService);
    await sessions.start({ userId: 'ann' });
    expect(await sessions.list('ann')).toHaveLength(1);
    expect(await sessions.endAll('ann')).toBe(1);
    await until(() => app.get(Listener).ended.length === 1);
  });
});

describe('modules and scopes', () => {
  it('request-scoped controllers and lazy modules find the session', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Counter {
      private static made = 0;
      readonly number = (Counter.made += 1);
    }
    @UseGuards(SessionGuard)
    @Controller({ path: 'scoped', scope: Scope.REQUEST })
    class ScopedController {
      constructor(private readonly counter: Counter) {}

      @Get()
      async get(@CurrentUser() user: SessionUser, @ReqSession() session: RequestSession): Promise<object> {
        return { id: user.id, number: this.counter.number, own: (await session.current)?.userId };
      }
    }
    @Injectable()
    class LazyService {
      constructor(private readonly sessions: SessionService) {}
      count(userId: string): Promise<number> {
        return this.sessions.list(userId).then(({ length }) => length);
      }
    }
    @Module({ providers: [LazyService] })
    class LazyFeatureModule {}
    @Module({ controllers: [ScopedController], providers: [Counter] })
    class FeatureModule {}
    const feature = async (): Promise<typeof FeatureModule> => Promise.resolve(FeatureModule);

    const module = await Test.createTestingModule({ imports: [SessionModule.forRoot(), await feature()] }).compile();
    const app = module.createNestApplication({ logger: false });
    await app.init();
    closing.push(app);
    const { agent } = await signInAs(app, 'ann');
    await agent.get('/scoped').expect(200, { id: 'ann', number: 1, own: 'ann' });
    await agent.get('/scoped').expect(200, { id: 'ann', number: 2, own: 'ann' });
    const lazy = await app.get(LazyModuleLoader).load(() => LazyFeatureModule);
    expect(await lazy.get(LazyService).count('ann')).toBe(1);
  });

  it('two applications in one process do not know each other’s sessions, and close apart', async () => {
    const start = async (): Promise<INestApplication> => {
      const module = await Test.createTestingModule({
        imports: [SessionModule.forRoot()],
        controllers: [MixedController],
      }).compile();
      const app = module.createNestApplication({ logger: false });
      await app.init();
      return app;
    };
    const [first, second] = [await start(), await start()];
    closing.push(second);
    const [ann, bob] = [await signInAs(first, 'ann'), await signInAs(second, 'bob')];
    await ann.agent.get('/me').expect(200);
    const server = second.getHttpServer() as Parameters<typeof request>[0];
    await request(server).get('/me').set(ann.headers).expect(401);
    // As a hot reload does: the old application closes while the new one serves.
    await first.close();
    await bob.agent.get('/me').expect(200);
    const third = await start();
    closing.push(third);
    await (await signInAs(third, 'carl')).agent.get('/me').expect(200);
  });
});
