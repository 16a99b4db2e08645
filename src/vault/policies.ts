/**
 * Policies in the database. A change makes a new version, so that what was in force when stays known. The four templates
 * that come with the installation are copied, never changed; the database refuses it too.
 */
import { type Actor, record } from '../audit/audit.ts';
import type { PolicyId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Change } from './change.ts';
import { VaultError } from './errors.ts';
import { faultsOf, type Minimum, type PolicyRules } from './policy/rules.ts';

export interface Policy extends PolicyRules {
  readonly id: PolicyId;
  readonly name: string;
  readonly description: string;
  readonly template: boolean;
  readonly version: number;
}

export interface PolicyDeclaration {
  readonly name: string;
  readonly description?: string;
  /** The policy whose rules hold where `rules` says nothing; `Standard` unless told. */
  readonly copyOf?: string;
  readonly rules?: Partial<PolicyRules>;
}

function selectPolicies(db: Db | Tx) {
  return db
    .selectFrom('policy')
    .innerJoin('policy_version as v', 'v.policy_id', 'policy.id')
    .where('v.version', '=', (eb) =>
      eb
        .selectFrom('policy_version as newest')
        .select((row) => row.fn.max('newest.version').as('newest'))
        .whereRef('newest.policy_id', '=', 'policy.id'),
    )
    .select(['policy.id', 'policy.name', 'policy.template', 'v.version', 'v.description', 'v.rules']);
}

type PolicyRow = Awaited<ReturnType<ReturnType<typeof selectPolicies>['execute']>>[number];

function policyOf(row: PolicyRow): Policy {
  const rules = parseRules(row.rules);
  if (rules === undefined) throw new VaultError('vault.policy-invalid', `the stored rules of ${row.name}`);
  const { id, name, template, version, description } = row;
  return { ...rules, id, name, template, version, description };
}

/** All policies in their present version, templates first, then by name. */
export async function policies(db: Db | Tx): Promise<Policy[]> {
  const rows = await selectPolicies(db).orderBy('policy.template', 'desc').orderBy('policy.name').execute();
  return rows.map(policyOf);
}

export async function policyById(db: Db | Tx, id: PolicyId): Promise<Policy | undefined> {
  const row = await selectPolicies(db).where('policy.id', '=', id).executeTakeFirst();
  return row && policyOf(row);
}

export async function policyNamed(db: Db | Tx, name: string): Promise<Policy | undefined> {
  const row = await selectPolicies(db).where('policy.name', '=', name).executeTakeFirst();
  return row && policyOf(row);
}

/**
 * Makes the policies be as declared, in the caller's transaction, and says what changed. Policies
 * that are not declared stay. Throws `vault.policy-invalid` with every reason, `vault.policy-template`,
 * `vault.policy-unknown` (of `copyOf`).
 */
export async function declarePolicies(
  tx: Tx,
  desired: readonly PolicyDeclaration[],
  { actor }: { readonly actor: Actor },
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const declaration of desired) {
    if (changes.some((change) => change.name === declaration.name))
      throw new VaultError('vault.policy-invalid', `${declaration.name} is declared twice`);
    changes.push(await declareOne(tx, declaration, actor));
  }
  return changes;
}

const ruleNames = [
  'length',
  'uppercase',
  'lowercase',
  'digits',
  'special',
  'specialCharacters',
  'noUsername',
  'noDictionaryWords',
  'noSequential',
  'noRepeatedChars',
  'history',
  'maxAgeDays',
  'rotation',
] as const satisfies readonly (keyof PolicyRules)[];

async function declareOne(tx: Tx, declaration: PolicyDeclaration, actor: Actor): Promise<Change> {
  const object = 'policy';
  const { name } = declaration;
  const before = await policyNamed(tx, name);
  if (before?.template === true) throw new VaultError('vault.policy-template', name);
  const base = await policyNamed(tx, declaration.copyOf ?? 'Standard');
  if (base === undefined) throw new VaultError('vault.policy-unknown', `${declaration.copyOf}, copied by ${name}`);
  const wished = { ...pickRules(base), ...declaration.rules };
  const faults = faultsOf(wished);
  if (faults.length > 0) throw new VaultError('vault.policy-invalid', `${name}: ${faults.join('; ')}`);
  const description = declaration.description ?? '';
  const id = before?.id ?? newId<PolicyId>();
  const fields = before === undefined ? [] : differences(before, wished);
  if (before !== undefined && before.description !== description) fields.push('description');
  if (before !== undefined && fields.length === 0) return { object, name, change: 'same' };
  if (before === undefined) await tx.insertInto('policy').values({ id, name }).execute();
  await tx
    .insertInto('policy_version')
    .values({ policy_id: id, version: (before?.version ?? 0) + 1, description, rules: JSON.stringify(wished) })
    .execute();
  const after = { description, rules: JSON.stringify(wished) };
  if (before === undefined) {
    await record(tx, actor, { type: 'vault.policy.created', about: { policy: id }, details: { name, after } });
    return { object, name, change: 'created' };
  }
  const was = { description: before.description, rules: JSON.stringify(pickRules(before)) };
  await record(tx, actor, {
    type: 'vault.policy.changed',
    about: { policy: id },
    details: { name, before: was, after },
  });
  return { object, name, change: 'changed', fields };
}

function pickRules(rules: PolicyRules): PolicyRules {
  return Object.fromEntries(ruleNames.map((name) => [name, rules[name]])) as unknown as PolicyRules;
}

function differences(before: PolicyRules, after: PolicyRules): string[] {
  return ruleNames.filter((name) =>
    name === 'length'
      ? before.length.min !== after.length.min || before.length.max !== after.length.max
      : before[name] !== after[name],
  );
}

/** Rules as stored, or undefined if they are not rules. Sound rules and readable ones are two things: see `faultsOf`. */
export function parseRules(value: unknown): PolicyRules | undefined {
  if (!isRecord(value)) return undefined;
  const { length, specialCharacters, history, noUsername, noDictionaryWords, noSequential, rotation } = value;
  if (!isRecord(length) || typeof length['min'] !== 'number' || typeof length['max'] !== 'number') return undefined;
  if (typeof specialCharacters !== 'string' || typeof history !== 'number') return undefined;
  if (typeof noUsername !== 'boolean' || typeof noDictionaryWords !== 'boolean') return undefined;
  if (typeof noSequential !== 'boolean' || typeof rotation !== 'boolean') return undefined;
  const minima = ['uppercase', 'lowercase', 'digits', 'special', 'noRepeatedChars', 'maxAgeDays'] as const;
  const found: Partial<Record<(typeof minima)[number], Minimum>> = {};
  for (const name of minima) {
    const minimum = value[name];
    if (typeof minimum !== 'number' && minimum !== null) return undefined;
    found[name] = minimum;
  }
  return {
    ...(found as Record<(typeof minima)[number], Minimum>),
    length: { min: length['min'], max: length['max'] },
    specialCharacters,
    noUsername,
    noDictionaryWords,
    noSequential,
    history,
    rotation,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
