/**
 * The other actors of the demo: a real machine with sshd, a person with the stock client, and who tries secrets directly at
 * the target. As root the account is root with a password; as an ordinary user it is that user with a key.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { makeKey, ssh } from '../lab/client.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { canary, searchBytes } from '../support/canary.ts';
import { step } from './report.ts';

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
  /** Whether this value opens the account directly at the target. */
  opens(value: Uint8Array): Promise<boolean>;
  /** Whether the value, in any common form, is in one of these. */
  leaks(value: Uint8Array, places: readonly Uint8Array[]): boolean;
}

const target = 'web-01';

export async function openStage(scratch: string): Promise<Stage> {
  const person = await makeKey(scratch);
  return fullMachines ? await rootStage(scratch, person) : await userStage(scratch, person);
}

async function rootStage(scratch: string, person: { file: string; line: string }): Promise<Stage> {
  const secret = `Demo-${randomBytes(12).toString('base64url')}`;
  const machine = await step('a real sshd on a machine of its own', () =>
    startMachine({
      name: target,
      users: [{ name: 'root', password: secret }],
      sshd: ['PermitRootLogin yes', 'PasswordAuthentication yes'],
    }),
  );
  return {
    ...common(machine, scratch, person, 'root', '/root/marker', secret, {
      kind: 'password',
      connector: 'linux-chpasswd',
    }),
    breakRotation: async () => {
      await machine.putFile('/root/chpasswd', '#!/bin/sh\ncat >/dev/null\n', { mode: '0755' });
      await machine.exec(['sh', '-c', 'mount --bind /root/chpasswd "$(command -v /usr/sbin/chpasswd)"']);
    },
    opens: async (value) => {
      const ran = await ssh(
        { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() },
        { user: 'root', answers: [Buffer.from(value).toString('utf8')], command: 'true' },
      );
      return ran.code === 0;
    },
  };
}

async function userStage(scratch: string, person: { file: string; line: string }): Promise<Stage> {
  const me = userInfo().username;
  const own = await makeKey(scratch, 'ecdsa-256');
  const machine = await step("an sshd of yours, with your account's key", () =>
    startMachine({ name: target, users: [{ name: me, authorizedKeys: [own.line] }] }),
  );
  const marker = join(scratch, 'marker');
  return {
    ...common(machine, scratch, person, me, marker, readFileSync(own.file, 'utf8'), {
      kind: 'ssh-key',
      connector: 'ssh-key',
    }),
    breakRotation: async () => {
      await machine.exec([
        'sh',
        '-c',
        'chmod 0555 "$1"/.ssh; chmod 0444 "$1"/.ssh/authorized_keys',
        'sh',
        machine.home ?? scratch,
      ]);
    },
    opens: async (value) => {
      const file = join(scratch, `tried-${randomBytes(4).toString('hex')}`);
      writeFileSync(file, value, { mode: 0o600 });
      const ran = await ssh(
        { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() },
        { user: me, keyFile: file, command: 'true' },
      );
      return ran.code === 0;
    },
  };
}

function common(
  machine: Machine,
  scratch: string,
  person: { file: string; line: string },
  login: string,
  marker: string,
  secret: string,
  how: { readonly kind: string; readonly connector: string },
): Omit<Stage, 'breakRotation' | 'opens'> {
  const account = `${login}@${target}`;
  return {
    target,
    account,
    secret,
    person: { keyFile: person.file, line: person.line, password: `Person-${randomBytes(9).toString('base64url')}` },
    estate: `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
  - { name: ${target}, platform: linux, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }] }
accounts:
  - { name: ${account}, kind: ${how.kind}, connector: ${how.connector}, policy: Standard, rotateAfterSession: true }
grants:
  - { name: ops may use ${account}, group: ops, accounts: [${account}] }
`,
    plant: async (text) => {
      if (machine.kind === 'full') await machine.putFile(marker, `${text}\n`);
      else writeFileSync(marker, `${text}\n`);
    },
    visit: async (gate, typed) => {
      const ran = await ssh(gate, {
        user: `alice@${account}`,
        keyFile: person.file,
        flags: ['-tt', '-vvv'],
        input: `echo ${typed}\ncat ${marker}\nexit\n`,
      });
      if (ran.code !== 0)
        throw new Error(
          `ssh ended with ${ran.code}: ${ran.stderr
            .split('\n')
            .filter((line) => !line.startsWith('debug'))
            .join('\n')}`,
        );
      writeFileSync(join(scratch, 'client.log'), ran.stderr);
      return Buffer.concat([ran.output, Buffer.from(ran.stderr)]);
    },
    leaks: (value, places) => places.some((place) => searchBytes([canary('secret', value)], 'place', place).length > 0),
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}
