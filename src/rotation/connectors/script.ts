/**
 * Passwords of whatever has no connector: a program of the operator's, in the folder of plugins, is asked to do each step.
 * The contract is docs/plugins.md. Its exit status is its answer; all that is not foreseen there is uncertain or unknown.
 * It gets secrets on its standard input and nowhere else.
 */
import { utf8 } from '../../base/bytes.ts';
import type { Secret } from '../../base/secret.ts';
import { isAnswerClass } from '../remedies.ts';
import { tryWithin } from './budget.ts';
import type {
  AnswerClass,
  ChangeAnswer,
  Connector,
  Login,
  LoginCredential,
  NewCredential,
  Task,
  VerifyAnswer,
  Work,
} from './connector.ts';
import { type Parameter, text, whole, yesOrNo } from './parameters.ts';
import { findPlugin, programShape } from './script/program.ts';
import { runPlugin } from './script/run.ts';
import { parseAnswer, type Said } from './script/wire/answer.ts';

type Operation = 'precheck' | 'change' | 'reconcile' | 'fence' | 'verify' | 'adminverify';

/** Exit statuses of the contract. `odd`: anything else, also a death or an answer that is none. */
type Outcome = 'done' | 'refused' | 'unsent' | 'undone' | 'odd';
const statuses: Readonly<Record<number, Outcome>> = { 0: 'done', 10: 'refused', 11: 'unsent', 12: 'undone' };

interface Reply {
  readonly outcome: Outcome;
  readonly class: AnswerClass;
  readonly words: string;
  readonly each?: Said['each'];
}

const options: Parameter = {
  words: 'What the program needs to know besides, by name; it is handed over as it is. Not for secrets',
  values: 'names with texts, numbers, true or false',
  fault: (value) => {
    const plain = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entries = plain ? Object.entries(value) : [];
    const simple = entries.every(([, one]) => ['string', 'number', 'boolean'].includes(typeof one));
    return plain && simple && entries.length <= 64 ? undefined : 'holds names with texts, numbers, true or false';
  },
};

export const script: Connector = {
  name: 'script',
  title: 'passwords of whatever a program of your own can change, from the folder of plugins',
  kind: 'password',
  protocols: ['ssh', 'telnet', 'ldaps', 'ldap', 'postgres', 'mysql', 'rdp'],
  capabilities: { modes: ['self', 'admin'], via: true, adminverify: 'budget', fence: 'sessions', sends: 'value' },
  forbidden: '',
  retires: false,
  parameters: {
    program: text('The program in the folder of plugins; it must be set', 'a file name', programShape),
    network: yesOrNo('Whether the program may use the network. false unless set'),
    seconds: whole('Seconds that the program may take for trying values; 20 unless set', 1, 3600),
    options,
  },
  faultOfName: (account) => (/^\P{Cc}{1,256}$/u.test(account) ? undefined : 'a name has 1 to 256 characters'),
  precheck: async (work, signal) => {
    const reply = await ask('precheck', work, byWhom(work), signal);
    // By the contract nothing was changed yet, whatever it said.
    if (reply.outcome === 'refused') return { said: 'unsent', class: reply.class, words: reply.words };
    return reply.outcome === 'undone' ? { said: 'confirmed', class: 'none', words: '' } : changed(reply);
  },
  change: async (work, fresh, signal) => changed(await ask('change', work, withFresh(work, fresh), signal)),
  reconcile: async (work, fresh, signal) => {
    const reply = await ask('reconcile', work, withFresh(work, fresh), signal);
    return changed(reply.outcome === 'undone' ? await ask('change', work, withFresh(work, fresh), signal) : reply);
  },
  // A program that does not do this (12) is one whose change only time ends.
  fence: async (work, signal) => {
    const reply = await ask('fence', work, byWhom(work), signal);
    return reply.outcome === 'undone' ? { ...changed(reply), said: 'uncertain' } : changed(reply);
  },
  verify: (task, login, signal) => tryValue(task, login, signal),
  adminverify: async (task, admin, candidates, budget, signal) => {
    const { account: user, via } = task;
    const asked = { ...(admin === undefined ? {} : { admin }), via, candidates: candidates.map(valueOf), budget };
    const reply = await ask('adminverify', task, asked, signal);
    if (reply.outcome === 'undone') {
      const through = via === undefined ? {} : { via };
      return tryWithin(budget, candidates, (credential) => tryValue(task, { user, credential, ...through }, signal));
    }
    return candidates.map((_, at) => triedOf(reply, at, candidates.length));
  },
};

/** What goes to the program besides the place: logins, and values as text. */
interface Asked {
  readonly admin?: Login;
  readonly current?: Secret | undefined;
  readonly fresh?: Secret;
  readonly value?: Secret | undefined;
  readonly via?: Login | undefined;
  readonly candidates?: readonly (Secret | undefined)[];
  readonly budget?: number;
}

function byWhom(work: Work): Asked {
  const { mode, login } = work.by;
  return mode === 'admin' ? { admin: login } : { current: valueOf(login.credential), via: login.via };
}

function withFresh(work: Work, fresh: NewCredential): Asked {
  if (fresh.kind !== 'password') throw new TypeError('script sets passwords');
  return { ...byWhom(work), fresh: fresh.secret };
}

