/** What the tests of the Linux connectors share: a machine with the accounts they need, and the connector in its own process. */
import { randomBytes } from 'node:crypto';
import { generateKeyPair, type KeyKind, parsePrivateKey, signerFromPrivateKey } from '../../../src/protocol/ssh/ssh.ts';
import { isRefusal } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/base/secret.ts';
import type { Login, LoginCredential, Place, Work } from '../../../src/rotation/connectors/connector.ts';
import type { Answer, Job } from '../../../src/rotation/connectors/job.ts';
import { processRunner } from '../../../src/rotation/connectors/run.ts';
import { type Machine, startMachine } from '../../lab/machine.ts';
import { never } from '../room.ts';
import type { Bench, Undo, Value } from './conformance.ts';

export const passwords = {
  root: 'Root.Pass-1',
  nopass: 'Nopass.Pass-1',
  asking: 'Asking.Pass-1',
  plain: 'Plain.Pass-1',
  app: 'App.Pass-1',
};

export async function accountsMachine(
  name: string,
  keys: Readonly<Record<string, readonly string[]>> = {},
): Promise<Machine> {
  const lines = (user: string) => (keys[user] === undefined ? {} : { authorizedKeys: keys[user] });
  return await startMachine({
    name,
    users: [
      { name: 'root', password: passwords.root, ...lines('root') },
      { name: 'nopass', password: passwords.nopass, sudo: 'nopasswd', ...lines('nopass') },
      { name: 'asking', password: passwords.asking, sudo: 'password', ...lines('asking') },
      { name: 'plain', password: passwords.plain, ...lines('plain') },
      { name: 'app', password: passwords.app, ...lines('app') },
    ],
    sshd: ['PermitRootLogin yes', 'MaxStartups 100'],
  });
}

export function placeOf(machine: Machine, at: { address: string; port: number } = machine): Place {
  return {
    protocol: 'ssh',
    tls: { kind: 'off' },
    settings: {},
    address: at.address,
    port: at.port,
    hostKeys: machine.hostKeys.map((line) => new Uint8Array(Buffer.from(line.split(' ')[1] ?? '', 'base64'))),
  };
}

export function password(text: string): LoginCredential {
  return { kind: 'password', secret: Secret.fromText(text) };
}

export function value(text: string): Value {
  return { fresh: { kind: 'password', secret: Secret.fromText(text) }, login: password(text) };
}

/** A password that has not been drawn before. */
export function drawn(): string {
  return `Drawn-${randomBytes(9).toString('base64url')}`;
}

/** Root behind another account, in two-account mode. */
export function rootBehind(user: keyof typeof passwords): Login {
  const via = { user, credential: password(passwords[user]) };
  return { user: 'root', credential: password(passwords.root), via };
}

export interface Pair {
  readonly line: string;
  readonly publicKey: Uint8Array;
  readonly login: LoginCredential;
}

export async function pair(comment: string, kind: KeyKind = 'ed25519'): Promise<Pair> {
  const { privateKeyOpenSsh, publicKey, line } = await generateKeyPair(kind, comment);
  const key = await parsePrivateKey(privateKeyOpenSsh, undefined, never);
  if (isRefusal(key)) throw new Error(key.reason);
  return { line, publicKey, login: { kind: 'ssh-key', signer: signerFromPrivateKey(key.key) } };
}

export function work(place: Place, account: string, user: string, credential: LoginCredential): Work {
  const mode = user === account ? 'self' : 'admin';
  return { place, account, by: { mode, login: { user, credential } }, tag: 'rot-test', targetSeconds: 5, settings: {} };
}

/** What the benches of all ssh connectors share: `accountsMachine`, its administrators, and `app`. */
export function sshBench(
  machine: () => Machine,
): Pick<Bench, 'account' | 'place' | 'impostor' | 'admins' | 'powerless' | 'settled'> {
  const login = (user: keyof typeof passwords) => () => ({ user, credential: password(passwords[user]) });
  return {
    account: 'app',
    place: (at) => placeOf(machine(), at),
    impostor: (place) => ({
      ...place,
      hostKeys: place.hostKeys.map((key) => key.map((byte, at) => (at > 24 ? byte ^ 1 : byte))),
    }),
    admins: {
      root: login('root'),
      'sudo without a password': login('nopass'),
      'sudo with its password': login('asking'),
      'su from another account': () => rootBehind('plain'),
    },
    powerless: login('plain'),
    settled: () => settledMachine(machine()),
  };
}

