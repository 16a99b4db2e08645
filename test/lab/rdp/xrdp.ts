/**
 * A machine that people reach by RDP: xrdp, its session manager and a real Xorg for each user, on a full machine of the
 * lab (accounts, PAM and network of its own, and an sshd as well). Its logins are PAM's, so a password that is changed
 * there by any way is changed for RDP. Only as root, because only root makes full machines.
 */
import { displayPackages, requirePackages } from '../install.ts';
import { type Machine, type MachineOptions, startMachine } from '../machine.ts';
import { plainEnv } from '../run.ts';
import { paint, windowManager } from './desktop.ts';
import type { Screen } from './screen.ts';
import { makeSelfSigned } from './self-signed.ts';

export interface XrdpMachine extends AsyncDisposable {
  /** The machine below, with its sshd at port 22. */
  readonly machine: Machine;
  readonly address: string;
  /** Of RDP: 3389. */
  readonly port: number;
  /** What it shows in TLS, as PEM; self-signed, RSA. */
  readonly certificate: string;
  /** SHA-256 of that certificate, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** The account's desktop as the X server of the machine has it: waits until it is started and painted. */
  session(user: string, signal?: AbortSignal): Promise<Screen>;
  /**
   * Writes lines of random words in random colours into the second terminal of the account's desktop, as fast as it
   * scrolls: the same lines for the same seed. Resolves when the last is written; without `lines` it writes until the
   * signal fires, and then throws the signal's reason.
   */
  scroll(user: string, what: { readonly seed: number; readonly lines?: number }, signal?: AbortSignal): Promise<void>;
  /** Ends everything that the account runs, so that its next login has a fresh desktop. */
  endSessions(user: string): Promise<void>;
  /** Shows another certificate from the next connection on. */
  renewCertificate(): Promise<void>;
  /** What xrdp and its session manager have logged so far. */
  log(): Promise<string>;
  /** The first line of those logs that matches (as grep -E has it), now or as soon as it is written. */
  logged(pattern: string, signal?: AbortSignal): Promise<string>;
}

const folder = '/etc/xrdp';
const xrdpLog = '/var/log/xrdp.log';
const sesmanLog = '/var/log/xrdp-sesman.log';

