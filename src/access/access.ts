/**
 * The door of access: may they. Grants, time frames and the decision; the sessions that come of it, and their end when
 * the right ends. An `Authorization` comes only out of `authorize`.
 */
export {
  type AccessRefusal,
  type AmbiguousAccount,
  type Authorization,
  authorize,
  type Destination,
  explain,
  isAuthorization,
  type MayOpen,
  mayOpen,
} from './authorize.ts';
export { type Change, declareGrants, type GrantDeclaration, grantsOf, removeGrant } from './grants.ts';
export type { Grant } from './plan/evaluate.ts';
export type { RdpConditions, RdpTerms } from './plan/rdp-terms.ts';
export { isSubprotocol, subprotocolsOf } from './plan/subprotocols.ts';
export type { Period, TimeFrame } from './plan/time-frame.ts';
export { type Ending, endRevoked, sessionsToEnd } from './revocation.ts';
export {
  demandSession,
  endSession,
  killSession,
  killsWaiting,
  openSession,
  type Outcome,
  sessionById,
  sessionKill,
  type SessionKill,
  sessionLive,
  sessions,
  sessionsInProgress,
  type SessionRecord,
  type OpenRequest,
} from './sessions.ts';
