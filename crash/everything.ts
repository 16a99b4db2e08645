/** Loads what victims and connectors load, some of it only when they need it, and ends; see `compiled.ts`. */
import 'ldapts';
import 'mysql2';
import 'pg';
import './live.ts';
import '../src/rotation/connectors/registry.ts';
import '../src/rotation/connectors/scan.ts';
// With no job on its standard input it ends the process.
import '../src/rotation/connectors/worker.ts';
