// Passkeys by @simplewebauthn/server: as the only factor, without a name or password, and as the second one after a password. Each challenge
// is in the session of the browser that asked for it, and counts once.
import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Module,
  Param,
  Post,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import {
  AllowAnonymous,
  AllowPending,
  CurrentUser,
  Public,
  ReqSession,
  RequireFresh,
  SessionGuard,
  SessionModule,
  StepUp,
  type RequestSession,
  type SessionUser,
} from 'nestjs-sessions';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
  type WebAuthnCredential,
} from '@simplewebauthn/server';
import { beginFlow, takeFlow } from './sign-in-flow.js';

/** Of your site. A passkey is bound to the domain. */
export const SITE = { name: 'Example', domain: 'example.com', origin: 'https://example.com' };

interface Passkey extends WebAuthnCredential {
  readonly userId: string;
}

/** Yours is a table of the database. */
export const passkeys = new Map<string, Passkey>();

const of = (userId: string): Passkey[] => [...passkeys.values()].filter((passkey) => passkey.userId === userId);

interface Challenge {
  challenge: string;
}

@UseGuards(SessionGuard)
@Controller()
class PasskeyController {
  // Adding one: only soon after the user proved who they are (ASVS 5.0, 7.5.1).

  @RequireFresh('10m')
  @Post('passkeys/options')
  @HttpCode(200)
  async options(@CurrentUser() user: SessionUser, @ReqSession() session: RequestSession) {
    const options = await generateRegistrationOptions({
      rpName: SITE.name,
      rpID: SITE.domain,
      userName: user.email || user.id,
      userID: new TextEncoder().encode(user.id),
      excludeCredentials: of(user.id).map(({ id }) => ({ id })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    });
    await beginFlow<Challenge>(session, 'passkey-add', { challenge: options.challenge });
    return options;
  }

  @RequireFresh('10m')
  @Post('passkeys')
  async add(
    @CurrentUser() user: SessionUser,
    @ReqSession() session: RequestSession,
    @Body() response: RegistrationResponseJSON,
  ) {
    const flow = await takeFlow<Challenge>(session, 'passkey-add');
    const { registrationInfo } = await verifyRegistrationResponse({
      response,
      expectedChallenge: flow?.challenge ?? refuse(),
      expectedOrigin: SITE.origin,
      expectedRPID: SITE.domain,
    }).catch(refuse);
    const credential = registrationInfo?.credential ?? refuse();
    if (passkeys.has(credential.id)) refuse();
    passkeys.set(credential.id, { ...credential, userId: user.id });
    return { id: credential.id };
  }

  @RequireFresh('10m')
  @Delete('passkeys/:id')
  @HttpCode(204)
  remove(@CurrentUser() user: SessionUser, @Param('id') id: string) {
    if (passkeys.get(id)?.userId === user.id) passkeys.delete(id);
  }

  // The only factor: the browser shows the passkeys that it has for the site.

  @Public()
  @AllowAnonymous()
  @Post('sign-in/options')
  @HttpCode(200)
  async signInOptions(@ReqSession() session: RequestSession) {
    const options = await generateAuthenticationOptions({ rpID: SITE.domain, userVerification: 'required' });
    await beginFlow<Challenge>(session, 'passkey-sign-in', { challenge: options.challenge });
    return options;
  }

  @Public()
  @AllowAnonymous()
  @Post('sign-in')
  @HttpCode(204)
  async signIn(@ReqSession() session: RequestSession, @Body() response: AuthenticationResponseJSON) {
    const passkey = await verified(await takeFlow<Challenge>(session, 'passkey-sign-in'), response);
    // The device, and what unlocks it: two factors (RFC 8176).
    await session.start({ userId: passkey.userId, amr: ['hwk', 'user', 'mfa'], acr: 'aal2' });
  }

  // The second factor, after a password.

  @Public()
  @Post('login')
  @HttpCode(204)
  async login(@ReqSession() session: RequestSession, @Body() { name, password }: { name?: string; password?: string }) {
    if (name === undefined || password !== `${name}-password`) throw new UnauthorizedException();
    const hasPasskey = of(name).length > 0;
    await session.start({ userId: name, amr: ['pwd'], ...(hasPasskey && { pending: true }) });
  }

  @AllowPending()
  @Post('second-factor/options')
  @HttpCode(200)
  async secondFactorOptions(@CurrentUser() user: SessionUser, @ReqSession() session: RequestSession) {
    const options = await generateAuthenticationOptions({
      rpID: SITE.domain,
      allowCredentials: of(user.id).map(({ id }) => ({ id })),
    });
    await beginFlow<Challenge>(session, 'passkey-second', { challenge: options.challenge });
    return options;
  }

  @AllowPending()
  @StepUp()
  @Post('second-factor')
  @HttpCode(204)
  async secondFactor(
    @CurrentUser() user: SessionUser,
    @ReqSession() session: RequestSession,
    @Body() response: AuthenticationResponseJSON,
  ) {
    const passkey = await verified(await takeFlow<Challenge>(session, 'passkey-second'), response);
    if (passkey.userId !== user.id) refuse();
    await session.stepUp({ pending: false, amr: ['pwd', 'hwk', 'mfa'], acr: 'aal2' });
  }

  @Get('me')
  me(@CurrentUser() user: SessionUser) {
    return { id: user.id };
  }
}

async function verified(flow: Challenge | null, response: AuthenticationResponseJSON): Promise<Passkey> {
  const passkey = passkeys.get(response.id) ?? refuse();
  const { verified: isValid, authenticationInfo } = await verifyAuthenticationResponse({
    response,
    expectedChallenge: flow?.challenge ?? refuse(),
    expectedOrigin: SITE.origin,
    expectedRPID: SITE.domain,
    credential: passkey,
  }).catch(refuse);
  if (!isValid) refuse();
  // A counter that goes back means a copy of the passkey: the library refuses it.
  passkeys.set(passkey.id, { ...passkey, counter: authenticationInfo.newCounter });
  return passkey;
}

function refuse(cause?: unknown): never {
  throw new UnauthorizedException('The passkey was not accepted.', { cause });
}

@Module({ imports: [SessionModule.forRoot()], controllers: [PasskeyController] })
export class PasskeyModule {}
