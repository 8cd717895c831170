// Google and GitHub by the strategies of passport. Strategies keep state and PKCE verifier in express-session by default; here they are in
// the session of this library, and passport's own registry, which belongs to the whole process, is not used.
import {
  Controller,
  Get,
  Inject,
  Module,
  NotFoundException,
  Param,
  Req,
  Res,
  UnauthorizedException,
  type DynamicModule,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { AllowAnonymous, Public, ReqSession, SessionModule, type RequestSession } from 'nestjs-sessions';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Profile, Strategy, StrategyCreatedStatic } from 'passport';
import { Strategy as GitHubStrategy } from 'passport-github2';
import { Strategy as GoogleStrategy } from 'passport-google-oauth20';
import { beginFlow, takeFlow } from './sign-in-flow.js';

type StateStore = NonNullable<ConstructorParameters<typeof GitHubStrategy>[0]['store']>;

/** A strategy once passport has given it its actions. */
interface Runnable {
  authenticate(request: Request, options: object): void;
}

interface Client {
  clientID: string;
  clientSecret: string;
  /** Only in tests: a provider of their own. */
  authorizationURL?: string;
  tokenURL?: string;
  userProfileURL?: string;
}

export interface SocialSettings {
  /** Where this application is reached. */
  baseUrl: string;
  google: Client;
  github: Client;
}

interface OAuthFlow {
  state: string;
  verifier: string;
}

type Stored = (error: Error | null, state?: string) => void;
type Verified = (error: Error | null, verifier?: string | false, info?: { message: string }) => void;

/** The `store` of an OAuth strategy. Its methods are told apart by the number of their parameters. */
class FlowStore {
  private readonly sessions = new WeakMap<object, RequestSession>();

  constructor(private readonly kind: string) {}

  /** Says in which session the flow of a request is. */
  bind(request: object, session: RequestSession): void {
    this.sessions.set(request, session);
  }

  store(request: object, verifier: string, _state: unknown, _meta: unknown, done: Stored): void {
    const state = randomBytes(24).toString('base64url');
    beginFlow(this.sessionOf(request), this.kind, { state, verifier }).then(() => done(null, state), done);
  }

  verify(request: object, given: unknown, done: Verified): void {
    takeFlow<OAuthFlow>(this.sessionOf(request), this.kind).then((flow) => {
      if (flow && isSame(flow.state, given)) done(null, flow.verifier);
      else done(null, false, { message: 'Begin the sign-in again.' });
    }, done);
  }

  private sessionOf(request: object): RequestSession {
    const session = this.sessions.get(request);
    if (!session) throw new Error('bind() comes first');
    return session;
  }
}

interface Way {
  readonly strategy: Strategy;
  readonly flows: FlowStore;
}

/** The strategies by name. */
class Providers {
  private readonly ways: ReadonlyMap<string, Way>;

  constructor({ baseUrl, google, github }: SocialSettings) {
    const flowsOf = (name: string) => {
      const flows = new FlowStore(name);
      // The types know no store with PKCE, which gets the verifier as well.
      const store = flows as unknown as StateStore;
      return { flows, options: { callbackURL: `${baseUrl}/auth/${name}/callback`, pkce: true, store } };
    };
    const profileOf = (_access: string, _refresh: string, profile: Profile, done: (e: null, user: Profile) => void) =>
      done(null, profile);
    const [forGoogle, forGitHub] = [flowsOf('google'), flowsOf('github')];
    this.ways = new Map<string, Way>([
      [
        'google',
        {
          flows: forGoogle.flows,
          strategy: new GoogleStrategy({ ...google, ...forGoogle.options, scope: ['openid', 'email'] }, profileOf),
        },
      ],
      [
        'github',
        {
          flows: forGitHub.flows,
          strategy: new GitHubStrategy({ ...github, ...forGitHub.options, scope: [] }, profileOf),
        },
      ],
    ]);
  }

  require(name: string): Way {
    const way = this.ways.get(name);
    if (!way) throw new NotFoundException();
    return way;
  }
}

/** Where to send the browser, or who the provider says it is. */
type Step = { readonly location: string } | { readonly profile: Profile };

/** Runs a strategy for one request, as passport does. */
async function run(strategy: Strategy, request: Request): Promise<Step> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => reject(new UnauthorizedException('The provider did not confirm the sign-in.'));
    const actions: StrategyCreatedStatic = {
      // The user is what the function above passes on.
      success: (user) => resolve({ profile: user as Profile }),
      redirect: (location) => resolve({ location }),
      fail: refuse,
      error: refuse,
      pass: refuse,
    };
    const own: Runnable = Object.assign(Object.create(strategy) as Runnable, actions);
    own.authenticate(request, {});
  });
}

@Controller('auth')
class SocialController {
  constructor(@Inject(Providers) private readonly providers: Providers) {}

  @Public()
  @AllowAnonymous()
  @Get(':provider')
  async login(
    @Param('provider') name: string,
    @Req() request: Request,
    @Res() response: Response,
    @ReqSession() session: RequestSession,
  ) {
    const { strategy, flows } = this.providers.require(name);
    // Without a code in the query this is the first step, whatever else is in it.
    if (Object.keys(request.query).length > 0) throw new NotFoundException();
    flows.bind(request, session);
    const step = await run(strategy, request);
    if ('location' in step) response.redirect(step.location);
  }

  @Public()
  @AllowAnonymous()
  @Get(':provider/callback')
  async callback(
    @Param('provider') name: string,
    @Req() request: Request,
    @Res() response: Response,
    @ReqSession() session: RequestSession,
  ) {
    const { strategy, flows } = this.providers.require(name);
    if (typeof request.query['code'] !== 'string') throw new UnauthorizedException();
    flows.bind(request, session);
    const step = await run(strategy, request);
    if (!('profile' in step)) throw new UnauthorizedException();
    // The id at the provider is the user, never the e-mail address: addresses change hands.
    await session.start({ userId: `${name}:${step.profile.id}` });
    response.redirect('/');
  }
}

function isSame(own: string, given: unknown): boolean {
  if (typeof given !== 'string') return false;
  const [one, other] = [Buffer.from(own), Buffer.from(given)];
  return one.length === other.length && timingSafeEqual(one, other);
}

@Module({})
export class SocialModule {
  static register(settings: SocialSettings): DynamicModule {
    return {
      module: SocialModule,
      imports: [SessionModule.forRoot()],
      controllers: [SocialController],
      providers: [{ provide: Providers, useFactory: () => new Providers(settings) }],
    };
  }
}
