/**
 * The actors of the demo of desktops: a real machine with xrdp and sshd, a person with xfreerdp on a display of its own, and
 * who tries passwords directly at the target. The gate shows a certificate of the demo's, so that somebody who has its key can
 * stand before it and see what the client gets. It refuses to begin where such a machine cannot be made.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { loginAnswer, makeKey, ssh } from '../lab/client.ts';
import { displayPackages, ensurePackages, machinePackages, type Package } from '../lab/install.ts';
import { fullMachines } from '../lab/machine.ts';
import { startBetween } from '../lab/rdp/between.ts';
import { differingPixels, find, untilSame } from '../lab/rdp/compare.ts';
import { type Display, startDisplay } from '../lab/rdp/display.ts';
import type { Picture } from '../lab/rdp/picture.ts';
import type { RdpClient } from '../lab/rdp/rdp-client.ts';
import { moveTo, picture, readClipboard, type Screen, type, writeClipboard } from '../lab/rdp/screen.ts';
import { makeSelfSigned } from '../lab/rdp/self-signed.ts';
import { painted } from '../lab/rdp/text.ts';
import { startXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { startXrdp, type XrdpMachine } from '../lab/rdp/xrdp.ts';
import { canary, searchBytes } from '../support/canary.ts';
import type { Proved } from './proof.ts';
import type { Step } from './report.ts';

/** What `sallyport rdp` prints as JSON, as far as it is needed. */
export interface Token {
  readonly user: string;
  readonly token: string;
  readonly expiresAt: string;
  readonly command: string;
}

export interface Visit {
  /** Every byte inside the client's TLS, both ways. */
  readonly client: Uint8Array;
  /** The target's own screen when the person had typed and looked. */
  readonly screen: Picture;
}

export interface DesktopStage extends Proved, AsyncDisposable {
  readonly target: string;
  readonly estate: string;
  readonly person: { readonly line: string; readonly password: string };
  /** A file for `SALLYPORT_CONFIG`. */
  readonly config: string;
  /** SHA-256 of the gate's certificate, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** Makes the target say yes to a change without making it. */
  breakRotation(): Promise<void>;
  /**
   * Goes through the gate with xfreerdp, copies `copied` on the target's clipboard and takes it from the client's, prints `typed`
   * in the target's terminal, looks until the client shows what the target has, and leaves.
   */
  visit(
    gate: { readonly address: string; readonly port: number },
    token: Token,
    words: { readonly typed: string; readonly copied: string },
  ): Promise<Visit>;
}

const target = 'desk-01';
const login = 'svc';
const account = `${login}@${target}`;

/** A pointer of one point in the colour of the empty desktop: one without any point would not be told to the client. */
const pointer = { file: '/etc/dot.xbm', colour: '#204060' };
const dot = `#define dot_width 8
#define dot_height 2
#define dot_x_hot 0
#define dot_y_hot 0
static char dot_bits[] = {
0x01, 0x00 };
`;

const needed: readonly Package[] = [
  ...machinePackages,
  ...displayPackages,
  'xrdp',
  'xorgxrdp',
  'fuse3',
  'dbus-x11',
  'procps',
  'freerdp2-x11',
  'openssl',
];

/** What this machine lacks for a desktop, in words for people; as root on Debian the programs are installed first. */
export async function lacking(): Promise<string | undefined> {
  if (!fullMachines)
    return 'a desktop needs root: only root can make a machine with accounts and a network of its own for xrdp. As anybody else `npm run demo` shows ssh.';
  const packages = await ensurePackages(needed);
  return packages.kind === 'ready' ? undefined : `a desktop needs ${packages.missing.join(', ')}: ${packages.remedy}`;
}