/** As root on the machine; it must succeed. */
export async function sh(machine: Machine, script: string, input = ''): Promise<string> {
  const ran = await machine.exec(['sh', '-c', script], { input });
  if (ran.code !== 0) throw new Error(`${script}: ${ran.stderr}`);
  return ran.stdout;
}

/** Puts a file in place until the end of the scope. */
export async function instead(machine: Machine, path: string, content: string): Promise<Undo> {
  const before = await machine.readFile(path);
  await machine.putFile(path, content, { mode: '0644' });
  return { [Symbol.asyncDispose]: () => machine.putFile(path, before, { mode: '0644' }) };
}

function undo(machine: Machine, script: string): Undo {
  return {
    [Symbol.asyncDispose]: async () => {
      await sh(machine, script);
    },
  };
}

/** pam_faillock as its manual wants it: asked before, told of every failure, and of every success. */
const faillock = `auth required pam_faillock.so preauth silent deny=3 unlock_time=600
auth [success=1 default=ignore] pam_unix.so nullok nodelay
auth [default=die] pam_faillock.so authfail deny=3 unlock_time=600
auth sufficient pam_faillock.so authsucc deny=3 unlock_time=600
auth requisite pam_deny.so
`;

/** Lets three refused logins lock an account, until the end of the scope. */
export async function threeStrikes(machine: Machine): Promise<Undo> {
  return instead(machine, '/etc/pam.d/common-auth', faillock);
}

/** Refused logins of `app` that the machine remembers. */
export async function strikesOf(machine: Machine, user = 'app'): Promise<number> {
  return Number(await sh(machine, `faillock --user ${user} | grep -c 'V$' || true`));
}

/** Three refused logins as `app`, from within the machine. */
export async function strikeOut(machine: Machine): Promise<void> {
  const wrong = 'echo wrong | setpriv --reuid plain --regid plain --clear-groups su app -c true 2>/dev/null';
  await sh(machine, `for turn in 1 2 3; do ${wrong} || true; done`);
}

/** What the benches of all connectors of passwords share. `service`: the PAM service by which they change one. */
export function passwordBench(
  machine: () => Machine,
  service: 'chpasswd' | 'passwd',
): Pick<Bench, 'draw' | 'plant' | 'lock' | 'expire' | 'strikes' | 'forbid'> & {
  readonly lie: NonNullable<Bench['lie']>;
} {
  const pam = `/etc/pam.d/${service}`;
  return {
    draw: async () => value(drawn()),
    plant: async () => {
      const text = drawn();
      await sh(machine(), 'chpasswd && faillock --user app --reset', `app:${text}\n`);
      return value(text);
    },
    lock: async () => {
      await sh(machine(), 'passwd -q -l app');
      return undo(machine(), 'passwd -q -u app');
    },
    expire: async () => {
      await sh(machine(), 'chage -d 0 app');
      return undo(machine(), 'chage -d "$(date +%F)" app');
    },
    strikes: async () => {
      const rules = await threeStrikes(machine());
      return { ...rules, locked: async () => (await strikesOf(machine())) >= 3 };
    },
    forbid: () => instead(machine(), pam, 'password requisite pam_deny.so\n'),
    lie: () =>
      instead(machine(), pam, 'password required pam_unix.so\npassword required pam_exec.so quiet /bin/false\n'),
  };
}

const runner = processRunner();

/** Runs a job in a connector process. */
export async function ask(job: Job, deadlineMs = 20_000): Promise<Answer> {
  return runner(job, { deadlineMs }, never);
}

/** Resolves when no change of ours is running on the machine any more. */
export async function settledMachine(machine: Machine): Promise<void> {
  await machine.exec([
    'sh',
    '-c',
    'while pgrep -x timeout >/dev/null || pgrep -x chpasswd >/dev/null || pgrep -x passwd >/dev/null; do sleep 0.05; done',
  ]);
}
