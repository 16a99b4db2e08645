/** A target that is a folder: each account's live value is in a file of its name. For tests of the crash harness itself. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drawPassword } from '../../crash/values.ts';
import type { Family } from '../../crash/families/family.ts';
import type { LoginCredential, Place, VerifyAnswer } from '../../src/rotation/connectors/connector.ts';
import type { Answer, Job } from '../../src/rotation/connectors/job.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import { nowhere, textOf } from '../rotation/room.ts';

const yes: Answer = { outcome: 'confirmed', class: 'none', words: '' };

/** Asks the folder that the job's place names. */
export const askFiles: RunConnector = async (job) => {
  switch (job.operation) {
    case 'change':
    case 'reconcile':
      if (job.fresh.kind === 'password') await writeFile(fileOf(job), job.fresh.secret.revealText());
      return yes;
    case 'verify': {
      const { answer, ...rest } = await tryValue(job, job.login.credential);
      return { outcome: answer, ...rest };
    }
    case 'adminverify':
      return { ...yes, each: await Promise.all(job.candidates.map((candidate) => tryValue(job, candidate))) };
    default:
      return yes;
  }
};

/** Where the live value of a job's account is. */
function fileOf(job: Job): string {
  if (job.operation === 'scan') throw new Error('a folder shows no keys');
  const { place, account } = 'task' in job ? job.task : job.work;
  return join(folderOf(place), account);
}

function folderOf({ settings }: Place): string {
  return String(settings['folder']);
}

async function tryValue(job: Job, credential: LoginCredential): Promise<VerifyAnswer> {
  const live = await readFile(fileOf(job), 'utf8');
  return textOf(credential) === live
    ? { answer: 'accepted', class: 'none', words: '', how: 'stored' }
    : { answer: 'rejected', class: 'authentication', words: '', how: 'stored' };
}

/** Its server is the folder. `run`: who answers after the start; the folder unless told. */
export function fileFamily(folder: string, run: RunConnector = askFiles): Family {
  const hostKeys = nowhere.hostKeys.map((line) => new Uint8Array(Buffer.from(line.split(' ')[1] ?? '', 'base64')));
  const keeper = drawPassword();
  return {
    name: 'files',
    connector: 'linux-chpasswd',
    kind: 'password',
    by: 'keeper',
    start: async () => ({
      address: '127.0.0.1',
      port: 9,
      service: (port) => ({ name: 'ssh', protocol: 'ssh', port, hostKeys, settings: { folder } }),
      keeper: { name: 'keeper', connector: 'linux-chpasswd', value: keeper },
      draw: async () => drawPassword(),
      plant: async (accounts) => {
        for (const { name, value } of accounts) await writeFile(join(folder, name), value.text);
      },
      holds: (accounts) =>
        Promise.all(
          accounts.map(async ({ name, value }) => {
            const live = await readFile(join(folder, name), 'utf8');
            return value.map((one) => one.text === live);
          }),
        ),
      run,
      quiet: async () => {},
      [Symbol.asyncDispose]: async () => {},
    }),
  };
}
