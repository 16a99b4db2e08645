/**
 * Whom and what a randomization concerns: the account, its policy, its connector, where it stands and by whose rights
 * it is changed. Read once at the beginning; nothing secret is in it.
 */
import type { AccountId, Sigkey } from '../../base/ids.ts';
import type { Db } from '../../db/db.ts';
import { hostKeysOf, type Protocol, type Service, serviceFor, type Target, targetById } from '../../estate/estate.ts';
import { type Account, accountById, type Policy, policyById } from '../../vault/vault.ts';
import type { Connector, Place, Tls } from '../connectors/connector.ts';
import { faultOfSettings } from '../connectors/parameters.ts';
import { connectorNamed, verifiersOf } from '../connectors/registry.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';

export interface Subject {
  readonly account: Account;
  readonly policy: Policy;
  /** Undefined where the target cannot be reached as declared, and `subjectOf` was told that it need not be. */
  readonly place: Place | undefined;
  /** The connector's own settings of the account; what every account may say is taken out. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Undefined when nobody changes this account by machine; it can be verified all the same. */
  readonly connector: Connector | undefined;
  /** Whose login proves a value: the connector, or one that speaks with what stands on the target. */
  readonly verifier: Connector;
  /** The account by whose rights the change is made, or undefined for its own. */
  readonly admin: Account | undefined;
  /** The account that may set a new value where the present one is lost. */
  readonly reconciler: Account | undefined;
  readonly skipWhileInUse: boolean;
  /** Refused logins that a verification may cost within half an hour, where the target does not say how many lock it. */
  readonly loginBudget: number;
}

/** The name of a change on its target. */
export function tagOf(sigkey: Sigkey): string {
  return `rot-${sigkey}`;
}

/**
 * Reads the subject. Refused when the account is gone; and when its target is disabled or cannot be reached as declared,
 * unless the caller can do without (`if it can be`): then nobody is asked anything.
 */
export async function subjectOf(
  db: Db,
  id: AccountId,
  reached: 'must be' | 'if it can be' = 'must be',
): Promise<Subject | RotationRefusal> {
  const account = await accountById(db, id);
  if (account === undefined) return turnDown('rotation.account-unknown', `account ${id}`);
  const target = await targetById(db, account.target.id);
  if (target === undefined) return turnDown('rotation.target-incomplete', `${account.target.name} is gone`);
  const policy = await policyById(db, account.policyId);
  if (policy === undefined) return turnDown('rotation.settings-invalid', `${account.label}: its policy is gone`);

  const { skip_while_in_use: skip, login_budget: budget, service, ...settings } = account.settings;
  const connector = account.connector === null ? undefined : connectorNamed(account.connector);
  const named = typeof service === 'string' ? service : undefined;
  const possible = connector === undefined ? verifiersOf(account.kind, target.platform) : [connector];
  const [usual] = possible;
  if (usual === undefined)
    return turnDown('rotation.no-connector', `nothing checks credentials of kind ${account.kind}`);
  const reaching = possible.find((one) => serviceOf(target, one.protocols, named) !== undefined);
  const verifier = reaching ?? usual;
  const protocols = reaching?.protocols ?? possible.flatMap((one) => one.protocols);
  const place = await placeOf(db, target, [...new Set(protocols)], named);
  if (typeof place === 'string' && reached === 'must be') return turnDown('rotation.target-incomplete', place);
  const fault = connector && faultOf(connector, account, settings);
  if (fault !== undefined) return turnDown('rotation.settings-invalid', `${account.label}: ${fault}`);

  const helpers: (Account | undefined)[] = [];
  for (const [role, helper] of [
    ['administrator', account.adminAccountId],
    ['reconcile', account.reconcileAccountId],
  ] as const) {
    const found = helper === null ? undefined : await accountById(db, helper);
    if (helper !== null && found === undefined)
      return turnDown('rotation.settings-invalid', `${account.label}: its ${role} account was removed`);
    if (found !== undefined && found.target.id !== account.target.id)
      return turnDown('rotation.settings-invalid', `${account.label}: ${found.label} stands on another target`);
    helpers.push(found);
  }
  return {
    account,
    policy,
    place: typeof place === 'string' ? undefined : place,
    settings,
    connector,
    verifier,
    admin: helpers[0],
    reconciler: helpers[1],
    skipWhileInUse: skip !== false,
    loginBudget: typeof budget === 'number' && budget >= 0 ? budget : usualLoginBudget,
  };
}

const usualLoginBudget = 2;

/** The service by which one of the protocols is spoken there, the first by their order. */
function serviceOf(target: Target, protocols: readonly Protocol[], name: string | undefined): Service | undefined {
  return protocols.map((protocol) => serviceFor(target, protocol, name)).find((one) => one !== undefined);
}

/** Where the target is reached, or what is missing for that. */
async function placeOf(
  db: Db,
  target: Target,
  protocols: readonly Protocol[],
  name: string | undefined,
): Promise<Place | string> {
  if (target.disabled) return `${target.name} is disabled`;
  const service = serviceOf(target, protocols, name);
  if (service === undefined)
    return `${target.name} has no ${inWords(protocols)} service${name === undefined ? '' : ` named ${name}`}`;
  const keys = (await hostKeysOf(db, service.id)).filter((key) => key.state === 'trusted');
  if (service.protocol === 'ssh' && keys.length === 0) return `no host key of ${target.name} is trusted`;
  const { tls, ...settings } = service.settings;
  return {
    protocol: service.protocol,
    address: target.address,
    port: service.port,
    hostKeys: keys.map((key) => key.blob),
    tls: tlsOf(tls),
    settings,
  };
}

function inWords(protocols: readonly Protocol[]): string {
  const last = protocols.at(-1) ?? '';
  return protocols.length < 2 ? last : `${protocols.slice(0, -1).join(', ')} or ${last}`;
}

/** Certificates are checked unless the declaration says `tls: off`. */
function tlsOf(tls: unknown): Tls {
  if (tls === 'off') return { kind: 'off' };
  const { serverName, ca } = (tls ?? {}) as { serverName?: string; ca?: string };
  return {
    kind: 'verify',
    ...(serverName === undefined ? {} : { serverName }),
    ...(ca === undefined ? {} : { ca }),
  };
}

function faultOf(
  connector: Connector,
  account: Account,
  settings: Readonly<Record<string, unknown>>,
): string | undefined {
  if (connector.kind !== account.kind) return `${connector.name} changes no credentials of kind ${account.kind}`;
  if (connector.capabilities.modes.length === 0)
    return `${connector.name} changes nothing: let the account name no connector, and its values are tried by it all the same`;
  const mode = account.adminAccountId === null ? 'self' : 'admin';
  if (!connector.capabilities.modes.includes(mode)) return `${connector.name} cannot change an account by mode ${mode}`;
  if (account.viaAccountId !== null && !connector.capabilities.via)
    return `${connector.name} cannot log in through another account`;
  return connector.faultOfName(account.name) ?? faultOfSettings(connector.name, connector.parameters, settings);
}
