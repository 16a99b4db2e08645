/**
 * One product before targets that its test drives, and two whose place somebody else has taken. A real sshd stands beside
 * each, because the product keeps no password that it could not try.
 */
import { join } from 'node:path';
import { silent } from '../../src/base/log.ts';
import { openDatabase } from '../../src/db/db.ts';
import { type Machine, startMachine } from '../lab/machine.ts';
import { type FalseTarget, startFalseTarget } from '../lab/rdp/false-target.ts';
import { partsOf, type ProductOptions } from '../support/sallyport.ts';
import { type House, openHouse, word } from './house.ts';
import { enter, type Gate, type WireClient, type WireLogin } from './rdp-wire-client.ts';
import { startWireTarget, type WireTarget } from './rdp-wire-target.ts';

/** The account's name; as good a secret towards the client as its password. */
export const accountName = 'svc-vaulted-7';

export interface Street extends AsyncDisposable {
  readonly house: House;
  /** Target `wire-01`, TLS, pinned. */
  readonly target: WireTarget;
  /** Targets `false-tls` and `false-nla`: somebody else answers there than who was pinned. */
  readonly false: Readonly<Record<'tls' | 'nla', FalseTarget>>;
  /** The password of the account on each. */
  readonly secret: string;
  token(selector?: string, words?: readonly string[]): Promise<{ readonly user: string; readonly token: string }>;
  /** A client of our own, with a new token unless a password is given. */
  enter(login?: Partial<WireLogin> & { readonly gate?: Gate }): Promise<WireClient>;
  pid(part: 'gate' | 'keeper'): number;
  /** Holds that nobody has released. */
  holds(): Promise<number>;
}

export async function openStreet(options: ProductOptions = {}): Promise<Street> {
  await using undo = new AsyncDisposableStack();
  const secret = word();
  const machine = undo.use(await startMachine({ name: 'beside', users: [{ name: accountName, password: secret }] }));
  const { address } = machine;
  const target = undo.use(await startWireTarget(address));
  const tls = undo.use(await startFalseTarget({ chooses: 'tls', address }));
  const nla = undo.use(await startFalseTarget({ chooses: 'nla', address }));
  const house = undo.use(await openHouse(() => estate(machine, target, tls, nla), options));
  for (const place of ['wire-01', 'false-tls', 'false-nla']) await entrust(house, place, secret);
  const token: Street['token'] = (selector = `${accountName}@wire-01`, words = []) =>
    house.product.ask(['rdp', `alice@${selector}`, ...words]);
  const life = undo.move();
  return {
    house,
    target,
    false: { tls, nla },
    secret,
    token,
    enter: async (login = {}) => {
      const minted =
        login.password === undefined ? await token() : { user: login.user ?? 'alice', token: login.password };
      return await enter(
        login.gate ?? house.product.rdp,
        { user: minted.user, password: minted.token, ...login },
        AbortSignal.timeout(15_000),
      );
    },
    pid: (part) => partsOf(house.product.pid).find(({ name }) => name === part)?.pid ?? 0,
    holds: async () => {
      const socket = encodeURIComponent(join(house.product.data, 'db/run'));
      const url = `postgres://sallyport_app@localhost/sallyport?host=${socket}`;
      await using db = await openDatabase(url, { max: 1 }, silent);
      const rows = await db.selectFrom('hold').select('id').where('released_at', 'is', null).execute();
      return rows.length;
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

async function entrust(house: House, place: string, secret: string): Promise<void> {
  await house.product.ask(['target', 'trust', place, '--yes']);
  await house.call('account.store', {
    account: `${accountName}@${place}`,
    secret: Buffer.from(secret),
    unverified: false,
  });
}

function estate(machine: Machine, target: WireTarget, tls: FalseTarget, nla: FalseTarget): string {
  const at = (name: string, port: number, security: string, pin: string): string =>
    `  - { name: ${name}, platform: linux, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }, { protocol: rdp, port: ${port}, security: ${security}, certificates: ['${pin}'] }] }`;
  return `
groups: [{ name: ops }]
users:
  - { name: alice, roles: [administrator], groups: [ops] }
  - { name: bob, groups: [ops] }
targets:
${at('wire-01', target.port, 'tls', target.fingerprint)}
${at('false-tls', tls.port, 'tls', target.fingerprint)}
${at('false-nla', nla.port, 'nla', target.fingerprint)}
accounts:
  - { name: ${accountName}@wire-01 }
  - { name: ${accountName}@false-tls }
  - { name: ${accountName}@false-nla }
grants:
  - { name: desks, group: ops, targets: [wire-01, false-tls, false-nla], subprotocols: [rdp] }
`;
}
