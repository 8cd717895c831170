export { useSession } from './use-session.js';
