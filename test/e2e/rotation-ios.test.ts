/** The connector ios on a real command line: FRR's, over telnet, with its own logins, its own refusals and its own file. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { Login, Place, Work } from '../../src/rotation/connectors/connector.ts';
import { type Router, startRouter } from '../lab/frr.ts';
import { missingPackages } from '../lab/install.ts';
import { conformance, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

const connector = 'ios';
const settings = { login: 'line', command: 'line-password' };
const enabling = 'Enable.Pass-1';

export function value(text: string): Value {
  return { fresh: { kind: 'password', secret: Secret.fromText(text) }, login: password(text) };
}
const some = (word: string): string => `${word}-${randomBytes(9).toString('base64url')}`;

describe.runIf(process.getuid?.() === 0 && missingPackages(['frr']).length === 0)('ios on FRR', () => {
  let router: Router;
  let current = 'First.Pass-1';
  const configuration = (line: string, more = ''): string =>
    `hostname rt1\npassword ${line}\nenable password ${enabling}\nlog commands\n${more}line vty\n exec-timeout 0 30\n`;
  beforeAll(async () => {
    router = await startRouter(configuration(current));
  });
  afterAll(async () => router?.[Symbol.asyncDispose]());

  const place = (at: { address: string; port: number } = router): Place => ({
    protocol: 'telnet',
    address: at.address,
    port: at.port,
    hostKeys: [],
    tls: { kind: 'off' },
    settings: {},
  });
  const line = (): Login => ({ user: 'vty', credential: password(current) });
  const admin = (): Login => ({ user: 'enable', credential: password(enabling), via: line() });
  const plant = async (): Promise<Value> => {
    current = some('Planted');
    await router.restart(configuration(current));
    return value(current);
  };

  conformance({
    connector,
    account: 'vty',
    settings,
    place,
    impostor: undefined,
    admins: { 'the password of enable, behind the line password': admin },
    powerless: line,
    draw: async () => value(some('Drawn')),
    plant,
    forbid: async () => ({ refused: value('-begins.with.a.dash-1'), [Symbol.asyncDispose]: async () => {} }),
    lie: async () => {
      await router.saving(false);
      return { [Symbol.asyncDispose]: () => router.saving(true) };
    },
    nasty: [`a'";$(id)\`id\`\\`, 'a!comment', '9#|include', 'a&<>*[]{}~^%@,:=+_.-/', `x${'L'.repeat(120)}`],
    settled: async () => {},
    without: {
      impostor: 'telnet proves nobody',
      lock: 'FRR locks nothing',
      expire: 'a line password has no age',
      strikes: 'FRR counts refused logins on one connection only',
      self: 'below: it needs an enable without a password',
    },
  });
});
