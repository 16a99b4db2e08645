/**
 * May they. The only place where an Authorization is made: identity and wish go in, default is no. What does not exist
 * and what is forbidden get the same answer after the same questions to the database; the reason is in the audit trail.
 */
import { type Actor, record } from '../audit/audit.ts';
import { type Refusal, refuse } from '../base/errors.ts';
import type { GrantId, Id, TargetId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db } from '../db/db.ts';
import {
  type SessionProtocol,
  type Service,
  serviceFor,
  type Target,
  type TargetGroupId,
  targetById,
  targetGroupsOf,
  targetNamed,
} from '../estate/estate.ts';
import {
  actorOf,
  barOf,
  type Identity,
  type TokenPlace,
  type User,
  userById,
  userNamed,
} from '../identity/identity.ts';
import { type Account, accountsOf } from '../vault/vault.ts';
import { accessErrors } from './errors.ts';
import { grantsOf } from './grants.ts';
import type { RdpTerms } from './plan/rdp-terms.ts';
import { type Decision, evaluate, type Grant, judgeGrant, type Wish } from './plan/evaluate.ts';
import { zoneOffset } from '../base/zones.ts';

/** Where somebody wants to go, as parsed from the login name. */
export interface Destination {
  /** Left out by who has a connection token: its place is meant. */
  readonly target?: string;
  readonly account?: string;
  /** A service's name, where a target has several. */
  readonly service?: string;
  readonly protocol: SessionProtocol;
}

/** INVARIANT: made only by `authorize`, for what a grant allowed at `at`. Opens one session. */
class GrantedAuthorization {
  readonly #granted = true;
  /** One authorization, one session. */
  readonly id: Id<'authorization'> = newId();
  readonly identity: Identity;
  readonly target: Target;
  readonly service: Service & { readonly protocol: SessionProtocol };
  readonly account: Account;
  readonly subprotocols: readonly string[];
  readonly recordContent: boolean;
  readonly rdp: RdpTerms;
  /** When the session ends whatever happens; undefined: no end. */
  readonly until: Date | undefined;
  readonly grants: readonly GrantId[];
  readonly at: number;

  constructor(identity: Identity, place: Place, account: Account, decision: Allowed, at: number) {
    this.identity = identity;
    this.target = place.target;
    this.service = place.service;
    this.account = account;
    this.subprotocols = decision.subprotocols;
    this.recordContent = decision.recordContent;
    this.rdp = decision.rdp;
    this.until = decision.until === undefined ? undefined : new Date(decision.until);
    this.grants = decision.grants;
    this.at = at;
  }

  static is(value: unknown): value is GrantedAuthorization {
    return typeof value === 'object' && value !== null && #granted in value && value.#granted;
  }
}

export type Authorization = GrantedAuthorization;

/** Whether a value is a genuine Authorization; for the edge where handles are looked up. */
export function isAuthorization(value: unknown): value is Authorization {
  return GrantedAuthorization.is(value);
}

/** Several accounts would do: these are the ones that this person may use, and no others. */
export interface AmbiguousAccount extends Refusal<'access.account-ambiguous'> {
  readonly accounts: readonly string[];
}

export type AccessRefusal = Refusal<'access.refused' | 'access.password-change-needed'> | AmbiguousAccount;

type Allowed = Extract<Decision, { allowed: true }>;
interface Place {
  readonly target: Target;
  readonly service: Service & { readonly protocol: SessionProtocol };
}

/** Decides at `now` (ms). The refusal's words may be shown to the person; they do not tell forbidden from unknown. */
export async function authorize(
  db: Db,
  identity: Identity,
  destination: Destination,
  now: number,
): Promise<Authorization | AccessRefusal> {
  const user = await userById(db, identity.user);
  const facts = await factsOf(db, user, destination, identity.token?.place);
  const allowed = decide(facts, user, identity.address, now);
  const words = describe(destination, facts.target);
  const no = async (code: AccessRefusal['code'], reason: string): Promise<void> => {
    const about = { user: identity.user, target: facts.target?.id };
    await record(db, actorOf(identity), { type: 'access.refused', about, details: { selector: words, code, reason } });
  };
  if (identity.mustChange && user?.mustChange === true) {
    await no('access.password-change-needed', 'the password has to be changed');
    return refuse('access.password-change-needed', accessErrors['access.password-change-needed'].meaning);
  }
  const [only, ...others] = allowed.accounts;
  if (only === undefined || facts.target === undefined || facts.service === undefined) {
    await no('access.refused', allowed.reason);
    return refuse('access.refused', accessErrors['access.refused'].meaning);
  }
  if (others.length > 0) {
    const accounts = allowed.accounts.map(({ account }) => account.name);
    await no('access.account-ambiguous', accounts.join(', '));
    return { ...refuse('access.account-ambiguous', `name one of these accounts: ${accounts.join(', ')}`), accounts };
  }
  const place = { target: facts.target, service: facts.service };
  const authorization = new GrantedAuthorization(identity, place, only.account, only.decision, now);
  await record(db, actorOf(identity), {
    type: 'access.authorized',
    about: { user: identity.user, target: place.target.id, account: only.account.id },
    details: {
      selector: `${only.account.label} ${destination.protocol}`,
      ...(only.decision.until === undefined ? {} : { until: new Date(only.decision.until).toISOString() }),
    },
  });
  return authorization;
}

