// OpenID Connect by openid-client: authorization code, PKCE, state and nonce. The provider proves who somebody is, once; from then on
// the session is ours, and ends by our rules.
import {
  Controller,
  Get,
  Inject,
  Module,
  Redirect,
  Req,
  UnauthorizedException,
  type DynamicModule,
} from '@nestjs/common';
import { AllowAnonymous, Public, ReqSession, SessionModule, type RequestSession } from 'nestjs-sessions';
import * as oidc from 'openid-client';
import { beginFlow, takeFlow } from './sign-in-flow.js';

export interface ProviderSettings {
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** Where this application is reached: never taken from a request's Host header. */
  baseUrl: string;
  /** For a provider without TLS, in tests. */
  allowHttp?: boolean;
}

interface OidcFlow {
  state: string;
  nonce: string;
  verifier: string;
}

class Provider {
  readonly redirectUri: string;

  private constructor(
    readonly config: oidc.Configuration,
    baseUrl: string,
  ) {
    this.redirectUri = new URL('/oidc/callback', baseUrl).href;
  }

  static async discover({ issuer, clientId, clientSecret, baseUrl, allowHttp = false }: ProviderSettings) {
    // The second one checks the signature of the ID token, although it comes from the provider by TLS.
    const execute = [...(allowHttp ? [oidc.allowInsecureRequests] : []), oidc.enableNonRepudiationChecks];
    const config = await oidc.discovery(new URL(issuer), clientId, clientSecret, undefined, { execute });
    return new Provider(config, baseUrl);
  }
}

@Controller('oidc')
class OidcController {
  constructor(@Inject(Provider) private readonly provider: Provider) {}

  @Public()
  @AllowAnonymous()
  @Get('login')
  @Redirect()
  async login(@ReqSession() session: RequestSession) {
    const flow: OidcFlow = {
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      verifier: oidc.randomPKCECodeVerifier(),
    };
    await beginFlow(session, 'oidc', flow);
    const url = oidc.buildAuthorizationUrl(this.provider.config, {
      redirect_uri: this.provider.redirectUri,
      scope: 'openid email',
      code_challenge: await oidc.calculatePKCECodeChallenge(flow.verifier),
      code_challenge_method: 'S256',
      state: flow.state,
      nonce: flow.nonce,
    });
    return { url: url.href };
  }

  @Public()
  @AllowAnonymous()
  @Get('callback')
  @Redirect('/')
  async callback(@Req() { url }: { url: string }, @ReqSession() session: RequestSession) {
    const flow = await takeFlow<OidcFlow>(session, 'oidc');
    if (!flow) throw new UnauthorizedException('Begin the sign-in again.');
    const answer = new URL(this.provider.redirectUri);
    answer.search = new URL(url, this.provider.redirectUri).search;
    const claims = await oidc
      .authorizationCodeGrant(this.provider.config, answer, {
        pkceCodeVerifier: flow.verifier,
        expectedState: flow.state,
        expectedNonce: flow.nonce,
        idTokenExpected: true,
      })
      .then((tokens) => tokens.claims())
      .catch(refuse);
    if (!claims) throw new UnauthorizedException();
    // A new session with new secrets: a cookie from before the sign-in is worth nothing after it.
    await session.start({
      userId: `oidc:${claims.sub}`,
      // An address that the provider has not verified may be anybody's.
      ...(claims.email_verified === true && typeof claims['email'] === 'string' && { email: claims['email'] }),
      amr: Array.isArray(claims.amr) ? claims.amr.map(String) : [],
    });
  }
}

/** The browser does not learn what was wrong with the answer. */
function refuse(error: unknown): never {
  throw new UnauthorizedException('The provider did not confirm the sign-in.', { cause: error });
}

@Module({})
export class OidcModule {
  static register(settings: ProviderSettings): DynamicModule {
    return {
      module: OidcModule,
      imports: [SessionModule.forRoot()],
      controllers: [OidcController],
      providers: [{ provide: Provider, useFactory: () => Provider.discover(settings) }],
    };
  }
}
