/**
 * `estate.yaml`: targets, accounts, people, groups, policies and grants as text. It is parsed once, here, into
 * declarations of the rooms; what it does not know it refuses with path and line. It holds no secrets and refuses keys
 * that look like one, because such a file is copied, mailed and committed.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { GrantDeclaration, Period } from '../access/access.ts';
import { wordsOf } from '../base/errors.ts';
import type { TargetDeclaration, TargetGroupDeclaration } from '../estate/estate.ts';
import { isUserName, roles, type UserDeclaration, type UserGroupDeclaration } from '../identity/identity.ts';
import type { ManagementDeclaration, Schedule } from '../rotation/rotation.ts';
import type { AccountDeclaration, PolicyDeclaration } from '../vault/vault.ts';
import { KeeperError } from './errors.ts';
import { ManagementShape, scheduleOf, ScheduleShape } from './estate-schedules.ts';
import { targetOf, TargetShape } from './estate-targets.ts';

export interface Estate {
  readonly policies: readonly PolicyDeclaration[];
  readonly schedules: readonly Schedule[];
  readonly management: readonly ManagementDeclaration[];
  readonly groups: readonly UserGroupDeclaration[];
  readonly users: readonly UserDeclaration[];
  readonly targets: readonly TargetDeclaration[];
  readonly targetGroups: readonly TargetGroupDeclaration[];
  readonly accounts: readonly AccountDeclaration[];
  readonly grants: readonly GrantDeclaration[];
}

const mostCharacters = 1024 * 1024;

const Name = Type.String({ minLength: 1, maxLength: 255 });
// As the database wants them, so that a wrong one is refused by its line.
const GroupName = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' });
const Words = Type.String({ maxLength: 1024 });
const List = <T extends TSchema>(item: T) => Type.Array(item, { maxItems: 100_000 });
const Optional = Type.Optional;
const strict = { additionalProperties: false } as const;
const When = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}(:\\d{2})?(Z|[+-]\\d{2}:\\d{2}))?$' });
const OneOf = <const V extends readonly string[]>(values: V) => Type.Unsafe<V[number]>(Type.Enum([...values]));
const weekdayNames = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const Frame = Type.Object(
  {
    zone: Name,
    periods: List(
      Type.Object(
        {
          from: Optional(Name),
          to: Optional(Name),
          start: Optional(Name),
          end: Optional(Name),
          weekdays: Optional(List(OneOf(weekdayNames))),
        },
        strict,
      ),
    ),
  },
  strict,
);

const Minimum = Optional(Type.Union([Type.Null(), Type.Integer({ minimum: 0, maximum: 128 })]));

const File = Type.Object(
  {
    policies: Optional(
      List(
        Type.Object(
          {
            name: Name,
            description: Optional(Words),
            copyOf: Optional(Name),
            rules: Optional(
              Type.Object(
                {
                  length: Optional(Type.Object({ min: Type.Integer(), max: Type.Integer() }, strict)),
                  uppercase: Minimum,
                  lowercase: Minimum,
                  digits: Minimum,
                  special: Minimum,
                  specialCharacters: Optional(Words),
                  noUsername: Optional(Type.Boolean()),
                  noDictionaryWords: Optional(Type.Boolean()),
                  noSequential: Optional(Type.Boolean()),
                  noRepeatedChars: Optional(Type.Union([Type.Null(), Type.Integer()])),
                  history: Optional(Type.Integer({ minimum: 0 })),
                  maxAgeDays: Optional(Type.Union([Type.Null(), Type.Number()])),
                  rotation: Optional(Type.Boolean()),
                },
                strict,
              ),
            ),
          },
          strict,
        ),
      ),
    ),
    schedules: Optional(List(ScheduleShape)),
    management: Optional(List(ManagementShape)),
    groups: Optional(List(Type.Object({ name: GroupName, description: Optional(Words) }, strict))),
    users: Optional(
      List(
        Type.Object(
          {
            name: Name,
            displayName: Optional(Words),
            roles: Optional(List(OneOf(roles))),
            groups: Optional(List(Name)),
            keys: Optional(List(Type.String({ maxLength: 16_384 }))),
            expires: Optional(When),
            sources: Optional(List(Name)),
            disabled: Optional(Type.Boolean()),
          },
          strict,
        ),
      ),
    ),
    targets: Optional(List(TargetShape)),
    targetGroups: Optional(
      List(Type.Object({ name: GroupName, description: Optional(Words), targets: List(Name) }, strict)),
    ),
    accounts: Optional(
      List(
        Type.Object(
          {
            name: Name,
            kind: Optional(OneOf(['password', 'ssh-key', 'certificate', 'api-key'])),
            policy: Optional(Name),
            connector: Optional(Type.Union([Type.Null(), Name])),
            admin: Optional(Type.Union([Type.Null(), Name])),
            via: Optional(Type.Union([Type.Null(), Name])),
            reconcile: Optional(Type.Union([Type.Null(), Name])),
            autoReconcile: Optional(Type.Boolean()),
            rotateAfterSession: Optional(Type.Boolean()),
            settings: Optional(Type.Record(Type.String(), Type.Unknown())),
          },
          strict,
        ),
      ),
    ),
    grants: Optional(
      List(
        Type.Object(
          {
            name: Name,
            description: Optional(Words),
            group: Name,
            accounts: Optional(List(Name)),
            targets: Optional(List(Name)),
            targetGroups: Optional(List(Name)),
            subprotocols: Optional(List(Name)),
            frames: Optional(List(Frame)),
            validFrom: Optional(When),
            expires: Optional(When),
            overtimable: Optional(Type.Boolean()),
            recordContent: Optional(Type.Boolean()),
            rdp: Optional(
              Type.Object(
                {
                  depth: Optional(Type.Unsafe<16 | 24 | 32>(Type.Enum([16, 24, 32]))),
                  maxWidth: Optional(Type.Integer({ minimum: 200, maximum: 8192 })),
                  maxHeight: Optional(Type.Integer({ minimum: 200, maximum: 8192 })),
                  idleMinutes: Optional(Type.Integer({ minimum: 1, maximum: 1440 })),
                  application: Optional(Type.String({ minLength: 1, maxLength: 255 })),
                  keys: Optional(OneOf(['all', 'masked', 'none'])),
                },
                strict,
              ),
            ),
            disabled: Optional(Type.Boolean()),
          },
          strict,
        ),
      ),
    ),
  },
  strict,
);

type FileShape = Static<typeof File>;

/** Parses the text. Throws `keeper.estate-invalid` or `keeper.estate-secret`, naming line and path. */
export function readEstate(text: string): Estate {
  if (text.length > mostCharacters) throw new KeeperError('keeper.estate-invalid', 'larger than 1 MiB');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const [fault] = document.errors;
  if (fault !== undefined) throw new KeeperError('keeper.estate-invalid', fault.message.split('\n')[0]);
  refuseSecrets(document, lines);
  const value = valueOf(document);
  if (!Value.Check(File, value)) {
    const [error] = Value.Errors(File, value).filter((at) => at.keyword !== 'additionalProperties');
    const path = (error?.instancePath ?? '').split('/').slice(1);
    const words = error?.keyword === 'boolean' ? 'unknown key' : (error?.message ?? 'not as expected');
    throw invalid(document, lines, path, words);
  }
  refuseTwice(document, lines, value);
  return {
    policies: (value.policies ?? []) as PolicyDeclaration[],
    schedules: (value.schedules ?? []).map((schedule, at) =>
      scheduleOf(schedule, (path, words) => invalid(document, lines, ['schedules', at, ...path], words)),
    ),
    management: value.management ?? [],
    groups: value.groups ?? [],
    users: (value.users ?? []).map((user, at) =>
      userOf(user, (field, words) => invalid(document, lines, ['users', at, field], words)),
    ),
    targets: (value.targets ?? []).map((target, at) =>
      targetOf(target, (words) => invalid(document, lines, ['targets', at], words)),
    ),
    targetGroups: (value.targetGroups ?? []).map(({ targets, ...group }) => ({ ...group, members: targets })),
    accounts: (value.accounts ?? []).map((account) => ({ ...account, kind: account.kind ?? 'password' })),
    grants: (value.grants ?? []).map((grant, at) =>
      grantOf(grant, (field, words) => invalid(document, lines, ['grants', at, field], words)),
    ),
  };
}

