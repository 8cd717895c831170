export { withSessions, type SessionSocketOptions } from './with-sessions.js';
export { sessionOfSocket } from './socket-gate.js';
export { SocketTickets, type SocketTicket } from './socket-tickets.js';
export { SOCKET_CLOSED, type SessionSocketClosed } from './socket-client.js';
