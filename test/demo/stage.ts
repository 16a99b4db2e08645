/**
 * The other actors of the demo: a real machine with sshd, a person with the stock client, and who tries secrets directly at
 * the target. As root the account is root with a password; as an ordinary user it is that user with a key.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type LoginAnswer, loginAnswer, makeKey, ssh } from '../lab/client.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { type Canary, canary, searchBytes } from '../support/canary.ts';
import { keyCanaries } from '../support/canary-keys.ts';
import { say, type Step } from './report.ts';

export interface Stage extends AsyncDisposable {
  readonly target: string;
  /** `root@web-01`. */
  readonly account: string;
  /** What opens the account before Sallyport knows it. */
  readonly secret: string;
  readonly estate: string;
  readonly person: { readonly keyFile: string; readonly line: string; readonly password: string };
  /** Puts a text on the target that the visit prints. */
  plant(text: string): Promise<void>;
  /** Makes the target say yes to a change without making it. */
  breakRotation(): Promise<void>;
  /** Goes through the gate with the stock client, types `typed`; gives every byte that the client got or said. */
  visit(gate: { readonly address: string; readonly port: number }, typed: string): Promise<Uint8Array>;
  /** What the target says to this value, without Sallyport. */
  tryAtTarget(value: Uint8Array): Promise<LoginAnswer>;
  /** Whether the value, in any common form, is in these bytes. */
  isIn(value: Uint8Array, bytes: Uint8Array): Promise<boolean>;
}

type Person = { readonly file: string; readonly line: string };

const target = 'web-01';

/** Starts the target and makes the person's key, in `scratch`. */
export async function openStage(scratch: string, step: Step): Promise<Stage> {
  const person = await makeKey(scratch);
  return fullMachines ? await rootStage(scratch, person, step) : await userStage(scratch, person, step);
}

async function rootStage(scratch: string, person: Person, step: Step): Promise<Stage> {
  const secret = `Demo-${randomBytes(12).toString('base64url')}`;
  const machine = await step('a real sshd on a machine of its own', () =>
    startMachine({
      name: target,
      users: [{ name: 'root', password: secret }],
      sshd: ['PermitRootLogin yes', 'PasswordAuthentication yes'],
    }),
  );
  return {
    ...common(machine, scratch, person, { login: 'root', marker: '/root/marker', secret, terminal: true }),
    estate: estate(machine, 'root', 'kind: password, connector: linux-chpasswd'),
    breakRotation: async () => {
      await machine.putFile('/root/chpasswd', '#!/bin/sh\ncat >/dev/null\n', { mode: '0755' });
      await machine.exec(['sh', '-c', 'mount --bind /root/chpasswd "$(command -v /usr/sbin/chpasswd)"']);
    },
    tryAtTarget: async (value) =>
      loginAnswer(
        await ssh(direct(machine), { user: 'root', answers: [Buffer.from(value).toString()], command: 'true' }),
      ),
    isIn: async (value, bytes) => found([canary('secret', value)], bytes),
  };
}

async function userStage(scratch: string, person: Person, step: Step): Promise<Stage> {
  const me = myName();
  const own = await makeKey(scratch, 'ecdsa-256');
  const machine = await step("an sshd of yours, with your account's key", () =>
    startMachine({ name: target, users: [{ name: me, authorizedKeys: [own.line] }] }),
  );
  // The account's real home is not the machine's, so sshd's file is named.
  const keys = join(machine.home ?? scratch, '.ssh/authorized_keys');
  const settings = JSON.stringify({ authorized_keys_file: keys });
  // An sshd that is not root's can hand out terminals only where devpts gives them to the group `tty` by itself.
  const terminal = await ssh(direct(machine), { user: me, keyFile: own.file, flags: ['-tt'], command: 'true' });
  if (terminal.code !== 0)
    say("    (this system gives an ordinary user's sshd no terminals: the session goes without)");
  let tried = 0;
  return {
    ...common(machine, scratch, person, {
      login: me,
      marker: join(scratch, 'marker'),
      secret: readFileSync(own.file, 'utf8'),
      terminal: terminal.code === 0,
    }),
    estate: estate(machine, me, `kind: ssh-key, connector: ssh-key, settings: ${settings}`),
    breakRotation: async () => {
      writeFileSync(`${keys}.as-it-was`, readFileSync(keys), { mode: 0o600 });
      await machine.restartSshd({ sshd: [`AuthorizedKeysFile ${keys}.as-it-was`] });
    },
    tryAtTarget: async (value) => {
      const keyFile = join(scratch, `tried-${++tried}`);
      writeFileSync(keyFile, value, { mode: 0o600 });
      return loginAnswer(await ssh(direct(machine), { user: me, keyFile, command: 'true' }));
    },
    isIn: async (value, bytes) => found(await keyCanaries('secret', value), bytes),
  };
}

/** Throws in plain words where the user has no line in /etc/passwd: sshd lets nobody else in. */
function myName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    throw new Error(`user ${process.getuid?.()} has no line in /etc/passwd, and sshd lets in nobody without one`, {
      cause: error,
    });
  }
}

function direct(machine: Machine): { address: string; port: number; knownHosts: string } {
  return { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() };
}

function found(canaries: readonly Canary[], bytes: Uint8Array): boolean {
  return searchBytes(canaries, 'bytes', bytes).length > 0;
}

function estate(machine: Machine, login: string, how: string): string {
  const account = `${login}@${target}`;
  return `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
  - { name: ${target}, platform: linux, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }] }
accounts:
  - { name: ${account}, ${how}, policy: Standard, rotateAfterSession: true }
grants:
  - { name: ops may use ${account}, group: ops, accounts: [${account}] }
`;
}

/** Of what ssh has said, the words for people. */
function wordsFor(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => !line.startsWith('debug') && !line.startsWith('OpenSSH_'))
    .join('\n')
    .trim();
}

/** How the account is visited. */
interface Way {
  readonly login: string;
  readonly marker: string;
  readonly secret: string;
  readonly terminal: boolean;
}

function common(
  machine: Machine,
  scratch: string,
  person: Person,
  { login, marker, secret, terminal }: Way,
): Pick<Stage, 'target' | 'account' | 'secret' | 'person' | 'plant' | 'visit' | typeof Symbol.asyncDispose> {
  const account = `${login}@${target}`;
  return {
    target,
    account,
    secret,
    person: { keyFile: person.file, line: person.line, password: `Person-${randomBytes(9).toString('base64url')}` },
    plant: async (text) => {
      if (machine.kind === 'full') await machine.putFile(marker, `${text}\n`);
      else writeFileSync(marker, `${text}\n`);
    },
    visit: async (gate, typed) => {
      const ran = await ssh(gate, {
        user: `alice@${account}`,
        keyFile: person.file,
        flags: terminal ? ['-tt', '-vvv'] : ['-vvv'],
        input: `echo ${typed}\ncat ${marker}\nexit\n`,
      });
      if (ran.code !== 0) throw new Error(`ssh ended with ${ran.code}: ${wordsFor(ran.stderr)}`);
      return Buffer.concat([ran.output, Buffer.from(ran.stderr)]);
    },
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}
