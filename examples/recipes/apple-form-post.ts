// Sign in with Apple answers by posting a form from appleid.apple.com: a request of another site that changes something.
import { Body, Controller, Get, HttpCode, Module, Post, Redirect, UnauthorizedException } from '@nestjs/common';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { AllowCrossSite, ReqSession, SessionModule, type RequestSession } from 'nestjs-sessions';

/** Yours is kept in the environment. */
const STATE_KEY = randomBytes(32);
const STATE_AGE = 10 * 60_000;

/** No cookie comes along with a form of another site (SameSite=Lax), so the state carries its own proof. */
export function newState(now = Date.now()): string {
  const text = `${now}.${randomBytes(16).toString('base64url')}`;
  return `${text}.${tagOf(text)}`;
}

function isOurs(state: unknown): boolean {
  if (typeof state !== 'string') return false;
  const at = state.lastIndexOf('.');
  const [text, tag] = [state.slice(0, at), Buffer.from(state.slice(at + 1))];
  const own = Buffer.from(tagOf(text));
  const age = Date.now() - Number(text.split('.', 1)[0]);
  return tag.length === own.length && timingSafeEqual(tag, own) && age >= 0 && age < STATE_AGE;
}

function tagOf(text: string): string {
  return createHmac('sha256', STATE_KEY).update(text).digest('base64url');
}

/** Exchanges the code at Apple's token endpoint and verifies the id_token there. */
export const provider = {
  async subjectOf(code: string): Promise<string | null> {
    return code === 'good-code' ? '001234.apple' : null;
  },
};

@Controller('apple')
class AppleController {
  @Get('login')
  @Redirect()
  login() {
    const query = new URLSearchParams({
      response_type: 'code',
      response_mode: 'form_post',
      client_id: 'com.example.web',
      redirect_uri: 'https://example.com/apple/callback',
      scope: 'name email',
      state: newState(),
    });
    return { url: `https://appleid.apple.com/auth/authorize?${query.toString()}` };
  }

  /**
   * The session starts by a request of another site, so that its cookie (SameSite=Lax) comes along from the next navigation on. Redirect
   * by a page of yours, not by 303: browsers count the whole chain as cross-site.
   */
  @AllowCrossSite('https://appleid.apple.com')
  @Post('callback')
  @HttpCode(200)
  async callback(@ReqSession() session: RequestSession, @Body() { code, state }: { code?: string; state?: string }) {
    if (!isOurs(state)) throw new UnauthorizedException();
    const subject = await provider.subjectOf(code ?? '');
    if (subject === null) throw new UnauthorizedException();
    await session.start({ userId: `apple:${subject}` });
    return '<!doctype html><meta http-equiv="refresh" content="0;url=/">';
  }
}

@Module({ imports: [SessionModule.forRoot()], controllers: [AppleController] })
export class AppleModule {}
