/**
 * What the tests of RDP share: one product, a machine with xrdp (and an sshd, by which its accounts are changed) or a
 * server that insists on NLA, and alice, who is given connection tokens for their accounts.
 */
import { startDisplay, type Display } from '../lab/rdp/display.ts';
import type { RdpClient } from '../lab/rdp/rdp-client.ts';
import { type ShadowServer, startShadow } from '../lab/rdp/shadow.ts';
import { type FreeRdpOptions, startXfreerdp, tryXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { startXrdp, type XrdpMachine } from '../lab/rdp/xrdp.ts';
import { type ProductOptions } from '../support/sallyport.ts';
import { type House, openHouse, word } from './house.ts';

export interface Desk extends AsyncDisposable {
  readonly house: House;
  readonly display: Display;
  /** Target `desk-01`, TLS only, account `svc`. */
  readonly xrdp: XrdpMachine;
  /** Target `nla-01`, account `shadow`, if it was asked for. */
  readonly shadow: ShadowServer | undefined;
  /** What the vault was given for the accounts. */
  readonly secrets: Readonly<Record<'svc' | 'shadow', string>>;
  /** A connection token of alice's, as `sallyport rdp` prints it. */
  token(selector: string, options?: readonly string[]): Promise<Token>;
  /** xfreerdp of alice's to the gate; the token is minted for `selector` unless a password is given. */
  connect(selector: string, options?: Partial<FreeRdpOptions>): Promise<RdpClient>;
  /** Only logs in; the client's exit status and log. */
  tries(options: Partial<FreeRdpOptions>): Promise<{ readonly code: number; readonly log: string }>;
}

export interface Token {
  readonly user: string;
  readonly token: string;
  readonly host: string;
  readonly port: number;
}

export interface DeskOptions {
  readonly product?: ProductOptions;
  readonly withNla?: boolean;
  /** Words of the grant besides `rdp`. */
  readonly allows?: readonly string[];
  /** The grant's section `rdp`, in YAML. */
  readonly terms?: string;
  /** Further accounts of desk-01, by name, each with a desktop and a grant of its own; nothing rotates them. */
  readonly accounts?: Readonly<Record<string, AccountGrant>>;
}

/** What one account's grant says, as in `DeskOptions`. */
export interface AccountGrant {
  readonly allows?: readonly string[];
  readonly terms?: string;
}

/** Starts all of it; certificates are trusted and secrets in the vault. */
export async function openDesk(options: DeskOptions = {}): Promise<Desk> {
  await using undo = new AsyncDisposableStack();
  const secrets = { svc: word(), shadow: word() };
  const more = Object.keys(options.accounts ?? {}).map((name) => ({ name, password: word() }));
  const [display, xrdp, shadow] = await Promise.all([
    startDisplay({ width: 1280, height: 1024 }),
    startXrdp({ name: 'desk-01', users: [{ name: 'svc', password: secrets.svc }, ...more] }),
    options.withNla === true ? startShadow({ accounts: [{ name: 'shadow', password: secrets.shadow }] }) : undefined,
  ]);
  for (const one of [display, xrdp, shadow]) if (one !== undefined) undo.use(one);
  const house = undo.use(await openHouse(() => estate(xrdp, shadow, options), options.product));
  await house.product.ask(['target', 'trust', 'desk-01', '--yes']);
  await house.product.ask(['target', 'trust', 'desk-01,rdp', '--yes']);
  await store(house, 'svc@desk-01', secrets.svc);
  await Promise.all(more.map(({ name, password }) => store(house, `${name}@desk-01`, password)));
  if (shadow !== undefined) {
    await house.product.ask(['target', 'trust', 'nla-01,rdp', '--yes']);
    await store(house, 'shadow@nla-01', secrets.shadow);
  }
  const token: Desk['token'] = (selector, words = []) => house.product.ask(['rdp', `alice@${selector}`, ...words]);
  const reach = (change: Partial<FreeRdpOptions>): FreeRdpOptions => ({
    ...house.product.rdp,
    user: 'alice',
    password: '',
    ...change,
  });
  const life = undo.move();
  return {
    house,
    display,
    xrdp,
    shadow,
    secrets,
    token,
    connect: async (selector, change = {}) => {
      const minted = change.password === undefined ? await token(selector) : undefined;
      const user = minted?.user ?? 'alice';
      return await startXfreerdp(display, reach({ user, password: minted?.token ?? '', security: 'nla', ...change }));
    },
    tries: (change) => tryXfreerdp(display, reach(change)),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Tried at the target first: the account must answer. */
async function store(house: House, account: string, secret: string): Promise<void> {
  await house.call('account.store', { account, secret: Buffer.from(secret), unverified: false });
}

function estate(xrdp: XrdpMachine, shadow: ShadowServer | undefined, options: DeskOptions): string {
  const conditions = ({ allows = [], terms }: AccountGrant): string =>
    `subprotocols: [${['rdp', ...allows].join(', ')}]${terms === undefined ? '' : `, rdp: ${terms}`}`;
  const more = Object.entries(options.accounts ?? {});
  const targets = more.length > 0 ? 'accounts: [svc@desk-01]' : 'targets: [desk-01]';
  const { machine } = xrdp;
  const nla =
    shadow === undefined
      ? ''
      : `
  - name: nla-01
    platform: windows
    address: ${shadow.address}
    services: [{ protocol: rdp, port: ${shadow.port} }]`;
  return `
groups: [{ name: ops }]
users:
  - { name: alice, roles: [administrator], groups: [ops] }
  - { name: bob }
targets:
  - name: desk-01
    platform: linux
    address: ${xrdp.address}
    services:
      - { protocol: ssh, port: ${machine.port} }
      - { protocol: rdp, port: ${xrdp.port}, security: tls }${nla}
accounts:
  - { name: svc@desk-01, connector: linux-passwd, rotateAfterSession: true }
${shadow === undefined ? '' : '  - { name: shadow@nla-01 }\n'}${more.map(([name]) => `  - { name: ${name}@desk-01, connector: linux-passwd }\n`).join('')}
grants:
  - { name: desks, group: ops, ${targets}, ${conditions(options)} }
${shadow === undefined ? '' : `  - { name: nla, group: ops, targets: [nla-01], ${conditions(options)} }\n`}${more
  .map(([name, grant]) => `  - { name: ${name}, group: ops, accounts: [${name}@desk-01], ${conditions(grant)} }\n`)
  .join('')}`;
}
