import { Controller, Get, Res } from '@nestjs/common';
import { CurrentSession, NoTouch, SessionStreams, type Session, type StreamableResponse } from 'nestjs-sessions';

@Controller('events')
export class EventsController {
  constructor(private readonly streams: SessionStreams) {}

  /** Server-sent events of the caller's own session: the page learns at once that it was signed out, and why. */
  @NoTouch()
  @Get()
  open(@CurrentSession() session: Session, @Res() response: StreamableResponse): void {
    this.streams.open(session, response);
  }
}
