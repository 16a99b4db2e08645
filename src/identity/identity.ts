/**
 * The door of identity: who is it. Users, groups, roles and how people prove who they are; an `Identity` comes only out
 * of `submitFactor`. Where somebody may go is not decided here.
 */
export {
  accessChanged,
  addKey,
  notifyAccessChanged,
  removeKey,
  setDisabled,
  setPassword,
  unlock,
} from './changes.ts';
export {
  liveTokens,
  type LiveToken,
  type Minted,
  mintToken,
  mostMinutes,
  type MintRequest,
  newToken,
  pruneTokens,
  revokeToken,
  type TokenPlace,
  type UsedToken,
  usualMinutes,
} from './connection-tokens.ts';
export {
  type Change,
  declareUserGroups,
  declareUsers,
  type UserDeclaration,
  type UserGroup,
  type UserGroupDeclaration,
  userGroups,
} from './declare.ts';
export {
  enrol,
  type Enrolled,
  type Enrolment,
  type EnrolRefusal,
  type EnrolRequest,
  ensureEnrolment,
  inviteUser,
  isEnrolmentOpen,
} from './enrolment.ts';
export type { LockoutPolicy } from './lockout.ts';
export {
  actorOf,
  beginLogin,
  type Factor,
  type FactorKind,
  type Identity,
  isIdentity,
  knowsKey,
  type Login,
  type LoginContext,
  type LoginRequest,
  submitFactor,
  interceptedLogin,
  submitNtlm,
  type Verdict,
} from './login.ts';
export { mayDo, type Right, rights, rightsOf, type Role, roles } from './rights.ts';
export { enrolTotp, removeTotp, type Sealer } from './totp.ts';
export {
  barOf,
  canonicalName,
  isSource,
  isUserName,
  type User,
  userById,
  type UserKey,
  userNamed,
  users,
  usersById,
} from './users.ts';
