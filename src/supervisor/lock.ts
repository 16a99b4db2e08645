/** One Sallyport for one data directory: a file with our process id, taken over when its process is gone. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { SupervisorError } from './errors.ts';

/** Throws `supervisor.already-running` with the process id. */
export function lockData(data: string): Disposable {
  const path = join(data, 'sallyport.pid');
  for (;;) {
    try {
      const file = openSync(path, 'wx', 0o600);
      writeSync(file, `${process.pid}\n`);
      closeSync(file);
      return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const pid = Number(readFileSync(path, 'utf8'));
      if (pid !== process.pid && isSallyport(pid))
        throw new SupervisorError('supervisor.already-running', `process ${pid}`);
      rmSync(path, { force: true });
    }
  }
}

/** Whether that process lives and is one of ours, and not a stranger who got the same number. */
function isSallyport(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.ts');
  } catch {
    return false;
  }
}
