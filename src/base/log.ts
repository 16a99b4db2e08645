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

/** A log to a file descriptor (2 is standard error) or a file's path. Every line names the process by `room`. */
export function openLog(room: string, level: LogLevel = 'info', destination: number | string = 2): Log {
  return pino(
    { base: { room, pid: process.pid }, level, timestamp: pino.stdTimeFunctions.isoTime },
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
