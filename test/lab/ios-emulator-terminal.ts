/**
 * One terminal of an emulated IOS device: typing with echo, abbreviated commands, help, pages, questions, and the refusals
 * in the device's words. Written from how such devices behave, and knows nothing of our connector.
 */
import { type Device, kept } from './ios-emulator-device.ts';

type Mode = '' | 'config' | 'config-line';

interface Reading {
  readonly prompt: string;
  readonly echo: boolean;
  readonly take: (line: string) => void;
}

/** A word table of the commands; `WORD` stands for anything, `REST` for everything that is left. */
const exec = [
  'configure terminal',
  'clear line vty WORD',
  'copy running-config startup-config',
  'disable',
  'enable',
  'exit',
  'logout',
  'show running-config',
  'show startup-config',
  'show users',
  'show version',
  'terminal length WORD',
  'terminal width WORD',
  'write memory',
  'write',
];
const forUsers = [
  'disable',
  'enable',
  'exit',
  'logout',
  'show users',
  'show version',
  'terminal length WORD',
  'terminal width WORD',
];
const config = [
  'enable secret REST',
  'end',
  'exit',
  'hostname WORD',
  'line vty REST',
  'no username WORD',
  'password REST',
  'username REST',
];

export class Terminal {
  readonly #device: Device;
  readonly #write: (text: string) => void;
  readonly #hangUp: () => void;
  readonly #vty: number;
  #privilege: number;
  #mode: Mode = '';
  #length = 24;
  #line = '';
  #literal = false;
  #afterCr = false;
  #reading: Reading | undefined;
  #key: ((key: string) => void) | undefined;

  constructor(
    device: Device,
    who: { readonly user: string; readonly privilege: number; readonly from: string },
    io: { readonly write: (text: string) => void; readonly hangUp: () => void },
  ) {
    this.#device = device;
    this.#write = io.write;
    this.#hangUp = io.hangUp;
    this.#privilege = who.privilege;
    let vty = 0;
    while (device.lines.has(vty)) vty++;
    this.#vty = vty;
    device.lines.set(vty, { user: who.user, from: who.from, hangUp: io.hangUp });
    this.#next();
  }

  /** The other side is gone. */
  gone(): void {
    this.#device.lines.delete(this.#vty);
  }

  /** Keys, one after another. */
  input(text: string): void {
    for (const key of text) this.#press(key);
  }

  #press(key: string): void {
    const lineFeed = key === '\n' && this.#afterCr;
    this.#afterCr = key === '\r';
    if (lineFeed || key === '\0') return;
    if (this.#key !== undefined) {
      const take = this.#key;
      this.#key = undefined;
      return take(key);
    }
    const reading = this.#reading;
    if (reading === undefined) return;
    if (!this.#literal && key === '\x16') this.#literal = true;
    else if (!this.#literal && (key === '\r' || key === '\n')) {
      const line = this.#line;
      this.#line = '';
      this.#reading = undefined;
      this.#write('\r\n');
      reading.take(line);
    } else if (!this.#literal && (key === '\b' || key === '\x7f')) {
      if (this.#line !== '' && reading.echo) this.#write('\b \b');
      this.#line = this.#line.slice(0, -1);
    } else if (!this.#literal && key === '\x15') {
      if (reading.echo) this.#write('\b \b'.repeat(this.#line.length));
      this.#line = '';
    } else if (!this.#literal && key === '\x1a' && this.#mode !== '') {
      this.#write('^Z\r\n');
      this.#line = '';
      this.#mode = '';
      this.#next();
    } else if (!this.#literal && key === '?' && reading.echo) {
      this.#write(`?\r\n  WORD  help is not emulated\r\n  <cr>\r\n\r\n${reading.prompt}${this.#line}`);
    } else if (this.#literal || key >= ' ') {
      this.#literal = false;
      this.#line += key;
      if (reading.echo) this.#write(key);
    }
  }

  #ask(prompt: string, echo: boolean, take: (line: string) => void): void {
    this.#write(prompt);
    this.#reading = { prompt, echo, take };
  }

