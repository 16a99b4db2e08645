/**
 * What an emulated IOS device keeps: its running and its saved configuration, who may log in, who is logged in, and the
 * faults that a test switches on. It is no Cisco device: only what the tests need behaves like one.
 */
import { pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto';

interface User {
  privilege: number;
  /** As in a configuration: `secret 9 $9$…`, `password 0 …`. */
  credential: string;
}

interface Configuration {
  hostname: string;
  users: Record<string, User>;
  enableSecret: string | undefined;
  linePassword: string | undefined;
}

export interface Faults {
  /** `write memory` cannot open the file. */
  nvramBusy: boolean;
  /** `write memory` asks whether it may overwrite what another release wrote. */
  nvramForeign: boolean;
  /** Somebody has the configuration for himself. */
  configurationLocked: boolean;
  /** The `username` command says that it failed, and has changed the user. */
  lies: boolean;
  /** The `username` command asks something that nobody expects. */
  asksOddly: boolean;
  /** The `username` command wants to be confirmed. */
  wantsConfirmation: boolean;
  /** Log messages come in between. */
  noisy: boolean;
  /** Pages of two lines, and nobody may switch that off. */
  alwaysPages: boolean;
}

const crypt64 = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function digest(type: string, salt: string, text: string): string {
  const bytes =
    type === '9'
      ? scryptSync(text, salt, 32, { N: 1 << 14, r: 1, p: 1 })
      : pbkdf2Sync(text, salt, 20_000, 32, 'sha256');
  const usual = bytes.toString('base64').replaceAll('=', '');
  return Array.from(usual, (digit) => crypt64[base64.indexOf(digit)]).join('');
}

/** `0 text`, or `9 $9$salt$hash`, or text alone, as the device keeps it; undefined for what no device takes. */
export function kept(form: 'secret' | 'password', words: readonly string[]): string | undefined {
  const [first = '', second] = words;
  if (words.length > 2 || words.length === 0) return undefined;
  if (second !== undefined && /^[89]$/.test(first))
    return /^\$[89]\$[./0-9A-Za-z]{14}\$[./0-9A-Za-z]{43}$/.test(second) && second[1] === first
      ? `${form} ${first} ${second}`
      : undefined;
  if (second !== undefined && first !== '0') return undefined;
  const text = second ?? first;
  if (form === 'password') return `password 0 ${text}`;
  const salt = [...randomBytes(14)].map((byte) => crypt64[byte % 64]).join('');
  return `secret 9 $9$${salt}$${digest('9', salt, text)}`;
}

export class Device {
  running: Configuration;
  startup: Configuration;
  readonly faults: Faults = {
    nvramBusy: false,
    nvramForeign: false,
    configurationLocked: false,
    lies: false,
    asksOddly: false,
    wantsConfirmation: false,
    noisy: false,
    alwaysPages: false,
  };
  /** Shorter ones are refused where they come as they are; a hash has no length to judge. */
  minLength = 0;
  /** `login block-for SECONDS attempts N within SECONDS`. */
  blockFor: { readonly seconds: number; readonly attempts: number; readonly within: number } | undefined;
  #failures: number[] = [];
  #quietUntil = 0;
  /** Terminals by their number. */
  readonly lines = new Map<number, { readonly user: string; readonly from: string; hangUp(): void }>();
  /** Every command line that was entered, as `archive log config` would keep it without `hidekeys`. */
  readonly entered: string[] = [];

  constructor(hostname: string) {
    this.running = { hostname, users: {}, enableSecret: undefined, linePassword: undefined };
    this.startup = structuredClone(this.running);
  }

  /** Sets a user in both configurations, as if it had always been there. */
  provision(name: string, privilege: number, text: string, form: 'secret' | 'password' = 'secret'): void {
    for (const configuration of [this.running, this.startup])
      configuration.users[name] = { privilege, credential: kept(form, ['0', text]) ?? '' };
  }

  /** Power off and on: what was not saved is gone, and so is everybody who was logged in. */
  reload(): void {
    this.running = structuredClone(this.startup);
    for (const line of this.lines.values()) line.hangUp();
    this.lift();
  }

  /** Whether logins are refused altogether just now. */
  quiet(): boolean {
    return Date.now() < this.#quietUntil;
  }

  /** Ends the quiet time. */
  lift(): void {
    this.#failures = [];
    this.#quietUntil = 0;
  }

  /** Whether this password fits; a refusal is counted. */
  login(name: string, text: string): boolean {
    const user = this.running.users[name];
    const good = user !== undefined && fits(user.credential, text);
    return this.#counted(good);
  }

  lineLogin(text: string): boolean {
    return this.#counted(this.running.linePassword === text);
  }

  enables(text: string): boolean {
    return this.running.enableSecret !== undefined && fits(this.running.enableSecret, text);
  }

  #counted(good: boolean): boolean {
    if (good || this.blockFor === undefined) return good;
    const { attempts, within, seconds } = this.blockFor;
    const now = Date.now();
    this.#failures = [...this.#failures.filter((at) => now - at < within * 1000), now];
    if (this.#failures.length >= attempts) this.#quietUntil = now + seconds * 1000;
    return false;
  }

  text(which: Configuration): string[] {
    const users = Object.entries(which.users).map(([name, { privilege, credential }]) =>
      privilege === 1 ? `username ${name} ${credential}` : `username ${name} privilege ${privilege} ${credential}`,
    );
    const filler = Array.from({ length: 12 }, (_, at) => [
      `interface Ethernet0/${at}`,
      ' no ip address',
      ' shutdown',
      '!',
    ]);
    return [
      'version 15.7',
      'service timestamps log datetime msec',
      '!',
      `hostname ${which.hostname}`,
      '!',
      ...(which.enableSecret === undefined ? [] : [`enable ${which.enableSecret}`]),
      ...users,
      '!',
      ...filler.flat(),
      'line con 0',
      'line vty 0 15',
      ...(which.linePassword === undefined ? [' login local'] : [` password ${which.linePassword}`, ' login']),
      ' transport input telnet ssh',
      '!',
      'end',
    ];
  }
}

function fits(credential: string, text: string): boolean {
  const [, type = '', value = ''] = credential.split(' ');
  if (type === '0') return value === text;
  const [, , salt = '', hash = ''] = value.split('$');
  return hash !== '' && digest(type, salt, text) === hash;
}