/** Where a person may go now: what a connection token is made for. It opens nothing and is no proof. */
export interface MayOpen {
  readonly user: User;
  readonly target: Target;
  readonly service: Service & { readonly protocol: SessionProtocol };
  readonly account: Account;
  readonly subprotocols: readonly string[];
  readonly rdp: RdpTerms;
}

/**
 * Whether `authorize` would let this person in now, coming from `address` (undefined: from wherever he may), and to
 * which one account. Refuses in the same words for what is unknown and what is forbidden, and audits it as `actor`'s.
 */
export async function mayOpen(
  db: Db,
  userName: string,
  destination: Destination,
  address: string | undefined,
  now: number,
  actor: Actor,
): Promise<MayOpen | AccessRefusal> {
  const user = await userNamed(db, userName);
  const facts = await factsOf(db, user, destination);
  const { accounts, reason } = decide(facts, user, address, now);
  const no = async <R extends AccessRefusal>(refusal: R, why: string): Promise<R> => {
    const about = { user: user?.id, target: facts.target?.id };
    const details = { selector: describe(destination, facts.target), code: refusal.code, reason: why };
    await record(db, actor, { type: 'access.refused', about, details });
    return refusal;
  };
  const [only, ...others] = accounts;
  if (user === undefined || only === undefined || facts.target === undefined || facts.service === undefined)
    return await no(refuse('access.refused', accessErrors['access.refused'].meaning), reason);
  if (user.mustChange) {
    const words = accessErrors['access.password-change-needed'].meaning;
    return await no(refuse('access.password-change-needed', words), 'the password has to be changed');
  }
  if (others.length > 0) {
    const names = accounts.map(({ account }) => account.name);
    const refusal = refuse('access.account-ambiguous', `name one of these accounts: ${names.join(', ')}`);
    return await no({ ...refusal, accounts: names }, names.join(', '));
  }
  const { subprotocols, rdp } = only.decision;
  return { user, target: facts.target, service: facts.service, account: only.account, subprotocols, rdp };
}

/** The same decision for operators, with each reason in words. Opens nothing and is no proof. */
export async function explain(
  db: Db,
  userName: string,
  destination: Destination,
  now: number,
): Promise<{ readonly allowed: boolean; readonly lines: readonly string[] }> {
  const user = await userNamed(db, userName);
  const facts = await factsOf(db, user, destination);
  const lines: string[] = [];
  if (user === undefined) lines.push(`there is no user ${userName}`);
  const bar = user === undefined ? undefined : barOf({ ...user, sources: [] }, '', now);
  if (bar !== undefined) lines.push(`the user is ${bar}`);
  if (user !== undefined && user.sources.length > 0)
    lines.push(`the user may come only from ${user.sources.join(', ')}`);
  if (user?.mustChange === true) lines.push('the user has to change the password first');
  if (facts.target === undefined) lines.push(`there is no target ${destination.target ?? ''}`);
  else if (facts.target.disabled) lines.push('the target is disabled');
  else if (facts.service === undefined) lines.push(`the target has no such ${destination.protocol} service`);
  if (facts.target !== undefined && facts.wanted.length === 0) lines.push('the target has no such account');
  if (user !== undefined && facts.grants.length === 0) lines.push('no grant is for any group of the user');
  const { accounts } = decide(facts, user, undefined, now);
  for (const account of facts.target === undefined ? [] : facts.wanted) {
    const found = accounts.find((at) => at.account.id === account.id);
    for (const grant of facts.grants) {
      lines.push(
        `${account.label}: grant ${grant.name}: ${judgeGrant(grant, wishOf(facts, user, account), now, zoneOffset)}`,
      );
    }
    if (found === undefined) lines.push(`${account.label}: refused`);
    else {
      const { subprotocols, until } = found.decision;
      const end = until === undefined ? '' : ` until ${new Date(until).toISOString()}`;
      lines.push(`${account.label}: allowed (${subprotocols.join(', ')})${end}`);
    }
  }
  return { allowed: accounts.length > 0, lines };
}