  #confirm(question: string, yes: () => void): void {
    this.#write(`${question}[confirm]`);
    this.#key = (key) => {
      const agreed = key === '\r' || key === '\n' || key === 'y';
      this.#write(agreed ? '\r\n' : `${key}\r\n`);
      if (agreed) yes();
      else this.#next();
    };
  }

  #next(): void {
    const { hostname } = this.#device.running;
    const name = this.#mode === '' ? hostname : `${hostname.slice(0, 20)}(${this.#mode})`;
    this.#ask(`${name}${this.#privilege === 15 ? '#' : '>'}`, true, (line) => this.#command(line));
    if (this.#device.faults.noisy)
      this.#write('\r\n*Mar  1 00:02:03.004: %SYS-5-CONFIG_I: Configured from console by vty0\r\n');
  }

  #say(...lines: string[]): void {
    for (const line of lines) this.#write(`${line}\r\n`);
    this.#next();
  }

  /** Page by page, if the terminal has a length. */
  #page(lines: readonly string[], from = 0): void {
    const size = this.#device.faults.alwaysPages ? 2 : this.#length === 0 ? lines.length : this.#length - 1;
    for (const line of lines.slice(from, from + size)) this.#write(`${line}\r\n`);
    if (from + size >= lines.length) return this.#next();
    this.#write(' --More-- ');
    this.#key = (key) => {
      this.#write(`${'\b'.repeat(10)}${' '.repeat(10)}${'\b'.repeat(10)}`);
      if (key === 'q') this.#next();
      else this.#page(lines, from + size);
    };
  }

  #command(typed: string): void {
    const line = typed.trim();
    if (line === '' || line.startsWith('!')) return this.#next();
    this.#device.entered.push(line);
    const table = this.#mode !== '' ? config : this.#privilege === 15 ? exec : forUsers;
    const [before = '', filter] = line.split(/ \| (?:include|inc|i) /);
    const words = before.trim().split(/\s+/);
    const fitting = table.filter((form) => matches(form.split(' '), words, true));
    const whole = fitting.filter((form) => matches(form.split(' '), words, false));
    const exact = whole.length > 1 ? whole.filter((form) => form.split(' ').length === words.length) : whole;
    const [form] = exact;
    if (fitting.length === 0) return this.#invalid(words, table);
    if (form === undefined) return this.#say('% Incomplete command.', '');
    if (exact.length > 1) return this.#say(`% Ambiguous command:  "${line}"`);
    if (this.#mode === '') this.#execute(form, words, filter);
    else this.#configure(form, words);
  }

  #invalid(words: readonly string[], table: readonly string[]): void {
    const good = words.findIndex(
      (_, at) => !table.some((form) => matches(form.split(' '), words.slice(0, at + 1), true)),
    );
    const column = this.#device.running.hostname.length + 1 + words.slice(0, good).join(' ').length + 1;
    this.#say(`${' '.repeat(column)}^`, "% Invalid input detected at '^' marker.", '');
  }

  #execute(form: string, words: readonly string[], filter: string | undefined): void {
    const device = this.#device;
    switch (form) {
      case 'terminal length WORD':
        if (device.faults.alwaysPages) return this.#invalid(words, []);
        this.#length = Number(words[2]);
        return this.#next();
      case 'terminal width WORD':
        return this.#next();
      case 'disable':
        this.#privilege = 1;
        return this.#next();
      case 'enable':
        return this.#privilege === 15 ? this.#next() : this.#enable(1);
      case 'exit':
      case 'logout':
        return this.#hangUp();
      case 'show version':
        return this.#say('Emulated IOS Software, for tests only');
      case 'show users':
        return this.#page(this.#users());
      case 'clear line vty WORD':
        return this.#confirm('', () => {
          device.lines.get(Number(words[3]))?.hangUp();
          this.#say(' [OK]');
        });
      case 'show running-config':
      case 'show startup-config': {
        const lines = device.text(form === 'show running-config' ? device.running : device.startup);
        const shown = filter === undefined ? lines : lines.filter((one) => new RegExp(filter.trim()).test(one));
        return this.#page(filter === undefined ? ['Building configuration...', '', ...shown, ''] : shown);
      }
      case 'configure terminal':
        if (device.faults.configurationLocked)
          return this.#say(
            "Configuration mode is locked by process '3' user 'other' from terminal '1'. Please try later.",
          );
        this.#mode = 'config';
        return this.#say('Enter configuration commands, one per line.  End with CNTL/Z.');
      case 'copy running-config startup-config':
        return this.#ask('Destination filename [startup-config]? ', true, () => this.#save());
      default:
        return this.#save();
    }
  }

  #save(): void {
    const device = this.#device;
    if (device.faults.nvramBusy) return this.#say('startup-config file open failed (Device or resource busy)');
    const write = (): void => {
      device.startup = structuredClone(device.running);
      this.#say('Building configuration...', '[OK]');
    };
    if (!device.faults.nvramForeign) return write();
    this.#write('Warning: Attempting to overwrite an NVRAM configuration previously written\r\n');
    this.#write('by a different version of the system image.\r\n');
    this.#confirm('Overwrite the previous NVRAM configuration?', write);
  }

  #enable(attempt: number): void {
    if (this.#device.running.enableSecret === undefined) return this.#say('% No password set');
    this.#ask('Password: ', false, (text) => {
      if (this.#device.enables(text)) {
        this.#privilege = 15;
        this.#next();
      } else if (attempt < 3) this.#enable(attempt + 1);
      else this.#say('% Bad secrets', '');
    });
  }

  #users(): string[] {
    const rows = [...this.#device.lines].map(([vty, { user, from }]) => {
      const mine = vty === this.#vty ? '*' : ' ';
      return `${mine} ${String(vty + 2).padStart(2)} vty ${String(vty).padEnd(6)}${user.padEnd(10)} ${'idle'.padEnd(20)} 00:00:00 ${from}`;
    });
    return [
      '    Line       User       Host(s)              Idle       Location',
      ...rows,
      '',
      '  Interface    User               Mode         Idle     Peer Address',
      '',
    ];
  }

  #configure(form: string, words: readonly string[]): void {
    const { running } = this.#device;
    switch (form) {
      case 'end':
        this.#mode = '';
        return this.#next();
      case 'exit':
        this.#mode = this.#mode === 'config' ? '' : 'config';
        return this.#next();
      case 'hostname WORD':
        running.hostname = words[1] ?? '';
        return this.#next();
      case 'line vty REST':
        this.#mode = 'config-line';
        return this.#next();
      case 'password REST':
        if (this.#mode !== 'config-line') return this.#invalid(words, []);
        running.linePassword = words.slice(1).join(' ');
        return this.#next();
      case 'enable secret REST': {
        const secret = kept('secret', words.slice(2));
        if (secret === undefined) return this.#invalid(words, []);
        running.enableSecret = secret;
        return this.#next();
      }
      case 'no username WORD':
        this.#write('This operation will remove all username related configurations with same name.');
        return this.#confirm('Do you want to continue? ', () => {
          delete running.users[words[2] ?? ''];
          this.#next();
        });
      default:
        return this.#username(words);
    }
  }

  #username(words: readonly string[]): void {
    const { running, faults, minLength } = this.#device;
    const [, name = '', ...rest] = words;
    const level = rest[0] === 'privilege' ? Number(rest[1]) : undefined;
    const after = level === undefined ? rest : rest.slice(2);
    const [form, ...value] = after;
    if ((form !== 'secret' && form !== 'password') || (level !== undefined && !(level >= 0 && level <= 15)))
      return this.#invalid(words, []);
    const credential = kept(form, value);
    if (credential === undefined) return this.#invalid(words, []);
    const old = running.users[name];
    if (old !== undefined && !old.credential.startsWith(form))
      return this.#say(
        'ERROR: Can not have both a user password and a user secret.',
        'Please choose one or the other.',
      );
    const clear = value.length === 1 || value[0] === '0' ? (value.at(-1) ?? '') : undefined;
    if (clear !== undefined && clear.length < minLength)
      return this.#say(
        `% Password too short - must be at least ${minLength} characters. Password configuration failed`,
      );
    const set = (): void => {
      running.users[name] = { privilege: level ?? old?.privilege ?? 1, credential };
      if (faults.lies) this.#say('%Error: the user database could not be changed');
      else this.#next();
    };
    if (faults.asksOddly) return this.#ask('Which of the two moons is meant [outer]? ', true, set);
    if (faults.wantsConfirmation) return this.#confirm('The secret of this user will be replaced. ', set);
    return set();
  }
}

/** Whether words are this command, each perhaps cut short; `open`: they may also be only its beginning. */
function matches(form: readonly string[], words: readonly string[], open: boolean): boolean {
  for (const [at, part] of form.entries()) {
    const word = words[at];
    if (word === undefined) return open;
    if (part === 'REST') return true;
    if (part !== 'WORD' && !part.startsWith(word.toLowerCase())) return false;
  }
  return words.length <= form.length;
}