/** Throws for aliases that multiply or lead nowhere. */
function valueOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw new KeeperError('keeper.estate-invalid', wordsOf(error), { cause: error });
  }
}

type Item<K extends keyof FileShape> = NonNullable<FileShape[K]>[number];

function userOf(
  { keys, expires, ...user }: Item<'users'>,
  fail: (field: string, words: string) => Error,
): UserDeclaration {
  if (!isUserName(user.name)) throw fail('name', 'lower-case letters, digits and . _ + - @');
  return {
    ...user,
    roles: user.roles ?? [],
    groups: user.groups ?? [],
    ...(keys === undefined ? {} : { publicKeys: keys }),
    ...(expires === undefined ? {} : { expiresAt: dateOf(expires, (words) => fail('expires', words)) }),
  };
}

function grantOf(
  { expires, validFrom, frames, ...grant }: Item<'grants'>,
  fail: (field: string, words: string) => Error,
): GrantDeclaration {
  return {
    ...grant,
    ...(frames === undefined
      ? {}
      : { frames: frames.map((frame) => ({ ...frame, periods: frame.periods.map(periodOf) })) }),
    ...(expires === undefined ? {} : { expiresAt: dateOf(expires, (words) => fail('expires', words)) }),
    ...(validFrom === undefined ? {} : { validFrom: dateOf(validFrom, (words) => fail('validFrom', words)) }),
  };
}

