/** The decision against a second opinion: a plain evaluator written from the words of the specification. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate, type Grant, judgeGrant, type Wish } from '../../../src/access/plan/evaluate.ts';
import { zoneOffset } from '../../../src/base/zones.ts';
import type { AccountId, GrantId, GroupId, Id, TargetId } from '../../../src/base/ids.ts';

const hour = 3_600_000;
const midnight = Date.parse('2026-11-20T00:00:00Z');

/** A grant in hours of one UTC day, with small names for everything. */
interface Small {
  group: string;
  accounts: string[];
  targets: string[];
  parts: string[];
  subprotocols: string[];
  /** From, to: hours of the day, over midnight when not in order. */
  frame: [number, number] | undefined;
  from: number | undefined;
  to: number | undefined;
  overtimable: boolean;
  content: boolean;
  disabled: boolean;
}

interface Question {
  groups: string[];
  account: string;
  target: string;
  parts: string[];
  hour: number;
}

/** What the rules say, one after another, without cleverness. */
function reference(grants: readonly Small[], asked: Question): { what: string[]; end: number; content: boolean } {
  const what = new Map<string, number>();
  let content = false;
  for (const grant of grants) {
    if (grant.disabled) continue;
    if (!asked.groups.includes(grant.group)) continue;
    const here =
      grant.accounts.includes(asked.account) ||
      grant.targets.includes(asked.target) ||
      grant.parts.some((part) => asked.parts.includes(part));
    if (!here) continue;
    if (grant.from !== undefined && asked.hour < grant.from) continue;
    if (grant.to !== undefined && asked.hour >= grant.to) continue;
    let end = grant.to ?? Infinity;
    if (grant.frame !== undefined) {
      const inside = (at: number): boolean => {
        const [start, stop] = grant.frame ?? [0, 24];
        const clock = at % 24;
        return start < stop ? clock >= start && clock < stop : clock >= start || clock < stop;
      };
      if (!inside(asked.hour)) continue;
      let out = asked.hour;
      while (inside(out) && out < asked.hour + 48) out++;
      if (out === asked.hour + 48) out = Infinity;
      if (!grant.overtimable) end = Math.min(end, out);
    }
    const ssh = grant.subprotocols.filter((name) => name !== 'rdp');
    for (const name of ssh) what.set(name, Math.max(what.get(name) ?? 0, end));
    if (ssh.length > 0) content ||= grant.content;
  }
  return { what: [...what.keys()].sort(), end: Math.min(...what.values()), content };
}

const clock = (at: number): string => `${String(at).padStart(2, '0')}:00`;

function grantOf(small: Small, at: number): Grant {
  return {
    id: `g${at}` as GrantId,
    name: `g${at}`,
    disabled: small.disabled,
    group: small.group as GroupId,
    accounts: small.accounts as AccountId[],
    targets: small.targets as TargetId[],
    targetGroups: small.parts as Id<'target-group'>[],
    subprotocols: small.subprotocols,
    frames:
      small.frame === undefined
        ? []
        : [{ zone: 'UTC', periods: [{ start: clock(small.frame[0]), end: clock(small.frame[1]) }] }],
    validFrom: small.from === undefined ? undefined : midnight + small.from * hour,
    expiresAt: small.to === undefined ? undefined : midnight + small.to * hour,
    overtimable: small.overtimable,
    recordContent: small.content,
    rdp: {},
  };
}

const some = (...names: string[]) => fc.subarray(names);
const small: fc.Arbitrary<Small> = fc.record({
  group: fc.constantFrom('admins', 'users'),
  accounts: some('root', 'deploy'),
  targets: some('web', 'db'),
  parts: some('blue', 'green'),
  subprotocols: fc.subarray(['shell', 'exec', 'sftp', 'rdp'], { minLength: 1 }),
  frame: fc.option(fc.tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 23 })), { nil: undefined }),
  from: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined, freq: 3 }),
  to: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 3 }),
  overtimable: fc.boolean(),
  content: fc.boolean(),
  disabled: fc.boolean(),
});
const question: fc.Arbitrary<Question> = fc.record({
  groups: some('admins', 'users'),
  account: fc.constantFrom('root', 'deploy'),
  target: fc.constantFrom('web', 'db'),
  parts: some('blue', 'green'),
  hour: fc.integer({ min: 0, max: 47 }),
});

test('every decision is that of the reference evaluator', () => {
  let allowed = 0;
  fc.assert(
    fc.property(fc.array(small, { maxLength: 6 }), question, (grants, asked) => {
      const wish: Wish = {
        groups: asked.groups as GroupId[],
        account: asked.account as AccountId,
        target: asked.target as TargetId,
        targetGroups: asked.parts as Id<'target-group'>[],
        protocol: 'ssh',
      };
      const decision = evaluate(grants.map(grantOf), wish, midnight + asked.hour * hour, zoneOffset);
      const expected = reference(grants, asked);
      if (decision.allowed) allowed++;
      expect(decision.allowed).toBe(expected.what.length > 0);
      if (!decision.allowed) return;
      expect([...decision.subprotocols].sort()).toEqual(expected.what);
      expect(decision.until).toBe(expected.end === Infinity ? undefined : midnight + expected.end * hour);
      expect(decision.recordContent).toBe(expected.content);
    }),
    { numRuns: 3000, seed: 20261121 },
  );
  // The question is not always answered with no.
  expect(allowed).toBeGreaterThan(300);
});

test('overtime is for sessions that began inside the frame', () => {
  const base: Small = {
    group: 'admins',
    accounts: ['root'],
    targets: [],
    parts: [],
    subprotocols: ['shell'],
    frame: [8, 18],
    from: undefined,
    to: undefined,
    overtimable: true,
    content: false,
    disabled: false,
  };
  const wish = {
    groups: ['admins' as GroupId],
    account: 'root' as AccountId,
    target: 'web' as TargetId,
    targetGroups: [],
    protocol: 'ssh' as const,
  };
  const at = (grant: Small, since: number | undefined): string =>
    judgeGrant(
      grantOf(grant, 0),
      since === undefined ? wish : { ...wish, since: midnight + since * hour },
      midnight + 19 * hour,
      zoneOffset,
    );
  expect(at(base, 17)).toBe('allows');
  expect(at(base, 7)).toBe('outside its time frame');
  expect(at(base, undefined)).toBe('outside its time frame');
  expect(at({ ...base, overtimable: false }, 17)).toBe('outside its time frame');
  expect(at({ ...base, to: 19 }, 17)).toBe('expired');
});
