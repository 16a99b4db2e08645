/** The import table of ARCHITECTURE.md, checked over every import in src. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');

/** Doors besides the file with the room's own name. */
const doors: Readonly<Record<string, readonly string[]>> = {
  recording: ['recorder.ts', 'format/format.ts'],
  protocol: [
    'ssh/ssh.ts',
    'ssh/types.ts',
    'ntlm/ntlm.ts',
    'rdp/rdp.ts',
    'rdp/bitmap/bitmap.ts',
    'rdp/channels/channels.ts',
  ],
  db: ['tables.ts', 'embedded.ts', 'jobs.ts'],
};
const pure = /(^|\/)(wire|format|plan|bitmap)\//;

const table = new Map<string, readonly string[]>();
const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
for (const line of (/```imports\n([\s\S]*?)```/.exec(page)?.[1] ?? '').trim().split('\n')) {
  const [room = '', allowed = ''] = line.split('->');
  table.set(room.trim(), allowed.trim().split(/\s+/).filter(Boolean));
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

function roomOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : file.replace(/\.ts$/, '');
}

function* importsOf(file: string): Generator<{ specifier: string; resolved: string | undefined }> {
  const code = readFileSync(join(src, file), 'utf8');
  for (const match of code.matchAll(
    /(?:^|\n)\s*(?:import|export)[^'";]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/g,
  )) {
    const specifier = match[1] ?? match[2] ?? '';
    const resolved = specifier.startsWith('.')
      ? relative(src, normalize(join(src, dirname(file), specifier)))
      : undefined;
    yield { specifier, resolved };
  }
}

test('the table names every room', () => {
  const rooms = new Set(files.map(roomOf));
  expect([...rooms].filter((room) => !table.has(room))).toEqual([]);
});

test('a room imports only what the table allows, and only through doors', () => {
  const wrong: string[] = [];
  for (const file of files) {
    const room = roomOf(file);
    for (const { resolved } of importsOf(file)) {
      if (resolved === undefined) continue;
      const other = roomOf(resolved);
      if (other === room) continue;
      const allowed = table.get(room) ?? [];
      const inside = resolved.slice(other.length + 1);
      const narrow = allowed
        .filter((entry) => entry.startsWith(`${other}/`))
        .map((entry) => entry.slice(other.length + 1));
      if (narrow.length > 0 && !narrow.some((door) => inside.startsWith(door)))
        wrong.push(`${file}: ${room} may import only ${narrow.join(', ')} of ${other}`);
      else if (narrow.length === 0 && !allowed.includes(other))
        wrong.push(`${file}: ${room} may not import ${other} (allowed: ${allowed.join(' ') || 'nothing'})`);
      else if (other !== 'base' && inside !== `${other}.ts` && inside !== 'errors.ts' && resolved !== `${other}.ts`) {
        if (!(doors[other] ?? []).includes(inside)) wrong.push(`${file}: ${inside} is not a door of ${other}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

/** A pure file may know base, its own folder, and, in the shelf of protocols, what their formats have in common. */
function mayKnow(file: string, folder: string, resolved: string): boolean {
  if (resolved.startsWith('base/') || resolved.startsWith(folder)) return true;
  return file.startsWith('protocol/') && resolved.startsWith('protocol/wire/');
}

test('pure folders know no time, network or chance', () => {
  const wrong: string[] = [];
  for (const file of files.filter((name) => pure.test(name))) {
    const folder = file.slice(0, file.search(pure)) + (pure.exec(file)?.[0] ?? '').replace(/^\//, '/');
    for (const { specifier, resolved } of importsOf(file)) {
      if (specifier.startsWith('node:')) wrong.push(`${file}: ${specifier}`);
      else if (resolved !== undefined && !mayKnow(file, folder, resolved)) wrong.push(`${file}: ${resolved}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('no barrels, no drawers, no decorators', () => {
  const wrong = files.filter((file) => /(^|\/)(index|utils?|helpers?|common|misc)\.ts$/.test(file));
  for (const file of files) {
    if (/^\s*@[A-Za-z]+(\(|\s*$)/m.test(readFileSync(join(src, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')))
      wrong.push(file);
  }
  expect(wrong).toEqual([]);
});