type FilePeriod = NonNullable<Item<'grants'>['frames']>[number]['periods'][number];

function periodOf({ weekdays, ...period }: FilePeriod): Period {
  return {
    ...period,
    ...(weekdays === undefined ? {} : { weekdays: weekdays.map((name) => weekdayNames.indexOf(name) + 1) }),
  };
}

/** A date alone is its first instant in UTC. */
function dateOf(text: string, fail: (words: string) => Error): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw fail('there is no such date');
  return date;
}

const secretKey = /^(password|passwd|passwort|pass|secret|passphrase|private[-_]?key|token|credential|seed|totp)s?$/i;

function refuseSecrets(document: Document, lines: LineCounter): void {
  visit(document, {
    Pair(_, pair) {
      if (!isScalar(pair.key) || typeof pair.key.value !== 'string' || !secretKey.test(pair.key.value)) return;
      const line = lines.linePos(pair.key.range?.[0] ?? 0).line;
      throw new KeeperError('keeper.estate-secret', `line ${line}, key ${pair.key.value}`);
    },
    Scalar(_, node) {
      if (typeof node.value !== 'string' || !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(node.value)) return;
      throw new KeeperError('keeper.estate-secret', `line ${lines.linePos(node.range?.[0] ?? 0).line}, a private key`);
    },
  });
}

function refuseTwice(document: Document, lines: LineCounter, value: FileShape): void {
  for (const [list, items] of Object.entries(value)) {
    const seen = new Set<string>();
    for (const [at, item] of items.entries()) {
      const [key, name] = 'policy' in item && !('name' in item) ? ['policy', item.policy] : ['name', item.name];
      if (seen.has(name)) throw invalid(document, lines, [list, at, key], 'declared twice');
      seen.add(name);
    }
  }
}

/** `line 12, users[0].nmae: unknown key`. */
function invalid(
  document: Document,
  lines: LineCounter,
  path: readonly (string | number)[],
  words: string,
): KeeperError {
  const keys = path.map((part) => (/^\d+$/.test(String(part)) ? Number(part) : String(part)));
  let line: number | undefined;
  for (let length = keys.length; length > 0 && line === undefined; length--) {
    line = lineOf(document, lines, keys.slice(0, length));
  }
  const spelled = keys
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
  return new KeeperError('keeper.estate-invalid', `line ${line ?? 1}, ${spelled || 'the whole file'}: ${words}`);
}

/** The line of a key in a map, or of an item in a list. */
function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === last);
    const key = pair?.key;
    if (isScalar(key) && key.range != null) return lines.linePos(key.range[0]).line;
    return undefined;
  }
  const node = document.getIn(path, true);
  return isNode(node) && node.range != null ? lines.linePos(node.range[0]).line : undefined;
}
