/**
 * The connector rdp-nla, in its process: the list that all connectors keep, as far as it is about trying values, at a server
 * that gives its reasons as Windows does; and FreeRDP's server, which gives none.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Place } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { startFalseTarget } from '../lab/rdp/false-target.ts';
import { type NlaTarget, startNlaTarget } from '../lab/rdp/nla-target.ts';
import { type ShadowServer, startShadow } from '../lab/rdp/shadow.ts';
import { freePort } from '../lab/server.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import { ask, drawn, password, value } from '../rotation/connectors/machine.ts';

const base = { protocol: 'rdp', tls: { kind: 'verify' }, settings: {} } as const;

let target: NlaTarget;
beforeAll(async () => {
  target = await startNlaTarget('app');
});
afterAll(async () => await target?.[Symbol.asyncDispose]());

const nothing = 'no password is changed over rdp';

conformance({
  connector: 'rdp-nla',
  account: 'app',
  place: (at = target) => ({ ...base, address: at.address, port: at.port, hostKeys: [target.pin] }),
  impostor: (place) => ({ ...place, hostKeys: [new Uint8Array(32).fill(1)] }),
  admins: {},
  powerless: undefined,
  draw: async () => value(drawn()),
  plant: async () => {
    target.password = drawn();
    target.misses = 0;
    return value(target.password);
  },
  forbid: async () => {
    throw new Error(nothing);
  },
  lock: async () => {
    target.manner = { status: 0xc0000234 };
    return {
      [Symbol.asyncDispose]: async () => {
        target.manner = 'honest';
      },
    };
  },
  strikes: async () => {
    target.lockAfter = 3;
    return {
      locked: async () => target.misses >= 3,
      [Symbol.asyncDispose]: async () => {
        target.lockAfter = undefined;
      },
    };
  },
  settled: async () => {},
  without: {
    change: nothing,
    powerless: nothing,
    self: nothing,
    lie: nothing,
    nasty: nothing,
    expire: 'whether only a right password is told that it has expired is not known of every server',
  },
});

test('the password itself never leaves, right or wrong, whatever the server does', async () => {
  const secret = drawn();
  target.password = secret;
  for (const manner of ['honest', 'pretends', 'hangs up', { status: 0xc0000071 }] as const)
    for (const tried of [secret, `${secret}x`]) {
      target.manner = manner;
      const before = target.visits.length;
      await verify({ ...base, address: target.address, port: target.port, hostKeys: [target.pin] }, 'app', tried);
      await target.over(before + 1);
      const visit = target.visits.at(-1);
      // The request and the proof; what would come then is the password.
      expect(visit?.messages, `${JSON.stringify(manner)}`).toBe(2);
      expect(visit?.delegated).toBeUndefined();
      for (const form of ['utf8', 'utf16le'] as const) expect(visit?.inside.includes(tried, 0, form)).toBe(false);
    }
  target.manner = 'honest';
});

function verify(place: Place, user: string, text: string): Promise<Answer> {
  const task = { place, account: user, settings: {} };
  return ask({ connector: 'rdp-nla', operation: 'verify', task, login: { user, credential: password(text) } });
}

describe('at FreeRDP’s server', () => {
  const right = drawn();
  let shadow: ShadowServer;
  beforeAll(async () => {
    shadow = await startShadow({ accounts: [{ name: 'shadow', password: right }] });
  });
  afterAll(async () => await shadow?.[Symbol.asyncDispose]());

  const place = (change: Partial<Place> = {}): Place => ({
    ...base,
    address: shadow.address,
    port: shadow.port,
    hostKeys: [pinOf(shadow.certificate)],
    ...change,
  });

  test('a right password is accepted', async () => {
    expect(await verify(place(), 'shadow', right)).toMatchObject({ outcome: 'accepted', class: 'none' });
  });

  test('a wrong password and an unknown user are hung up on, and nothing more than "probably" is made of that', async () => {
    for (const [user, text] of [
      ['shadow', `${right}x`],
      ['nobody-here', right],
    ] as const)
      expect(await verify(place(), user, text)).toMatchObject({
        outcome: 'unknown',
        class: 'authentication',
        words: expect.stringContaining('probably'),
        counts: true,
      });
    expect(await verify(place(), 'shadow', right)).toMatchObject({ outcome: 'accepted' });
  });

  test('another certificate than the trusted one ends it before anything was sent', async () => {
    await using impostor = await startFalseTarget({ chooses: 'nla' });
    const { address, port } = impostor;
    expect(await verify(place({ address, port }), 'shadow', right)).toMatchObject({
      outcome: 'unknown',
      class: 'certificate',
      words: expect.stringContaining(impostor.fingerprint),
    });
    await impostor.over(1);
    expect(impostor.visits).toHaveLength(1);
    expect(impostor.visits[0]?.inside.length).toBe(0);
    expect(impostor.heard('shadow')).toBe(false);
  });

  test('where nothing listens that is said', async () => {
    const port = await freePort();
    expect(await verify(place({ port }), 'shadow', right)).toMatchObject({
      outcome: 'unknown',
      class: 'unreachable-refused',
    });
  });
});

test('a server that has no NLA where it is declared is told apart from a wrong password', async () => {
  await using shadow = await startShadow({ accounts: [], security: 'tls' });
  const place = { ...base, address: shadow.address, port: shadow.port, hostKeys: [pinOf(shadow.certificate)] };
  expect(await verify(place, 'shadow', drawn())).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
});

function pinOf(certificate: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(new X509Certificate(certificate).raw).digest());
}
