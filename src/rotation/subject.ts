/**
 * Whom and what a randomization concerns: the account, its policy, its connector, where it stands and by whose rights
 * it is changed. Read once at the beginning; nothing secret is in it.
 */
import type { AccountId } from '../base/ids.ts';
import type { Db } from '../db/db.ts';
import { hostKeysOf, serviceFor, targetById } from '../estate/estate.ts';
import { type Account, accountById, policyById } from '../vault/vault.ts';
import type { Connector, Place } from './connectors/connector.ts';
import { connectorNamed, verifierOf } from './connectors/registry.ts';
import { type RotationRefusal, turnDown } from './refusal.ts';

export interface Subject {
  readonly account: Account;
  readonly place: Place;
  /** Undefined when nobody changes this account by machine; it can be verified all the same. */
  readonly connector: Connector | undefined;
  /** Whose login proves a value: the connector, or the usual one of the account's kind. */
  readonly verifier: Connector;
  /** The account by whose rights the change is made, or undefined for its own. */
  readonly admin: Account | undefined;
  readonly enabled: boolean;
  readonly skipWhileInUse: boolean;
}

/** Reads the subject. Refused when the account is gone or its target cannot be reached as declared. */
export async function subjectOf(db: Db, id: AccountId): Promise<Subject | RotationRefusal> {
  const account = await accountById(db, id);
  if (account === undefined) return turnDown('rotation.account-unknown', `account ${id}`);
  const target = await targetById(db, account.target.id);
  if (target === undefined || target.disabled)
    return turnDown('rotation.target-incomplete', `${account.target.name} is disabled or gone`);
  const service = serviceFor(target, 'ssh');
  if (service === undefined) return turnDown('rotation.target-incomplete', `${target.name} has no ssh service`);
  const keys = (await hostKeysOf(db, service.id)).filter((key) => key.state === 'trusted');
  if (keys.length === 0) return turnDown('rotation.target-incomplete', `no host key of ${target.name} is trusted`);

  const verifier = verifierOf(account.kind);
  if (verifier === undefined)
    return turnDown('rotation.no-connector', `nothing checks credentials of kind ${account.kind}`);
  const connector = account.connector === null ? undefined : connectorNamed(account.connector);
  const fault = connector && faultOf(connector, account);
  if (fault !== undefined) return turnDown('rotation.settings-invalid', `${account.label}: ${fault}`);

  const admin = account.adminAccountId === null ? undefined : await accountById(db, account.adminAccountId);
  if (account.adminAccountId !== null && admin === undefined)
    return turnDown('rotation.settings-invalid', `${account.label}: its administrator account was removed`);
  if (admin !== undefined && admin.target.id !== account.target.id)
    return turnDown('rotation.settings-invalid', `${account.label}: ${admin.label} stands on another target`);
  const policy = await policyById(db, account.policyId);
  return {
    account,
    place: { address: target.address, port: service.port, hostKeys: keys.map((key) => key.blob) },
    connector,
    verifier: connector ?? verifier,
    admin,
    enabled: policy?.rotation ?? false,
    skipWhileInUse: account.settings['skip_while_in_use'] !== false,
  };
}

function faultOf(connector: Connector, account: Account): string | undefined {
  if (connector.kind !== account.kind) return `${connector.name} changes no credentials of kind ${account.kind}`;
  const mode = account.adminAccountId === null ? 'self' : 'admin';
  if (!connector.modes.includes(mode)) return `${connector.name} cannot change an account by mode ${mode}`;
  const { skip_while_in_use: _, ...own } = account.settings;
  return connector.faultOfName(account.name) ?? connector.faultOf(own);
}
