/**
 * The programs that tests need from the machine. As root on Debian what is missing is installed, with no service
 * started; anybody else is told what is missing and how to get it. It refuses to guess: a package that is not in the
 * list below has no known program to look for.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's package, and the file that shows it is there: a program on the path, or an absolute name. */
const shows = {
  'openssh-server': 'sshd',
  'openssh-client': 'ssh',
  'openssh-sftp-server': '/usr/lib/openssh/sftp-server',
  rsync: 'rsync',
  git: 'git',
  sudo: 'sudo',
  strace: 'strace',
  iproute2: 'ip',
  passwd: 'chpasswd',
  procps: 'ps',
  'putty-tools': 'plink',
  'dropbear-bin': 'dropbear',
  'libpam-modules': '/usr/sbin/faillock',
  'libpam-pwquality': '/usr/lib/x86_64-linux-gnu/security/pam_pwquality.so',
  locales: '/usr/share/i18n/SUPPORTED',
  postgresql: '/usr/lib/postgresql/15/bin/postgres',
  'postgresql-client': 'psql',
  'mariadb-server': 'mariadbd',
  'mariadb-client': 'mariadb',
  samba: 'samba-tool',
  'samba-ad-dc': 'samba',
  'samba-ad-provision': '/usr/share/samba/setup/provision.ldif',
  'samba-dsdb-modules': '/usr/lib/x86_64-linux-gnu/samba/ldb/samba_dsdb.so',
  'samba-vfs-modules': '/usr/lib/x86_64-linux-gnu/samba/vfs/acl_xattr.so',
  winbind: 'winbindd',
  'ldb-tools': 'ldbsearch',
  'krb5-user': 'kinit',
  'ldap-utils': 'ldapsearch',
  slapd: 'slapd',
  frr: '/usr/lib/frr/ripd',
  faketime: 'faketime',
  openssl: 'openssl',
  xvfb: 'Xvfb',
  'x11-apps': 'xwd',
  'x11-utils': 'xwininfo',
  'x11-xserver-utils': 'xsetroot',
  xauth: 'xauth',
  xterm: 'xterm',
  twm: 'twm',
  xdotool: 'xdotool',
  xclip: 'xclip',
  imagemagick: 'import',
  'dbus-x11': 'dbus-launch',
  xrdp: 'xrdp',
  xorgxrdp: '/usr/lib/xorg/modules/libxorgxrdp.so',
  'freerdp2-x11': 'xfreerdp',
  'freerdp2-shadow-x11': 'freerdp-shadow-cli',
  'winpr-utils': 'winpr-hash',
  rdesktop: 'rdesktop',
  fuse3: 'fusermount3',
  ffmpeg: 'ffmpeg',
  chromium: 'chromium',
  'libfreerdp2-2': '/usr/lib/x86_64-linux-gnu/libfreerdp2.so.2',
  'python3-paramiko': '/usr/lib/python3/dist-packages/paramiko/__init__.py',
  'python3-netmiko': '/usr/lib/python3/dist-packages/netmiko/__init__.py',
  'gss-ntlmssp': '/etc/gss/mech.d/mech.ntlmssp.conf',
  'python3-gssapi': '/usr/lib/python3/dist-packages/gssapi/__init__.py',
  'python3-cryptography': '/usr/lib/python3/dist-packages/cryptography/__init__.py',
} as const;

export type Package = keyof typeof shows;

/** What a machine of the lab is made of. */
export const machinePackages: readonly Package[] = [
  'openssh-server',
  'openssh-client',
  'openssh-sftp-server',
  'sudo',
  'iproute2',
  'passwd',
];

/** An X display without a screen, and whoever looks at it, types on it and draws on it. */
export const displayPackages: readonly Package[] = [
  'xvfb',
  'x11-apps',
  'x11-utils',
  'x11-xserver-utils',
  'xauth',
  'xterm',
  'twm',
  'xdotool',
  'xclip',
  'imagemagick',
];

/** Servers and clients of RDP, a browser, and what makes films of recordings. */
export const rdpPackages: readonly Package[] = [
  ...displayPackages,
  'dbus-x11',
  'xrdp',
  'xorgxrdp',
  'fuse3',
  'freerdp2-x11',
  'freerdp2-shadow-x11',
  'winpr-utils',
  'rdesktop',
  'ffmpeg',
  'chromium',
];

/** What the end-to-end tests need. */
export const testPackages: readonly Package[] = [
  ...machinePackages,
  ...rdpPackages,
  'rsync',
  'git',
  'strace',
  'procps',
  'libpam-modules',
  'libpam-pwquality',
  'locales',
  'postgresql',
  'postgresql-client',
  'mariadb-server',
  'mariadb-client',
  'samba',
  'samba-ad-dc',
  'samba-ad-provision',
  'samba-dsdb-modules',
  'samba-vfs-modules',
  'winbind',
  'ldb-tools',
  'krb5-user',
  'ldap-utils',
  'slapd',
  'frr',
  'python3-netmiko',
  'faketime',
  'openssl',
  'libfreerdp2-2',
  'gss-ntlmssp',
  'python3-gssapi',
  'python3-cryptography',
];

export type Packages =
  | { readonly kind: 'ready'; readonly installed: readonly Package[] }
  | { readonly kind: 'missing'; readonly missing: readonly Package[]; readonly remedy: string };

/** Where daemons live; an ordinary user's PATH often leaves these out. */
const daemonFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The absolute path of a program, looked for on PATH and where daemons live. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...daemonFolders];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Which of these packages are not on this machine. */
export function missingPackages(names: readonly Package[]): readonly Package[] {
  return names.filter((name) => {
    const sign = shows[name];
    return sign.startsWith('/') ? !existsSync(sign) : findProgram(sign) === undefined;
  });
}

/**
 * Makes sure of the packages: `ready` if all are there or could be installed, `missing` where this process may not
 * install. Throws if apt-get fails. Parallel callers wait for one another.
 */
export async function ensurePackages(names: readonly Package[]): Promise<Packages> {
  const missing = missingPackages(names);
  if (missing.length === 0) return { kind: 'ready', installed: [] };
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) {
    const remedy =
      findProgram('apt-get') === undefined
        ? `install what Debian calls ${missing.join(', ')} with this system's package manager`
        : `run "apt-get install --no-install-recommends ${missing.join(' ')}" as root`;
    return { kind: 'missing', missing, remedy };
  }
  process.stderr.write(`\n=== tests: installing Debian packages: ${missing.join(' ')} (no service is started) ===\n`);
  await install(missing);
  const still = missingPackages(names);
  if (still.length > 0) throw new Error(`apt-get installed ${missing.join(' ')}, but not found: ${still.join(' ')}`);
  return { kind: 'ready', installed: missing };
}

/** As `ensurePackages`, and throws with the names and the remedy where something stays missing. */
export async function requirePackages(names: readonly Package[]): Promise<void> {
  const packages = await ensurePackages(names);
  if (packages.kind === 'missing') throw new Error(`the tests need ${packages.missing.join(', ')}: ${packages.remedy}`);
}

function install(names: readonly Package[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // Standard output belongs to whoever reads a report from it; apt's words go to standard error, only if it fails.
    const child = spawn(join(import.meta.dirname, 'install.sh'), names, { stdio: ['ignore', 'pipe', 'pipe'] });
    const words: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => words.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => words.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      reject(
        new Error(`installing ${names.join(' ')} ended with ${code ?? signal}:\n${Buffer.concat(words).toString()}`),
      );
    });
  });
}