function valueOf(credential: LoginCredential): Secret | undefined {
  return credential.kind === 'password' ? credential.secret : undefined;
}

async function tryValue(task: Task, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const reply = await ask('verify', task, { value: valueOf(login.credential), via: login.via }, signal);
  const answer = reply.outcome === 'done' ? 'accepted' : reply.outcome === 'refused' ? 'rejected' : 'unknown';
  return { answer, class: reply.class, words: reply.words };
}

function triedOf({ outcome, each, class: kind, words }: Reply, at: number, count: number): VerifyAnswer {
  const one = outcome === 'done' && each?.length === count ? each[at] : undefined;
  if (one !== undefined)
    return { answer: one.answer, class: classOf(one.class, one.answer === 'accepted'), words: one.words };
  return { answer: 'unknown', class: outcome === 'done' ? 'unexpected' : kind, words };
}

function changed({ outcome, class: kind, words }: Reply): ChangeAnswer {
  const said = (
    { done: 'confirmed', refused: 'failed', unsent: 'unsent', undone: 'unsent', odd: 'uncertain' } as const
  )[outcome];
  return { said, class: kind, words };
}

function classOf(named: string | undefined, good: boolean): AnswerClass {
  return isAnswerClass(named) ? named : good ? 'none' : 'unexpected';
}

/** One run of the program. `work.targetSeconds` is its time where a change may be in its hands. */
async function ask(operation: Operation, task: Task | Work, asked: Asked, signal: AbortSignal): Promise<Reply> {
  const { program, network, seconds = 20 } = task.settings;
  if (typeof program !== 'string') return cannot('no `program` is set');
  if (task.plugins === undefined) return cannot('there is no folder of plugins here');
  const found = await findPlugin(task.plugins, program);
  if ('fault' in found) return cannot(found.fault);
  const line = lineFor(operation, task, asked);
  if (line === undefined) return cannot('a program gets passwords; keys never leave the vault');
  const limits = { network: network === true, seconds: 'targetSeconds' in task ? task.targetSeconds : Number(seconds) };
  const ran = await runPlugin(found.path, line, limits, signal);
  switch (ran.kind) {
    case 'refused':
      return cannot(ran.words);
    case 'killed':
      return {
        outcome: 'odd',
        class: 'timeout',
        words: `${program} was killed, or took longer than ${limits.seconds} s`,
      };
    case 'flooded':
      return { outcome: 'odd', class: 'unexpected', words: `${program} said more than an answer may hold` };
    case 'exited': {
      const said = parseAnswer(ran.output);
      const outcome = said === undefined ? undefined : statuses[ran.status];
      if (said === undefined || outcome === undefined) {
        const what = said === undefined ? 'gave no answer that can be read' : `ended with ${ran.status}`;
        return {
          outcome: 'odd',
          class: classOf(said?.class, false),
          words: `${program} ${what}. ${said?.words ?? ''}`.trim(),
        };
      }
      if (outcome === 'undone') return { outcome, class: 'unsupported', words: `${program} does not do ${operation}` };
      return { outcome, class: classOf(said.class, outcome === 'done'), words: said.words, each: said.each };
    }
    default:
      return ran satisfies never;
  }
}

/** Nothing was run. */
function cannot(words: string): Reply {
  return { outcome: 'unsent', class: 'unsupported', words };
}

/** The request of the contract; undefined when a key would have to be handed over. Zeroed by whoever runs the program. */
function lineFor(operation: Operation, task: Task | Work, asked: Asked): Uint8Array | undefined {
  const { place, account, settings } = task;
  const { admin, current, fresh, value, via, candidates, budget } = asked;
  const logins = [admin, admin?.via, via].filter((login) => login !== undefined);
  const values = [
    ...(candidates ?? []),
    ...('current' in asked ? [current] : []),
    ...('value' in asked ? [value] : []),
  ];
  if (logins.some((login) => login.credential.kind !== 'password') || values.includes(undefined)) return undefined;
  const request = {
    version: 1,
    operation,
    target: {
      protocol: place.protocol,
      address: place.address,
      port: place.port,
      tls: place.tls,
      hostKeys: place.hostKeys.map((key) => Buffer.from(key).toString('base64')),
      settings: place.settings,
    },
    account,
    options: settings['options'] ?? {},
    ...('tag' in task ? { tag: task.tag, seconds: task.targetSeconds } : {}),
    ...(admin === undefined ? {} : { admin: loginOf(admin) }),
    ...(via === undefined ? {} : { via: loginOf(via) }),
    ...(current === undefined ? {} : { current: current.revealText() }),
    ...(fresh === undefined ? {} : { fresh: fresh.revealText() }),
    ...(value === undefined ? {} : { value: value.revealText() }),
    ...(candidates === undefined ? {} : { candidates: candidates.map((one) => one?.revealText()), budget }),
  };
  return utf8(`${JSON.stringify(request)}\n`);
}

function loginOf({ user, credential, via }: Login): object {
  const password = credential.kind === 'password' ? credential.secret.revealText() : undefined;
  return { user, password, ...(via === undefined ? {} : { via: loginOf(via) }) };
}