/** Starts it, and waits until it takes connections. `xrdp` are lines for the head of xrdp.ini, `key=value`. */
export async function startXrdp(
  options: Omit<MachineOptions, 'network'> & { readonly xrdp?: readonly string[] },
  signal?: AbortSignal,
): Promise<XrdpMachine> {
  await requirePackages([...displayPackages, 'xrdp', 'xorgxrdp', 'fuse3', 'dbus-x11', 'procps']);
  await using undo = new AsyncDisposableStack();
  // A network of its own: xrdp finds its session manager on port 3350 of the loopback and nowhere else.
  const machine = undo.use(await startMachine({ ...options, network: 'netns' }, signal));
  const well = async (argv: readonly string[], input = ''): Promise<string> => {
    const ran = await machine.exec(argv, { input }, signal);
    if (ran.code !== 0) throw new Error(`${argv.join(' ')} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
    return ran.stdout;
  };
  for (const user of options.users.filter(({ name }) => name !== 'root')) {
    const home = `/home/${user.name}`;
    await machine.putFile(`${home}/.xsession`, desktop, { mode: '0755', owner: user.name });
    await machine.putFile(`${home}/.twmrc`, windowManager, { owner: user.name });
  }
  await machine.putFile(`${folder}/xrdp.ini`, xrdpIni(options.xrdp ?? []), { mode: '0644' });
  await machine.putFile(`${folder}/sesman.ini`, sesmanIni, { mode: '0644' });
  let shown = await makeSelfSigned(options.name);
  const show = async (): Promise<void> => {
    await machine.putFile(`${folder}/lab-key.pem`, shown.key);
    await machine.putFile(`${folder}/lab-certificate.pem`, shown.certificate, { mode: '0644' });
  };
  await show();
  await well(['bash', '-c', start]);

  const life = undo.move();
  return {
    machine,
    address: machine.address,
    port: 3389,
    get certificate() {
      return shown.certificate;
    },
    get fingerprint() {
      return shown.fingerprint;
    },
    session: async (user, until = signal) => {
      // The last line of the desktop's start names its display, as soon as its terminals are mapped.
      const ready = await machine.exec(['timeout', '60', 'bash', '-c', follow, 'follow', user], {}, until);
      const name = ready.stdout.trim();
      if (name === '') throw new Error(`${user} has no desktop: ${await machine.readFile(sesmanLog)}`);
      const as = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups'];
      const home = `/home/${user}`;
      const env = { ...plainEnv, HOME: home, DISPLAY: name, XAUTHORITY: `${home}/.Xauthority` };
      const screen: Screen = {
        name,
        run: async (argv, more = {}, end = until) => {
          const ran = await machine.exec([...as, ...argv], { env, ...more }, end);
          if (ran.code !== 0) throw new Error(`${argv.join(' ')} ended with ${ran.code}: ${ran.stderr}${ran.stdout}`);
          return ran;
        },
      };
      return screen;
    },
    scroll: async (user, { seed, lines = 0 }, until) => {
      const script = 'exec awk -v seed="$1" -v lines="$2" "$3" >"$(cat "$4")"';
      const argv = ['sh', '-c', script, 'sh', String(seed), String(lines), randomLines, `/home/${user}/.lab-terminal`];
      const ran = await machine.exec(
        ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', ...argv],
        {},
        until,
      );
      if (ran.code !== 0) throw new Error(`scrolling ended with ${ran.code}: ${ran.stderr}`);
    },
    endSessions: async (user) => {
      await machine.exec(['timeout', '10', 'bash', '-c', end, 'end', user]);
    },
    renewCertificate: async () => {
      shown = await makeSelfSigned(options.name);
      await show();
    },
    log: async () => (await machine.readFile(xrdpLog)) + (await machine.readFile(sesmanLog)),
    logged: async (pattern, until = signal) => {
      const script = `grep -m1 -E -e "$1" < <(exec tail -q -n +1 -F --pid=$$ ${xrdpLog} ${sesmanLog} 2>/dev/null)`;
      return (await machine.exec(['bash', '-c', script, 'logged', pattern], {}, until)).stdout.trim();
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Starts both daemons, and ends when both listen; with 1 and their words if one ends before. The manager logs nothing then. */
const start = `
mkdir -p /run/xrdp/sockdir /tmp/.X11-unix && chown root:xrdp /run/xrdp/sockdir
chmod 3777 /run/xrdp/sockdir && chmod 1777 /tmp/.X11-unix
setsid xrdp-sesman -n >/dev/null 2>&1 & manager=$!
setsid xrdp -n >/dev/null 2>&1 & daemon=$!
for port in 3350 3389; do
  until ss -Hltn "sport = $port" | grep -q .; do
    kill -0 $manager && kill -0 $daemon || { cat ${xrdpLog} ${sesmanLog}; exit 1; }
    sleep 0.05
  done
done
`;

/** Prints the display of the account's desktop once that is ready. */
const follow = `
file=/home/$1/.lab-ready
until [ -s "$file" ]; do sleep 0.05; done
cat "$file"
`;

/**
 * Ends all that the account runs, and waits until the manager has noticed: it would send the next login to the old display.
 * A channel server that is killed leaves its drives mounted, and the next one could not mount its own.
 */
const end = `
pkill -KILL -u $1
umount -l /home/$1/thinclient_drives 2>/dev/null
rm -f /home/$1/.lab-ready /home/$1/.lab-terminal
count() { grep -c "$1 session.*username $2," ${sesmanLog}; }
until [ "$(count created $1)" -le "$(count terminated $1)" ]; do sleep 0.05; done
`;

const desktop = `#!/bin/bash
rm -f ~/.lab-ready ~/.lab-terminal
${paint('#204060', '120x120+880+20', {
  shell: `-geometry 60x12+10+10 -bg white -fg black -e 'whoami; hostname; exec bash --norc'`,
  scroll: `-geometry 100x30+10+260 -bg black -fg white -e 'tty >~/.lab-terminal; exec sleep infinity'`,
})}
until [ -s ~/.lab-terminal ]; do sleep 0.05; done
echo $DISPLAY >~/.lab-ready
wait
`;

const randomLines = `BEGIN {
  srand(seed)
  for (n = 1; lines == 0 || n <= lines; n++) {
    line = ""
    for (word = 0; word < 16; word++) {
      line = line sprintf("\\033[%dm", 31 + int(rand() * 7))
      for (i = 0; i < 5; i++) line = line sprintf("%c", 33 + int(rand() * 94))
      line = line " "
    }
    printf "%s\\033[0m\\r\\n", line
  }
}`;

function xrdpIni(lines: readonly string[]): string {
  const globals = {
    ini_version: '1',
    fork: 'true',
    port: '3389',
    tcp_nodelay: 'true',
    tcp_keepalive: 'true',
    security_layer: 'negotiate',
    crypt_level: 'high',
    certificate: `${folder}/lab-certificate.pem`,
    key_file: `${folder}/lab-key.pem`,
    ssl_protocols: 'TLSv1.2, TLSv1.3',
    autorun: 'Xorg',
    allow_channels: 'true',
    allow_multimon: 'true',
    bitmap_cache: 'true',
    bitmap_compression: 'true',
    bulk_compression: 'true',
    max_bpp: '32',
    new_cursors: 'true',
    use_fastpath: 'both',
    require_credentials: 'true',
    ...Object.fromEntries(lines.map((line) => [line.replace(/=.*/s, ''), line.replace(/^.*?=/s, '')])),
  };
  const session = ['name=Xorg', 'lib=libxup.so', 'username=ask', 'password=ask', 'ip=127.0.0.1', 'port=-1', 'code=20'];
  const channels = ['rdpdr', 'rdpsnd', 'drdynvc', 'cliprdr', 'rail', 'xrdpvr', 'tcutils'];
  return [
    '[Globals]',
    ...Object.entries(globals).map(([key, value]) => `${key}=${value}`),
    '[Logging]',
    `LogFile=${xrdpLog}`,
    'LogLevel=DEBUG',
    'EnableSyslog=false',
    '[Channels]',
    ...channels.map((name) => `${name}=true`),
    '[Xorg]',
    ...session,
    '',
  ].join('\n');
}

const sesmanIni = `[Globals]
ListenAddress=127.0.0.1
ListenPort=3350
EnableUserWindowManager=true
UserWindowManager=.xsession
DefaultWindowManager=startwm.sh
ReconnectScript=reconnectwm.sh
[Security]
AllowRootLogin=true
MaxLoginRetry=4
AlwaysGroupCheck=false
RestrictOutboundClipboard=none
RestrictInboundClipboard=none
[Sessions]
X11DisplayOffset=10
MaxSessions=50
KillDisconnected=false
DisconnectedTimeLimit=0
IdleTimeLimit=0
Policy=Default
[Logging]
LogFile=${sesmanLog}
LogLevel=INFO
EnableSyslog=false
[Xorg]
param=/usr/lib/xorg/Xorg
param=-config
param=xrdp/xorg.conf
param=-noreset
param=-nolisten
param=tcp
param=-logfile
param=.xorgxrdp.%s.log
[Chansrv]
FuseMountName=thinclient_drives
FileUmask=077
[ChansrvLogging]
LogLevel=INFO
EnableSyslog=false
`;
