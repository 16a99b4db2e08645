/**
 * The log: pino, one JSON object a line. Secrets are a type and print as `[secret]`, so there is no redaction list to
 * keep. Levels: `debug` for mechanics, `info` for what an operator would want to have been told, `warn` for what he
 * should look at, `error` for what is broken.
 */
import { pino } from 'pino';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * What JSON leaves as it is but a terminal acts on: DEL and the second row of control characters, invisible characters that
 * turn the reading order, and line separators. As escapes they are the same text to a program.
 */
const acting = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu;

function inert(line: string): string {
  return line.replace(acting, (found) => {
    let out = '';
    for (let i = 0; i < found.length; i++) out += `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return out;
  });
}

/** A log to a file descriptor (2 is standard error) or a file's path. Every line names the process by `room`. */
export function openLog(room: string, level: LogLevel = 'info', destination: number | string = 2): Log {
  return pino(
    {
      base: { room, pid: process.pid },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      hooks: { streamWrite: inert },
    },
    pino.destination({ dest: destination, sync: true }),
  );
}

/** For tests and for libraries that were given no log. */
export const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
};
