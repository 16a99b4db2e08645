/**
 * Everything in which a run of the product may have left a secret: texts that it or others have said, what its processes
 * were started with, what /proc showed of them, and its data directory. One search goes over all of it; `planted` makes a
 * copy with a secret in one place, so that a test can see the search find it there.
 */
import { type Canary, type Hit, searchBytes } from './canary.ts';
import { type Decoder, type Scan, scan } from './canary-scan.ts';
import { type Execution, type ProcessView, searchExecutions, searchProcesses } from './exec-trace.ts';

export interface Haul {
  /** By a name for the place: logs, outputs of commands, the audit trail, the target's logs. */
  readonly texts: ReadonlyMap<string, string | Uint8Array>;
  readonly executions: readonly Execution[];
  readonly processes: readonly ProcessView[];
  /** The data directory of the stopped product, and its recordings decoded, by path. */
  readonly data: string;
  readonly recordings: ReadonlyMap<string, Uint8Array>;
}

export interface Search {
  readonly hits: readonly Hit[];
  readonly disk: Scan;
}

export async function searchHaul(haul: Haul, canaries: readonly Canary[]): Promise<Search> {
  const disk = await scan(canaries, [haul.data], { decoders: [recordingDecoder(haul.recordings)] });
  return { hits: [...searchMemory(haul, canaries), ...disk.hits], disk };
}

/** Everything but the disk. */
export function searchMemory(haul: Haul, canaries: readonly Canary[]): readonly Hit[] {
  return [
    ...[...haul.texts].flatMap(([name, text]) => searchBytes(canaries, name, text)),
    ...searchExecutions(canaries, haul.executions),
    ...searchProcesses(canaries, haul.processes),
  ];
}

function recordingDecoder(recordings: ReadonlyMap<string, Uint8Array>): Decoder {
  return {
    name: 'recording',
    matches: (path) => recordings.has(path),
    decode: async function* (path) {
      yield recordings.get(path) ?? new Uint8Array();
    },
  };
}

/** One copy for each place in memory, each with the secret in it. */
export function* planted(haul: Haul, secret: Uint8Array): Generator<readonly [place: string, haul: Haul]> {
  const behind = (bytes: string | Uint8Array): Uint8Array => Buffer.concat([Buffer.from(bytes), secret, Buffer.of(10)]);
  for (const [name, text] of haul.texts) yield [name, { ...haul, texts: new Map([[name, behind(text)]]) }];
  const execution = haul.executions.at(-1);
  if (execution !== undefined)
    yield ['execve', { ...haul, executions: [{ ...execution, bytes: Buffer.from(behind(execution.bytes)) }] }];
  for (const part of ['cmdline', 'environ'] as const) {
    const view = haul.processes.at(-1);
    if (view !== undefined)
      yield [
        `/proc/${view.pid}/${part}`,
        { ...haul, processes: [{ ...view, [part]: Buffer.from(behind(view[part])) }] },
      ];
  }
}