/** Starts the target and the person's display; files go to `scratch`. */
export async function openDesktopStage(scratch: string, step: Step): Promise<DesktopStage> {
  await using undo = new AsyncDisposableStack();
  const secret = `Demo-${randomBytes(12).toString('base64url')}`;
  const xrdp = undo.use(
    await step('a real desktop: xrdp, Xorg and sshd on a machine of its own', () =>
      startXrdp({ name: target, users: [{ name: login, password: secret }] }),
    ),
  );
  await xrdp.machine.putFile(pointer.file, dot, {
    mode: '0644',
  });
  const display = undo.use(await step('a display for the person', () => startDisplay({ width: 1024, height: 768 })));
  const [person, shown] = await Promise.all([makeKey(scratch), makeSelfSigned('sallyport.example')]);
  const [certificate, key, config] = ['gate.pem', 'gate-key.pem', 'config.yaml'].map((name) => join(scratch, name));
  await writeFile(certificate ?? '', shown.certificate);
  await writeFile(key ?? '', shown.key, { mode: 0o600 });
  await writeFile(config ?? '', `rdp: { certificate: ${certificate}, key: ${key} }\n`);
  const life = undo.move();
  const { machine } = xrdp;
  const direct = { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() };
  return {
    target,
    account,
    secret,
    estate: estate(xrdp),
    person: { line: person.line, password: `Person-${randomBytes(9).toString('base64url')}` },
    config: config ?? '',
    fingerprint: shown.fingerprint,
    breakRotation: async () => {
      await machine.putFile('/root/passwd', falsePasswd, { mode: '0755' });
      await machine.exec(['sh', '-c', 'mount --bind /root/passwd "$(command -v passwd)"']);
    },
    visit: async (gate, { user, token }, words) => {
      const end = AbortSignal.timeout(60_000);
      await using between = await startBetween(gate, shown);
      const screen = await (async () => {
        const how = { user, password: token, security: 'nla', clipboard: true } as const;
        const trust = { fingerprint: shown.fingerprint };
        await using client = await startXfreerdp(display, { ...between, ...how, trust });
        await client.connected(end);
        const session = await xrdp.session(login, end);
        await use(display, session, words, end);
        return await look(client, session, words.typed, end);
      })();
      return { client: Buffer.concat([between.seen.down, between.seen.up]), screen };
    },
    tryAtTarget: async (value) =>
      loginAnswer(await ssh(direct, { user: login, answers: [Buffer.from(value).toString()], command: 'true' })),
    isIn: async (value, bytes) => searchBytes([canary('secret', value)], 'bytes', bytes).length > 0,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** What the person does: takes over a text that was copied on the target, and types a command. */
async function use(
  display: Display,
  session: Screen,
  { typed, copied }: { readonly typed: string; readonly copied: string },
  signal: AbortSignal,
): Promise<void> {
  // Copied once more as long as nothing comes: the desktop may not have been ready for it.
  for (let tries = 0; (await readClipboard(display, signal).catch(() => '')) !== copied; tries++) {
    if (tries % 40 === 0) await writeClipboard(session, copied);
    await pause(50, undefined, { signal });
  }
  await moveTo(display, 200, 100);
  await type(display, `echo ${typed}\n`);
  // The recording's picture has the pointer, and a dump of the target's screen has none.
  const colours = ['-fg', pointer.colour, '-bg', pointer.colour];
  await session.run(['xsetroot', '-cursor', pointer.file, pointer.file, ...colours], {}, signal);
  await moveTo(display, 950, 700);
}

/** Until the client shows the text, and the same as the target, and that for half a second. */
async function look(client: RdpClient, session: Screen, text: string, signal: AbortSignal): Promise<Picture> {
  const wanted = await painted(text, signal);
  const same = (): Promise<Picture> =>
    untilSame(
      (cut) => picture(session, {}, cut),
      (cut) => client.picture(cut),
      signal,
    );
  for (let before = await same(); ; ) {
    await pause(500, undefined, { signal });
    const now = await same();
    if (differingPixels(before, now) === 0 && find(now, wanted) !== undefined) return now;
    before = now;
  }
}

/** It asks as passwd does, and changes nothing. */
const falsePasswd = `#!/bin/bash
for words in 'Current' 'New' 'Retype new'; do read -rsp "$words password: " _; echo; done
echo 'passwd: password updated successfully'
`;

function estate({ address, port, machine }: XrdpMachine): string {
  return `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
  - name: ${target}
    platform: linux
    address: ${address}
    services: [{ protocol: ssh, port: ${machine.port} }, { protocol: rdp, port: ${port}, security: tls }]
accounts:
  - { name: ${account}, connector: linux-passwd, policy: Standard, rotateAfterSession: true }
grants:
  - { name: ops may use ${account}, group: ops, accounts: [${account}], subprotocols: [rdp, clipboard-down], rdp: { keys: all } }
`;
}
