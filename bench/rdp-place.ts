/**
 * Where `npm run bench:rdp` measures: a machine with xrdp and a server of FreeRDP's that insists on NLA, a Sallyport in front
 * of both, and a display for the clients. Passwords stay as they are, so that the targets can be reached directly, too.
 */
import { startDisplay, type Display } from '../test/lab/rdp/display.ts';
import type { Screen } from '../test/lab/rdp/screen.ts';
import { type ShadowServer, startShadow } from '../test/lab/rdp/shadow.ts';
import type { FreeRdpOptions } from '../test/lab/rdp/xfreerdp.ts';
import { startXrdp, type XrdpMachine } from '../test/lab/rdp/xrdp.ts';
import { type House, openHouse, word } from '../test/e2e/house.ts';
import { partsOf } from '../test/support/sallyport.ts';

/** One way to a desktop. */
export interface DesktopDoor {
  readonly name: string;
  /** Whether it goes through the gate. */
  readonly gate: boolean;
  /** How a client gets in now: a token is minted for each. */
  options(): Promise<FreeRdpOptions>;
  /** The target's own screen. */
  screen(signal: AbortSignal): Promise<Screen>;
}

export interface DesktopPlace extends AsyncDisposable {
  readonly house: House;
  readonly display: Display;
  readonly xrdp: XrdpMachine;
  readonly shadow: ShadowServer;
  /** The xrdp machine: directly, and through the gate; all by TLS, and the gate by NLA, too. The first is the base. */
  readonly xrdpDoors: readonly DesktopDoor[];
  /** The server with NLA: directly and through the gate. */
  readonly shadowDoors: readonly DesktopDoor[];
  /** The process of the gate. */
  gatePid(): number;
}

const login = 'svc';

/** Starts everything; certificates are trusted and passwords in the vault. */
export async function openDesktopPlace(): Promise<DesktopPlace> {
  await using undo = new AsyncDisposableStack();
  const secrets = { svc: word(), shadow: word() };
  const display = undo.use(await startDisplay({ width: 1280, height: 1024 }));
  const xrdp = undo.use(await startXrdp({ name: 'desk-01', users: [{ name: login, password: secrets.svc }] }));
  const shadow = undo.use(await startShadow({ accounts: [{ name: 'shadow', password: secrets.shadow }] }));
  const house = undo.use(await openHouse(() => estate(xrdp, shadow), { logLevel: 'warn' }));
  const { product } = house;
  for (const service of ['desk-01', 'desk-01,rdp', 'nla-01,rdp'])
    await product.ask(['target', 'trust', service, '--yes']);
  for (const [account, secret] of [
    ['svc@desk-01', secrets.svc],
    ['shadow@nla-01', secrets.shadow],
  ] as const)
    await house.call('account.store', { account, secret: Buffer.from(secret), unverified: false });

  // As deep as the gate lets it be, so that both doors are sent the same; FreeRDP's server makes 16 of 24.
  const throughGate = async (
    account: string,
    target: string,
    security: 'nla' | 'tls',
    bpp: 24 | 32,
  ): Promise<FreeRdpOptions> => {
    const { user, token } = await house.call('connection-token.mint', { user: 'alice', target, account });
    return { ...product.rdp, user, password: token, security, bpp };
  };
  const desk = (signal: AbortSignal): Promise<Screen> => xrdp.session(login, signal);
  const shown = async (): Promise<Screen> => shadow.screen;
  const life = undo.move();
  return {
    house,
    display,
    xrdp,
    shadow,
    xrdpDoors: [
      {
        name: 'xrdp, direct (TLS)',
        gate: false,
        options: async () => ({ ...xrdp, user: login, password: secrets.svc, security: 'tls', bpp: 24 }),
        screen: desk,
      },
      { name: 'xrdp, gate (TLS)', gate: true, options: () => throughGate(login, 'desk-01', 'tls', 24), screen: desk },
      { name: 'xrdp, gate (NLA)', gate: true, options: () => throughGate(login, 'desk-01', 'nla', 24), screen: desk },
    ],
    shadowDoors: [
      {
        name: 'shadow, direct (NLA)',
        gate: false,
        options: async () => ({ ...shadow, user: 'shadow', password: secrets.shadow, security: 'nla', bpp: 32 }),
        screen: shown,
      },
      {
        name: 'shadow, gate (NLA)',
        gate: true,
        options: () => throughGate('shadow', 'nla-01', 'nla', 32),
        screen: shown,
      },
    ],
    gatePid: () => {
      const gate = partsOf(product.pid).find(({ name }) => name === 'gate');
      if (gate === undefined) throw new Error('there is no gate');
      return gate.pid;
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

function estate(xrdp: XrdpMachine, shadow: ShadowServer): string {
  return `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
  - name: desk-01
    platform: linux
    address: ${xrdp.address}
    services: [{ protocol: ssh, port: ${xrdp.machine.port} }, { protocol: rdp, port: ${xrdp.port}, security: tls }]
  - name: nla-01
    platform: windows
    address: ${shadow.address}
    services: [{ protocol: rdp, port: ${shadow.port} }]
accounts: [{ name: svc@desk-01 }, { name: shadow@nla-01 }]
grants:
  - { name: xrdp, group: ops, targets: [desk-01], subprotocols: [rdp], rdp: { depth: 24 } }
  - { name: shadow, group: ops, targets: [nla-01], subprotocols: [rdp], rdp: { depth: 32 } }
`;
}
