import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { CurrentSession, NoTouch, SessionStreams, type Session, type StreamableResponse } from 'nestjs-sessions';
import { ApiSession } from 'nestjs-sessions/swagger';

/** The last event of a stream. */
const ENDED =
  'event: ended\ndata: {"type":"ended","at":1764257520000,"sessionId":"q0Zc1lqJ0cVYw9dBnq3LZ4mJ2pXt8R5v","reason":"revoked"}\n\n';

@ApiTags('Sessions and devices')
@ApiSession()
@Controller('events')
export class EventsController {
  constructor(private readonly streams: SessionStreams) {}

  /** Server-sent events of the caller's own session: the page learns at once when it is signed out, and why. */
  @ApiOperation({ summary: 'Server-sent events of this session: its end, and why' })
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ description: 'A stream that ends with the session.', schema: { type: 'string' }, example: ENDED })
  @NoTouch()
  @Get()
  open(@CurrentSession() session: Session, @Res() response: StreamableResponse): void {
    this.streams.open(session, response);
  }
}