interface Facts {
  readonly target: Target | undefined;
  readonly service: (Service & { readonly protocol: SessionProtocol }) | undefined;
  /** The accounts of the target that the wish could mean. */
  readonly wanted: readonly Account[];
  readonly targetGroups: readonly TargetGroupId[];
  readonly grants: readonly Grant[];
  readonly protocol: SessionProtocol;
  /** A connection token leads somewhere else. */
  readonly elsewhere: boolean;
}

const nowhere = newId<TargetId>();

/** The same questions in the same order, whether the target exists or not. */
async function factsOf(db: Db, user: User | undefined, destination: Destination, bound?: TokenPlace): Promise<Facts> {
  const named = destination.target?.toLowerCase();
  const target = await (named === undefined ? targetById(db, bound?.target ?? nowhere) : targetNamed(db, named));
  const accounts = await accountsOf(db, target?.id ?? nowhere);
  const targetGroups = await targetGroupsOf(db, target?.id ?? nowhere);
  const grants = await grantsOf(
    db,
    (user?.groups ?? []).map((group) => group.id),
  );
  const possible = accounts.filter(
    (account) => destination.account === undefined || account.name === destination.account,
  );
  const wanted = possible.filter((account) => bound === undefined || account.id === bound.account);
  const ofToken = bound === undefined || destination.service !== undefined ? undefined : bound.service;
  const name = destination.service ?? target?.services.find((one) => one.id === ofToken)?.name;
  const service = target === undefined ? undefined : serviceFor(target, destination.protocol, name);
  return {
    target,
    service,
    wanted,
    elsewhere:
      bound !== undefined &&
      (target?.id !== bound.target || service?.id !== bound.service || wanted.length < Math.min(1, possible.length)),
    targetGroups,
    grants,
    protocol: destination.protocol,
  };
}

interface Decided {
  readonly accounts: readonly { readonly account: Account; readonly decision: Allowed }[];
  /** Of a refusal; for the audit trail. */
  readonly reason: string;
}

function decide(facts: Facts, user: User | undefined, address: string | undefined, now: number): Decided {
  const no = (reason: string): Decided => ({ accounts: [], reason });
  if (user === undefined) return no('the user does not exist any more');
  const bar = barOf(address === undefined ? { ...user, sources: [] } : user, address ?? '', now);
  // A lock is about logging in; who is in already is not thrown out by somebody else's wrong passwords.
  if (bar !== undefined && bar !== 'locked') return no(`user: ${bar}`);
  if (facts.target === undefined) return no('no such target');
  if (facts.elsewhere) return no('the connection token is for another place');
  if (facts.target.disabled) return no('the target is disabled');
  if (facts.service === undefined) return no('no such service');
  if (facts.wanted.length === 0) return no('no such account');
  const accounts: { account: Account; decision: Allowed }[] = [];
  for (const account of facts.wanted) {
    const decision = evaluate(facts.grants, wishOf(facts, user, account), now, zoneOffset);
    if (decision.allowed) accounts.push({ account, decision });
  }
  return { accounts, reason: accounts.length === 0 ? whyNone(facts, user, now) : '' };
}

/** Names the grants that are for this person and place but do not hold now: an expired one is not the same as none. */
function whyNone(facts: Facts, user: User, now: number): string {
  const near = facts.wanted.flatMap((account) =>
    facts.grants.flatMap((grant) => {
      const why = judgeGrant(grant, wishOf(facts, user, account), now, zoneOffset);
      return why.startsWith('other ') ? [] : [`${grant.name}: ${why}`];
    }),
  );
  const words = [...new Set(near)].join(', ').slice(0, 500);
  return words === '' ? 'no grant allows it now' : `no grant allows it now (${words})`;
}

function wishOf(facts: Facts, user: User | undefined, account: Account): Wish {
  return {
    groups: (user?.groups ?? []).map((group) => group.id),
    account: account.id,
    target: account.target.id,
    targetGroups: facts.targetGroups,
    protocol: facts.protocol,
  };
}

function describe(destination: Destination, target: Target | undefined): string {
  const account = destination.account === undefined ? '' : `${destination.account}@`;
  const service = destination.service === undefined ? '' : `,${destination.service}`;
  return `${account}${destination.target ?? target?.name ?? ''}${service}`.slice(0, 300);
}
